"""Alerts about triggers that nobody takes in hand: whom each level reaches, and when that ends."""

from pathlib import Path

import pytest

from rollback_daemon.faces.alerts import Alert
from rollback_daemon.judge import escalation_requests
from rollback_daemon.signals.observation import Value
from tests.faces.alerts.alerts_guard import AWAY, RULES, Guard, at, series

SLOW = Value({(): 0.7})
HALF = {"new_checkout": True, "share": 50}


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    rules = RULES.replace("action: alert}", "action: alert, escalate_after: 1m}")
    levels = "escalation: [ticket, lead, director, {rollback: baseline, in: 30m}]\n"
    return Guard(tmp_path, rules.replace("signals:\n", f"{levels}signals:\n", 1))


def climb(guard: Guard, seconds: int) -> dict[str, Alert]:
    """So many seconds of a breach, from noon on."""
    found: dict[str, Alert] = {}
    for second in range(0, seconds + 1, 15):
        found = guard.see(second, HALF, latency=SLOW)
    return found


def labels(guard: Guard, name: str) -> list[tuple[str, str]]:
    return [(alert.labels["trigger"], alert.labels["level"]) for alert in guard.all() if alert.labels["alertname"] == name]


def test_the_alert_of_a_trigger_that_escalates_has_its_first_level_and_stays_one_alert(guard: Guard) -> None:
    first = climb(guard, 0)["LatencyHigh"]
    later = climb(guard, 120)["LatencyHigh"]
    assert first.labels["level"] == "ticket"
    assert later.labels == first.labels


def test_a_trigger_without_levels_has_no_such_label(tmp_path: Path) -> None:
    found = Guard(tmp_path).see(0, latency=SLOW)["LatencyHigh"]
    assert "level" not in found.labels


def test_a_label_level_of_the_series_is_kept_under_another_name(guard: Guard) -> None:
    found = guard.see(0, latency=Value({series(level="debug"): 0.7}))["LatencyHigh"]
    assert (found.labels["level"], found.labels["exported_level"]) == ("ticket", "debug")


def test_a_label_level_of_the_rule_file_stands(tmp_path: Path) -> None:
    guard = Guard(tmp_path, RULES.replace("action: alert}", "action: alert, escalate_after: 1m, labels: {level: night-shift}}"))
    assert guard.see(0, latency=SLOW)["LatencyHigh"].labels["level"] == "night-shift"


def test_nobody_else_is_told_at_the_first_level(guard: Guard) -> None:
    assert "RolloutEscalated" not in climb(guard, 45)


def test_each_further_level_is_an_alert_that_does_not_end_with_the_next_one(guard: Guard) -> None:
    found = climb(guard, 60)["RolloutEscalated"]
    assert (found.labels["severity"], found.labels["stage"], found.starts_at) == ("critical", "half", at(60))
    assert found.annotations["summary"] == "LatencyHigh of checkout goes on firing, and nobody has taken it in hand: lead"
    assert "latency 0.7 > 0.5; neither resolved nor acknowledged for 1m at ticket. " in found.annotations["description"]
    climb(guard, 120)
    assert labels(guard, "RolloutEscalated") == [("LatencyHigh", "lead"), ("LatencyHigh", "director")]


def test_acknowledging_ends_them_and_not_the_alert_of_the_trigger(guard: Guard) -> None:
    climb(guard, 120)
    said = escalation_requests.acknowledge(guard.rollout, guard.state, "LatencyHigh", "ann", "the cache is being rebuilt")
    found = guard.happen(125, said.event, **said.body)
    assert list(found) == ["LatencyHigh"]


def test_easing_ends_them(guard: Guard) -> None:
    climb(guard, 120)
    assert guard.see(135, HALF) == {}


def test_an_announced_rollback_says_when_where_to_and_how_to_cancel_it(guard: Guard) -> None:
    found = climb(guard, 180)["RolloutRollbackScheduled"]
    assert found.labels["severity"] == "critical"
    assert found.annotations["summary"] == 'checkout is to be rolled back to "baseline" at 2026-03-01 12:33:00 UTC'
    assert found.annotations["value"] == "2026-03-01 12:33:00 UTC"
    assert "`rollbackd cancel checkout LatencyHigh --reason ...`" in found.annotations["description"]
    assert labels(guard, "RolloutRollbackScheduled") == [("LatencyHigh", "director")]
    said = escalation_requests.cancel(guard.rollout, guard.state, None, "ann", "known, harmless")
    assert "RolloutRollbackScheduled" not in guard.happen(190, said.event, **said.body)


def test_both_say_that_the_trigger_cannot_be_seen(guard: Guard) -> None:
    climb(guard, 180)
    found = guard.see(195, HALF, latency=AWAY)
    assert "It cannot be seen now: connection refused." in found["RolloutEscalated"].annotations["description"]
    assert "cannot be seen now (connection refused); it waits" in found["RolloutRollbackScheduled"].annotations["description"]
