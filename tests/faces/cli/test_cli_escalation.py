"""A warning that climbs to an announced rollback, on a real daemon with a real Alertmanager: told, acknowledged, cancelled, and carried out."""

from collections.abc import Iterator
from datetime import datetime
from getpass import getuser
from typing import Any

import pytest

from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer, wait_until
from rollback_daemon.lab.toolset import Toolset
from tests.faces.http.bench import RULES, Bench

TRIGGERS = """
escalation: [ticket, lead, {rollback: previous, in: 1h}]
triggers:
  - {alert: Warned, signal: error_rate, above: 1%, action: alert, escalate_after: 400ms}
  - {alert: Broken, signal: error_rate, above: 10%, action: {rollback: baseline, in: 1s}}
"""
ESCALATED = [("RolloutEscalated", "lead"), ("RolloutRollbackScheduled", "lead"), ("Warned", "ticket")]


@pytest.fixture(scope="module")
def alertmanager(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerServer]:
    with AlertmanagerServer(toolset.alertmanager, tmp_path_factory.mktemp("alertmanager")) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(told: PrometheusServer, alertmanager: AlertmanagerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A daemon at canary, with an error rate of 5 %."""
    rules = RULES[: RULES.index("triggers:")].rstrip() + TRIGGERS
    config = {"alerting": {"alertmanagers": [{"url": alertmanager.url}], "resend_delay": "1s"}}
    with Bench(tmp_path_factory.mktemp("escalating"), told.url, rules=rules, config=config) as bench:
        bench.set_error_rate(0)
        bench.to_canary()
        bench.set_error_rate(0.05)
        yield bench


def escalation(bench: Bench, alert: str = "Warned") -> Any:
    """What an explanation has of it; None where it has nothing."""
    found = bench.get("/api/v1/rollouts/checkout/explain").json()["escalations"]
    return next((one for one in found if one["alert"] == alert), None)


def announced(bench: Bench) -> Any:
    return wait_until(lambda: (escalation(bench) or {}).get("rollback"), "a rollback to be announced", 20)


def lasting(rollback: Any) -> dict[str, Any]:
    """What of an announced rollback does not depend on when one looks."""
    return {name: value for name, value in rollback.items() if name != "left"}


def metric(bench: Bench, line: str) -> str:
    return next(one.rpartition(" ")[2] for one in bench.get("/metrics").text.splitlines() if one.startswith(f"rollback_daemon_{line}"))


def listed(alertmanager: AlertmanagerServer) -> list[tuple[str, str]]:
    labels = [alert["labels"] for alert in alertmanager.alerts()]
    return sorted((one["alertname"], one.get("level", "")) for one in labels if one["alertname"] not in {"RolloutReady", "RolloutHeld"})


def test_a_warning_climbs_to_an_announced_rollback_which_survives_a_kill_and_is_told_at_its_level(
    guarded: Bench, alertmanager: AlertmanagerServer
) -> None:
    before = announced(guarded)
    assert (before["to"], escalation(guarded)["level"], escalation(guarded)["number"]) == ("baseline", "lead", 2)
    wait_until(lambda: listed(alertmanager) == ESCALATED, "Alertmanager to list every level", 20)
    guarded.daemon.kill()
    guarded.daemon.start()
    assert lasting(announced(guarded)) == lasting(before)
    assert "ROLLBACK ANNOUNCED: to baseline at" in guarded.rollout()["next"]
    assert metric(guarded, 'escalation_level{alert="Warned"') == "2.0"
    assert float(metric(guarded, "scheduled_rollback_timestamp")) == pytest.approx(datetime.fromisoformat(before["due"]).timestamp())
    names = [one["alert"] for one in guarded.history() if one["event"] == "escalated"]
    assert names == ["Warned", "Warned"]


def test_it_is_acknowledged_and_cancelled_with_a_reason_and_nothing_is_rolled_back(guarded: Bench, alertmanager: AlertmanagerServer) -> None:
    announced(guarded)
    done = guarded.rollbackd("acknowledge", "checkout", "Warned", "--reason", "the cache is being rebuilt")
    said = done.out.splitlines()
    assert (done.code, said[0]) == (0, "checkout: Warned is acknowledged; it climbs no further")
    assert said[1].startswith("the rollback to baseline that is announced for it follows in 59m")
    assert said[2] == '  rollbackd cancel checkout Warned --reason "..."'
    assert escalation(guarded)["rollback"]
    done = guarded.rollbackd("cancel", "checkout", "--reason", "known, and harmless")
    assert (done.code, done.out) == (
        0,
        "checkout: the announced rollback is cancelled; none is announced for its trigger again until that has eased\n",
    )
    shown = guarded.rollbackd("explain", "checkout").out
    assert "escalation  Warned  ticket since " in shown
    assert "  rollback cancelled by root, and not announced again while it fires\n" in shown.replace(getuser(), "root")
    assert "has acted at" not in shown
    assert "known, and harmless" in shown.partition("the rollback was cancelled at ")[2]
    assert guarded.ask_for("cancel", reason="again").status_code == 409
    assert "has no alert" in guarded.ask_for("acknowledge", alert="Nobody", reason="it").text
    assert metric(guarded, "scheduled_rollback_timestamp") == "0.0"
    wait_until(lambda: listed(alertmanager) == [("Warned", "ticket")], "the levels to end", 20)
    assert guarded.rollout()["stage"] == "canary"


def test_one_that_nobody_cancels_is_carried_out_at_its_time_and_not_before(guarded: Bench) -> None:
    guarded.set_error_rate(0.2)
    guarded.wait_for(phase="rolled_back", stage="baseline")
    events = [one for one in guarded.history() if one["event"] in {"scheduled", "intended"} and one.get("code") != "person"]
    scheduled = next(one for one in events if one["event"] == "scheduled" and one["alert"] == "Broken")
    intended = next(one for one in events if one.get("code") == "escalated")
    assert intended["at"] >= scheduled["due"] > scheduled["at"]
    assert (intended["triggers"], intended["kind"], intended["to"]) == (["Broken"], "rollback", "baseline")
    assert "SHARE=0" in guarded.flags.read_text(encoding="utf-8")
    guarded.set_error_rate(0)
    wait_until(lambda: not guarded.get("/api/v1/rollouts/checkout/explain").json()["escalations"], "everything to ease", 20)
    told = guarded.rollbackd("history", "checkout", "--limit", "200").out
    assert "Warned: it does not fire any more" in told
    assert "the rollback announced for Warned: " in told
