"""The table of phases and the fold over the journal: what cannot happen raises, and changes nothing."""

import itertools
from dataclasses import replace

import pytest

from rollback_daemon.errors import IllegalTransition
from rollback_daemon.judge import machine
from rollback_daemon.judge.position import Position, fold
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import BREAK_GLASS, RETURN, STAYS, TABLE, Event, Kind, Phase, after, diagram
from tests.judge.timetable import play
from tests.judge.world import START, rollout

OF_TRANSITION = {Event.INTENDED, Event.ATTEMPTED, Event.DONE, Event.ABANDONED}
KINDS = [*map(str, Kind), BREAK_GLASS, RETURN]
CASES = [
    (phase, event, kind)
    for phase, event in itertools.product(Phase, Event)
    for kind in (KINDS if event in OF_TRANSITION else [None])
    if event is not Event.ADOPTED
]


@pytest.mark.parametrize(("phase", "event", "kind"), CASES)
def test_every_event_in_every_phase_is_in_the_table_changes_no_phase_or_raises(phase: Phase, event: Event, kind: str | None) -> None:
    name = f"{kind} {event}" if kind else str(event)
    if event in STAYS:
        assert after(phase, event, kind) is phase
    elif (phase, name) in TABLE:
        assert after(phase, event, kind) is TABLE[phase, name]
    else:
        with pytest.raises(IllegalTransition, match=f'"{name}" cannot happen in phase "{phase}"'):
            after(phase, event, kind)


def test_every_row_of_the_table_is_about_an_event_that_exists() -> None:
    names = {str(event) for event in Event} | {f"{kind} {event}" for kind in KINDS for event in OF_TRANSITION}
    assert {name for _, name in TABLE} <= names


def test_a_rollback_may_be_intended_in_every_phase_and_a_promotion_only_where_it_was_earned() -> None:
    assert {phase for phase, name in TABLE if name == "rollback intended"} == set(Phase)
    assert {phase for phase, name in TABLE if name == "promote intended"} == {Phase.BASELINE, Phase.READY}


def test_nothing_but_a_person_leads_out_of_a_latch() -> None:
    for latch in (Phase.ROLLED_BACK, Phase.FROZEN):
        leading_out = {name for (phase, name), target in TABLE.items() if phase is latch is not target}
        assert leading_out - {"return intended", "frozen"} == {"resumed", "rollback intended", "break-glass intended"}


def test_only_a_rollback_that_was_a_rehearsal_comes_back_by_itself() -> None:
    assert [phase for phase, name in TABLE if name == "return intended"] == [Phase.ROLLED_BACK]


def test_nothing_is_promoted_past_everything_while_flags_are_being_changed_or_from_the_top() -> None:
    never = {Phase.PROMOTING, Phase.ROLLING_BACK, Phase.FAILED, Phase.COMPLETE}
    assert {phase for phase, name in TABLE if name == "break-glass intended"} == set(Phase) - never


def test_degrading_and_restoring_change_no_phase() -> None:
    detours = {(phase, target) for (phase, name), target in TABLE.items() if name.startswith(("degrade", "restore"))}
    assert detours == {(phase, phase) for phase, _ in detours}
    assert {phase for phase, _ in detours} == set(Phase) - {Phase.PROMOTING, Phase.ROLLING_BACK, Phase.FAILED}


def test_every_phase_that_can_be_reached_can_be_left() -> None:
    assert set(TABLE.values()) <= {phase for phase, _ in TABLE}


def test_the_diagram_has_every_row_of_the_table() -> None:
    drawn = diagram()
    assert drawn.startswith("stateDiagram-v2\n    [*] --> baseline: adopted\n")
    for (phase, name), target in TABLE.items():
        detour = name.startswith(("degrade", "restore"))  # possible nearly everywhere, and leads nowhere
        assert detour is not any(line.startswith(f"    {phase} --> {target}: ") and name in line for line in drawn.splitlines())


POSITION = Position(Phase.SOAKING, "canary", START, START)


def test_an_illegal_event_changes_nothing() -> None:
    state = State(position=POSITION)
    with pytest.raises(IllegalTransition):
        machine.apply(state, Happened(Event.RESUMED, {"why": "go", "by": "ann"}), START)
    assert state == State(position=POSITION)


def test_what_a_journal_tells_before_it_says_where_the_rollout_is_cannot_be_folded() -> None:
    with pytest.raises(ValueError, match='"ready" stands before any that says where the rollout is'):
        fold(None, Event.READY, {}, START)


def test_news_of_a_transition_that_was_overtaken_is_refused() -> None:
    world = play(rollout(), "0s | | ready at half\n1s | rollback |", at="half", slow=True)
    before = world.position
    for event in (Event.APPLIED, Event.ATTEMPTED, Event.DONE):
        with pytest.raises(IllegalTransition, match="is about another, but"):
            fold(before, event, {"id": "another", "kind": "rollback", "from": "half", "to": "full", "error": "x"}, START)


def test_news_of_no_transition_changes_nothing() -> None:
    assert fold(POSITION, Event.APPLIED, {"id": "x"}, START) == POSITION
    failed = replace(POSITION, phase=Phase.FAILED)
    assert fold(failed, Event.ATTEMPTED, {"kind": "rollback", "error": "x"}, START) == failed


def test_an_applied_transition_is_known_to_be_so() -> None:
    world = play(rollout(), "0s | | ready at half\n1s | rollback |\n2s | write |", at="half", slow=True)
    assert world.position.open
    assert world.position.open.applied


@pytest.mark.parametrize("event", sorted(STAYS - {Event.REHEARSED}))
def test_what_is_only_told_changes_no_position(event: Event) -> None:
    assert fold(POSITION, event, {}, START) == POSITION


def test_the_end_of_a_rehearsal_says_why_it_failed_and_nothing_where_it_passed() -> None:
    assert fold(POSITION, Event.REHEARSED, {"passed": True, "why": "every step passed", "by": "ann"}, START) == POSITION
    failed = fold(POSITION, Event.REHEARSED, {"passed": False, "why": "a step failed", "by": "ann"}, START)
    assert failed == replace(POSITION, why="a step failed", by="ann", code="rehearsal")
