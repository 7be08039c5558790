"""Losing and regaining sight, as timetables: when a rollout counts as blind, and that nothing is taken back for it."""

from datetime import UTC, datetime, timedelta

from rollback_daemon.judge.machine import step
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.state import Sight, State, Step
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.signals.observation import Value
from tests.judge.timetable import play
from tests.judge.world import flags_of, rollout, trigger

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_it_is_blind_when_an_armed_trigger_has_not_seen_for_max_gap_and_not_before() -> None:
    play(
        rollout(trigger("Errors", above=1)),
        """
        0s       | errors 0      | seeing
        15s..45s | errors failed | seeing
        1m..1h   |               | blind
        3615s    | errors 0      | seeing
        """,
    )


def test_one_trigger_that_cannot_see_is_enough_to_be_blind() -> None:
    play(rollout(trigger("Errors", above=1), trigger("Slow", "latency", above=1)), "0s | errors failed, latency 0 | seeing\n45s | | blind")


def test_it_stays_blind_across_a_restart() -> None:
    play(
        rollout(trigger("Errors", above=1)),
        """
        0s     | errors failed | seeing
        45s    |               | blind
        46s    | stop          |
        10m    | start         | blind
        """,
    )


def test_a_trigger_that_is_not_armed_makes_nobody_blind() -> None:
    play(rollout(trigger("Errors", above=1)), "0s..1h | errors failed | seeing", at="baseline")


def test_five_minutes_without_prometheus_in_the_middle_of_a_pending_breach_take_nothing_back() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="2m")),
        """
        0s..1m    | errors 2      | Errors pending, seeing
        75s..105s | errors failed | Errors pending, Errors error, seeing
        2m..375s  |               | Errors pending, Errors error, blind, soaking at canary
        390s      | errors 2      | Errors pending, Errors ok, seeing
        495s      |               | Errors pending
        510s      |               | Errors firing, rollback to baseline
        """,
    )


def test_a_clock_that_is_set_back_by_an_hour_costs_no_more_than_starting_over() -> None:
    """What is pending starts over, and the trigger is armed although the stage seems to begin in the future."""
    ladder = rollout(trigger("Errors", above=1, for_="1m"))
    before = State(Position(Phase.SOAKING, "canary", NOON, NOON, counted_from=NOON))
    flags = flags_of(ladder, "canary")

    def look(state: State, at: datetime) -> Step:
        return step(ladder, state, Sight({"errors": Value({(): 2.0})}, flags), at)

    pending = look(before, NOON + timedelta(seconds=15)).state
    back = NOON - timedelta(hours=1)
    state, intents = pending, []
    for seconds in range(0, 75, 15):
        result = look(state, back + timedelta(seconds=seconds))
        state = result.state
        intents += [seconds for one in result.happened if one.event is Event.INTENDED]
    assert intents == [60]
