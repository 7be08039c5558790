"""The four auto-rollback triggers of the shipped SPICE + Pipelex rollout, one at a time, against a real Prometheus and Alertmanager.

Times in comments are those of the rules. One minute of them takes a second and a half here.
"""

import re
from collections.abc import Callable

import pytest
from dotenv import dotenv_values

from rollback_daemon.lab.servers import PrometheusServer
from tests.acceptance.genesis import Genesis
from tests.acceptance.stand import BASELINE, CANARY, ROLLOUT, Stand

FACTOR = 40


@pytest.fixture
def canary(start: Callable[..., Stand]) -> Stand:
    """The rollout at its canary stage, promoted there by a person."""
    stand = start(factor=FACTOR)
    stand.go_to_canary()
    assert stand.flags_now == CANARY
    return stand


@pytest.mark.oldest_and_newest
def test_a_test_pass_rate_below_95_percent_takes_the_flags_back_at_once(canary: Stand, genesis: Genesis) -> None:
    genesis.passes(0.949)  # 0:00
    canary.wait_for_phase("rolled_back")  # 0:15 at the latest
    taken_back(canary, "TestPassRateLow", r"pass_rate\{.*\} (0.949) < 0.95$")
    assert canary.alert("TestPassRateLow")["annotations"]["summary"] == "Test pass rate is 94.9%"


@pytest.mark.oldest_and_newest
def test_more_than_1_percent_of_errors_for_5_minutes_take_the_flags_back(canary: Stand, genesis: Genesis) -> None:
    genesis.fails(0.031)  # 0:00
    canary.wait_for_pending("ErrorRateHigh")
    assert canary.flags_now == CANARY
    canary.wait_for_phase("rolled_back")  # 5:00
    taken_back(canary, "ErrorRateHigh", r"error_rate\{.*\} (0.031) > 0.01 for 7s500ms \(held 7s500ms\)$")


def test_more_than_3_violations_of_the_gates_in_a_row_take_the_flags_back(canary: Stand, genesis: Genesis) -> None:
    genesis.passes(0.97)  # 0:00: a gate wants 98 %, no trigger minds
    canary.wait(lambda: counted(canary) == 3, "three violations")  # 15:00 at the latest
    assert canary.flags_now == CANARY
    canary.wait_for_phase("rolled_back")  # 20:00 at the latest
    taken_back(canary, "RepeatedViolations", r"violations of gates in a row \(one each 7s500ms\) (4) > 3 \(last: pass_rate 0.97 < 0.98\)$")


def test_nothing_happens_on_the_healthy_side_of_each_limit(canary: Stand, genesis: Genesis, prometheus: PrometheusServer) -> None:
    genesis.passes(0.95)  # 0:00: exactly the limits, and a p95 just below 500 ms
    genesis.fails(0.01)
    genesis.serves(2_000, 0.5)
    canary.wait(lambda: 0.48 < (canary.metric("signal_value", signal="p95_latency") or 0) < 0.5, "a p95 just below its limit")
    assert prometheus.query("genesis_test_pass_rate")[0][1] == 0.95
    assert prometheus.query("genesis_error_rate")[0][1] == 0.01
    genesis.serves(60_000, 0.06)  # the p95 looks back for 5 minutes, but so many quick ones outweigh the slow ones
    canary.wait(lambda: counted(canary) == 3, "three violations of the gates")  # 6:00 at the latest
    assert {one["phase"] for one in canary.explain()["triggers"]} == {"inactive"}
    genesis.be_well()
    canary.wait(lambda: counted(canary) == 0, "a clear evaluation")  # 8:00 at the latest
    genesis.fails(0.011)  # above its limit, but for less than 5 minutes
    canary.wait_for_pending("ErrorRateHigh")
    genesis.be_well()
    canary.wait(lambda: canary.trigger("ErrorRateHigh")["phase"] == "inactive", "a clear evaluation")
    assert (canary.get()["phase"], canary.flags_now) == ("soaking", CANARY)
    assert canary.alerts() == []
    assert [one["kind"] for one in canary.history("intended")] == ["promote"]
    assert canary.metric("breach_to_flags_seconds_count", rollout=ROLLOUT) == 0


@pytest.mark.oldest_and_newest
def test_a_p95_above_500_ms_for_5_minutes_takes_the_flags_back(canary: Stand, genesis: Genesis) -> None:
    genesis.latency = 0.7  # 0:00
    canary.wait_for_pending("LatencyHigh")  # 0:15: a few slow requests are enough for the p95
    assert canary.flags_now == CANARY
    canary.wait_for_phase("rolled_back")  # 5:15
    taken_back(canary, "LatencyHigh", r"p95_latency (0\.[67]\d*) > 0.5 for 7s500ms \(held 7s500ms\)$")


def counted(stand: Stand) -> float | None:
    """How many violations in a row the daemon has counted."""
    return stand.metric("trigger_value", alert="RepeatedViolations")


def taken_back(stand: Stand, alert: str, why: str) -> None:
    """All that must be true once the trigger `alert`, and no other, has taken the rollout back. `why` is its sentence, the value a group."""
    flags_are_down(stand)
    value = the_record_says_why(stand, alert, why)
    people_are_told(stand, alert, value)
    terminal_says_why(stand, alert, value)
    stays_down(stand)


def flags_are_down(stand: Stand) -> None:
    wanted = {"USE_SPICE": "false", "USE_PIPELEX": "false", "PIPELEX_FALLBACK_MODE": "true", "ROLLOUT_PERCENTAGE": "0"}
    assert wanted.items() <= dotenv_values(stand.flags).items()
    assert stand.flags_now == BASELINE  # every other key and comment, byte for byte
    assert stand.deployments[-2:] == ["begun rollback baseline --reload", "ended rollback baseline"]


def the_record_says_why(stand: Stand, alert: str, why: str) -> str:
    [intent] = stand.history("intended", kind="rollback")
    assert (intent["triggers"], intent["by"], intent["from"], intent["to"]) == ([alert], "rollbackd", "canary", "baseline")
    [sentence] = intent["why"]
    match = re.fullmatch(f"{alert}: {why}", sentence)
    assert match, sentence
    [applied] = stand.history("applied", kind="rollback")
    assert (applied["before"]["USE_SPICE"], applied["after"]["USE_SPICE"]) == ("true", "false")
    assert len(stand.history("done", id=intent["id"])) == 1
    assert stand.metric("breach_to_flags_seconds_count", rollout=ROLLOUT) == 1
    assert stand.metric("transitions_total", kind="rollback", outcome="done") == 1
    return match[1]


def people_are_told(stand: Stand, alert: str, value: str) -> None:
    told = stand.wait_for_alert(alert)
    expected = {"rollout": ROLLOUT, "owner": "deployment-lead", "severity": "critical", "stage": "canary"}
    assert expected.items() <= told["labels"].items()
    assert told["annotations"]["runbook_url"] == "https://runbooks.example.com/spice-pipelex"
    assert float(told["annotations"]["value"]) == pytest.approx(float(value), rel=0.2)  # that of the last evaluation
    assert told["generatorURL"].startswith("http://")
    rolled_back = stand.wait_for_alert("RolloutRolledBack")
    assert {**expected, "stage": "baseline"}.items() <= rolled_back["labels"].items()
    assert f"{alert}: " in rolled_back["annotations"]["value"]
    assert rolled_back["annotations"]["runbook_url"] == told["annotations"]["runbook_url"]


def terminal_says_why(stand: Stand, alert: str, value: str) -> None:
    limit = stand.trigger(alert)["limit"]
    beside = f"{value} {limit}"
    found = stand.rollbackd("explain", ROLLOUT, "--format", "json").json
    assert (found["phase"], found["stage"]) == ("rolled_back", "baseline")
    assert alert in found["why"]
    assert beside in found["why"]
    table = stand.rollbackd("explain", ROLLOUT).out
    assert f"{ROLLOUT}  rolled_back since " in table
    assert ", at baseline, 0 % exposed" in table
    assert next(line for line in table.splitlines() if line.startswith("  why")).count(beside) == 1
    events = stand.rollbackd("history", ROLLOUT, "--format", "json").json
    assert [beside in one["why"][0] for one in events if one["event"] == "intended"] == [False, True]
    assert re.search(
        rf"intended +rollbackd +rollback canary -> baseline \[.*\]: {alert}: .*{re.escape(beside)}", stand.rollbackd("history", ROLLOUT).out
    )


def stays_down(stand: Stand) -> None:
    refused = stand.promote()
    assert refused.code == 1
    assert "resume it with a reason first" in refused.err
    assert stand.resume().code == 0
    assert stand.get()["phase"] == "baseline"
    assert stand.flags_now == BASELINE
