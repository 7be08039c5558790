"""The trigger kind `forecast`."""

from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.judge.trigger import TriggerState, advance
from rollback_daemon.rules.advice import warnings
from rollback_daemon.rules.reading import Health, Verdict
from rollback_daemon.signals.observation import Observation, Value
from tests.rules.kinds import EMPTY, FAILED, MAX_GAP, NAN, NOW, A, B, assessed, kind, one, rollout, said

FULL = {"signal": "disk", "above": "90%", "within": "4h", "fit": "1h"}
RANGE = "(disk)[1h:15s]"
HOUR = 3600


def answers(now: Observation, value: Observation, slope: Observation, count: Observation) -> dict[str, Observation]:
    return {"disk": now, f"predict_linear({RANGE}, 14400)": value, f"deriv({RANGE})": slope, f"count_over_time({RANGE})": count}


@pytest.mark.parametrize(
    ("limit", "now", "value", "hourly", "what"),
    [
        ({"above": 0.9}, 0.5, 1.3, 0.2, "breached 1.3 (now 0.5, +0.2 an hour, reaches 0.9 in 2h)"),
        ({"above": 0.9}, 0.5, 0.7, 0.05, "clear 0.7 (now 0.5, +0.05 an hour, reaches 0.9 in 8h)"),
        ({"above": 0.9}, 0.5, 0.5, 0.0, "clear 0.5 (now 0.5, +0 an hour)"),
        ({"above": 0.9}, 0.5, 0.3, -0.05, "clear 0.3 (now 0.5, -0.05 an hour)"),
        ({"above": 0.9}, 0.95, 1.15, 0.05, "breached 1.15 (now 0.95, +0.05 an hour, beyond 0.9 already)"),
        ({"above": 0.9}, 0.95, 0.75, -0.05, "clear 0.75 (now 0.95, -0.05 an hour, beyond 0.9 already)"),
        ({"below": 10}, 50.0, -10.0, -15.0, "breached -10 (now 50, -15 an hour, reaches 10 in 2h40m)"),
        ({"below": 10}, 50.0, 50.0, -1e-9, "clear 50 (now 50, -1e-09 an hour)"),
    ],
)
def test_the_line_is_read_at_the_end_of_the_time_and_told_with_its_slope(
    tmp_path: Path, limit: dict[str, Any], now: float, value: float, hourly: float, what: str
) -> None:
    test = kind(tmp_path, {"forecast": {"signal": "disk", "within": "4h", "fit": "1h", **limit}})
    assert said(test, answers(one(now), one(value), one(hourly / HOUR), one(240))) == what


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (answers(one(1), one(5), one(1), one(119)), "unknown (there is data for 29m45s of the last 1h, at least 30m is needed)"),
        (answers(one(1), EMPTY, EMPTY, EMPTY), "unknown (there is data for 0s of the last 1h, at least 30m is needed)"),
        (answers(one(1), NAN, NAN, one(240)), "unknown (no line fits: too few samples, or one that is no number)"),
        (answers(EMPTY, one(5), one(1), one(240)), "no_data (the query returned nothing)"),
        (answers(one(1), one(5), FAILED, one(240)), "error (no answer)"),
        (answers(FAILED, one(5), one(1), one(240)), "error (no answer)"),
        (answers(one(0), one(5), one(1 / HOUR), one(120)), "breached 5 (now 0, +1 an hour, beyond 0.9 already)"),
    ],
)
def test_without_enough_of_the_past_or_the_present_it_cannot_be_told(tmp_path: Path, seen: dict[str, Observation], what: str) -> None:
    assert said(kind(tmp_path, {"forecast": FULL}), seen) == what


def test_too_little_of_a_past_is_no_blindness_and_no_breach(tmp_path: Path) -> None:
    signals = {"disk": {"expr": "disk", "no_data": "breach"}}
    (trigger,) = rollout(tmp_path, {"forecast": FULL}, signals=signals).triggers
    young = answers(Value({A: 1.0, B: 1.0}), Value({A: 5.0, B: 5.0}), Value({A: 0.0, B: 0.0}), Value({A: 240.0, B: 10.0}))
    collecting = assessed(trigger.test, young)
    assert (collecting.health, collecting.series[B].stays) == (Health.COLLECTING, True)
    assert {labels: reading.verdict for labels, reading in collecting.series.items()} == {A: Verdict.BREACHED, B: Verdict.UNKNOWN}
    blind = assessed(trigger.test, {**young, "disk": Value({B: 1.0}, {A: "the value is NaN"})})
    assert blind.health is Health.OK, "no collecting: something cannot be seen"
    state = advance(trigger, TriggerState(), blind, {}, NOW, MAX_GAP)
    assert [one.labels for one in state.active] == [A], "what cannot be seen is the breach that the signal says, what is young is none"


def test_each_series_has_its_own_line_and_one_that_is_gone_has_none(tmp_path: Path) -> None:
    test = kind(tmp_path, {"forecast": FULL})
    both = answers(Value({A: 0.5}), Value({A: 1.3, B: 9.0}), Value({A: 0.1, B: 1.0}), Value({A: 240.0, B: 240.0}))
    assert said(test, both, A).startswith("breached 1.3")
    assert said(test, both, B) == "no series"


def test_what_the_signal_asks_for_holds_for_its_present_value(tmp_path: Path) -> None:
    test = kind(tmp_path, {"forecast": {**FULL, "signal": "young"}})
    line = dict.fromkeys(test.questions(), one(240))
    assert said(test, {**line, "timestamp(young)": one(NOW.timestamp() - 61)}) == "no_data (the sample is older than 1m)"


def test_how_it_is_asked_and_shown(tmp_path: Path) -> None:
    test = kind(tmp_path, {"forecast": {"expr": "a # b", "below": 0, "within": "90s", "fit": "1d", "min_data": "6h"}})
    assert test.expr == "predict_linear((a # b\n)[1d:3m], 90)"
    assert (test.subject, test.limit) == ("T in 1m30s", "< 0")
    assert test.alert_expr == "(predict_linear((a # b\n)[1d:3m], 90)\n) < 0.0\nand\ncount_over_time((a # b\n)[1d:3m]) >= 120\nand\n(a # b\n)"


def test_a_forecast_far_beyond_its_fit_is_warned_of(tmp_path: Path) -> None:
    told = [one.text for one in warnings(rollout(tmp_path, {"forecast": {**FULL, "within": "11h"}}))]
    assert [text for text in told if text.startswith("is more than ten times the fit (1h)")]
    assert not [text for text in (one.text for one in warnings(rollout(tmp_path, {"forecast": FULL}))) if "ten times" in text]
