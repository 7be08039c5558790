"""Triggers that nobody takes in hand, as timetables: levels, announced rollbacks, and what people, time and blindness do to them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.aftercare import Escalation
from rollback_daemon.rules.measures import OnNoData
from rollback_daemon.signals.observation import Failed, Failure, Observation, Value
from tests.judge.escalating import ladder, on_record, warning
from tests.judge.timetable import play
from tests.judge.world import START, announced, trigger

# levels


def test_a_warning_that_nobody_resolves_climbs_to_a_rollback_that_is_announced_and_done() -> None:
    world = play(
        ladder(warning(for_="30s")),
        """
        0s  | errors 0 |
        15s | errors 2 | Errors pending
        45s |          | Errors firing, escalated to ticket
        1m45s |        | escalated to lead
        2m45s |        | scheduled half, complete at full
        4m30s |        | complete at full
        4m45s |        | rollback to half, rolled_back at half
        5m30s |        | rolled_back at half
        5m45s |        | scheduled canary
        """,
        at="full",
    )
    assert [body["number"] for body in on_record(world, Event.ESCALATED)] == [1, 2]
    (scheduled, _), (intended,) = on_record(world, Event.SCHEDULED), on_record(world, Event.INTENDED)
    assert scheduled["due"] == intended["breached_at"] == (START + timedelta(seconds=285)).isoformat()
    assert (intended["code"], intended["triggers"]) == ("escalated", ["Errors"])
    assert intended["why"] == ["Errors: errors 2 > 1 for 30s (held 4m30s); announced for 2026-03-01 12:04:45 UTC"]


def test_each_level_says_what_is_wrong_and_for_how_long_nobody_took_it_in_hand() -> None:
    world = play(ladder(warning()), "0s | errors 2 | escalated to ticket\n1m | errors 3 | escalated to lead")
    first, second = (body["why"] for body in on_record(world, Event.ESCALATED))
    assert first == "Errors: errors 2 > 1"
    assert second == "Errors: errors 3 > 1; neither resolved nor acknowledged for 1m at ticket"


def test_without_a_rollback_the_last_level_is_where_it_stays() -> None:
    play(
        ladder(warning(), last=Escalation()),
        """
        0s | errors 2 | escalated to ticket
        1m |          | escalated to lead
        5m |          | soaking at full
        """,
        at="full",
    )


def test_where_nothing_but_a_rollback_is_given_it_is_announced_after_the_time_of_one_level() -> None:
    play(
        ladder(warning(), last=Escalation((), rollback=True, to="baseline", in_=timedelta(minutes=1))),
        """
        0s | errors 2 | escalated
        1m |          | scheduled baseline
        2m |          | rollback to baseline
        """,
    )


def test_easing_ends_it_and_the_next_time_it_begins_at_the_first_level() -> None:
    play(
        ladder(warning()),
        """
        0s    | errors 2 | escalated to ticket
        1m    |          | escalated to lead
        1m15s | errors 0 | eased
        1m30s | errors 2 | escalated to ticket
        2m30s |          | escalated to lead
        3m30s |          | scheduled baseline
        4m    | errors 0 | eased
        7m    |          | ready at canary
        """,
    )


def test_flapping_within_keep_firing_for_does_not_stop_the_clock() -> None:
    play(
        ladder(warning(keep="2m")),
        """
        0s  | errors 2 | escalated to ticket
        15s | errors 0 | Errors firing
        75s | errors 2 | escalated to lead
        """,
    )


def test_series_are_not_counted_apart() -> None:
    play(
        ladder(warning()),
        """
        0s  | errors{a} 2 | escalated to ticket
        30s | errors{b} 2 |
        45s | errors{a} 0 |
        1m  |             | escalated to lead
        75s | errors{b} 0 | eased
        """,
    )


def test_a_trigger_without_escalate_after_has_no_levels() -> None:
    world = play(ladder(trigger("Errors", above=1, action="alert")), "0s | errors 2 | Errors firing\n5m | |")
    assert not world.state.escalations.triggers


def test_a_dry_run_has_no_levels() -> None:
    play(ladder(trigger("Errors", above=1, action="alert", escalate_after="1m", dry_run=True)), "0s | errors 2 | Errors firing\n5m | |")


def test_where_the_trigger_is_not_armed_nobody_is_told() -> None:
    play(ladder(warning()), "0s | errors 2 | Errors firing\n5m | | baseline at baseline", at="baseline")


# blindness, stops


@pytest.mark.parametrize("blind", ["errors failed", "errors nothing", "errors NaN"])
def test_what_cannot_be_seen_neither_climbs_nor_eases_and_the_time_does_not_count(blind: str) -> None:
    play(
        ladder(warning()),
        f"""
        0s    | errors 2 | escalated to ticket
        15s   | {blind}  |
        10m   | errors 2 |
        11m   |          | escalated to lead
        """,
    )


def test_a_short_gap_counts() -> None:
    play(ladder(warning()), "0s | errors 2 | escalated to ticket\n15s | errors failed |\n45s | errors 2 |\n1m | | escalated to lead")


def test_the_time_that_the_daemon_was_away_does_not_count_and_levels_survive_it() -> None:
    play(
        ladder(warning()),
        """
        0s    | errors 2 | escalated to ticket
        1m    |          | escalated to lead
        1m30s | stop     |
        20m   | start    |
        20m45s |         | scheduled baseline
        20m50s | stop    |
        30m   | start    | rollback to baseline
        """,
    )


def test_an_announced_rollback_waits_for_sight_and_for_the_breach_to_be_held_again() -> None:
    play(
        ladder(trigger("Errors", above=1, for_="30s", action=announced("baseline", "1m"))),
        """
        0s    | errors 2      |
        30s   |               | scheduled baseline
        1m    | errors failed |
        5m    | errors 2      | soaking at canary
        5m15s |               | soaking at canary
        5m30s |               | rollback to baseline
        """,
    )


def test_an_announced_rollback_that_cannot_be_seen_to_be_needed_is_eased_once_it_is_seen_clear() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("baseline", "1m"))),
        """
        0s | errors 2       | scheduled baseline
        15s | errors failed |
        5m | errors 0       | eased, ready at canary
        """,
    )


def test_a_trigger_whose_memory_was_lost_is_not_eased_before_it_is_seen_clear() -> None:
    world = play(ladder(warning()), "0s | errors 2 | escalated to ticket\n15s | errors failed |")
    world.state = replace(world.state, triggers={})
    blind: dict[str, Observation] = {"errors": Failed(Failure.TIMEOUT, "no answer in time")}
    world.evaluate(blind, START + timedelta(seconds=30))
    assert not on_record(world, Event.EASED)
    world.evaluate({"errors": Value({(): 0.0})}, START + timedelta(seconds=45))
    assert len(on_record(world, Event.EASED)) == 1


def test_no_data_that_is_a_breach_by_the_rule_climbs_and_rolls_back() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("baseline", "1m"), no_data=OnNoData.BREACH)),
        "0s | errors nothing | scheduled baseline\n1m | | rollback to baseline",
    )
