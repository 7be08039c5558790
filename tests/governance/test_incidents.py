"""Which incidents there were, what belongs to each, and what their report says of them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.errors import OperationRefused
from rollback_daemon.governance.happenings import line
from rollback_daemon.governance.incident_html import incident_html
from rollback_daemon.governance.incident_markdown import incident_markdown
from rollback_daemon.governance.incident_words import cause
from rollback_daemon.governance.incidents import called, incidents, outline, overlapping
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge import aftermath
from rollback_daemon.judge.aftermath import Aftermath
from rollback_daemon.judge.transitions import Event
from tests.governance.tale_incident import START, Affair, whole


def events(one: Any) -> list[str]:
    return [record.kind for record in one.all]


def test_it_begins_with_a_rollback_and_ends_when_somebody_resumes() -> None:
    affair = Affair().adopted().at(5).intended("i1").applied().done().at(9).resumed().at(20).intended("i2").done("i2")
    first, second = affair.incidents()
    assert (first.id, second.id) == ("i1", "i2")
    assert events(first) == ["intended", "applied", "done", "resumed"]
    assert first.ending
    assert second.ending is None


def test_a_further_rollback_belongs_to_the_same_incident() -> None:
    affair = Affair().adopted().intended("i1").done().unverified().intended("i2", "canary", "baseline", way=1).done("i2", "baseline")
    [one] = affair.incidents()
    assert [intent.body["id"] for intent in one.rollbacks] == ["i1", "i2"]
    assert outline(one)["to"] == "baseline"


def test_a_promotion_ends_it_and_a_rehearsal_is_none() -> None:
    affair = Affair().adopted().intended("i1").done().put("intended", id="p", kind="promote", code="break_glass", why=["x"], by="ann")
    [one] = affair.incidents()
    assert one.ending
    assert one.ending.body["kind"] == "promote"
    assert not Affair().adopted().intended("r1", rehearsal={"id": "r1", "soaked": 0}).done("r1").incidents()


def test_a_part_of_an_id_that_no_other_has_is_enough() -> None:
    found = Affair().adopted().intended("20260301-ab12").resumed().intended("20260302-ab34").incidents()
    assert called(found, "checkout", "b3").id == "20260302-ab34"
    with pytest.raises(OperationRefused, match="more than one incident of checkout; name one of: 20260301-ab12, 20260302-ab34"):
        called(found, "checkout", "ab")


def test_an_id_that_is_a_part_of_another_is_itself_and_all_there_are_are_named() -> None:
    affair = Affair().adopted()
    for number in range(1, 12):
        affair.intended(f"i{number}").resumed()
    assert called(affair.incidents(), "checkout", "i1").id == "i1"
    with pytest.raises(OperationRefused, match=", ".join(f"i{number}" for number in range(1, 12))):
        called(affair.incidents(), "checkout", "x")


def announced() -> Affair:
    """A rollback that a trigger announces for 20 seconds later, with what people and hooks do meanwhile."""
    affair = Affair().adopted().at(10).trigger("firing", 0.03, since=10)
    affair.put("hooked", hook="Old", on="ready", of=1, error="", attempts=9, output="", seconds=1)
    affair.put("scheduled", alert="ErrorRateHigh", due="2026-03-01T12:00:30+00:00", to="baseline", why="x")
    affair.at(11).put("hooked", hook="Chat", on="rollback_scheduled", of=4, error="", attempts=1, output="", seconds=0.1)
    for name, more in (("RolloutRollbackScheduled", {"trigger": "ErrorRateHigh"}), ("ErrorRateHigh", {}), ("Other", {})):
        alerts = [{"alertname": name, "severity": "critical", **more}]
        affair.at(12).put("told", incident="", before="x", alerts=alerts, alertmanager="http://alertmanager:9093")
    affair.at(15).put("held", why="ann: wait", by="ann", code="person")
    return affair


def test_what_happened_while_it_was_announced_led_to_it() -> None:
    affair = announced().at(30).intended(code="escalated", to="baseline").done(to="baseline")
    affair.at(31).put("told", incident="i1", alerts=[{"alertname": "ErrorRateHigh", "severity": "critical"}], alertmanager="http://alertmanager:9093")
    report = affair.report()
    lines = [one["what"] for one in report["timeline"]]
    assert "the way up was stopped by ann" in lines
    assert [one for one in lines if one.startswith("hook")] == ["hook Chat on rollback_scheduled: taken"]
    assert [(one["alertname"], one["at"][11:19]) for one in report["told"]] == [
        ("RolloutRollbackScheduled", "12:00:12"),
        ("ErrorRateHigh", "12:00:12"),
    ]


def test_what_a_trigger_announces_by_itself_was_neglected_by_nobody() -> None:
    affair = announced().at(30).intended(code="escalated", to="baseline").done(to="baseline")
    assert cause(affair.report()) == "it was announced, and not cancelled: ErrorRateHigh"
    affair = Affair().adopted().at(10).trigger("firing", 0.03, since=10).put("escalated", alert="ErrorRateHigh", level="lead", number=1, why="x")
    affair.at(20).put("scheduled", alert="ErrorRateHigh", due="x", to="baseline", why="x").at(30).intended(code="escalated")
    assert cause(affair.report()) == "nobody took it in hand in time: ErrorRateHigh"


def test_verifying_again_changes_no_figure_and_stands_apart() -> None:
    affair = Affair().adopted().at(10).intended(breached_at=None).done().at(20).checked(0, "flags read back").verified()
    before = affair.report()["times"]
    affair.at(500).put("verifying", id="i1", incident="i1", by="ann", why="ann: once more", logs={}, steps="s")
    affair.at(501).checked(0, "flags read back").checked(1, "GET /health", "fail").unverified()
    report = affair.report()
    assert report["times"] == {**before, "open": report["times"]["open"]}
    [made] = report["transitions"]
    assert (made["verified"]["outcome"], len(made["steps"])) == ("verified", 1)
    [again] = made["again"]
    assert (again["by"], again["verified"]["outcome"], [step["step"] for step in again["steps"]]) == (
        "ann",
        "unverified",
        ["flags read back", "GET /health"],
    )
    for text in (incident_markdown(report), incident_html(report)):
        assert "Verified again, asked for by ann: once more" in text


def test_the_last_rollback_is_the_one_that_was_or_was_not_verified() -> None:
    affair = Affair().adopted().at(10).intended().done().at(20).verified().at(30).intended("i2", "canary", "baseline").done("i2", "baseline")
    assert affair.report()["times"]["decision_to_verified"] is None
    affair.at(40).unverified("i2").at(50).put("verifying", id="i2", by="ann", why="ann: x", logs={}, steps="s").at(60).verified("i2")
    assert affair.report()["times"]["decision_to_verified"] == 50


def test_without_a_breach_there_is_no_time_since_one() -> None:
    report = Affair().adopted().at(10).intended(code="person", triggers=[], by="ann", breached_at=None).at(11).done().at(12).verified().report()
    times = report["times"]
    assert (times["breached"], times["breach_to_flags"], times["breach_to_verified"]) == (None, None, None)
    assert (times["decision_to_flags"], times["decision_to_verified"]) == (1, 2)
    assert "| Decision to flags read back | 1 s |" in incident_markdown(report)


def test_a_further_rollback_that_somebody_asks_for_leaves_more_to_be_written() -> None:
    affair = Affair().adopted().intended().done().wrote(complete=True, root_cause="a").intended("i2", "canary", "baseline", code="unverified")
    assert affair.report()["postmortem"]["complete"]["by"] == "ann"
    affair.intended("i3", "canary", "baseline", code="person")
    assert affair.report()["postmortem"]["complete"] is None
    assert affair.incidents()[0].paper.written == {"root_cause"}
    assert affair.wrote(complete=True, by="bob").report()["postmortem"]["complete"]["by"] == "bob"


def test_what_led_to_it_is_told_from_the_first_breach_of_the_triggers_that_fired() -> None:
    affair = Affair().adopted().at(1).trigger("pending", 0.02).at(2).trigger("inactive", 0).at(10).trigger("pending", 0.02)
    affair.at(11).trigger("firing", 5, alert="Another").put("escalated", alert="ErrorRateHigh", level="lead", number=1, why="x", unseen=0)
    affair.at(12).trigger("firing", 0.03, since=10).intended().done()
    [one] = affair.incidents()
    assert [(record.kind, record.at - START) for record in one.lead] == [
        ("trigger", timedelta(seconds=10)),
        ("escalated", timedelta(seconds=11)),
        ("trigger", timedelta(seconds=12)),
    ]
    assert affair.report()["times"]["breached"] == "2026-03-01T12:00:10.000Z"


def test_the_report_has_the_times_flags_exposure_and_verification() -> None:
    report = whole().report()
    times = report["times"]
    assert (times["breach_to_flags"], times["due_to_flags"], times["breach_to_verified"]) == (302.1, 2.1, 2100.0)
    assert report["flags"] == [{"flag": "SHARE", "before": "50", "after": "10"}]
    exposure = report["exposure"]
    assert (exposure["before"], exposure["after"], exposure["seconds"], exposure["seconds_breached"]) == (0.5, 0.1, 3902.1, 302.1)
    [made] = report["transitions"]
    assert [(step["step"], step["outcome"], step["seconds"]) for step in made["steps"]][1] == ("GET http://127.0.0.1:8000/health", "pass", 9.6)
    assert made["commands"][0]["seconds"] == 1.6
    assert report["verification"] == "verified"
    assert [one["alertname"] for one in report["told"]] == ["ErrorRateHigh", "RolloutRolledBack"]


def test_the_phases_of_its_triggers_are_told_from_when_they_began() -> None:
    assert [(one["phase"], one["from"][11:19], one["to"][11:19]) for one in whole().report()["phases"]] == [
        ("pending", "13:00:00", "13:05:00"),
        ("firing", "13:05:00", "13:06:00"),
    ]


def test_the_values_that_a_trigger_saw_are_among_the_points() -> None:
    error_rate, latency = whole().report()["signals"]
    assert max(error_rate["points"], key=lambda point: point[1])[1] >= 0.031
    assert (len(error_rate["points"]), len(latency["points"])) == (243, 240)
    assert error_rate["points"] == sorted(error_rate["points"])


def test_without_the_signals_on_record_the_triggers_values_are_what_there_is() -> None:
    affair = Affair().adopted().at(1).trigger("pending", 0.02).at(2).trigger("firing", 0.03).intended().done()
    [one] = affair.report()["signals"]
    assert (one["name"], one["lines"], [point[1] for point in one["points"]]) == ("ErrorRateHigh", [0.01], [0.02, 0.03])


def test_later_words_overwrite_field_by_field_and_the_history_stays() -> None:
    affair = Affair().adopted().intended().done().wrote(root_cause="a", fix_plan="b").resumed().wrote(root_cause="c", by="bob")
    found = affair.report()["postmortem"]
    assert {name: said["text"] for name, said in found["fields"].items() if said} == {"root_cause": "c", "fix_plan": "b"}
    assert found["fields"]["root_cause"]["by"] == "bob"
    assert [one["fields"] for one in found["history"]] == [{"root_cause": "a", "fix_plan": "b"}, {"root_cause": "c"}]
    assert found["missing"] == ["users affected"]
    assert found["complete"] is None


def test_incidents_of_other_rollouts_are_named_where_they_overlap() -> None:
    mine = Affair().at(100).intended().at(200).resumed()
    before = Affair("before").at(10).intended("b1").at(50).resumed()
    during = Affair("during").at(150).intended("d1")
    after = Affair("after").at(300).intended("a1")
    [one] = mine.incidents()
    others = sorted([*mine.records, *before.records, *during.records, *after.records], key=lambda record: record.at)
    assert [(made["rollout"], made["incident"]) for made in overlapping(one, others, START)] == [("during", "d1")]


def test_twenty_series_that_fire_at_once_are_one_line_of_the_timeline() -> None:
    affair = Affair().adopted().at(1)
    for number in range(20):
        affair.trigger("firing", 0.03, code=f"{number:02}")
    lines = [one for one in affair.intended().done().report()["timeline"] if one["event"] == "trigger"]
    assert len(lines) == 1
    assert lines[0]["what"] == 'ErrorRateHigh is firing: {code="00"} 0.03 (limit: > 0.01)'
    assert lines[0]["more"][-1] == "and 15 more series"


def test_a_long_timeline_is_cut_in_its_middle_and_says_so() -> None:
    affair = Affair().adopted().intended()
    for number in range(600):
        affair.at(number).put("attempted", id="i1", kind="rollback", **{"from": "half"}, outcome="failed", error="no disk", attempt=number, next="")
    report = affair.report()
    assert len(report["timeline"]) == 500
    assert report["left_out"] == 101


def test_the_last_one_is_found_by_that_word_and_an_unknown_one_names_those_there_are() -> None:
    found = Affair().adopted().intended("i1").resumed().intended("i2").incidents()
    assert called(found, "checkout", "last").id == "i2"
    with pytest.raises(OperationRefused, match='there is no incident "x" in checkout; known: i1, i2'):
        called(found, "checkout", "x")
    with pytest.raises(OperationRefused, match="never rolled back"):
        called([], "checkout", "last")


def test_a_record_that_cannot_be_understood_costs_itself_alone() -> None:
    affair = Affair().adopted().intended().put("done", nonsense=True).done()
    report = affair.report()
    assert [one["event"] for one in report["unread"]] == ["done"]
    assert report["verification"] == "under way"


@given(st.sampled_from(Event), st.dictionaries(st.sampled_from(["kind", "alert", "phase", "step", "why", "by", "number"]), st.integers() | st.text()))
def test_no_record_is_too_strange_for_a_line(event: Event, body: dict[str, Any]) -> None:
    tone, what, more = line(Record(1, START, "checkout", event, body, ""))
    assert tone in {"bad", "warn", "good", "plain"}
    assert isinstance(what, str)
    assert all(isinstance(one, str) for one in more)


STEPS = st.lists(st.sampled_from(["rollback", "done", "resumed", "promote", "postmortem", "rehearsal", "verified"]), max_size=25)


@given(STEPS)
def test_it_tells_the_same_incidents_as_the_judge(steps: list[str]) -> None:
    affair, known, ids = Affair().adopted(), Aftermath(), []
    for count, step in enumerate(steps, 1):
        match step:
            case "rollback":
                affair.intended(f"i{count}")
            case "done":
                affair.done(known.transition or "i0")
            case "resumed":
                affair.resumed()
            case "promote":
                affair.put("intended", id=f"p{count}", kind="promote", why=[], by="ann", **{"from": "canary", "to": "half"})
            case "postmortem":
                affair.put("postmortem", incident=known.incident, fields={}, complete=True, by="ann", why="x")
            case "rehearsal":
                affair.intended(f"r{count}", rehearsal={"id": f"r{count}", "soaked": 0})
            case "verified":
                affair.verified(known.transition)
        record = affair.records[-1]
        known = aftermath.fold(known, Event(record.kind), record.body, record.at)
        if known.incident:
            ids.append(known.incident)
    found = incidents(affair.records)
    assert [one.id for one in found] == list(dict.fromkeys(ids))
    still = [one for one in found if one.ending is None]
    assert [one.id for one in still] == ([known.incident] if known.incident else [])
    assert all(one.aftermath == known for one in still)
