"""A lesser service, as timetables: flags laid over those of every stage until a person restores them."""

import json
from typing import Any

import pytest

from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.model import Rollout
from tests.judge.timetable import play
from tests.judge.world import ONLY_TOLD, World, degrade, flags_of, intents, rollout, trigger

SLOW = trigger("Slow", "latency", above=1, action=degrade(MODE="lite"))
ERRORS = trigger("Errors", above=1)


def serving(*parts: Any, **settings: Any) -> Rollout:
    """A rollout with a flag MODE that is the same at every stage."""
    return rollout(*(parts or (SLOW, ERRORS)), more={"MODE": "full"}, **settings)


def lite(stage: str) -> dict[str, Any]:
    """The flags of the stage with the lesser service over them."""
    return {**flags_of(serving(), stage), "MODE": "lite"}


def bodies(world: World, kind: str) -> list[dict[str, Any]]:
    """The intents of that kind."""
    return [body for event, text, _ in world.journal if event == Event.INTENDED and (body := json.loads(text))["kind"] == kind]


def test_a_breach_sets_the_flags_of_a_lesser_service_and_leaves_the_stage_alone() -> None:
    world = play(
        serving(),
        """
        0s      | errors 0, latency 0 | ready at half
        15s     | latency 2           | degrade, ready at half
        30s..5m |                     | soaking at half, drift none, blocked by degraded+trigger_firing
        315s    | latency 0           | ready at half, drift none, blocked by degraded
        316s    | promote             | refused degraded
        """,
        at="half",
    )
    assert world.flags == lite("half")
    (body,) = bodies(world, "degrade")
    assert (body["flags"], body["triggers"], body["why"]) == ({"MODE": "lite"}, ["Slow"], ["Slow: latency 2 > 1"])


def test_what_several_triggers_ask_for_is_set_in_one_go_and_what_is_set_already_not_again() -> None:
    plain = trigger("Plain", "latency", above=5, action=degrade(THEME="plain"))
    world = play(
        rollout(SLOW, plain, more={"MODE": "full", "THEME": "rich"}),
        """
        0s  | latency 9 | degrade
        15s | latency 0 |
        30s | latency 2 | soaking at canary
        """,
    )
    assert [body["flags"] for body in bodies(world, "degrade")] == [{"MODE": "lite", "THEME": "plain"}]


def test_a_second_lesser_service_is_laid_over_the_first() -> None:
    plain = trigger("Plain", "latency", above=5, action=degrade(THEME="plain"))
    world = play(
        rollout(SLOW, plain, more={"MODE": "full", "THEME": "rich"}), "0s | latency 2 | degrade\n15s | latency 9 | degrade\n30s | | drift none"
    )
    assert world.position.degraded == {"MODE": "lite", "THEME": "plain"}


@pytest.mark.parametrize("by", ["errors 2", "a person"])
def test_a_rollback_keeps_the_lesser_service(by: str) -> None:
    line = "30s | errors 2 | rollback to canary" if by == "errors 2" else "29s | rollback |\n30s | |"
    world = play(
        serving(), f"0s | errors 0, latency 2 | degrade\n15s | latency 0 |\n{line}\n45s | errors 0 | rolled_back at canary, drift none", at="half"
    )
    assert world.flags == lite("canary")


def test_a_rollback_and_a_lesser_service_that_are_due_together_come_one_after_the_other() -> None:
    world = play(
        serving(),
        """
        0s  | errors 0, latency 0 |
        15s | errors 2, latency 2 | rollback to canary
        30s | errors 0            | rolled_back at canary
        45s |                     | rolled_back at canary
        60s |                     | degrade, rolled_back at canary
        75s |                     | drift none
        """,
        at="half",
    )
    assert world.flags == lite("canary")


def test_a_rollback_that_comes_before_the_flags_are_set_takes_over_and_goes_to_the_bottom() -> None:
    """Flags without the lesser service are those of no stage by then, and from these every rollback goes to the bottom."""
    world = play(
        serving(),
        """
        0s  | errors 0, latency 0 | ready at half
        15s | latency 2           | degrade, ready at half
        30s | errors 2            | rollback to canary, rolling_back at half
        31s | finish              | rolled_back at baseline
        45s | errors 0            | drift none
        """,
        at="half",
        slow=True,
    )
    assert world.flags == lite("baseline")


def test_a_rollback_to_the_stage_itself_is_none_while_only_flags_of_a_lesser_service_are_being_set() -> None:
    stay = trigger("Stay", above=1, action="rollback to half")
    play(
        serving(SLOW, stay),
        """
        0s  | errors 0, latency 0 |
        15s | latency 2           | degrade
        16s | rollback to half    | refused not_lower
        30s | errors 2            | held, held at half
        31s | finish              | held at half
        """,
        at="half",
        slow=True,
    )


def test_setting_them_may_fail_and_is_tried_again_without_a_change_of_phase() -> None:
    play(
        serving(),
        """
        0s  | errors 0, latency 2 | degrade
        1s  | fail                | soaking at half
        15s |                     | soaking at half
        16s | finish              | soaking at half
        30s |                     | drift none
        """,
        at="half",
        slow=True,
    )


# restored


def test_a_person_restores_what_the_stage_has_and_a_breach_that_goes_on_acts_again() -> None:
    world = play(
        serving(),
        """
        0s       | errors 0, latency 2 | degrade
        15s..30s |                     | soaking at half
        31s      | restore             | soaking at half
        45s      |                     | degrade, drift none
        60s      | latency 0           |
        61s      | restore             |
        75s..5m  |                     | ready at half, free
        """,
        at="half",
    )
    assert world.flags == flags_of(world.rollout, "half")
    assert intents(world) == ["degrade half>half", "restore half>half", "degrade half>half", "restore half>half"]


def test_after_a_restore_a_breach_must_have_been_held_for_its_window_again() -> None:
    patient = trigger("Slow", "latency", above=1, for_="30s", action=degrade(MODE="lite"))
    play(
        serving(patient),
        """
        0s..15s  | latency 2 |
        30s      |           | degrade
        45s..60s |           |
        61s      | restore   |
        75s..90s |           |
        105s     |           | degrade
        """,
    )


def test_restoring_after_a_rollback_sets_what_the_lower_stage_has() -> None:
    world = play(
        serving(), "0s | errors 0, latency 2 | degrade\n15s | latency 0 |\n16s | rollback |\n17s | restore | rolled_back at canary", at="half"
    )
    assert world.flags == flags_of(world.rollout, "canary")
    assert world.position.degraded == {}


def test_a_restore_is_refused_where_there_is_nothing_to_restore_during_a_change_and_in_observe_mode() -> None:
    play(serving(), "0s | errors 0, latency 0 |\n1s | restore | refused")
    play(serving(), "0s | errors 0, latency 2 | degrade\n1s | restore | refused in_transition", slow=True)
    play(serving(enforce=False), "0s | errors 0, latency 2 | observed\n1s | restore | refused observing")


def test_nothing_is_earned_while_it_is_degraded() -> None:
    play(
        serving(SLOW, soak="1m"),
        """
        0s..30s | latency 0 | soaking at canary
        45s     | latency 2 | degrade, soaked 30s
        60s..5m | latency 0 | soaked 30s, blocked by soak+degraded
        301s    | restore   |
        315s    |           | soaked 45s
        330s    |           | ready at canary
        """,
    )


# what the flags are held against


def test_flags_that_were_restored_by_hand_are_of_no_stage() -> None:
    play(
        serving(),
        """
        0s  | errors 0, latency 2                     | degrade
        15s | latency 0                               |
        30s | flags NEW=true PERCENT=50% MODE=full    | held, drift other, blocked by held+drift+degraded
        31s | restore                                 |
        45s |                                         | held at half, drift none, blocked by held
        """,
        at="half",
    )


@pytest.mark.parametrize(
    ("flags", "drift", "expected"),
    [
        ("NEW=true PERCENT=100% MODE=lite", "higher", "rollback to half, rolled_back at half"),
        ("NEW=true PERCENT=10% MODE=lite", "lower", "held at canary"),
        ("NEW=true PERCENT=33% MODE=lite", "other", "held, held at half"),
    ],
)
def test_flags_are_held_against_the_stage_with_the_lesser_service_over_it(flags: str, drift: str, expected: str) -> None:
    world = play(
        serving(), f"0s | errors 0, latency 2 | degrade\n15s | latency 0 | drift none\n30s | flags {flags} | drift {drift}, {expected}", at="half"
    )
    assert isinstance(world.flags, dict)
    assert world.flags["MODE"] == "lite"
    assert world.position.degraded == {"MODE": "lite"}


SMALL = trigger("Slow", "latency", above=1, action=degrade(PERCENT="5%"))


def test_a_lesser_service_is_not_laid_over_flags_that_a_person_lowered_further() -> None:
    world = play(rollout(SMALL), "0s | latency 0 |\n15s | latency 2, flags baseline | held at baseline\n30s..1h | | held at baseline", at="half")
    assert world.flags == flags_of(world.rollout, "baseline")


def test_it_waits_for_flags_of_no_stage_to_be_put_right() -> None:
    world = play(
        rollout(SMALL),
        """
        0s  | latency 0                              | ready at half
        15s | latency 2, flags NEW=false PERCENT=50% | held, held at half
        30s |                                        | held at half
        45s | flags half                             | degrade, held at half
        """,
        at="half",
    )
    assert world.flags == {"NEW": "true", "PERCENT": "5%"}


def test_it_waits_for_a_raise_to_be_taken_back() -> None:
    play(
        serving(),
        """
        0s  | errors 0, latency 0   |
        15s | latency 2, flags full | rollback to half
        30s |                       | degrade, rolled_back at half
        """,
        at="half",
    )


def test_where_a_raise_is_only_told_the_lesser_service_does_not_wait_for_it() -> None:
    play(serving(on_drift=ONLY_TOLD), "0s | errors 0, latency 0 |\n15s | latency 2, flags full | degrade, drift higher", at="half")
