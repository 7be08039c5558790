"""Signals held against the time before a stage, as timetables: what is measured, captured with a promotion, and what it is worth."""

import json
from datetime import timedelta
from typing import Any

import pytest

from rollback_daemon.judge import baselines
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.measures import Relative
from tests.judge.timetable import play
from tests.judge.world import ABOVE_BASELINE, START, World, gate, intents, relative, rollout, trigger

SPIKE = trigger("CostSpike", relative("cost"), above=2)
GUARDED = rollout(SPIKE)


def captured(world: World) -> list[dict[str, Any]]:
    """The baselines that went on record, promotion by promotion."""
    bodies = [json.loads(text) for event, text, _ in world.journal if event == Event.INTENDED]
    return [body["bases"] for body in bodies if "bases" in body]


def test_what_was_measured_last_before_a_promotion_is_captured_with_it_and_holds_for_the_stage() -> None:
    world = play(
        GUARDED,
        """
        0s  | cost 3, past cost 3 | baseline at baseline, free
        1s  | promote             | soaking at canary
        15s | cost 6              | ready at canary, free
        30s | past cost 9         | ready at canary
        60s | cost 6.1            | rollback to baseline
        """,
        at="baseline",
    )
    assert captured(world) == [{"cost": [{"labels": {}, "value": 3.0}]}]
    assert world.position.why == "CostSpike: cost / its baseline 2.03333 > 2 (6.1, baseline 3)"


def test_each_promotion_captures_its_own() -> None:
    world = play(
        GUARDED,
        """
        0s   | cost 3, past cost 3 |
        1s   | promote             |
        15s  | past cost 5         | ready at canary
        75s  |                     | free
        76s  | promote             | soaking at half
        90s  | cost 9              | ready at half
        105s | cost 10.1           | rollback to canary
        """,
        at="baseline",
    )
    assert [base["cost"][0]["value"] for base in captured(world)] == [3.0, 5.0]


@pytest.mark.parametrize(
    ("how", "limit", "clear", "breached"),
    [(Relative.SHARE, 2.0, "6", "6.1"), (Relative.AMOUNT, 2.0, "5", "5.1"), (Relative.SHARE, 0.5, "1.5", "1.6")],
)
def test_a_limit_is_a_multiple_of_the_baseline_or_an_amount_over_it(how: Relative, limit: float, clear: str, breached: str) -> None:
    guarded = rollout(trigger("Spike", relative("cost", how), above=limit))
    play(
        guarded, f"0s | cost 1, past cost 3 |\n1s | promote |\n15s | cost {clear} | free\n30s | cost {breached} | rollback to baseline", at="baseline"
    )


def test_each_series_is_held_against_its_own_baseline_and_one_without_is_unknown() -> None:
    play(
        GUARDED,
        """
        0s  | cost{a} 1, cost{b} 1, past cost{a} 1, past cost{b} 10 |
        1s  | promote                                               |
        15s | cost{b} 20                                            | free
        30s | cost{c} 1                                             | CostSpike no_data, blocked by trigger_unknown
        45s | cost{c} gone, cost{a} 3                               | CostSpike{a} firing, CostSpike{b} inactive, rollback to baseline
        """,
        at="baseline",
    )


@pytest.mark.parametrize(
    ("past", "why"),
    [
        ("past cost nothing", "there is no data at all"),
        ("past cost 3 for 29", "there is data for 29m of it, at least 30m is needed"),
        ("past cost failed", "could not be measured"),
        ("cost 1", "could not be measured"),
    ],
)
def test_too_little_data_keeps_it_from_the_stage_that_would_be_held_against_it(past: str, why: str) -> None:
    world = play(
        GUARDED, f"0s | cost 1, {past} | baseline at baseline, blocked by baseline_data\n1s | promote | refused baseline_data", at="baseline"
    )
    assert world.judgement
    assert why in str(world.judgement.blockers[0])


def test_as_much_data_as_is_asked_for_is_enough() -> None:
    play(GUARDED, "0s | cost 1, past cost 3 for 30 | free", at="baseline")


def test_no_baseline_is_asked_for_where_nothing_is_held_against_it_next() -> None:
    later = rollout(trigger("Spike", relative("cost"), above=2, stages=("full",)))
    play(later, "0s | cost 1 | ready at canary, free\n1s | promote |\n15s | | soaking at half, blocked by baseline_data")
    dry = rollout(trigger("Spike", relative("cost"), above=2, dry_run=True), gate("Low", below=1))
    play(dry, "0s | cost 1, errors 0 | baseline at baseline, free", at="baseline")


def test_a_stage_that_was_found_so_is_held_against_the_time_before_it_was_first_seen() -> None:
    world = play(GUARDED, "0s..5m | cost 2, past cost 1 | ready at canary\n315s | cost 2.1, past cost 9 | rollback to baseline")
    assert world.dossier().bases == {"cost": {(): 1.0}}


def test_at_a_stage_without_a_baseline_nothing_is_judged_against_it() -> None:
    world = play(GUARDED, "0s | cost 99 |\n15s..5m | past cost 1 | soaking at canary, CostSpike no_data, blocked by trigger_unknown")
    assert intents(world) == []


@pytest.mark.parametrize("base", ["0", "-1"])
def test_a_multiple_of_nothing_is_unknown(base: str) -> None:
    play(
        GUARDED, f"0s | cost 1, past cost {base} |\n1s | promote |\n15s..5m | cost 99 | CostSpike no_data, blocked by trigger_unknown", at="baseline"
    )


def test_an_amount_over_nothing_is_an_amount() -> None:
    guarded = rollout(trigger("Spike", relative("cost", Relative.AMOUNT), above=2))
    play(guarded, "0s | cost 1, past cost 0 |\n1s | promote |\n15s | cost 2 | free\n30s | cost 2.1 | rollback to baseline", at="baseline")


def test_a_captured_baseline_outlasts_a_stop() -> None:
    play(
        GUARDED,
        """
        0s  | cost 3, past cost 3 |
        1s  | promote             |
        15s |                     | ready at canary
        16s | stop                |
        1h  | start, cost 7       | rollback to baseline
        """,
        at="baseline",
    )


def test_a_baseline_is_measured_once_in_a_sixtieth_of_its_window_and_at_once_after_a_start() -> None:
    statistic, count = relative("cost").baseline_questions() or ("", "")
    assert list(baselines.questions(GUARDED, {}, START)) == [statistic, count]
    known = play(GUARDED, "0s | cost 1, past cost 3 | free", at="baseline").state.prospects
    asked = [bool(list(baselines.questions(GUARDED, known, START + timedelta(seconds=seconds)))) for seconds in (0, 59, 60)]
    assert asked == [False, False, True]


def test_a_measurement_that_is_too_old_is_none() -> None:
    play(
        GUARDED,
        """
        0s        | cost 1, past cost 3 | free
        1s        | past cost failed    |
        150s      |                     | blocked by baseline_data
        """,
        at="baseline",
    )


def test_a_gate_may_be_held_against_a_baseline_too() -> None:
    guarded = rollout(gate("Cheap", relative("cost"), at_most=1.1, stages=ABOVE_BASELINE))
    play(
        guarded,
        """
        0s  | cost 1, past cost 10 | baseline at baseline, free
        1s  | promote              |
        15s | cost 11              | ready at canary, free
        30s | cost 11.1            | soaking at canary, blocked by gate_violated
        """,
        at="baseline",
    )


def test_breaking_the_glass_captures_what_there_is() -> None:
    guarded = rollout(SPIKE, break_glass=("lead",))
    assert captured(play(guarded, "0s | cost 1, past cost 3 |\n1s | break glass ann |", at="baseline")) == [{"cost": [{"labels": {}, "value": 3.0}]}]
    assert captured(play(guarded, "0s | cost 1, past cost nothing |\n1s | break glass ann |", at="baseline")) == [{}]
