"""The report: who raised a rollout and on whose word, from records alone."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.errors import OperationRefused
from rollback_daemon.governance.about import about, stage_called
from rollback_daemon.governance.markdown import markdown
from tests.governance.tale import Tale
from tests.judge.world import rollout


@pytest.fixture
def tale() -> Tale:
    """A rollout that was first seen at its baseline."""
    made = Tale()
    made.adopted("baseline")
    return made


def the(entries: list[dict[str, Any]]) -> dict[str, Any]:
    (only,) = entries
    return only


def approved(tale: Tale, **more: Any) -> int:
    """A climb to canary on two votes."""
    tale.proposed("canary")
    tale.voted("ann", "lead", conditions=("watch the latency",))
    tale.voted("cat", "security")
    return tale.moved("promote", "canary", proposal="p1", approved_by=[], **more)


# climbs


def test_an_approved_climb_names_who_raised_it_and_everybody_whose_word_it_rests_on(tale: Tale) -> None:
    seq = approved(tale)
    climb = the(tale.report()["climbs"])
    assert (climb["seq"], climb["how"], climb["by"], climb["outcome"]) == (seq, "approved", "ann", "done")
    assert (climb["from"], climb["to"], climb["exposure_before"], climb["exposure_after"]) == ("baseline", "canary", 0.0, 0.1)
    assert [(vote["by"], vote["role"], vote["decision"]) for vote in climb["votes"]] == [("ann", "lead", "GO"), ("cat", "security", "GO")]
    assert climb["votes"][0]["seen"]["score"] == 92.5
    assert (climb["proposal"], climb["conditions"], climb["ended"]["seq"]) == ("p1", ["watch the latency"], seq + 2)


@pytest.mark.parametrize(
    ("more", "how"),
    [
        ({"code": "person"}, "by a person"),
        ({"code": "automatic", "by": "rollbackd", "proposal": "p1"}, "automatic"),
        ({"code": "break_glass", "past": ["soaked 1m of 1h"]}, "break-glass"),
    ],
)
def test_every_way_up_has_its_name(tale: Tale, more: dict[str, Any], how: str) -> None:
    tale.moved("promote", "canary", **more)
    climb = the(tale.report()["climbs"])
    assert (climb["how"], climb["past"]) == (how, more.get("past", []))


def test_dissent_stays_beside_the_climb_with_who_resolved_it(tale: Tale) -> None:
    tale.proposed("canary")
    tale.voted("bob", "security", go=False, why="not audited")
    solved = tale.put("resolved", id="p1", by="ann", of="bob", why="audited since")
    tale.moved("promote", "canary", proposal="p1")
    found = tale.report()
    vote = the(the(found["climbs"])["votes"])
    assert (vote["decision"], vote["why"], vote["resolved"]["by"], vote["resolved"]["seq"]) == ("NO-GO", "not audited", "ann", solved)
    assert "bob (security) **NO-GO**, resolved by ann" in markdown(found)


def test_a_withdrawn_vote_carries_nothing_and_stays_on_record(tale: Tale) -> None:
    tale.proposed("canary")
    tale.voted("ann", "lead", go=False)
    tale.put("withdrawn", id="p1", by="ann", role="lead", go=False, why="thought again")
    tale.voted("ann", "lead", why="now yes")
    tale.moved("promote", "canary", proposal="p1")
    found = tale.report()
    assert [vote["why"] for vote in the(found["climbs"])["votes"]] == ["now yes"]
    assert [vote["withdrawn"]["why"] if vote["withdrawn"] else "" for vote in the(found["votes"])["votes"]] == ["thought again", ""]


def test_a_proposal_ends_by_being_carried_out_void_or_replaced(tale: Tale) -> None:
    tale.proposed("canary", "p1")
    tale.proposed("canary", "p2")
    tale.put("voided", id="p2", why="the rule file has changed", to="canary", votes=0)
    tale.proposed("canary", "p3")
    tale.moved("promote", "canary", code="break_glass", past=[])
    tale.proposed("half", "p4")
    assert [one["outcome"] for one in tale.report()["votes"]] == ["replaced", "void", "void", "open"]


def test_a_raise_from_outside_says_what_was_found_what_is_known_and_what_was_missing(tale: Tale) -> None:
    seq = tale.drifted("higher", "half", known={"owner": "eve"}, missing=["soaked 1m of 1h"])
    tale.moved("rollback", "baseline", code="drift", by="rollbackd")
    tale.drifted("none")
    found = tale.report()
    climb = the(found["climbs"])
    assert (climb["seq"], climb["how"], climb["by"], climb["exposure_after"]) == (seq, "from outside", "", 0.5)
    assert (climb["keys"], climb["known"], climb["missing"]) == ({"SHARE": {"expected": "0", "actual": "50"}}, {"owner": "eve"}, ["soaked 1m of 1h"])
    assert (climb["outcome"], climb["seconds"]) == ("reverted", 3.0)
    assert the(found["descents"][1:])["exposure_before"] == 0.5
    assert [one["drift"] for one in found["drift"]] == ["higher", "none"]
    assert "not known; of the flags: owner eve" in markdown(found)


def test_a_raise_that_somebody_put_back_is_said_so(tale: Tale) -> None:
    tale.drifted("higher")
    tale.drifted("none")
    climb = the(tale.report()["climbs"])
    assert (climb["to"], climb["exposure_after"], climb["outcome"]) == (None, None, "put back from outside")


def test_flags_first_seen_raised_are_a_climb_that_nobody_answers_for() -> None:
    tale = Tale()
    tale.adopted("half")
    found = tale.report()
    assert (the(found["climbs"])["how"], the(found["climbs"])["exposure_after"], found["descents"]) == ("from outside", 0.5, [])


def test_a_promotion_that_was_taken_back_after_its_flags_were_written_is_a_climb(tale: Tale) -> None:
    identity = tale.intended("promote", "canary")
    tale.applied(identity, "promote")
    tale.moved("rollback", "baseline", code="promotion_failed", by="rollbackd")
    found = tale.report()
    assert (the(found["climbs"])["outcome"], found["given_up"]) == ("taken back", [])
    assert (found["descents"][-1]["exposure_before"], found["descents"][-1]["exposure_after"]) == (0.1, 0.0)


def test_a_promotion_whose_write_may_have_happened_is_a_climb_too(tale: Tale) -> None:
    identity = tale.intended("promote", "canary")
    tale.put("attempted", **tale.facts(identity, "promote"), outcome="unknown", error="disk gone", attempt=1, next="")
    tale.intended("rollback", "baseline")
    assert the(tale.report()["climbs"])["outcome"] == "taken back"


def test_a_promotion_that_was_given_up_before_any_flag_changed_raised_nothing(tale: Tale) -> None:
    identity = tale.intended("promote", "canary")
    tale.put("abandoned", **tale.facts(identity, "promote"), to="baseline", why="the daemon was stopped", code="unfinished")
    found = tale.report()
    assert (found["climbs"], the(found["given_up"])["outcome"], the(found["given_up"])["ended"]["why"]) == ([], "given up", "the daemon was stopped")


# descents


def test_a_rollback_has_its_reasons_and_how_long_it_took_from_when_it_was_due(tale: Tale) -> None:
    approved(tale)
    due = tale.records[-1].at.isoformat()
    tale.moved("rollback", "baseline", code="trigger_firing", by="rollbackd", why="Errors: 0.031 > 0.01", triggers=["Errors"], breached_at=due)
    fall = tale.report()["descents"][-1]
    assert (fall["why"], fall["triggers"], fall["seconds"], fall["seconds_from_breach"]) == (["Errors: 0.031 > 0.01"], ["Errors"], 2.0, 3.0)
    assert fall["flags"] == {"SHARE": {"before": "0", "after": "10"}}


def test_a_degradation_exposes_neither_more_nor_less(tale: Tale) -> None:
    approved(tale)
    tale.moved("degrade", "canary", code="trigger_firing", by="rollbackd")
    found = tale.report()
    assert (found["descents"][-1]["kind"], found["descents"][-1]["exposure_before"], found["descents"][-1]["exposure_after"]) == ("degrade", 0.1, 0.1)
    assert found["arrived"] == the(found["climbs"])["seq"]


def test_lowering_by_hand_is_a_descent(tale: Tale) -> None:
    approved(tale)
    tale.adopted("baseline", code="drift")
    fall = tale.report()["descents"][-1]
    assert (fall["kind"], fall["exposure_before"], fall["exposure_after"]) == ("adopted", 0.1, 0.0)


# what the present stage rests on


def test_conditions_are_to_be_watched_as_long_as_the_stage_rests_on_their_votes(tale: Tale) -> None:
    approved(tale)
    tale.moved("promote", "half")
    assert [one["condition"] for one in tale.report()["conditions"]] == ["watch the latency"]
    tale.moved("rollback", "canary")
    assert [one["condition"] for one in tale.report()["conditions"]] == ["watch the latency"]
    tale.moved("rollback", "baseline")
    assert tale.report()["conditions"] == []


def rehearsed(tale: Tale) -> None:
    """There and back again."""
    tale.moved("rollback", "baseline", code="rehearsal", rehearsal={"id": "t2", "soaked": 1.0})
    tale.put("step", id="t2", step="./smoke.sh", error="", output="ok", seconds=0.5)
    tale.moved("promote", "canary", code="rehearsal", why="the steps passed")
    tale.put("rehearsed", id="t2", stage="canary", passed=True, seconds=7.0, why="every step passed", by="ann")


def test_a_rehearsal_has_its_steps_and_the_stage_goes_on_resting_on_the_same_votes(tale: Tale) -> None:
    climbed = approved(tale)
    rehearsed(tale)
    found = tale.report()
    held = the(found["rehearsals"])
    assert (held["passed"], held["seconds"], held["from"], held["to"]) == (True, 7.0, "canary", "baseline")
    assert (the(held["steps"])["step"], the(held["steps"])["seconds"]) == ("./smoke.sh", 0.5)
    assert [one["how"] for one in found["climbs"]] == ["approved", "rehearsal return"]
    assert (found["standing"], len(found["conditions"])) == ([climbed], 1)
    assert "That stage was climbed to by ann" in markdown(found)


# the rest


def test_what_people_said_is_there_with_the_number_of_its_record(tale: Tale) -> None:
    tale.put("checkpoint", checkpoint="day-0", go=False, by="ann", why="red", stage="baseline", sha256="c" * 64)
    tale.put("evidence", evidence="soak", by="ann", why="done", stage="baseline", file="soak.xml", sha256="d" * 64, bytes=12)
    tale.put("handoff", by="ann", to="bob", why="night", stage="baseline")
    tale.put("refused", request="promote", by="eve", reason="now", why=["checkout stays at baseline: soak"])
    tale.put("held", why="ann: freeze", by="ann", code="person")
    tale.put("resumed", why="ann: thaw", by="ann", code="person")
    found = tale.report()
    sections = ("checkpoints", "evidence", "handoffs", "refused", "holds")
    assert [one["seq"] for name in sections for one in found[name]] == [2, 3, 4, 5, 6, 7]
    document = markdown(found)
    for words in ("**NO-GO**", "soak.xml", "eve", "ann: freeze", "| bob | night |", "c" * 64):
        assert words in document


def test_a_record_that_cannot_be_understood_is_named_and_hides_nothing(tale: Tale) -> None:
    seq = tale.put("voted", nonsense=1)
    tale.put("done", id="nobody's", kind="promote", to="canary")
    climbed = approved(tale)
    found = tale.report()
    assert [one["seq"] for one in found["unread"]] == [seq, seq + 1]
    assert the(found["climbs"])["seq"] == climbed
    assert f"| **not understood** | {seq} (voted), {seq + 1} (done) |" in markdown(found)


def test_the_report_names_the_end_of_the_journal_that_it_was_made_from(tale: Tale) -> None:
    found = tale.report()
    assert found["journal"] == {"seq": 1, "count": 1, "digest": "f" * 64}
    assert "f" * 64 in markdown(found)


def test_break_glass_is_loud_wherever_it_appears(tale: Tale) -> None:
    seq = tale.moved("promote", "canary", code="break_glass", past=["soaked 1m of 1h"], why="ann: the fix cannot wait")
    document = markdown(tale.report(broken_glass="ann: the fix cannot wait"))
    assert document.count("**BREAK-GLASS**") == 5  # arrival, headline, table, what it went past, appendix
    assert f"**BREAK-GLASS** of record `{seq}` went past:\n\n- soaked 1m of 1h\n" in document


# which records are about a stage


def test_who_raised_it_to_a_stage_is_told_by_the_records_about_that_stage(tale: Tale) -> None:
    ladder = rollout()
    tale.put("refused", request="promote", by="eve", reason="now", why=["soak"])
    approved(tale)
    tale.put("held", why="ann: freeze", by="ann", code="person")
    tale.drifted("higher", "half")
    tale.moved("rollback", "canary", code="drift", by="rollbackd")
    tale.moved("promote", "half", code="break_glass", past=[])
    canary, half = ([one.kind for one in about(ladder, tale.records, stage)] for stage in ("canary", "half"))
    assert canary == ["refused", "proposed", "voted", "voted", *["intended", "applied", "done"] * 3]
    assert half == ["drift", *["intended", "applied", "done"] * 2]
    assert [one.kind for one in about(ladder, tale.records, "full")] == []


@pytest.mark.parametrize(("said", "meant"), [("half", "half"), ("50%", "half"), ("50 %", "half"), ("100%", "full"), ("baseline", "baseline")])
def test_a_stage_may_be_called_by_its_exposure(said: str, meant: str) -> None:
    assert stage_called(rollout(), said) == meant


def test_a_stage_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(OperationRefused, match='there is no stage "25%" in checkout; known: baseline, canary, half, full'):
        stage_called(rollout(), "25%")


# whatever the journal holds


@given(st.lists(st.sampled_from(["promote", "rollback", "degrade", "applied", "done", "abandoned", "drift", "adopted", "rehearsed"]), max_size=12))
def test_records_in_any_order_make_a_report(events: list[str]) -> None:
    tale = Tale()
    tale.adopted("baseline")
    for event in events:
        match event:
            case "promote" | "rollback" | "degrade":
                tale.intended(event, "canary" if event == "promote" else "baseline")
            case "applied":
                tale.applied(f"t{tale.count}", "promote")
            case "done":
                tale.done(f"t{tale.count}", "promote", "canary")
            case "abandoned":
                tale.put("abandoned", **tale.facts(f"t{tale.count}", "promote"), to="baseline", why="stopped")
            case "drift":
                tale.drifted("higher", "half")
            case "adopted":
                tale.adopted("canary")
            case "rehearsed":
                tale.put("rehearsed", id="t1", stage="canary", passed=False, seconds=1.0, why="", by="ann")
    found = tale.report()
    assert json.loads(json.dumps(found)) == found
    assert all(isinstance(one["seq"], int) for name in ("climbs", "descents", "given_up", "votes", "unread") for one in found[name])
    assert markdown(found).startswith("# checkout: the record of the rollout\n")
