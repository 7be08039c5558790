"""Each trigger of the shipped memory rollout against a real Prometheus and Alertmanager, and nothing on the healthy side of its limit.

Times in comments are those of the rules. A minute of them takes 0.4 s here.
"""

from collections.abc import Callable
from typing import Any

import pytest

from rollback_daemon.lab.servers import PrometheusServer
from tests.acceptance.memory_service import COST, MemoryService, document, text
from tests.acceptance.memory_stand import MemoryStand

BREACHES: dict[str, tuple[Callable[[MemoryService], None], str, int]] = {
    "ErrorRateHigh": (lambda it: it.set("genesis_error_rate", 0.006), "0.006 > 0.005 for 2s (held 2s", 10),
    "LatencyHigh": (lambda it: setattr(it, "latency", 0.35), "> 0.3 for 2s (held 2s", 10),
    "TestPassRateLow": (lambda it: it.set("genesis_test_pass_rate", 0.949), "0.949 < 0.95", 10),
    "MongoAuthenticationFailing": (lambda it: it.increase("mongodb_authentication_failures_total"), "> 0", 10),
    "PrecisionLow": (lambda it: it.set("genesis_memory_retrieval_precision", 0.49), "0.49 < 0.5 for 6s (held 6s", 10),
    "MemoryHigh": (lambda it: it.set("genesis_memory_usage_ratio", 0.86), "0.86 > 0.85 for 2s (held 2s", 10),
}
"""How each trigger is breached, how its sentence ends, and the percentage that follows 25 %."""


@pytest.mark.parametrize("alert", BREACHES)
def test_a_breach_takes_the_six_flags_and_the_agents_back(alert: str, begin: Callable[..., MemoryStand], service: MemoryService) -> None:
    breach, sentence, percentage = BREACHES[alert]
    stand = begin(percentage=25)
    breach(service)
    stand.wait_for_phase("rolled_back")
    assert stand.document == document(percentage)
    [intent] = stand.history("intended")
    assert (intent["triggers"], intent["from"], intent["to"]) == ([alert], "twenty-five", "ten")
    assert f"{alert}: " in intent["why"][0]
    assert sentence in intent["why"][0]
    told = stand.wait_for_alert(alert)
    assert (told["labels"]["severity"], told["labels"]["stage"]) == ("critical", "twenty-five")
    assert stand.wait_for_alert("RolloutRolledBack")
    assert len(stand.history("applied")) == 1  # all of them in one write
    assert "resume it with a reason first" in stand.by("anna", "promote", "--reason", "again").err


def test_at_ten_percent_errors_stop_the_way_up_and_change_no_flag(ten: MemoryStand, service: MemoryService) -> None:
    service.set("genesis_error_rate", 0.006)
    ten.wait_for_phase("held")  # "back to 10 %" is where it is
    assert ten.flags_now == text(10)
    assert ten.wait_for_alert("ErrorRateHigh")["labels"]["severity"] == "critical"


def test_nothing_happens_on_the_healthy_side_of_each_limit(
    begin: Callable[..., MemoryStand], service: MemoryService, memory_prometheus: PrometheusServer
) -> None:
    stand = begin(percentage=25)
    service.set("genesis_error_rate", 0.005)  # 0:00: exactly the limits, and a p95 just below 300 ms
    service.latency = 0.3
    service.set("genesis_test_pass_rate", 0.95)
    service.set("genesis_memory_retrieval_precision", 0.5)
    service.set("genesis_memory_usage_ratio", 0.85)
    service.cost = 1.9 * COST
    memory_prometheus.wait_for("sum(rate(genesis_cost_usd_total[2s])) > 1.8")
    stand.wait_for_evaluations(28)  # 17:30
    firing = {one["alert"] for one in stand.explain()["triggers"] if one["phase"] == "firing"}
    assert firing <= {"PrecisionDecay"}  # which only warns, below 70 %
    assert (stand.get()["phase"], stand.flags_now) == ("soaking", text(25))
    assert stand.history("intended") == []
    assert {one["labels"]["severity"] for one in stand.alerts()} <= {"warning"}


def test_redis_that_is_down_for_a_minute_degrades_and_does_not_roll_back(ten: MemoryStand, service: MemoryService) -> None:
    ten.wait_for_phase("ready")
    service.set("redis_up", 0)
    ten.wait(lambda: ten.document == document(10, redis=False), "memory to be served without redis")
    ten.wait(lambda: ten.get()["degraded"] == {"/memory_backend/use_redis": False}, "the rollout to be degraded")
    assert ten.get()["stage"] == "ten"
    assert ten.wait_for_alert("RedisDown")["labels"]["severity"] == "critical"
    assert "use_redis is false" in ten.wait_for_alert("RolloutDegraded")["annotations"]["summary"]
    assert [one["kind"] for one in ten.history("intended")] == ["degrade"]
    assert "it is degraded (/memory_backend/use_redis); restore it with a reason first" in ten.by("anna", "promote", "--reason", "so what").err
    service.set("redis_up", 1)
    ten.wait_for_resolved("RedisDown")
    ten.wait_for_evaluations(3)
    assert ten.document == document(10, redis=False)  # nobody but a person restores it
    ten.must("anna", "restore", "--reason", "redis has its disk back")
    assert ten.document == document(10)
    ten.wait_for_resolved("RolloutDegraded")
    ten.wait_for_phase("ready")
    assert {one["event"] for one in ten.get("/history?limit=1000")} & {"drift", "refused"} == {"refused"}


def test_a_cost_of_more_than_twice_its_baseline_takes_the_flags_back(ten: MemoryStand, service: MemoryService) -> None:
    [base] = ten.explain()["baselines"]["cost"]
    assert base["value"] == pytest.approx(1, rel=0.3)
    service.cost = 3 * COST
    ten.wait_for_pending("CostSpike")
    assert ten.flags_now == text(10)
    ten.wait_for_phase("rolled_back")
    assert ten.document == document(0)
    [intent] = ten.history("intended")
    assert intent["why"][0].startswith("CostSpike: cost / its baseline ")
    assert "> 2 (" in intent["why"][0]
    assert f"baseline {base['value']:.6g}" in intent["why"][0]


def test_a_cost_without_enough_data_before_the_stage_is_unknown(begin: Callable[..., MemoryStand], service: MemoryService) -> None:
    stand = begin(changes={"window: 750ms, at_least: 375ms": "window: 12h, at_least: 6h"})
    service.cost = 3 * COST
    stand.wait_for_evaluations(8)
    cost = stand.trigger("CostSpike")
    assert (cost["phase"], cost["health"]) == ("inactive", "no_data")
    assert "no baseline was captured before this stage began" in cost["why"]
    refused = stand.by("anna", "promote", "--reason", "it seems fine")
    assert refused.code == 1
    assert "? the baseline of cost over 12h: there is " in refused.err
    assert (stand.get()["phase"], stand.flags_now) == ("soaking", text(10))


WARNINGS: dict[str, Any] = {
    "CacheHitRateLow": ("genesis_memory_cache_hit_rate", 0.49),
    "PrecisionDecay": ("genesis_memory_retrieval_precision", 0.69),
}


def test_warnings_warn_and_touch_nothing(ten: MemoryStand, service: MemoryService) -> None:
    for metric, value in WARNINGS.values():
        service.set(metric, value)
    service.latency = 0.35  # p95 > 300 ms: at 5 min the way up is closed, at 10 min a warning of its own
    for alert in (*WARNINGS, "LatencyElevated"):
        assert ten.wait_for_alert(alert)["labels"]["severity"] == "warning"
    assert ten.get()["phase"] == "held"
    assert ten.flags_now == text(10)
