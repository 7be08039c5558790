"""What gates come to over a stage, as timetables: so long without a break, so often, seen for so long; and that a trigger has been quiet."""

import pytest

from tests.judge.timetable import play
from tests.judge.world import ONLY_TOLD, gate, quiet, rollout, trigger

STEADY = rollout(gate("Steady", for_="1m", below=1))
OFTEN = rollout(gate("Often", share=0.75, below=1))
WINDOW = rollout(gate("Window", share=0.75, for_="2m", below=1))
KNOWN = rollout(gate("Known", min_data="1m", below=1))

# for


def test_a_gate_must_pass_for_so_long_without_a_break() -> None:
    play(
        STEADY,
        """
        0s..45s   | errors 0 | soaking at canary, blocked by gate_time
        60s       |          | ready at canary, free
        75s       | errors 2 | soaking at canary, blocked by gate_violated
        90s..135s | errors 0 | blocked by gate_time
        150s      |          | ready at canary, free
        """,
    )


@pytest.mark.parametrize("sight", ["nothing", "NaN", "failed"])
def test_what_cannot_be_told_breaks_the_time_without_a_break(sight: str) -> None:
    play(STEADY, f"0s..45s | errors 0 |\n60s | errors {sight} | blocked by gate_unknown\n75s..2m | errors 0 | blocked by gate_time\n135s | | free")


def test_a_gap_longer_than_max_gap_breaks_it_and_a_shorter_one_does_not() -> None:
    play(STEADY, "0s..30s | errors 0 |\n31s | stop |\n75s | start | free")
    play(STEADY, "0s..30s | errors 0 |\n31s | stop |\n90s | start | blocked by gate_time\n150s | | free")


def test_time_in_which_the_flags_were_others_does_not_count_and_a_breach_in_it_breaks_it() -> None:
    guarded = rollout(gate("Steady", for_="1m", below=1), on_drift=ONLY_TOLD)
    play(
        guarded,
        """
        0s..30s   | errors 0     |
        45s..3m   | flags half   | drift higher, blocked by drift+gate_time
        195s      | flags canary | blocked by gate_time
        210s      |              | free
        """,
    )
    play(
        guarded,
        """
        0s..1m    | errors 0               |
        75s       | flags half, errors 2   | blocked by drift+gate_violated
        90s       | flags canary, errors 0 | blocked by gate_time
        150s      |                        | free
        """,
    )


def test_a_gate_that_is_not_asked_for_here_earns_nothing_here() -> None:
    play(
        rollout(gate("Steady", for_="1m", below=1, stages=["half"])),
        "0s..5m | errors 0 | ready at canary, free\n301s | promote |\n315s..360s | | blocked by gate_time\n375s | | free",
    )


# share


@pytest.mark.parametrize(("bad", "expected"), [("15s", "free"), ("0s..15s", "blocked by gate_time")])
def test_a_gate_must_pass_in_a_share_of_the_evaluations_at_the_stage(bad: str, expected: str) -> None:
    play(OFTEN, f"{'0s | errors 0 |' if bad == '15s' else ''}\n{bad} | errors 2 |\n30s | errors 0 |\n60s | | {expected}")


def test_a_share_is_of_the_evaluations_that_could_tell() -> None:
    play(
        OFTEN,
        """
        0s  | errors nothing | blocked by gate_unknown
        15s | errors 0       | ready at canary, free
        30s | errors 2       | blocked by gate_violated
        45s | errors 0       | blocked by gate_time
        60s | errors failed  | blocked by gate_unknown
        75s | errors 0       | ready at canary, free
        """,
    )


def test_a_share_begins_anew_with_each_stage() -> None:
    play(OFTEN, "0s..10m | errors 0 | free\n601s | promote |\n615s | errors 2 | blocked by gate_violated\n630s | errors 0 | blocked by gate_time")


def test_a_share_over_a_window_needs_the_window_to_have_been_looked_at_and_forgets_what_is_older() -> None:
    play(
        WINDOW,
        """
        0s..45s   | errors 2 | blocked by gate_violated
        60s..105s | errors 0 | blocked by gate_time
        120s      |          | blocked by gate_time
        135s      |          | blocked by gate_time
        150s      |          | free
        1h        |          | free
        """,
    )


@pytest.mark.parametrize(("interval", "window"), [("15s", "100s"), ("1m", "90s"), ("30s", "61s"), ("7s", "2m")])
def test_a_window_that_is_no_multiple_of_the_interval_fills_up_all_the_same(interval: str, window: str) -> None:
    guarded = rollout(gate("Window", share=0.75, for_=window, below=1), interval=interval, max_gap="3m")
    play(guarded, "0s | errors 0 | blocked by gate_time\n7m | | ready at canary, free")


def test_a_gap_at_the_beginning_of_a_window_was_not_looked_at() -> None:
    play(
        WINDOW,
        """
        0s..105s  | errors 0 | blocked by gate_time
        2m        |          | free
        121s      | stop     |
        210s      | start    | free
        225s      |          | free
        240s..315s|          | blocked by gate_time
        330s      |          | free
        """,
    )


# min_data


def test_a_signal_must_have_been_seen_for_so_long_at_the_stage_whatever_it_said() -> None:
    play(
        KNOWN,
        """
        0s       | errors nothing | blocked by gate_unknown
        15s..30s | errors 2       | blocked by gate_violated
        45s      | errors nothing | blocked by gate_unknown
        60s      | errors 0       | blocked by gate_data
        75s      |                | ready at canary, free
        """,
    )


def test_a_gap_longer_than_max_gap_was_not_seen() -> None:
    play(KNOWN, "0s..30s | errors 0 |\n31s | stop |\n10m | start | blocked by gate_data\n615s | | blocked by gate_data\n630s | | free")


# quiet


def test_a_trigger_must_not_have_fired_since_the_stage_began_or_a_person_said_go_on() -> None:
    play(
        rollout(quiet("Calm", "Alarm"), trigger("Alarm", above=1, action="alert")),
        """
        0s       | errors 0 | ready at canary, free
        15s      | errors 2 | soaking at canary, blocked by gate_violated+trigger_firing
        30s..5m  | errors 0 | soaking at canary, blocked by gate_violated
        301s     | hold     |
        302s     | resume   |
        315s     |          | ready at canary, free
        """,
    )


def test_a_trigger_that_was_pending_or_that_fired_at_an_earlier_stage_has_been_quiet() -> None:
    calm = rollout(quiet("Calm", "Alarm"), trigger("Alarm", above=1, for_="1m", action="alert"))
    play(calm, "0s..45s | errors 2 | blocked by trigger_pending\n60s | errors 0 | ready at canary, free")
    play(
        calm,
        """
        0s..45s | errors 2 |
        60s     |          | blocked by gate_violated+trigger_firing
        75s     | errors 0 | blocked by gate_violated
        76s     | rollback | rolled_back at baseline
        77s     | resume   |
        90s     |          | baseline at baseline, free
        """,
    )


def test_a_trigger_that_is_still_firing_when_the_stage_begins_has_not_been_quiet_there() -> None:
    play(
        rollout(quiet("Calm", "Alarm"), trigger("Alarm", above=1, delay="10s", action="alert", stages=("half",))),
        """
        0s  | errors 2 | ready at canary, free
        1s  | promote  | soaking at half
        15s |          | blocked by gate_violated+trigger_firing
        30s | errors 0 | blocked by gate_violated
        """,
    )


def test_of_several_triggers_each_must_have_been_quiet_and_those_that_were_not_are_named() -> None:
    loud = [trigger(name, name, above=1, action="alert") for name in ("A", "B", "C")]
    world = play(rollout(quiet("Calm", "A", "B"), *loud), "0s | A 2, B 2, C 2 |\n15s | A 0, B 0, C 0 | blocked by gate_violated")
    assert world.judgement
    fired = "A at 2026-03-01 12:00:00, B at 2026-03-01 12:00:00"
    assert str(world.judgement.blockers[0]) == f"gate Calm: fired since this stage began: {fired}"
