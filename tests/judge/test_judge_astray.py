"""Flags that somebody else changed, as timetables: a raise is taken back at once, a lowering stays, anything else stops the way up."""

import json
from datetime import timedelta
from typing import Any

import pytest

from rollback_daemon.judge.drift import Drift, locate
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.duties import Fresh, OnDrift, OnOther, OnRaise, Requires
from tests.judge.timetable import play
from tests.judge.world import START, World, approvals, flags_called, flags_of, gate, intents, rollout, trigger

NUMERIC = rollout(trigger("Errors", above=1), percent="{}")


def told(world: World, event: Event) -> list[dict[str, Any]]:
    """What the journal has of this event."""
    return [json.loads(body) for name, body, _ in world.journal if name == event]


# raised


@pytest.mark.parametrize(
    "flags",
    [
        "full",  # those of a higher stage, fully
        "NEW=true PERCENT=1.0",
        "NEW=true PERCENT=0.7",  # a number between two stages
        "NEW=true PERCENT=3",  # beyond the ladder
    ],
)
def test_flags_that_were_raised_are_taken_back_to_the_stage_on_record_at_once(flags: str) -> None:
    world = play(
        NUMERIC,
        f"""
        0s  | errors 0      | ready at half
        15s | flags {flags} | drift higher, rollback to half, rolled_back at half, blocked by latched+drift
        30s |               | drift none, rolled_back at half, blocked by latched
        31s | resume        |
        45s |               | ready at half, free
        """,
        at="half",
    )
    assert world.flags == flags_of(NUMERIC, "half")
    assert intents(world) == ["rollback half>half"]


@pytest.mark.parametrize(
    ("flags", "drift"),
    [
        ("NEW=true PERCENT=0.0", Drift.HIGHER),  # one flag of two: half a raise is a raise
        ("NEW=false PERCENT=0.33", Drift.HIGHER),
        ("NEW=false PERCENT=-1", Drift.OTHER),
        ("NEW=perhaps PERCENT=0.0", Drift.OTHER),
        ("NEW=true PERCENT=lots", Drift.OTHER),
        ("NEW=true", Drift.OTHER),  # one is missing
    ],
)
def test_from_the_bottom_a_value_from_further_up_is_a_raise_and_an_unknown_one_is_not(flags: str, drift: Drift) -> None:
    assert locate(NUMERIC, NUMERIC.stages[0], flags_called(NUMERIC, flags)).drift is drift


@pytest.mark.parametrize(
    ("percent", "drift"), [("0.33", Drift.OTHER), ("0.51", Drift.HIGHER), ("9", Drift.HIGHER), ("0.1", Drift.LOWER), ("nan", Drift.OTHER)]
)
def test_a_number_counts_as_raised_on_the_side_to_which_the_ladder_goes(percent: str, drift: Drift) -> None:
    assert locate(NUMERIC, NUMERIC.stages[2], {"NEW": "true", "PERCENT": percent}).drift is drift


@pytest.mark.parametrize(("percent", "drift"), [("33", Drift.HIGHER), ("33%", Drift.OTHER), ("5", Drift.OTHER), ("101", Drift.HIGHER)])
def test_a_percentage_is_a_number_where_it_is_written_as_one(percent: str, drift: Drift) -> None:
    whole = rollout(percent="{1}")
    assert locate(whole, whole.stages[1], {"NEW": "true", "PERCENT": percent}).drift is drift


def test_a_number_of_another_type_than_the_ladder_s_is_no_raise() -> None:
    whole = rollout(percent="{1}")
    assert locate(whole, whole.stages[1], {"NEW": "true", "PERCENT": 33}).drift is Drift.OTHER


AT_EACH_PHASE = [
    ("baseline", "15s | | baseline at baseline"),
    ("canary", "15s | | soaking at canary"),
    ("canary", "30s | | ready at canary"),
    ("canary", "15s | hold | held at canary"),
    ("half", "15s | rollback | rolled_back at canary"),
]


@pytest.mark.parametrize(("at", "line"), AT_EACH_PHASE)
def test_a_raise_is_taken_back_in_every_phase(at: str, line: str) -> None:
    stage = line.rpartition(" ")[2]
    world = play(rollout(soak="30s"), f"0s | |\n{line}\n45s | flags full | rollback to {stage}, rolled_back at {stage}", at=at)
    assert world.flags == flags_of(world.rollout, stage)


def test_a_raise_beyond_the_top_is_taken_back_to_the_top() -> None:
    play(NUMERIC, "0s | errors 0 | complete at full\n15s | flags NEW=true PERCENT=2 | rollback to full, rolled_back at full", at="full")


def test_a_raise_while_a_rollback_fails_is_undone_by_that_very_rollback() -> None:
    world = play(
        rollout(trigger("Errors", above=1)),
        """
        0s  | errors 0   |
        15s | errors 2   | rollback to canary
        16s | fail       | failed at half
        30s | flags full | failed at half, drift none
        31s | finish     | rolled_back at canary
        45s |            | rolled_back at canary, drift none
        """,
        at="half",
        slow=True,
    )
    assert world.flags == flags_of(world.rollout, "canary")


def test_a_raise_costs_neither_the_time_soaked_nor_the_stage_s_beginning_and_needs_a_resume() -> None:
    world = play(
        rollout(gate("Steady", for_="1m", below=1), soak="1m"),
        """
        0s..15s | errors 0    | soaking at canary
        30s     |             | soaked 30s
        45s     | flags half  | rollback to canary, rolled_back at canary
        60s     |             | rolled_back at canary, soaked 30s
        61s     | resume      | soaking at canary
        75s     |             | soaked 45s, blocked by soak+gate_time
        90s     |             | soaked 60s, ready at canary
        """,
    )
    assert world.position.entered == START


def test_each_raise_is_taken_back_anew() -> None:
    world = play(
        rollout(), "0s | |\n15s | flags full | rollback to canary\n30s | flags half | rollback to canary\n45s | flags full | rollback to canary"
    )
    assert len(set(told_ids(world))) == 3


def told_ids(world: World) -> list[str]:
    return [body["id"] for body in told(world, Event.INTENDED)]


def test_a_raise_is_seen_between_two_evaluations_and_taken_back_there() -> None:
    world = play(
        rollout(),
        """
        0s  |                     | ready at canary
        1s  | flags half, glance  | rollback to canary, rolled_back at canary
        2s  | glance              | drift none
        3s  | promote             | refused latched
        15s |                     | rolled_back at canary
        """,
    )
    assert [body["drift"] for body in told(world, Event.DRIFT)] == ["higher", "none"]


def test_a_glance_tells_nothing_of_flags_that_are_as_they_should_be_or_cannot_be_read() -> None:
    world = play(rollout(), "0s | | ready at canary\n1s | glance | free\n2s | flags unreadable, glance | free")
    assert [event for event, _, _ in world.journal] == ["adopted", "ready"]


def test_in_observe_mode_it_is_said_once_what_would_have_been_done() -> None:
    world = play(
        rollout(enforce=False), "0s | |\n15s | flags full | observed, drift higher, blocked by drift\n30s..2m | | drift higher, blocked by drift"
    )
    (body,) = told(world, Event.OBSERVED)
    assert (body["alert"], body["would"]) == ("RolloutDrift", "rollback to canary")
    assert intents(world) == []


def test_where_a_raise_is_only_told_it_stops_the_way_up_and_nothing_else() -> None:
    tolerant = rollout(trigger("Errors", above=1), on_drift=OnDrift(raised=OnRaise.ALERT))
    play(tolerant, "0s | errors 0 |\n15s..1m | flags full | soaking at canary, blocked by drift\n75s | errors 2 | rollback to canary")


# the record of it


ASKING = rollout(
    gate("Low", below=1), soak="1h", asks={"half": Requires(approvals("lead", "security"), ("day-0",), (Fresh("load", timedelta(hours=1)),))}
)


def test_the_record_of_a_raise_names_the_keys_who_is_known_and_all_that_a_promotion_would_have_needed() -> None:
    world = World(ASKING, flags_of(ASKING, "canary"), trace={"owner": "mallory", "modified": "12:00:14"})
    world.evaluate({}, START)
    world.flags = flags_of(ASKING, "half")
    world.evaluate({}, START + timedelta(seconds=15))
    (drift,) = told(world, Event.DRIFT)
    assert drift["keys"] == {"PERCENT": {"expected": "10%", "actual": "50%"}}
    assert (drift["drift"], drift["stage"]) == ("higher", "half")
    assert drift["known"] == {"owner": "mallory", "modified": "12:00:14"}
    assert [
        words for words in ("soaked", "day-0", "load", "nobody has proposed", "gate Low") if not any(words in one for one in drift["missing"])
    ] == []
    assert not any("not those of the stage" in one for one in drift["missing"])
    (back,) = told(world, Event.INTENDED)
    assert back["why"] == ['PERCENT: 10% -> 50%; no promotion to "half" is on record (owner mallory, modified 12:00:14)']
    assert (back["code"], back["keys"]) == ("drift", drift["keys"])


def test_flags_beyond_the_ladder_are_called_such_flags() -> None:
    world = play(NUMERIC, "0s | errors 0 |\n15s | flags NEW=true PERCENT=3 | rollback to canary")
    assert world.position.why == "PERCENT: 0.1 -> 3; no promotion to such flags is on record"


# lowered


@pytest.mark.parametrize(("before", "phase"), [("", "held"), ("hold", "held"), ("rollback", "rolled_back")])
def test_flags_that_a_person_lowered_are_where_the_rollout_is_from_then_on(before: str, phase: str) -> None:
    world = play(
        rollout(),
        f"""
        0s  |                | complete at full
        1s  | {before}       |
        15s | flags baseline | {phase} at baseline, drift lower
        30s |                | {phase} at baseline, drift none
        1h  |                | {phase} at baseline
        """,
        at="full",
    )
    assert intents(world) == (["rollback full>half"] if before == "rollback" else [])
    assert world.flags == flags_of(world.rollout, "baseline")


def test_why_it_is_held_says_what_was_lowered_and_a_person_s_own_hold_is_not_forgotten_for_it() -> None:
    world = play(rollout(), "0s | | ready at half\n15s | flags canary | held at canary", at="half")
    assert world.position.why == 'its flags were lowered by hand to those of "canary": PERCENT: 50% -> 10%'
    asked = play(rollout(), "0s | | ready at half\n1s | hold |\n15s | flags canary | held at canary", at="half")
    assert asked.position.why == "ann: asked"


def test_a_lowering_is_seen_between_two_evaluations_too() -> None:
    play(rollout(), "0s | | ready at half\n1s | flags canary, glance | held at canary\n15s | | held at canary, drift none", at="half")


AGAIN = rollout(trigger("Errors", above=1, action="rollback to canary"), asks={"half": Requires(approvals("lead"))}, automatic=["half", "full"])


def test_what_a_person_lowered_stays_so_through_automatic_promotion_triggers_and_restarts() -> None:
    world = play(
        AGAIN,
        """
        0s  | errors 0                 | proposed, ready at canary
        1s  | vote GO ann              |
        15s | flags baseline           | held at baseline, blocked by held+drift
        30s | errors 2                 | voided, held at baseline
        45s | stop                     |
        60s | start                    |
        75s | errors 0                 | held at baseline
        76s | promote                  | refused held
        90s | resume                   | baseline at baseline, free
        2h  |                          | baseline at baseline
        """,
    )
    assert world.flags == flags_of(AGAIN, "baseline")
    assert intents(world) == []


def test_a_lowering_and_a_breach_in_the_same_evaluation_lead_no_higher_than_the_flags_are() -> None:
    play(
        rollout(trigger("Errors", above=1)),
        "0s | errors 0 |\n15s | errors 2, flags baseline | rollback to baseline, rolled_back at baseline",
        at="half",
    )


def test_a_promotion_is_not_carried_out_over_flags_that_a_person_lowered_meanwhile() -> None:
    world = play(
        rollout(),
        """
        0s  |                          | ready at half
        1s  | promote                  |
        2s  | flags canary             | promoting at half
        3s  | finish                   | rolled_back at canary
        15s |                          | rolled_back at canary, drift none
        """,
        at="half",
        slow=True,
    )
    assert world.position.code == "promotion_failed"


def test_raising_again_by_hand_what_was_lowered_by_hand_is_a_raise() -> None:
    play(
        rollout(),
        "0s | | ready at half\n15s | flags canary | held at canary\n30s | flags half | rollback to canary, rolled_back at canary",
        at="half",
    )


# of no stage


def test_a_switch_turned_off_alone_is_of_no_stage_and_stays_off() -> None:
    world = play(
        rollout(trigger("Errors", above=1)),
        """
        0s       | errors 0                    | ready at half
        15s      | flags NEW=false PERCENT=50% | held, held at half, drift other, blocked by held+drift
        30s..1h  |                             | held at half
        3601s    | resume                      | soaking at half
        3602s    | promote                     | refused drift
        3615s    |                             | held, held at half
        """,
        at="half",
    )
    assert world.flags == {"NEW": "false", "PERCENT": "50%"}


def test_flags_of_no_stage_go_to_the_bottom_where_the_rules_say_so() -> None:
    strict = rollout(on_drift=OnDrift(other=OnOther.ROLLBACK))
    world = play(strict, "0s | | ready at half\n15s | flags odd | rollback to baseline, rolled_back at baseline\n30s | | drift none", at="half")
    assert world.position.why == "its flags are those of no stage: PERCENT: 50% -> 33%"


def test_flags_of_no_stage_leave_a_latch_as_it_is() -> None:
    play(rollout(), "0s | |\n1s | rollback |\n15s..1m | flags odd | rolled_back at canary, drift other", at="half")


def test_a_trigger_that_only_holds_or_tries_does_not_put_a_raise_off_to_the_next_evaluation() -> None:
    for also in (trigger("Queue", "queue", above=1, action="hold"), trigger("Tried", "queue", above=1, dry_run=True)):
        word = "observed" if also.dry_run else "held"
        play(
            rollout(also),
            f"""
            0s  | queue 0              | ready at canary
            15s | queue 2, flags half  | {word}, rollback to canary, rolled_back at canary
            """,
        )
