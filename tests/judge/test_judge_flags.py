"""Where the flags really are, as timetables: first sight, edits by hand, rollbacks that people ask for. Nothing here ever raises a flag."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import requests
from rollback_daemon.judge.drift import Drift, locate
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.model import Stage
from tests.judge.timetable import play
from tests.judge.world import ONLY_TOLD, START, World, flags_of, gate, rollout, trigger

QUARTER = timedelta(seconds=15)

# first sight


@pytest.mark.parametrize(("flags", "phase"), [("baseline", "baseline"), ("canary", "ready"), ("half", "ready"), ("full", "complete")])
def test_at_first_sight_its_stage_follows_from_its_flags(flags: str, phase: str) -> None:
    play(rollout(), f"0s | | {phase} at {flags}, free" if flags != "full" else "0s | | complete at full", at=flags)


def test_flags_of_no_stage_hold_it_at_first_sight_until_they_are_put_right() -> None:
    play(
        rollout(),
        """
        0s..1m | flags odd  | held at baseline, drift other, blocked by held+drift
        75s    | flags half | ready at half, drift none, free
        """,
    )


def test_a_person_s_hold_outlasts_putting_the_flags_right() -> None:
    play(
        rollout(),
        """
        0s  | flags odd  | held at baseline
        1s  | hold       | held at baseline
        15s | flags half | held at half, blocked by held
        """,
    )


def test_flags_of_no_stage_at_first_sight_are_taken_to_the_bottom_by_a_breach() -> None:
    world = play(rollout(trigger("Errors", above=1)), "0s | flags odd, errors 2 | rollback to baseline, rolled_back at baseline")
    assert world.flags == flags_of(world.rollout, "baseline")


def test_while_its_flags_have_never_been_read_nothing_is_decided_and_nothing_is_on_record() -> None:
    guarded = rollout(trigger("Errors", above=1), gate("Errors", below=1))
    world = play(guarded, "0s..1m | flags unreadable, errors 2 | blocked by flags_unreadable")
    assert world.state.position is None
    assert world.journal == []
    play(guarded, "0s..1m | flags unreadable, errors 2 |\n75s | flags canary | Errors firing, rollback to baseline")


def test_a_stage_that_is_no_longer_in_the_rule_file_is_found_by_its_flags() -> None:
    world = play(rollout(), "0s | | ready at canary")
    canary = world.rollout.stages[1]
    world.rollout = replace(world.rollout, stages=(world.rollout.stages[0], replace(canary, name="small"), *world.rollout.stages[2:]))
    world.evaluate({}, START + QUARTER)
    assert (world.position.phase, world.position.stage) == ("ready", "small")


@pytest.mark.parametrize("flags", ["canary", "odd"])
def test_a_latch_outlasts_the_renaming_of_its_stage(flags: str) -> None:
    world = play(rollout(), "0s | | ready at half\n1s | rollback | rolled_back at canary", at="half")
    small = Stage("small", 1, 0.1, flags_of(world.rollout, "canary"))
    world.rollout = replace(world.rollout, stages=(world.rollout.stages[0], small, *world.rollout.stages[2:]))
    world.flags = flags_of(rollout(), "canary") if flags == "canary" else {"NEW": "maybe", "PERCENT": "1%"}
    world.evaluate({}, START + QUARTER)
    assert (world.position.phase, world.position.stage) == ("rolled_back", "small" if flags == "canary" else "baseline")


# edits by hand


def test_the_keys_that_differ_are_named_with_what_was_expected() -> None:
    guarded = rollout()
    where = locate(guarded, guarded.stages[1], {"NEW": "true", "PERCENT": "33%"})
    assert where.drift is Drift.OTHER
    assert where.keys == {"PERCENT": ("10%", "33%")}


def test_types_count() -> None:
    stage = Stage("on", 1, 1.0, {"NEW": True})
    guarded = replace(rollout(), stages=(Stage("baseline", 0, 0.0, {"NEW": False}), stage))
    assert locate(guarded, stage, {"NEW": True}).drift is Drift.NONE
    assert locate(guarded, stage, {"NEW": "true"}).drift is Drift.OTHER
    assert locate(guarded, stage, {"NEW": 1}).drift is Drift.OTHER
    assert locate(guarded, stage, {}).drift is Drift.OTHER


def test_of_stages_with_the_same_flags_the_one_on_record_is_believed_and_otherwise_the_highest() -> None:
    guarded = rollout()
    twin = replace(guarded.stages[2], flags=guarded.stages[1].flags)
    guarded = replace(guarded, stages=(*guarded.stages[:2], twin, guarded.stages[3]))
    flags = flags_of(guarded, "canary")
    assert locate(guarded, guarded.stages[1], flags).drift is Drift.NONE
    assert locate(guarded, guarded.stages[2], flags).drift is Drift.NONE
    assert locate(guarded, guarded.stages[0], flags).stage is twin


@pytest.mark.parametrize(
    ("flags", "drift", "target"),
    [("baseline", "lower", "baseline"), ("canary", "lower", "canary"), ("full", "higher", "half")],
)
def test_a_rollback_starts_from_where_the_flags_are_and_never_raises_them(flags: str, drift: str, target: str) -> None:
    play(
        rollout(trigger("Errors", above=1), on_drift=ONLY_TOLD),
        f"""
        0s  | errors 0      | ready at half
        15s | flags {flags} | soaking at half, drift {drift}, blocked by drift
        30s | errors 2      | rollback to {target}, rolled_back at {target}
        45s | errors 0      | drift none
        """,
        at="half",
    )


def test_a_rollback_from_flags_of_no_stage_goes_to_the_bottom() -> None:
    play(
        rollout(trigger("Errors", above=1)),
        """
        0s  | errors 0  | ready at half
        15s | flags odd | held, held at half, drift other, blocked by held+drift
        30s | errors 2  | rollback to baseline, rolled_back at baseline
        45s | errors 0  | drift none
        """,
        at="half",
    )


def test_flags_of_no_stage_hold_it_until_they_are_put_right_and_it_is_resumed() -> None:
    world = play(
        rollout(soak="1m"),
        """
        0s..30s | flags canary | soaking at canary
        45s     | flags odd    | held, held at canary, soaked 30s
        60s..2m |              | held at canary, drift other, soaked 30s
        121s    | resume       | soaking at canary
        135s    |              | held, held at canary
        150s    | flags canary | held at canary, drift none, blocked by held+soak
        151s    | resume       | soaking at canary
        165s    |              | soaked 45s
        180s    |              | ready at canary
        """,
    )
    assert [event for event, _, _ in world.journal].count(Event.DRIFT) == 2


@pytest.mark.parametrize("to", ["baseline", "canary", "half"])
def test_a_rollback_to_a_named_stage_does_not_raise_flags_that_a_person_lowered(to: str) -> None:
    world = play(
        rollout(trigger("Errors", above=1, action=f"rollback to {to}"), on_drift=ONLY_TOLD),
        """
        0s  | errors 0       | complete at full
        15s | flags baseline | drift lower
        30s | errors 2       | rollback to baseline, rolled_back at baseline
        """,
        at="full",
    )
    assert world.flags == flags_of(world.rollout, "baseline")


def test_flags_that_cannot_be_read_do_not_keep_it_from_being_taken_back() -> None:
    play(
        rollout(trigger("Errors", above=1)),
        """
        0s  | errors 0         | ready at half
        15s | flags unreadable | soaking at half, drift unreadable, blocked by flags_unreadable
        30s | errors 2         | rollback to canary, rolling_back at half
        """,
        at="half",
        slow=True,
    )


def test_flags_raised_by_hand_after_a_rollback_are_taken_back_at_once_while_the_breach_goes_on() -> None:
    play(
        rollout(trigger("Errors", above=1)),
        """
        0s       | errors 2   | rollback to baseline
        15s..10m |            | rolled_back at baseline
        615s     | flags full | drift higher, rollback to baseline, rolled_back at baseline
        630s     |            | drift none, rolled_back at baseline
        """,
    )


def test_flags_raised_by_hand_from_a_baseline_with_no_armed_trigger_are_guarded_all_the_same() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s"), on_drift=ONLY_TOLD),
        """
        0s       | errors 0              | baseline at baseline
        15s..30s | errors 2, flags full  | Errors pending
        45s      |                       | rollback to baseline
        """,
        at="baseline",
    )


def test_flags_on_their_way_are_no_drift() -> None:
    play(
        rollout(),
        """
        0s  |                            | baseline at baseline
        1s  | promote                    |
        2s  | flags NEW=true PERCENT=0%  |
        15s |                            | promoting at baseline, drift none
        16s | finish                     | soaking at canary
        30s |                            | ready at canary, drift none
        """,
        at="baseline",
        slow=True,
    )


def test_flags_on_their_way_down_are_no_drift() -> None:
    play(rollout(), "0s | | ready at half\n1s | rollback |\n2s | write |\n15s | | rolling_back at half, drift none", at="half", slow=True)
    play(rollout(), "0s | | ready at half\n1s | promote |\n2s | write |\n15s | | promoting at half, drift none", at="half", slow=True)


def test_flags_read_before_a_transition_ended_are_no_drift() -> None:
    world = play(rollout(trigger("Errors", above=1)), "0s | errors 0 | ready at half\n1s | rollback |", at="half", slow=True)
    world.finish(START + timedelta(seconds=15, milliseconds=300))
    world.flags = flags_of(world.rollout, "half")  # what the cycle of 15 s read before
    step = world.evaluate({}, START + QUARTER)
    assert step.judgement.whereabouts.drift is Drift.NONE
    assert [one.armed for one in step.judgement.triggers] == [True]
    assert step.happened == ()


def test_lowering_the_flags_during_a_promotion_takes_it_back() -> None:
    world = play(
        rollout(),
        """
        0s  |                | ready at half
        1s  | promote        |
        2s  | fail           | promoting at half
        3s  | flags baseline |
        15s |                | rollback to baseline, rolling_back at half
        16s | finish         | rolled_back at baseline
        """,
        at="half",
        slow=True,
    )
    assert 'set to those of "baseline" while it was being promoted to "full"' in world.position.why


def test_a_drift_is_on_record_when_it_begins_and_when_it_ends_and_keeps_its_beginning() -> None:
    world = play(rollout(on_drift=ONLY_TOLD), "0s..15s | |\n30s..60s | flags half | drift higher\n75s | flags baseline | drift lower")
    assert world.state.drift_since == START + 2 * QUARTER
    world.flags = flags_of(world.rollout, "canary")
    world.evaluate({}, START + 6 * QUARTER)
    assert world.state.drift_since is None
    assert [event for event, _, _ in world.journal].count(Event.DRIFT) == 3


# people


@pytest.mark.parametrize(
    ("at", "asked", "reached"), [("full", "", "half"), ("full", "canary", "canary"), ("canary", "", "baseline"), ("half", "baseline", "baseline")]
)
def test_a_person_may_take_it_back(at: str, asked: str, reached: str) -> None:
    phase = "complete" if at == "full" else "ready"
    world = play(rollout(), f"0s | | {phase} at {at}\n1s | rollback {'to ' + asked if asked else ''} | rolled_back at {reached}", at=at)
    assert (world.position.by, world.position.why, world.position.origin) == ("ann", "ann: asked", at)


@pytest.mark.parametrize("to", ["canary", "half", "full"])
def test_a_rollback_to_a_stage_that_is_not_below_is_refused(to: str) -> None:
    play(rollout(), f"0s | | ready at canary\n1s | rollback to {to} | refused not_lower, ready at canary")


def test_a_rollback_to_a_stage_that_is_not_there_is_refused() -> None:
    world = play(rollout(), "0s | | ready at canary")
    with pytest.raises(OperationRefused, match='checkout has no stage "haf"; it has baseline, canary, half, full'):
        requests.rollback(world.rollout, world.state, None, "haf", "ann", "asked", START)


def test_a_rollback_is_refused_in_observe_mode() -> None:
    play(rollout(enforce=False), "0s | | ready at canary\n1s | rollback | refused observing")


@pytest.mark.parametrize("to", ["half", "full"])
def test_without_an_evaluation_a_rollback_during_a_promotion_still_goes_no_higher_than_the_record(to: str) -> None:
    world = play(rollout(), "0s | | ready at canary\n1s | promote |", slow=True)
    with pytest.raises(Refusal):
        requests.rollback(world.rollout, world.state, None, to, "ann", "asked", START)


def test_a_rollback_during_a_promotion_goes_to_where_it_came_from_unless_a_lower_stage_is_asked_for() -> None:
    play(rollout(), "0s | | ready at canary\n1s | promote |\n2s | rollback |\n3s | finish | rolled_back at canary", slow=True)
    play(rollout(), "0s | | ready at canary\n1s | promote |\n2s | rollback to canary |\n3s | finish | rolled_back at canary", slow=True)
    play(rollout(), "0s | | ready at canary\n1s | promote |\n2s | rollback to baseline |\n3s | finish | rolled_back at baseline", slow=True)


def test_while_a_rollback_fails_only_a_lower_one_is_granted() -> None:
    world = play(
        rollout(),
        """
        0s | | ready at half
        1s | rollback |
        2s | fail     | failed at half
        3s | rollback | refused in_transition, failed at half
        4s | rollback to canary | refused in_transition
        """,
        at="half",
        slow=True,
    )
    with pytest.raises(Refusal, match=r'already being rolled back to "canary"; the last try failed \(disk full\), and it is tried again'):
        requests.rollback(world.rollout, world.state, None, None, "ann", "asked", START)
    world.accept(requests.rollback(world.rollout, world.state, None, "baseline", "ann", "asked", START), START + QUARTER)
    world.finish(START + QUARTER)
    assert (world.position.phase, world.position.stage) == ("rolled_back", "baseline")


@pytest.mark.parametrize(
    ("flags", "asked", "expected"),
    [
        ("baseline", "", "rolled_back at baseline"),  # what a person already did is put on record
        ("baseline", "canary", "refused drift"),  # and not undone
        ("baseline", "baseline", "rolled_back at baseline"),
        ("full", "", "rolled_back at half"),
        ("full", "half", "rolled_back at half"),
        ("full", "full", "refused not_lower"),
        ("odd", "canary", "rolled_back at baseline"),
        ("odd", "half", "rolled_back at baseline"),
    ],
)
def test_a_person_s_rollback_follows_the_flags_too(flags: str, asked: str, expected: str) -> None:
    play(
        rollout(on_drift=ONLY_TOLD),
        f"""
        0s  |                                             | ready at half
        15s | flags {flags}                               | {"held" if flags == "odd" else ""}
        16s | rollback {"to " + asked if asked else ""}   | {expected}
        """,
        at="half",
    )


def test_a_person_may_take_it_back_from_wherever_it_is() -> None:
    guarded: World = play(
        rollout(),
        """
        0s  |                      | complete at full
        1s  | hold                 | held at full
        2s  | rollback             | rolled_back at half
        3s  | rollback             | rolled_back at canary
        15s |                      | rolled_back at canary
        16s | resume               | soaking at canary
        17s | rollback             | rolled_back at baseline
        18s | resume               | baseline at baseline
        19s | rollback             | refused not_lower
        """,
        at="full",
    )
    assert guarded.flags == flags_of(guarded.rollout, "baseline")
