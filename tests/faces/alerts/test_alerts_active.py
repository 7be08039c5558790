"""Which alerts are active, told as timetables on the real judge."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rollback_daemon.faces.alerts import ROLLOUT_ALERTS, Alert, active
from rollback_daemon.judge.transitions import Event
from rollback_daemon.signals.observation import Value
from tests.faces.alerts.alerts_guard import AWAY, BAD, NOTHING, RULES, URL, Guard, at, series

BASELINE = {"new_checkout": False, "share": 0}
HALF = {"new_checkout": True, "share": 50}
READ_ONLY = "flags.json cannot be written: read-only file system"


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    return Guard(tmp_path)


def breached(guard: Guard) -> dict[str, Alert]:
    """Errors from 0 s to 60 s, which is how long the trigger waits."""
    for seconds in (0, 15, 30, 45):
        guard.see(seconds, errors=BAD)
    return guard.see(60, errors=BAD)


def rolled_back(guard: Guard) -> dict[str, Alert]:
    breached(guard)
    opened = guard.state.position.open if guard.state.position else None
    assert opened is not None
    guard.happen(61, Event.APPLIED, id=opened.id, kind=opened.kind)
    return guard.happen(62, Event.DONE, **{"id": opened.id, "kind": opened.kind, "from": opened.origin, "to": opened.target})


def changed(rules: str, *replacements: tuple[str, str]) -> str:
    for old, new in replacements:
        assert old in rules
        rules = rules.replace(old, new)
    return rules


# triggers


def test_nothing_is_active_while_all_is_well(guard: Guard) -> None:
    assert guard.see(0) == {}


def test_a_pending_trigger_is_never_sent(guard: Guard) -> None:
    assert guard.see(0, errors=BAD) == {}
    assert guard.see(45, errors=BAD) == {}


def test_a_firing_trigger_alerts_under_its_own_name_with_the_value_beside_its_limit(guard: Guard) -> None:
    alert = breached(guard)["ErrorRateHigh"]
    assert alert.labels["rollout"] == "checkout"
    assert alert.labels["owner"] == "deployment-lead"
    assert alert.labels["severity"] == "critical"
    assert alert.labels["stage"] == "canary"
    assert alert.annotations["summary"] == "ErrorRateHigh: error_rate 0.031 > 0.01 for 1m (held 1m)"
    assert alert.annotations["value"] == "0.031"
    assert alert.annotations["runbook_url"] == "https://runbooks.example.com/checkout"
    assert alert.annotations["action"] == "rollback to previous"
    assert alert.annotations["description"].endswith("Query: errors")
    assert alert.starts_at == at(60)


def test_its_identity_and_its_start_stay_the_same_through_the_rollback_that_it_leads_to(guard: Guard) -> None:
    before = breached(guard)["ErrorRateHigh"]
    after = rolled_back(guard)["ErrorRateHigh"]
    later = guard.see(75, BASELINE, errors=Value({(): 0.05}))["ErrorRateHigh"]
    assert before.labels == after.labels == later.labels
    assert before.starts_at == after.starts_at == later.starts_at
    assert later.annotations["value"] == "0.05"


def test_it_ends_with_the_breach(guard: Guard) -> None:
    breached(guard)
    assert "ErrorRateHigh" not in guard.see(75)


def test_a_failed_query_does_not_end_it(guard: Guard) -> None:
    breached(guard)
    assert "ErrorRateHigh" in guard.see(75, errors=AWAY)


def test_a_trigger_that_is_armed_nowhere_near_does_not_alert(guard: Guard) -> None:
    for seconds in (0, 15, 30, 45, 60):
        found = guard.see(seconds, BASELINE, errors=BAD)
    assert "ErrorRateHigh" not in found


def test_each_series_is_an_alert_of_its_own(guard: Guard) -> None:
    guard.see(0, latency=Value({series(zone="a"): 0.7, series(zone="b"): 0.9, series(zone="c"): 0.1}))
    assert sorted((alert.labels["zone"], alert.annotations["value"]) for alert in guard.all()) == [("a", "0.7"), ("b", "0.9")]


def test_series_that_its_own_labels_make_equal_are_one_alert(tmp_path: Path) -> None:
    guard = Guard(tmp_path, changed(RULES, ("action: alert", "action: alert, labels: {zone: all}")))
    guard.see(0, latency=Value({series(zone="a"): 0.7}))
    guard.see(15, latency=Value({series(zone="a"): 0.7, series(zone="b"): 0.9}))
    (alert,) = guard.all()
    assert (alert.labels["zone"], alert.starts_at) == ("all", at(0))


def test_the_triggers_labels_overwrite_those_of_the_file_and_these_those_of_the_series(tmp_path: Path) -> None:
    guard = Guard(
        tmp_path,
        changed(
            RULES,
            ("owner: deployment-lead", "owner: deployment-lead\nlabels: {team: shop, area: web}"),
            ("action: alert", "action: alert, labels: {team: speed, owner: ann}"),
        ),
    )
    found = guard.see(0, latency=Value({series(team="x", area="x", zone="a"): 0.7}))["LatencyHigh"]
    assert {name: found.labels[name] for name in ("team", "area", "zone", "owner", "severity")} == {
        "team": "speed",
        "area": "web",
        "zone": "a",
        "owner": "ann",
        "severity": "warning",
    }


def test_external_labels_never_overwrite(guard: Guard) -> None:
    guard.see(0, latency=Value({series(zone="a"): 0.7}))
    found = guard.alerts(zone="b", owner="x", cluster="east", alertname="x", nothing="")["LatencyHigh"].labels
    assert (found["zone"], found["owner"], found["cluster"], found["alertname"]) == ("a", "deployment-lead", "east", "LatencyHigh")
    assert "nothing" not in found


def test_what_a_series_calls_like_one_of_our_labels_is_kept_under_another_name(guard: Guard) -> None:
    found = guard.see(0, latency=Value({series(rollout="theirs", stage="prod", alertname="Up", severity="x"): 0.7}))["LatencyHigh"].labels
    assert (found["rollout"], found["exported_rollout"]) == ("checkout", "theirs")
    assert (found["exported_stage"], found["exported_alertname"], found["exported_severity"]) == ("prod", "Up", "x")


def test_a_triggers_own_annotations_win_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    own = "annotations: {summary: too slow, runbook_url: '', dashboard: https://example.com}"
    guard = Guard(tmp_path, changed(RULES, ("action: alert", f"action: alert, {own}")))
    found = guard.see(0, latency=Value({(): 0.7}))["LatencyHigh"].annotations
    assert (found["summary"], found["dashboard"], found["value"]) == ("too slow", "https://example.com", "0.7")
    assert "runbook_url" not in found


def test_templates_know_the_value_and_the_labels_of_the_series(tmp_path: Path) -> None:
    own = "labels: {place: 'zone-{{ $labels.zone }}'}, annotations: {summary: 'it is {{ $value }}'}"
    guard = Guard(tmp_path, changed(RULES, ("action: alert", f"action: alert, {own}")))
    found = guard.see(0, latency=Value({series(zone="a"): 0.75}))["LatencyHigh"]
    assert (found.labels["place"], found.annotations["summary"]) == ("zone-a", "it is 0.75")


def test_a_breach_by_lack_of_data_says_so(tmp_path: Path) -> None:
    guard = Guard(tmp_path, changed(RULES, ("{expr: latency}", "{expr: latency, no_data: breach}")))
    found = guard.see(0, latency=NOTHING)["LatencyHigh"]
    assert found.annotations["value"] == "no data"
    assert found.annotations["summary"] == "LatencyHigh: latency no data > 0.5"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("owner: deployment-lead", "owner: deployment-lead\nmode: observe", "nothing was done, the rollout is only observed"),
        ("for: 1m", "for: 1m, dry_run: true", "nothing was done, the trigger is a dry run"),
    ],
)
def test_where_nothing_was_done_it_says_so_and_stays_the_same_alert(tmp_path: Path, old: str, new: str, why: str) -> None:
    watched = Guard(tmp_path, changed(RULES, (old, new)))
    enforced = Guard(tmp_path)
    found = breached(watched)
    assert found["ErrorRateHigh"].annotations["action"].startswith(why)
    assert found["ErrorRateHigh"].annotations["action"].endswith("it would have been: rollback to previous")
    assert found["ErrorRateHigh"].labels == breached(enforced)["ErrorRateHigh"].labels
    assert "RolloutRolledBack" not in found


@pytest.mark.parametrize("external", [URL, URL.rstrip("/"), "https://example.com/guard"])
def test_the_generator_url_is_the_page_of_the_rollout(guard: Guard, external: str) -> None:
    guard.see(0, latency=Value({(): 0.7}))
    (alert,) = active(guard.rollout, guard.state, guard.judgement, external_url=external, external_labels={})
    assert alert.generator_url == f"{external.rstrip('/')}/rollouts/checkout"
    assert urlsplit(alert.generator_url).scheme


@pytest.mark.parametrize("external", ["", "guard", "guard:9811", "//guard/x"])
def test_what_is_no_absolute_url_is_not_offered_as_one(guard: Guard, external: str) -> None:
    guard.see(0, latency=Value({(): 0.7}))
    (alert,) = active(guard.rollout, guard.state, guard.judgement, external_url=external, external_labels={})
    assert alert.generator_url == ""


# the rollout


def test_a_rollback_is_told_until_somebody_resumes_the_rollout(guard: Guard) -> None:
    assert "RolloutRolledBack" not in breached(guard)
    found = rolled_back(guard)["RolloutRolledBack"]
    assert found.labels == {
        "alertname": "RolloutRolledBack",
        "rollout": "checkout",
        "owner": "deployment-lead",
        "severity": "critical",
        "stage": "baseline",
    }
    assert found.annotations["value"] == "ErrorRateHigh: error_rate 0.031 > 0.01 for 1m (held 1m)"
    assert found.annotations["summary"] == 'checkout was rolled back from "canary" to "baseline"'
    assert "(by rollbackd)" in found.annotations["description"]
    later = guard.see(600, BASELINE)["RolloutRolledBack"]
    assert (later.starts_at, later.labels) == (at(62), found.labels)
    assert "RolloutRolledBack" not in guard.happen(700, Event.RESUMED, why="mended", by="ann")


def test_a_rollback_that_fails_is_told_with_its_error_until_it_is_done(guard: Guard) -> None:
    assert "RolloutRollbackFailed" not in breached(guard)
    opened = guard.state.position.open if guard.state.position else None
    assert opened is not None
    found = guard.happen(61, Event.ATTEMPTED, id=opened.id, kind=opened.kind, error=READ_ONLY, next=at(70).isoformat())
    alert = found["RolloutRollbackFailed"]
    assert (alert.labels["severity"], alert.labels["stage"], alert.starts_at) == ("critical", "canary", at(61))
    assert alert.annotations["value"] == READ_ONLY
    assert "The next try is at 12:01:10 UTC" in alert.annotations["description"]
    assert 'from "canary" to "baseline"' in alert.annotations["summary"]
    assert "error_rate 0.031 > 0.01" in alert.annotations["description"]
    again = guard.happen(70, Event.ATTEMPTED, id=opened.id, kind=opened.kind, error="still")["RolloutRollbackFailed"]
    assert (again.starts_at, again.labels) == (at(61), alert.labels)
    half = guard.happen(80, Event.APPLIED, id=opened.id, kind=opened.kind)["RolloutRollbackFailed"]
    assert half.annotations["summary"] == 'checkout has the flags of "baseline" again, but the rollback is not complete'
    done = guard.happen(81, Event.DONE, **{"id": opened.id, "kind": opened.kind, "from": opened.origin, "to": opened.target})
    assert "RolloutRollbackFailed" not in done
    assert "RolloutRolledBack" in done


LOOKING_ON = RULES.replace("path: flags.json}", "path: flags.json, on_drift: {raise: alert, lower: alert}}")


@pytest.mark.parametrize(
    ("flags", "summary", "value", "there", "severity"),
    [
        (HALF, "higher", "share is 50, expected 10", 'They are those of stage "half"', "critical"),
        ({"new_checkout": True, "share": 33}, "higher", "share is 33, expected 10", "They are those of no stage", "critical"),
        (BASELINE, "lower", "new_checkout is false, expected true; share is 0, expected 10", 'They are those of stage "baseline"', "warning"),
        ({"new_checkout": "true", "share": 10}, "other", 'new_checkout is "true", expected true', "They are those of no stage", "warning"),
        ({"share": 10}, "other", "new_checkout is missing, expected true", "They are those of no stage", "warning"),
    ],
)
def test_drift_shows_the_keys_with_what_they_are_and_what_was_expected(
    tmp_path: Path, flags: dict[str, str | bool | int], summary: str, value: str, there: str, severity: str
) -> None:
    guard = Guard(tmp_path, LOOKING_ON)
    guard.see(0)
    found = guard.see(15, flags)["RolloutDrift"]
    assert found.annotations["summary"] == f"the flags of checkout are {summary} than the record says"
    assert found.annotations["value"] == value
    assert there in found.annotations["description"]
    assert (found.labels["stage"], found.labels["severity"], found.starts_at) == ("canary", severity, at(15))
    assert guard.see(20, flags)["RolloutDrift"].starts_at == at(15)
    assert ("RolloutDrift" in guard.see(30)) == (summary == "other")  # that one holds the rollout, until somebody has looked at it


def test_a_raise_that_was_taken_back_stays_an_alert_until_somebody_resumes_it(guard: Guard) -> None:
    guard.see(0)
    guard.see(15, HALF)
    opened = guard.position.open
    assert opened is not None
    guard.happen(16, Event.DONE, **{"id": opened.id, "kind": "rollback", "from": "canary", "to": "canary"})
    found = guard.see(30)
    assert "RolloutRolledBack" not in found
    assert found["RolloutDrift"].labels["severity"] == "critical"
    assert "share: 10 -> 50" in found["RolloutDrift"].annotations["description"]
    assert "RolloutDrift" not in guard.happen(31, Event.RESUMED, why="ann: understood", by="ann")


def test_flags_lowered_by_hand_are_an_alert_until_somebody_resumes_it(guard: Guard) -> None:
    guard.see(0)
    guard.see(15, BASELINE)
    found = guard.see(30, BASELINE)
    assert found["RolloutDrift"].labels["severity"] == "warning"
    assert "lowered by hand" in found["RolloutHeld"].annotations["description"]
    assert guard.happen(31, Event.RESUMED, why="ann: understood", by="ann").keys() == set()


def test_what_was_promoted_past_everything_is_an_alert_as_long_as_it_stays_there(guard: Guard) -> None:
    guard.see(0)
    intent = {"id": "1", "kind": "promote", "from": "canary", "to": "half", "flags": HALF, "why": ["ann: down"], "by": "ann", "code": "break_glass"}
    assert "RolloutBreakGlass" in guard.happen(1, Event.INTENDED, **intent)
    guard.happen(2, Event.DONE, **{"id": "1", "kind": "promote", "from": "canary", "to": "half"})
    assert guard.see(15, HALF)["RolloutBreakGlass"].annotations["value"] == "ann: down"
    guard.happen(16, Event.INTENDED, **{**intent, "id": "2", "kind": "rollback", "from": "half", "to": "canary", "flags": {}, "code": "person"})
    guard.happen(17, Event.DONE, **{"id": "2", "kind": "rollback", "from": "half", "to": "canary"})
    assert "RolloutBreakGlass" not in guard.see(30)


def test_degraded_flags_are_an_alert_until_they_are_restored(guard: Guard) -> None:
    guard.see(0)
    body = {"id": "1", "kind": "degrade", "from": "canary", "to": "canary", "flags": {"share": 5}, "why": ["RedisDown"], "by": "rollbackd"}
    guard.happen(1, Event.INTENDED, **body)
    guard.happen(2, Event.DONE, **{"id": "1", "kind": "degrade", "from": "canary", "to": "canary"})
    found = guard.see(15, {"new_checkout": True, "share": 5})
    assert found["RolloutDegraded"].annotations["value"] == "share is 5"
    assert "RolloutDrift" not in found
    guard.happen(16, Event.INTENDED, **{**body, "id": "2", "kind": "restore", "flags": {"share": 10}})
    guard.happen(17, Event.DONE, **{"id": "2", "kind": "restore", "from": "canary", "to": "canary"})
    assert "RolloutDegraded" not in guard.see(30)


def test_a_rehearsal_that_failed_is_an_alert_of_its_own(guard: Guard) -> None:
    guard.see(0)
    intent = {"id": "1", "kind": "rollback", "from": "canary", "to": "baseline", "flags": BASELINE, "why": ["rehearsal, ann: friday"], "by": "ann"}
    guard.happen(1, Event.INTENDED, **intent, code="rehearsal", rehearsal={"id": "1", "soaked": 60})
    guard.happen(2, Event.DONE, **{"id": "1", "kind": "rollback", "from": "canary", "to": "baseline"})
    assert guard.see(15, BASELINE).keys() == set()
    why = "the rehearsal failed: ./smoke.sh: exited with 1"
    guard.happen(16, Event.REHEARSED, id="1", stage="canary", passed=False, seconds=14.0, why=why, by="ann")
    found = guard.see(30, BASELINE)
    assert found.keys() == {"RolloutRehearsalFailed"}
    assert found["RolloutRehearsalFailed"].annotations["value"] == why


def test_a_long_value_is_cut(guard: Guard) -> None:
    guard.see(0)
    found = guard.see(15, {"new_checkout": "x" * 5000, "share": 10})["RolloutDrift"]
    assert len(found.annotations["value"]) < 150


def test_a_guard_that_cannot_see_says_which_triggers_and_why_after_the_longest_gap(guard: Guard) -> None:
    guard.see(0)
    assert guard.see(15, errors=AWAY) == {}
    assert guard.see(45, errors=AWAY) == {}
    found = guard.see(60, errors=AWAY)["RolloutBlind"]
    assert (found.starts_at, found.labels["stage"], found.labels["severity"]) == (at(15), "canary", "critical")
    assert found.annotations["value"] == "1 of 2 triggers cannot see"
    assert found.annotations["summary"] == "checkout is not guarded: 1 of 2 triggers cannot see, for 45s"
    assert "ErrorRateHigh: connection refused" in found.annotations["description"]
    later = guard.see(75, errors=AWAY, latency=NOTHING)["RolloutBlind"]
    assert (later.starts_at, later.labels) == (found.starts_at, found.labels)
    assert "LatencyHigh: it returned nothing" in later.annotations["description"]
    assert guard.see(90) == {}


def test_a_held_rollout_says_who_holds_it_and_why(guard: Guard) -> None:
    guard.see(0)
    found = guard.happen(20, Event.HELD, why="ann: the weekend", by="ann")["RolloutHeld"]
    assert found.annotations["summary"] == "checkout is held: ann: the weekend"
    assert (found.starts_at, found.labels["stage"], found.labels["severity"]) == (at(20), "canary", "warning")
    assert guard.see(600)["RolloutHeld"].starts_at == at(20)
    assert "RolloutHeld" not in guard.happen(700, Event.RESUMED, why="monday", by="ann")


def test_flags_that_cannot_be_read_hold_a_rollout_before_its_stage_is_known(guard: Guard) -> None:
    found = guard.see(0, "flags.json: permission denied")["RolloutHeld"]
    assert found.annotations["value"] == "its flags cannot be read: flags.json: permission denied"
    assert "stage" not in found.labels
    assert guard.see(15) == {}


def test_flags_that_can_no_longer_be_read_hold_it_too(guard: Guard) -> None:
    guard.see(0)
    guard.see(15, "flags.json: permission denied")
    found = guard.see(30, "flags.json: permission denied")
    assert list(found) == ["RolloutHeld"]
    assert found["RolloutHeld"].starts_at == at(15)


def test_a_rollout_that_may_be_promoted_says_so_without_alarm(guard: Guard) -> None:
    for seconds in range(0, 3600, 15):
        assert guard.see(seconds) == {}
    found = guard.see(3600)["RolloutReady"]
    assert (found.labels["severity"], found.labels["stage"], found.starts_at) == ("info", "canary", at(3600))
    assert found.annotations["summary"] == 'checkout may be promoted to "half"'
    assert found.annotations["value"] == 'soaked 1h at "canary"'
    assert "RolloutReady" not in guard.see(3615, errors=BAD)


def test_every_alert_of_a_rollout_has_a_severity_and_a_meaning() -> None:
    assert list(ROLLOUT_ALERTS) == [
        "RolloutRolledBack",
        "RolloutRollbackFailed",
        "RolloutBlind",
        "RolloutBudgetSpent",
        "RolloutDrift",
        "RolloutMisconfigured",
        "RolloutBreakGlass",
        "RolloutRehearsalFailed",
        "RolloutDegraded",
        "RolloutHeld",
        "RolloutEvidenceFailed",
        "RolloutUnverified",
        "RolloutFrozen",
        "RolloutEscalated",
        "RolloutRollbackScheduled",
        "RolloutFollowUpFailed",
        "RolloutDecisionDue",
        "RolloutReady",
    ]
    assert all(kind.severity in {"critical", "warning", "info"} and kind.meaning for kind in ROLLOUT_ALERTS.values())
