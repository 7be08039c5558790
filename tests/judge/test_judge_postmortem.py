"""When the report of an incident is owed, what it must have to be complete, and what a resume does to what is counted."""

from dataclasses import replace

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import aftermath, postmortem, requests
from rollback_daemon.judge.aftermath import Aftermath
from rollback_daemon.judge.postmortem import FIELDS, NEEDED, Paper
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.state import State
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.rules.aftercare import Aftercare
from rollback_daemon.rules.model import Rollout
from tests.judge.people import person
from tests.judge.world import START, World, flags_of, rollout, trigger

OWING = rollout(trigger("Errors", above=1), aftercare=Aftercare(postmortem=True))
OPEN = Aftermath(incident="i1")


def state(phase: Phase, known: Aftermath = OPEN) -> State:
    world = World(OWING, flags_of(OWING, "canary"))
    world.evaluate({}, START)
    return replace(world.state, position=replace(world.position, phase=phase), aftermath=known)


@pytest.mark.parametrize("phase", [Phase.ROLLED_BACK, Phase.FROZEN])
def test_it_is_not_resumed_before_the_report_is_complete(phase: Phase) -> None:
    with pytest.raises(Refusal) as refusal:
        requests.resume(OWING, state(phase), "ann", "all good")
    [reason] = refusal.value.reasons
    assert (reason.code, reason.subject) == (Code.POSTMORTEM_MISSING, "i1")
    assert "report of incident i1 is not complete" in str(reason)
    assert f"rollbackd postmortem {OWING.name} --complete" in str(reason)
    assert requests.resume(OWING, state(phase, replace(OPEN, postmortem=True)), "ann", "all good")


def why_not(written: frozenset[str]) -> str:
    """What is said to somebody who would resume it, with these fields written."""
    with pytest.raises(Refusal) as refusal:
        requests.resume(OWING, state(Phase.ROLLED_BACK, replace(OPEN, written=written)), "ann", "all good")
    return str(refusal.value.reasons[0])


def test_who_would_resume_it_is_told_what_is_missing_or_that_only_the_last_word_is() -> None:
    verb = f"complete it with `rollbackd postmortem {OWING.name} --complete --reason ...`"
    assert why_not(frozenset({"root_cause"})).endswith(
        f"it lacks its users affected (--users-affected), its fix plan (--fix-plan); write that, and {verb}"
    )
    assert why_not(frozenset(NEEDED)).endswith(f"is not complete: everything is written; {verb}")


def test_what_was_written_is_known_as_long_as_the_incident_lasts() -> None:
    known = aftermath.fold(OPEN, Event.POSTMORTEM, {"incident": "i1", "fields": {"root_cause": "x"}, "complete": False}, START)
    known = aftermath.fold(known, Event.POSTMORTEM, {"incident": "i0", "fields": {"fix_plan": "x"}, "complete": True}, START)
    known = aftermath.fold(known, Event.INTENDED, {"id": "i2", "kind": "rollback", "from": "half", "to": "canary"}, START)
    assert (known.written, known.postmortem) == (frozenset({"root_cause"}), False)
    assert aftermath.fold(known, Event.RESUMED, {}, START).written == frozenset()


@pytest.mark.parametrize(("rules", "known"), [(replace(OWING, aftercare=Aftercare()), OPEN), (OWING, Aftermath())])
def test_nothing_is_owed_where_nobody_asks_for_it_or_nothing_happened(rules: Rollout, known: Aftermath) -> None:
    assert requests.resume(rules, state(Phase.ROLLED_BACK, known), "ann", "all good")


def test_a_hold_owes_no_report() -> None:
    assert requests.resume(OWING, state(Phase.HELD), "ann", "all good")


def test_what_was_frozen_is_re_armed_by_a_resume_and_nothing_else_is() -> None:
    done = replace(OPEN, postmortem=True)
    assert requests.resume(OWING, state(Phase.FROZEN, done), "ann", "all good").body["rearmed"] is True
    assert "rearmed" not in requests.resume(OWING, state(Phase.ROLLED_BACK, done), "ann", "all good").body


def test_completing_names_every_field_that_is_missing() -> None:
    with pytest.raises(Refusal) as refusal:
        postmortem.write(OWING, state(Phase.ROLLED_BACK), person("ann"), Paper("i1"), {"root_cause": "x"}, "done", complete=True)
    assert [str(one) for one in refusal.value.reasons] == [
        "it cannot be complete without its users affected (--users-affected)",
        "it cannot be complete without its fix plan (--fix-plan)",
    ]


def test_what_was_written_before_counts() -> None:
    paper = Paper("i1", frozenset(NEEDED[:2]))
    happened = postmortem.write(OWING, state(Phase.ROLLED_BACK), person("ann"), paper, {"fix_plan": "x"}, "done", complete=True)
    assert dict(happened.body) == {"incident": "i1", "fields": {"fix_plan": "x"}, "complete": True, "by": "ann", "why": "done"}


def test_a_correction_leaves_a_complete_report_complete() -> None:
    paper = Paper("i1", frozenset(NEEDED), complete=True)
    happened = postmortem.write(OWING, state(Phase.ROLLED_BACK), person("bob"), paper, {"issues": "x"}, "found later", complete=False)
    assert happened.body["complete"] is True


@pytest.mark.parametrize(("fields", "why"), [({}, "nothing is written; give at least one of root cause"), ({"weather": "x"}, 'no field "weather"')])
def test_nothing_and_what_is_no_field_are_refused(fields: dict[str, str], why: str) -> None:
    with pytest.raises(OperationRefused, match=why):
        postmortem.write(OWING, state(Phase.ROLLED_BACK), person("ann"), Paper("i1"), fields, "done", complete=False)


def test_every_needed_field_is_one() -> None:
    assert set(NEEDED) <= FIELDS.keys()
