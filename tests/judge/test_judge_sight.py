"""Losing and regaining sight, as timetables: when a rollout counts as blind, and that nothing is taken back for it."""

from tests.judge.timetable import play
from tests.judge.world import rollout, trigger


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
