"""How long a trigger may go without sight, as timetables: what counts, what does not, and what follows."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollback_daemon import memory
from rollback_daemon.durations import parse_duration
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import State
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.aftercare import Aftercare, AtMost
from rollback_daemon.rules.measures import OnNoData
from rollback_daemon.rules.model import ActionKind, ErrorBudget, NoDataBudget, Rollout, Trigger
from rollback_daemon.signals.observation import Failed, Failure, Value
from tests.judge.timetable import play
from tests.judge.world import START, World, announced, flags_of, intents, rollout, trigger


def errors(name: str = "Errors", *, at_most: int = 2, then: str = "hold", **more: Any) -> Trigger:
    """A trigger that may fail to be asked so often in a row."""
    return replace(trigger(name, above=1, **more), errors=ErrorBudget(at_most, ActionKind(then)))


def lacking(name: str = "Errors", *, for_: str = "45s", then: str = "rollback", **more: Any) -> Trigger:
    """A trigger that may be without data for so long."""
    return replace(trigger(name, above=1, **more), no_data=NoDataBudget(parse_duration(for_), ActionKind(then)))


def told(world: World, event: Event) -> list[Any]:
    """The bodies of these records."""
    return [json.loads(body) for kind, body, _ in world.journal if kind == event]


def budgets(world: World) -> list[str]:
    """What is on record of budgets."""
    return [body["why"] for body in told(world, Event.BUDGET)]


# failed queries


def test_at_most_two_failed_evaluations_are_spent_by_the_third_in_a_row() -> None:
    world = play(rollout(errors()), "0s | errors 0 |\n15s..30s | errors failed | soaking at canary\n45s | | held, held at canary")
    assert told(world, Event.HELD)[0] == {
        "why": "Errors: 3 failed evaluations in a row (at most 2): connection refused",
        "by": "rollbackd",
        "code": Code.ERRORS,
        "triggers": ["Errors"],
    }


@pytest.mark.parametrize("seen", ["errors 0", "errors 2", "errors nothing"])
def test_whatever_was_answered_ends_a_row_of_failed_queries(seen: str) -> None:
    ladder = rollout(errors(for_="1h"))
    play(ladder, f"0s..15s | errors failed |\n30s | {seen} |\n45s..1m | errors failed | soaking at canary\n75s | errors 0 |")


def test_an_evaluation_that_was_counted_before_a_restart_is_not_counted_again() -> None:
    world = World(rollout(errors(at_most=1)), flags_of(rollout(), "canary"))
    for _ in range(3):
        world.evaluate({"errors": Failed(Failure.TIMEOUT, "no answer")}, START)
        world.forget()
    assert world.position.phase == "soaking"


def test_after_the_clock_was_set_back_it_is_counted_anew() -> None:
    failed, hour = {"errors": Failed(Failure.TIMEOUT, "no answer")}, timedelta(hours=1)
    world = World(rollout(errors(at_most=1)), flags_of(rollout(), "canary"))
    world.evaluate({"errors": Value({(): 0.0})}, START)
    world.evaluate(failed, START + hour)
    world.evaluate(failed, START + hour / 2)
    assert world.position.phase == "soaking"
    world.evaluate(failed, START + hour / 2 + timedelta(seconds=15))
    assert world.position.phase == "held"


def test_none_at_all_may_fail_where_at_most_zero_is_said() -> None:
    play(rollout(errors(at_most=0)), "0s | errors 0 |\n15s | errors failed | held, held at canary")


def test_failed_queries_are_no_lack_of_data_and_the_other_way_round() -> None:
    play(rollout(lacking()), "0s | errors 0 |\n15s..1h | errors failed | soaking at canary")
    play(rollout(errors()), "0s | errors 0 |\n15s..1h | errors nothing | soaking at canary")


# lack of data


def test_time_without_data_is_spent_when_it_has_lasted_for_so_long() -> None:
    world = play(
        rollout(lacking()),
        """
        0s       | errors 0       |
        15s..45s | errors nothing | soaking at half
        1m       |                | rollback to canary, Errors inactive
        """,
        at="half",
    )
    (intent,) = told(world, Event.INTENDED)
    assert intent["why"] == ["Errors: no data for 45s (at most 45s): the query returned nothing"]
    assert (intent["code"], intent["triggers"]) == (Code.NO_DATA, ["Errors"])
    assert intent["activations"] == ["Errors:no_data@2026-03-01T12:01:00+00:00"]


def test_a_number_that_is_none_is_no_data() -> None:
    play(rollout(lacking()), "0s | errors 0 |\n15s..45s | errors NaN |\n1m | | rollback to baseline")


def test_data_that_is_there_once_starts_it_over() -> None:
    play(rollout(lacking()), "0s..30s | errors nothing |\n45s | errors 0 |\n1m..90s | errors nothing |\n105s | | rollback to baseline")


def test_a_failed_query_in_between_neither_ends_it_nor_starts_it_over() -> None:
    play(rollout(lacking()), "0s..15s | errors nothing |\n30s | errors failed | soaking at canary\n45s | errors nothing | rollback to baseline")


@pytest.mark.parametrize("away", ["errors failed | ", "stop | "])
def test_a_time_of_not_looking_is_no_time_without_data(away: str) -> None:
    play(
        rollout(lacking()),
        f"""
        0s..30s   | errors nothing        | soaking at canary
        31s       | {away}
        2m        | start, errors nothing | soaking at canary
        135s      |                       |
        150s      |                       | soaking at canary
        165s      |                       | rollback to baseline
        """,
    )


def test_what_is_spent_stays_so_across_a_long_stop_and_acts_no_second_time() -> None:
    world = play(
        rollout(lacking(then="hold")),
        """
        0s..30s | errors nothing |
        45s     |                | held, held at canary
        46s     | stop           |
        10m     | start          | held at canary
        20m     |                | held at canary
        1215s   | errors 0       |
        """,
    )
    assert budgets(world) == ["Errors: no data for 45s (at most 45s): the query returned nothing", "Errors: it can be seen again"]


def test_failed_queries_that_are_too_many_stay_so_across_a_long_stop() -> None:
    world = play(rollout(errors()), "0s..15s | errors failed |\n30s | | held\n31s | stop |\n10m | start |\n20m | | held at canary")
    assert [body["spent"] for body in told(world, Event.BUDGET)] == [True]


# what follows


def test_it_goes_further_down_only_after_the_same_time_at_the_next_stage() -> None:
    world = play(
        rollout(lacking()),
        """
        0s..30s   | errors nothing |
        45s       |                | rollback to canary
        1m..90s   |                | rolled_back at canary
        105s      |                | rollback to baseline
        2m..1h    |                | rolled_back at baseline
        """,
        at="half",
    )
    assert intents(world) == ["rollback half>canary", "rollback canary>baseline"]


def test_it_goes_where_the_trigger_itself_would() -> None:
    play(rollout(lacking(action="rollback to baseline")), "0s..30s | errors nothing |\n45s | | rollback to baseline", at="full")


def test_it_is_not_announced_where_the_trigger_itself_would_be() -> None:
    play(rollout(lacking(action=announced("canary"))), "0s..30s | errors nothing |\n45s | | rollback to canary", at="full")


def test_a_hold_or_an_alert_may_roll_back_for_lack_of_data() -> None:
    play(rollout(lacking(action="alert")), "0s..30s | errors nothing |\n45s | | rollback to half", at="full")


def test_at_the_baseline_there_is_only_a_hold() -> None:
    play(rollout(lacking(stages=("baseline", "canary"))), "0s..30s | errors nothing |\n45s | | held, held at baseline", at="baseline")


def test_an_alert_touches_nothing_and_is_on_record() -> None:
    world = play(rollout(lacking(then="alert")), "0s..10m | errors nothing | soaking at canary\n615s | errors 0 |")
    assert [(body["spent"], body["then"]) for body in told(world, Event.BUDGET)] == [(True, "alert"), (False, "alert")]


@pytest.mark.parametrize("ladder", [rollout(lacking(), enforce=False), rollout(lacking(dry_run=True))])
def test_what_is_only_watched_is_said_once_and_not_done(ladder: Rollout) -> None:
    world = play(ladder, "0s..30s | errors nothing |\n45s | | observed\n1m..10m | |")
    (body,) = told(world, Event.OBSERVED)
    assert body["would"] == "rollback to previous"
    assert body["why"] == ["Errors: no data for 45s (at most 45s): the query returned nothing"]


def test_a_breach_and_a_spent_budget_make_one_transition() -> None:
    ladder = rollout(lacking(), trigger("Slow", "latency", above=1, action="rollback to baseline"))
    world = play(ladder, "0s..30s | errors nothing, latency 0 |\n45s | latency 2 | rollback to baseline", at="full")
    (intent,) = told(world, Event.INTENDED)
    assert intent["triggers"] == ["Slow", "Errors"]
    assert intent["why"] == ["Slow: latency 2 > 1", "Errors: no data for 45s (at most 45s): the query returned nothing"]
    assert intent["code"] == Code.TRIGGER_FIRING


def test_lack_of_data_that_counts_as_nothing_can_still_be_too_long() -> None:
    ladder = rollout(lacking(then="hold", no_data=OnNoData.IGNORE))
    play(ladder, "0s..30s | errors nothing |\n45s | | held, held at canary")


@pytest.mark.parametrize(("budgeted", "unseen"), [(lacking(), "nothing"), (errors(at_most=3, then="rollback"), "failed")])
def test_a_rollback_for_lack_of_sight_counts_among_the_most_that_may_be(budgeted: Trigger, unseen: str) -> None:
    ladder = rollout(budgeted, aftercare=Aftercare(max_rollbacks=AtMost(1, timedelta(hours=1))))
    play(ladder, f"0s..30s | errors {unseen} |\n45s | | rollback to baseline\n1m | | frozen at baseline, frozen", at="half")


def test_a_budget_that_a_reload_made_larger_acts_again_when_it_is_spent() -> None:
    world, strict = World(rollout(errors(at_most=0, then="alert")), flags_of(rollout(), "canary")), rollout(errors(at_most=2, then="hold"))
    for number in range(4):
        world.rollout = strict if number else world.rollout
        world.evaluate({"errors": Failed(Failure.TIMEOUT, "no answer")}, START + number * timedelta(seconds=15))
    assert [body["spent"] for body in told(world, Event.BUDGET)] == [True, False, True]
    assert world.position.phase == "held"


# where it counts


def test_nothing_is_counted_where_the_trigger_is_not_armed() -> None:
    play(rollout(lacking(stages=("half",))), "0s..10m | errors nothing |")
    play(rollout(lacking(delay="5m")), "0s..330s | errors nothing | soaking at canary\n345s | | rollback to baseline")


def test_it_is_counted_anew_after_a_resume() -> None:
    play(
        rollout(lacking(then="hold")),
        """
        0s..30s | errors nothing              |
        45s     |                             | held, held at canary
        50s     | resume ann seen to          | soaking at canary
        1m..90s |                             | soaking at canary
        105s    |                             | held, held at canary
        """,
    )


def test_memory_from_before_there_were_budgets_is_read_as_it_is() -> None:
    world = World(rollout(lacking(for_="1h", then="hold")), flags_of(rollout(), "canary"))
    world.evaluate({"errors": Value({(): 2.0})}, START)
    text = json.loads(memory.dump(world.state))
    del text["triggers"]["Errors"]["spending"]
    assert memory.load(json.dumps(text), State(), START).triggers == world.state.triggers
