"""One trigger through time, as timetables: the exact evaluation at which it is pending, fires and resolves, and what a lack of sight does to it."""

from datetime import timedelta
from typing import Any

import pytest

from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.measures import OnNoData
from rollback_daemon.signals.observation import Value
from tests.judge.timetable import play
from tests.judge.world import START, condition, rollout, trigger

BOTH_SIDES: list[tuple[Any, list[float], list[float]]] = [
    ({"above": 1}, [1.01, float("inf")], [1, 0.99, float("-inf")]),
    ({"below": 1}, [0.99, float("-inf")], [1, 1.01, float("inf")]),
    ({"at_least": 1}, [1, 1.01], [0.99]),
    ({"at_most": 1}, [1, 0.99], [1.01]),
    ({"equal": 1}, [1], [0.99, 1.01]),
    ({"not_equal": 1}, [0.99, 1.01], [1]),
    ({"outside": (1, 2)}, [0.99, 2.01], [1, 1.5, 2]),
    ({"within": (1, 2)}, [1, 1.5, 2], [0.99, 2.01]),
]
SIDES = [
    (limits, value, side)
    for limits, breached, clear in BOTH_SIDES
    for side, values in (("firing", breached), ("inactive", clear))
    for value in values
]


@pytest.mark.parametrize(("limits", "value", "phase"), SIDES)
def test_a_value_is_on_one_side_of_its_limit(limits: Any, value: float, phase: str) -> None:
    play(rollout(trigger("Errors", action="alert", **limits)), f"0s | errors {value} | Errors {phase}")


@pytest.mark.parametrize(("limits", "value", "phase"), SIDES)
def test_a_gate_passes_exactly_where_a_trigger_with_the_opposite_limit_is_clear(limits: Any, value: float, phase: str) -> None:
    passes = condition(**limits).negated
    assert passes.holds(value) is (phase == "inactive")
    assert passes.negated.holds(value) is (phase == "firing")


@pytest.mark.parametrize(
    ("for_", "fires_at"),
    [("0", 0), ("1s", 15), ("14s", 15), ("15s", 15), ("16s", 30), ("30s", 30), ("1m", 60), ("61s", 75), ("2m", 120)],
)
def test_it_fires_at_the_first_evaluation_at_which_the_breach_is_as_old_as_its_window(for_: str, fires_at: int) -> None:
    lines = [f"{at}s | | Errors {'firing' if at >= fires_at else 'pending'}" for at in range(15, 150, 15)]
    first = f"0s | errors 2 | Errors {'pending' if fires_at else 'firing'}"
    play(rollout(trigger("Errors", above=1, for_=for_, action="alert")), "\n".join([first, *lines]))


def test_a_clear_evaluation_starts_the_window_anew() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s", action="alert")),
        """
        0s..15s | errors 2 | Errors pending
        30s     | errors 1 | Errors inactive
        45s..60s| errors 2 | Errors pending
        75s     |          | Errors firing
        90s     | errors 1 | Errors inactive
        """,
    )


@pytest.mark.parametrize(("keep", "kept_until"), [("0", 45), ("1s", 60), ("15s", 60), ("16s", 75), ("30s", 75), ("1m", 105)])
def test_a_resolved_breach_is_kept_firing_for_as_long_as_asked(keep: str, kept_until: int) -> None:
    lines = [f"{at}s | | Errors {'firing' if at < kept_until else 'inactive'}" for at in range(60, 150, 15)]
    resolved = f"45s | errors 1 | Errors {'firing' if kept_until > 45 else 'inactive'}"
    play(rollout(trigger("Errors", above=1, for_="30s", keep=keep, action="alert")), "\n".join(["0s | errors 2 |", resolved, *lines]))


def test_a_pending_breach_is_dropped_at_once_although_a_firing_one_would_be_kept() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s", keep="5m", action="alert")),
        """
        0s..15s | errors 2 | Errors pending
        30s     | errors 1 | Errors inactive
        """,
    )


def test_coming_back_while_kept_firing_clears_that_clock() -> None:
    play(
        rollout(trigger("Errors", above=1, keep="30s", action="alert")),
        """
        0s        | errors 2 | Errors firing
        15s..30s  | errors 1 | Errors firing
        45s       | errors 2 | Errors firing
        60s..75s  | errors 1 | Errors firing
        90s       |          | Errors inactive
        """,
    )


def test_each_series_is_judged_on_its_own() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s")),
        """
        0s   | errors{a} 2, errors{b} 0 | Errors{a} pending, Errors{b} inactive
        15s  | errors{b} 2              | Errors{a} pending, Errors{b} pending
        30s  | errors{b} 0              | Errors{a} firing, Errors{b} inactive, rollback to baseline
        """,
    )


def test_the_phase_of_a_trigger_is_that_of_its_furthest_series() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s", action="alert")),
        """
        0s  | errors{a} 2, errors{b} 0 | Errors pending
        15s | errors{b} 2              | Errors pending
        30s |                          | Errors{a} firing, Errors{b} pending, Errors firing
        """,
    )


def test_series_that_take_turns_never_fire_together() -> None:
    turns = "\n".join(f"{at}s | errors{{a}} {2 * (at % 30 == 0)}, errors{{b}} {2 * (at % 30 != 0)} |" for at in range(0, 300, 15))
    play(rollout(trigger("Errors", above=1, for_="15s")), turns)


def test_an_expression_that_was_not_split_is_breached_by_every_series_and_clear_when_empty() -> None:
    play(
        rollout(trigger("Pasted", for_="30s", keep="15s", no_data=OnNoData.DROP)),
        """
        0s       | errors{a} 0 | Pasted{a} pending
        15s      | errors nothing | Pasted inactive, Pasted ok, free
        30s..45s | errors{a} 0 | Pasted{a} pending
        60s      |             | Pasted{a} firing, rollback to baseline
        75s      | errors nothing | Pasted{a} firing
        90s      |             | Pasted inactive
        """,
    )


def test_with_hold_a_lack_of_data_leaves_the_phase_alone_for_a_while() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="1m", action="alert")),
        """
        0s       | errors 2       | Errors pending, Errors ok
        15s..30s | errors nothing | Errors pending, Errors no_data
        45s      | errors 2       | Errors pending, Errors ok
        60s      |                | Errors firing
        75s..10m | errors nothing | Errors firing, Errors no_data
        615s     | errors 0       | Errors inactive
        """,
    )


@pytest.mark.parametrize("sight", ["nothing", "NaN", "failed"])
def test_a_pending_breach_out_of_sight_for_longer_than_max_gap_starts_over(sight: str) -> None:
    play(
        rollout(trigger("Errors", above=1, for_="2m")),
        f"""
        0s..60s   | errors 2       | Errors pending
        75s..105s | errors {sight} | Errors pending
        120s      | errors 2       | Errors pending
        135s      |                | Errors pending
        195s      |                | Errors pending
        225s      |                | Errors pending
        240s      |                | Errors firing, rollback to baseline
        """,
    )


def test_a_pending_breach_that_was_out_of_sight_for_max_gap_exactly_goes_on() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="90s")),
        """
        0s..30s  | errors 2       | Errors pending
        45s..60s | errors nothing | Errors pending
        75s      | errors 2       | Errors pending
        90s      |                | Errors firing, rollback to baseline
        """,
    )


def test_with_breach_a_lack_of_data_counts_as_one() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s", no_data=OnNoData.BREACH)),
        """
        0s       | errors 0       | Errors inactive
        15s..30s | errors nothing | Errors pending, Errors no_data
        45s      |                | Errors firing, rollback to baseline
        60s      | errors 0       | Errors inactive
        """,
    )


@pytest.mark.parametrize("policy", list(OnNoData))
def test_a_failed_query_never_counts_as_a_breach_whatever_no_data_says(policy: OnNoData) -> None:
    play(
        rollout(trigger("Errors", above=1, no_data=policy)),
        """
        0s      | errors 0      | Errors inactive
        15s..5m | errors failed | Errors inactive, Errors error
        """,
    )


@pytest.mark.parametrize("policy", list(OnNoData))
def test_a_failed_query_never_ends_what_is_pending_or_firing(policy: OnNoData) -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s", action="alert", no_data=policy), trigger("Now", above=1, action="alert", no_data=policy)),
        """
        0s      | errors 2      | Errors pending, Now firing
        15s..5m | errors failed | Errors pending, Now firing, Errors error
        """,
    )


@pytest.mark.parametrize("policy", [OnNoData.IGNORE, OnNoData.DROP])
@pytest.mark.parametrize("sight", ["nothing", "NaN"])
def test_with_ignore_and_with_drop_a_lack_of_data_ends_what_is_pending_or_firing(policy: OnNoData, sight: str) -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s", action="alert", no_data=policy), trigger("Now", above=1, action="alert", no_data=policy)),
        f"""
        0s  | errors 2       | Errors pending, Now firing
        15s | errors {sight} | Errors inactive, Now inactive
        """,
    )


@pytest.mark.parametrize("sight", ["nothing", "NaN", "failed"])
@pytest.mark.parametrize(("policy", "may_climb"), [(OnNoData.HOLD, False), (OnNoData.BREACH, False), (OnNoData.DROP, False), (OnNoData.IGNORE, True)])
def test_unknown_stops_the_way_up_unless_it_is_ignored(policy: OnNoData, may_climb: bool, sight: str) -> None:
    climbs = may_climb and sight != "failed"
    world = play(
        rollout(trigger("Errors", above=1, for_="1h", no_data=policy)),
        f"0s | errors {sight} | {'ready at canary, free' if climbs else 'soaking at canary'}",
    )
    assert world.last
    codes = {str(reason.code) for reason in world.last.judgement.blockers}
    assert ("trigger_unknown" in codes) is not climbs


def test_one_series_that_is_nan_is_unknown_and_the_others_are_judged() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s")),
        """
        0s  | errors{a} NaN, errors{b} 2 | Errors{a} inactive, Errors{b} pending, Errors no_data
        15s | errors{a} 2                | Errors{a} pending, Errors ok
        30s | errors{a} NaN              | Errors{a} pending, Errors{b} firing, Errors no_data, rollback to baseline
        """,
    )


def test_why_a_trigger_cannot_tell_is_the_reason_of_the_series_that_is_missing() -> None:
    world = play(rollout(trigger("Errors", above=1)), "0s | errors{a} NaN, errors{b} 0 | blocked by trigger_unknown")
    assert world.judgement
    assert [str(reason) for reason in world.judgement.blockers] == ["trigger Errors cannot tell: the value is NaN"]


def test_a_series_that_vanishes_beside_others_is_held_for_max_gap_and_then_dropped() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="5m")),
        """
        0s       | errors{a} 2, errors{b} 0 | Errors{a} pending
        15s..45s | errors{a} gone           | Errors{a} pending
        60s      |                          | Errors{a} inactive
        """,
    )


def test_a_series_that_vanishes_from_a_pasted_expression_is_dropped_at_once() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="5m", no_data=OnNoData.DROP)),
        """
        0s  | errors{a} 2, errors{b} 0 | Errors{a} pending
        15s | errors{a} gone           | Errors{a} inactive
        """,
    )


def test_after_a_stop_shorter_than_max_gap_a_pending_breach_goes_on() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="1m")),
        """
        0s..15s | errors 2 | Errors pending
        16s     | stop     |
        45s     | start    | Errors pending
        60s     |          | Errors firing, rollback to baseline
        """,
    )


@pytest.mark.parametrize(
    ("window", "away", "needs"),
    [
        (5, 10, 5),  # a short window starts over
        (10, 5, 10),  # as long as the grace: 8 minutes were left, but it needs 10 at least
        (30, 5, 28),  # a long one goes on: 2 of its 30 minutes were over
        (30, 60, 28),  # still within the tolerance
        (30, 61, 30),  # and not any more
    ],
)
def test_after_a_longer_stop_a_pending_breach_is_taken_up_as_prometheus_does(window: int, away: int, needs: int) -> None:
    back = 120 + away * 60
    play(
        rollout(trigger("Errors", above=1, for_=f"{window}m")),
        f"""
        0s..2m                   | errors 2 | Errors pending
        121s                     | stop     |
        {back}s                  | start    | Errors pending
        {back + needs * 60 - 15}s |         | Errors pending
        {back + needs * 60}s     |          | Errors firing, rollback to baseline
        """,
    )


def test_what_fired_before_a_stop_fires_after_it_and_resolves_as_ever() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s", action="alert")),
        """
        0s   | errors 2         | Errors pending
        30s  |                  | Errors firing
        31s  | stop             |
        3h   | start            | Errors firing
        181m | errors 0         | Errors inactive
        """,
    )


def test_a_longer_window_in_a_new_rule_file_un_fires() -> None:
    world = play(rollout(trigger("Errors", above=1, for_="30s", action="alert")), "0s..30s | errors 2 |")
    world.rollout = rollout(trigger("Errors", above=1, for_="1m", action="alert"))
    for seconds, phase in ((45, TriggerPhase.PENDING), (60, TriggerPhase.FIRING)):
        world.evaluate({"errors": Value({(): 2})}, START + timedelta(seconds=seconds))
        assert world.state.triggers["Errors"].phase is phase


def test_breaches_lack_of_data_and_errors_are_counted_apart() -> None:
    world = play(
        rollout(trigger("Errors", above=1, for_="1h")),
        """
        0s..15s  | errors 2       |
        30s..60s | errors nothing |
        75s      | errors failed  |
        90s      | errors 0       |
        """,
    )
    known = world.state.triggers["Errors"]
    assert (known.breaches, known.no_data, known.errors) == (2, 3, 1)


def test_a_query_that_was_not_asked_is_unknown() -> None:
    play(rollout(trigger("Errors", above=1, no_data=OnNoData.HOLD)), "0s | other 1 | Errors no_data, blocked by trigger_unknown")


def test_a_firing_series_says_where_it_fired_and_people_are_told_only_where_the_trigger_is_armed() -> None:
    guarded = rollout(trigger("Errors", above=1, action="alert", stages=("half",)))
    unarmed = play(guarded, "0s | errors 2 | Errors firing").state.triggers["Errors"].active
    assert [(one.alerting, one.stage) for one in unarmed] == [(False, "")]
    armed = play(guarded, "0s | errors 2 | Errors firing", at="half").state.triggers["Errors"].active
    assert [(one.alerting, one.stage) for one in armed] == [(True, "half")]
