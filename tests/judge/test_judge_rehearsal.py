"""A rollback for practice, as timetables: it comes back by itself only if nothing has happened, and costs the stage nothing that it had earned."""

import json
from datetime import timedelta
from typing import Any

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.duties import Rehearsing, Requires
from rollback_daemon.rules.model import Rollout
from tests.judge import people
from tests.judge.timetable import play
from tests.judge.world import ONLY_TOLD, START, World, approvals, degrade, flags_of, gate, intents, rollout, trigger


def practising(*parts: Any, **settings: Any) -> Rollout:
    """A rollout that rehearses going to the previous stage, if it is not said where to."""
    return rollout(*parts, **{"rehearsal": Rehearsing(None, ()), **settings})


def results(world: World) -> list[bool]:
    """How each rehearsal ended."""
    return [json.loads(body)["passed"] for event, body, _ in world.journal if event == Event.REHEARSED]


def test_a_rehearsal_goes_down_and_comes_back_and_the_stage_goes_on_as_if_nothing_had_been() -> None:
    world = play(
        practising(gate("Steady", for_="75s", below=1), soak="1m"),
        """
        0s..30s | errors 0   | soaking at half
        31s     | rehearse   | rolled_back at canary
        32s     | steps pass | soaking at half
        45s     |            | soaked 45s, soaking at half
        60s     |            | soaked 60s, soaking at half, blocked by gate_time
        75s     |            | ready at half, free
        """,
        at="half",
    )
    assert intents(world) == ["rollback half>canary", "promote canary>half"]
    assert world.position.entered == START
    assert results(world) == [True]


def test_what_is_soaked_and_what_is_clear_stand_still_while_it_is_rehearsed() -> None:
    play(
        practising(gate("Steady", for_="1m", below=1), soak="1m"),
        """
        0s..30s | errors 0   | soaking at half
        31s     | rehearse   |
        45s..75s|            | rolled_back at canary, soaked 0
        76s     | steps pass | soaking at half
        90s     |            | soaked 45s, blocked by soak+gate_time
        105s    |            | soaked 60s, ready at half
        """,
        at="half",
    )


def test_a_breach_while_it_is_rehearsed_ends_the_unbroken_time_of_a_gate() -> None:
    play(
        practising(gate("Steady", for_="1m", below=1)),
        """
        0s..1m | errors 0   |
        61s    | rehearse   |
        75s    | errors 2   | rolled_back at canary
        90s    | errors 0   | rolled_back at canary
        91s    | steps pass | soaking at half
        105s   |            | blocked by gate_time
        165s   |            | ready at half
        """,
        at="half",
    )


def test_nothing_is_promoted_proposed_or_rehearsed_again_while_it_is_rehearsed() -> None:
    play(
        practising(asks={"full": Requires(approvals("lead"))}, break_glass=("lead",)),
        """
        0s  |                 | ready at half, blocked by approvals_missing
        1s  | rehearse        | rolled_back at canary
        2s  | propose         | refused in_transition
        3s  | break glass ann | refused in_transition
        4s  | rehearse        | refused in_transition+not_evaluated
        15s |                 | blocked by rehearsal
        16s | promote         | refused rehearsal
        """,
        at="half",
    )


def test_a_rehearsal_whose_steps_fail_stays_down_until_it_is_resumed() -> None:
    world = play(
        practising(),
        """
        0s  |            | ready at half
        1s  | rehearse   |
        2s  | steps fail | rolled_back at canary
        15s |            | rolled_back at canary, blocked by latched
        1h  |            | rolled_back at canary
        """,
        at="half",
    )
    assert results(world) == [False]
    assert world.flags == flags_of(world.rollout, "canary")
    assert world.position.why == "a step failed"


def test_a_failed_rehearsal_costs_what_was_soaked_at_the_stage_above() -> None:
    play(
        practising(soak="1m"),
        "0s..1m | | \n61s | rehearse |\n62s | steps fail |\n63s | resume | soaking at canary\n75s | | soaked 14s, soaking at canary",
        at="half",
    )


@pytest.mark.parametrize(("to", "lands"), [(None, "half"), ("canary", "canary"), ("baseline", "baseline")])
def test_it_goes_where_the_rule_file_says_and_otherwise_to_the_previous_stage(to: str | None, lands: str) -> None:
    play(
        practising(rehearsal=Rehearsing(to, ())),
        f"0s | | complete at full\n1s | rehearse | rolled_back at {lands}\n2s | steps pass | soaking at full\n15s | | complete at full",
        at="full",
    )


@pytest.mark.parametrize(
    ("at", "seen", "before", "refused"),
    [
        ("baseline", "errors 0", "", "not_lower"),
        ("half", "errors 2", "", "trigger_pending"),
        ("half", "errors failed", "", "trigger_unknown"),
        ("half", "flags full", "", "drift"),
        ("half", "flags unreadable", "", "flags_unreadable"),
        ("half", "errors 0", "hold", "in_transition"),
        ("half", "errors 0", "rollback", "in_transition+not_evaluated"),
        ("half", "errors 0", "promote", "not_evaluated"),
    ],
)
def test_a_rehearsal_begins_only_where_all_is_well(at: str, seen: str, before: str, refused: str) -> None:
    guarded = practising(trigger("Errors", above=1, for_="1h"), on_drift=ONLY_TOLD)
    play(guarded, f"0s | errors 0 |\n15s | {seen} |\n16s | {before} |\n17s | rehearse | refused {refused}", at=at)


def test_a_rehearsal_needs_a_young_evaluation_a_place_in_the_rule_file_and_an_enforced_rollout() -> None:
    play(practising(), "0s | |\n1s | stop |\n46s | rehearse | refused not_evaluated", at="half")
    play(practising(enforce=False), "0s | |\n1s | rehearse | refused observing", at="half")
    world = play(rollout(), "0s | |\n1s | rehearse | refused", at="half")
    with pytest.raises(OperationRefused, match="checkout has no rehearsal in its rule file"):
        people.ask(world, "rehearse", START + timedelta(seconds=2))


# what overtakes it


@pytest.mark.parametrize(
    ("happens", "lands"),
    [
        ("errors 2", "rolled_back at baseline"),  # a trigger takes it further down
        ("flags half", "rolled_back at canary"),  # somebody raised the flags
        ("flags baseline", "rolled_back at baseline"),  # somebody lowered them
    ],
)
def test_whatever_happens_meanwhile_ends_the_rehearsal_and_it_stays_down(happens: str, lands: str) -> None:
    # no trigger is heard before the rehearsal, which would be refused
    guarded = practising(trigger("Errors", above=1))
    deeds = {"errors 2": "rollback to baseline", "flags half": "rollback to canary"}
    before = play(guarded, f"0s | errors 0 |\n1s | rehearse |\n15s | {happens} | {deeds.get(happens, '')}\n30s | errors 0 | {lands}", at="half")
    with pytest.raises(OperationRefused, match="the rehearsal was overtaken"):
        people.ask(before, "come back", START + timedelta(seconds=31))


def test_it_does_not_come_back_while_a_trigger_fires_that_would_take_it_down_again() -> None:
    guarded = practising(trigger("Errors", above=1, action="rollback to canary"))
    world = play(
        guarded, "0s | errors 0 |\n1s | rehearse |\n15s | errors 2 |\n16s | come back | refused trigger_firing\n17s | steps fail |", at="half"
    )
    assert (world.position.phase, world.position.stage) == ("rolled_back", "canary")


@pytest.mark.parametrize("word", ["resume", "rollback"])
def test_a_person_who_resumes_or_rolls_back_takes_it_over(word: str) -> None:
    world = play(
        practising(), f"0s | | complete at full\n1s | rehearse |\n2s | {word} |\n3s | come back | refused latched\n4s | steps fail |", at="full"
    )
    assert results(world) == [False]


def test_flags_that_were_lowered_while_they_were_on_their_way_down_are_not_raised_by_coming_back() -> None:
    play(
        practising(),
        """
        0s  |                | ready at half
        1s  | rehearse       | rolling_back at half
        2s  | flags baseline |
        3s  | finish         | rolled_back at baseline
        4s  | come back      | refused drift
        5s  | steps fail     | rolled_back at baseline
        """,
        at="half",
        slow=True,
    )


def test_flags_that_were_lowered_while_it_comes_back_are_left_so() -> None:
    world = play(
        practising(),
        """
        0s  |                | ready at half
        1s  | rehearse       |
        2s  | finish         | rolled_back at canary
        3s  | come back      | promoting at canary
        4s  | flags baseline |
        5s  | finish         | rolled_back at baseline
        """,
        at="half",
        slow=True,
    )
    assert world.flags == flags_of(world.rollout, "baseline")


def test_a_breach_on_the_way_back_takes_it_down_again() -> None:
    play(
        practising(trigger("Errors", above=1)),
        """
        0s  | errors 0  | ready at half
        1s  | rehearse  |
        2s  | finish    |
        3s  | come back | promoting at canary
        15s | errors 2  | rollback to canary
        16s | finish    | rolled_back at canary
        17s | come back | refused latched
        """,
        at="half",
        slow=True,
    )


def test_a_lesser_service_that_begins_meanwhile_is_kept_on_the_way_back() -> None:
    guarded = practising(trigger("Slow", above=1, action=degrade(MODE="lite")), more={"MODE": "full"})
    world = play(
        guarded, "0s | errors 0 |\n1s | rehearse |\n15s | errors 2 | degrade\n30s | errors 0 |\n31s | steps pass | soaking at half", at="half"
    )
    assert world.flags == {**flags_of(guarded, "half"), "MODE": "lite"}


# what it is worth


@pytest.mark.parametrize(("within", "expected"), [("1m", "blocked by rehearsal_missing"), ("2m", "free")])
def test_a_rehearsal_that_is_asked_for_must_have_passed_and_be_young_enough(within: str, expected: str) -> None:
    age = {"1m": timedelta(minutes=1), "2m": timedelta(minutes=2)}[within]
    play(
        practising(asks={"full": Requires(rehearsal=age)}),
        f"""
        0s  |            | ready at half, blocked by rehearsal_missing
        1s  | rehearse   |
        2s  | steps fail |
        3s  | resume     | soaking at canary
        15s |            | ready at canary
        16s | promote    |
        30s |            | ready at half, blocked by rehearsal_missing
        31s | rehearse   |
        32s | steps pass |
        45s |            | ready at half, free
        90s |            | ready at half, free
        105s|            | {expected}
        """,
        at="half",
    )


@pytest.mark.parametrize("steps", ["pass", "fail"])
def test_votes_from_before_a_rehearsal_count_no_more_however_it_ended(steps: str) -> None:
    world = play(
        practising(asks={"full": Requires(approvals("lead"))}),
        f"""
        0s  |               | ready at half
        1s  | propose       |
        2s  | vote GO ann   |
        3s  | rehearse      |
        4s  | steps {steps} |
        5s  | vote GO lea   | refused approvals_missing
        15s |               |
        """,
        at="half",
    )
    assert world.state.dossier.void == "a rollback was rehearsed since it was made"
