"""The trigger kind `burn_rate`."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.rules.advice import understood, warnings
from rollback_daemon.rules.reading import Health, Verdict, worst
from rollback_daemon.rules.triggers.burn_rate import BurnRate
from rollback_daemon.signals.observation import NoData, Observation, Value
from tests.rules.kinds import EMPTY, FAILED, NAN, A, B, assessed, kind, one, rollout, said

OF = {"objective": "99.9%", "errors": 'r{code=~"5.."}', "total": "r"}
PAIR = {"long": "1h", "short": "5m", "factor": 14.4}
SLOW = {"long": "6h", "short": "30m", "factor": 6}


def burn(folder: Path, *windows: Mapping[str, Any], **more: Any) -> BurnRate:
    test = kind(folder, {"burn_rate": {**OF, **({"windows": list(windows)} if windows else {}), **more}})
    assert isinstance(test, BurnRate)
    return test


def answers(test: BurnRate, *ratios: Observation) -> dict[str, Observation]:
    """An answer for each window, in the order in which they are written."""
    return dict(zip([signal.expr for signal in test.signals()], ratios, strict=True))


@pytest.mark.parametrize(
    ("long", "short", "what"),
    [
        (0.0202, 0.0171, "breached 1.1875 (20.2 over 1h and 17.1 over 5m, factor 14.4)"),
        (0.0202, 0.0144, "clear 1 (20.2 over 1h and 14.4 over 5m, factor 14.4)"),
        (0.0144, 0.5, "clear 1 (14.4 over 1h and 500 over 5m, factor 14.4)"),
        (0.01440001, 0.01440001, "breached 1 (14.4 over 1h and 14.4 over 5m, factor 14.4)"),
        (0.0, 0.0, "clear 0 (0 over 1h and 0 over 5m, factor 14.4)"),
    ],
)
def test_both_windows_must_be_above_the_factor(tmp_path: Path, long: float, short: float, what: str) -> None:
    test = burn(tmp_path, PAIR)
    assert said(test, answers(test, one(long), one(short))) == what


@pytest.mark.parametrize(
    ("ratios", "what"),
    [
        ([0.02, 0.02, 0.0, 0.0], "breached 1.38889 (20 over 1h and 20 over 5m, factor 14.4)"),
        ([0.012, 0.02, 0.007, 0.009], "breached 1.16667 (7 over 6h and 9 over 30m, factor 6)"),
        ([0.02, 0.02, 0.012, 0.012], "breached 2 (12 over 6h and 12 over 30m, factor 6)"),
        ([0.0072, 0.02, 0.001, 0.02], "clear 0.5 (7.2 over 1h and 20 over 5m, factor 14.4)"),
    ],
)
def test_one_pair_is_enough_and_the_nearest_to_its_factor_is_told(tmp_path: Path, ratios: list[float], what: str) -> None:
    test = burn(tmp_path, PAIR, SLOW)
    assert said(test, answers(test, *map(one, ratios))) == what


HIGH, LOW = one(0.5), one(0.0)


@pytest.mark.parametrize(
    ("ratios", "verdict", "health"),
    [
        ((HIGH, NAN, LOW, LOW), Verdict.UNKNOWN, Health.OK),  # it hangs on the window that is not known
        ((LOW, NAN, LOW, LOW), Verdict.CLEAR, Health.OK),  # it does not
        ((HIGH, FAILED, LOW, LOW), Verdict.UNKNOWN, Health.ERROR),
        ((LOW, FAILED, LOW, LOW), Verdict.CLEAR, Health.OK),
        ((HIGH, FAILED, HIGH, HIGH), Verdict.BREACHED, Health.OK),
        ((NAN, NAN, HIGH, HIGH), Verdict.BREACHED, Health.OK),
        ((NAN, NAN, HIGH, LOW), Verdict.UNKNOWN, Health.OK),
        ((EMPTY, EMPTY, EMPTY, EMPTY), Verdict.UNKNOWN, Health.NO_DATA),
        ((FAILED, FAILED, FAILED, FAILED), Verdict.UNKNOWN, Health.ERROR),
    ],
)
def test_what_cannot_be_told_matters_where_the_verdict_hangs_on_it(
    tmp_path: Path, ratios: tuple[Observation, ...], verdict: Verdict, health: Health
) -> None:
    test = burn(tmp_path, PAIR, SLOW)
    assessment = assessed(test, answers(test, *ratios))
    assert (worst(assessment), assessment.health) == (verdict, health)


@given(windows=st.lists(st.none() | st.sampled_from([0.0, 0.006, 0.007, 0.0144, 0.02]), min_size=4, max_size=4))
def test_it_is_unknown_where_what_is_not_known_would_decide(tmp_path_factory: pytest.TempPathFactory, windows: list[float | None]) -> None:
    test = burn(tmp_path_factory.getbasetemp(), PAIR, SLOW)
    told = worst(assessed(test, answers(test, *(NAN if ratio is None else one(ratio) for ratio in windows))))
    might = {
        worst(assessed(test, answers(test, *(one(guess if ratio is None else ratio) for ratio, guess in zip(windows, guesses, strict=True)))))
        for guesses in itertools.product((0.0, 1.0), repeat=4)
    }
    assert told is (might.pop() if len(might) == 1 and windows != [None] * 4 else Verdict.UNKNOWN)


def test_each_label_set_is_judged_on_its_own(tmp_path: Path) -> None:
    test = burn(tmp_path, PAIR, by=["s"])
    seen = answers(test, Value({A: 0.5, B: 0.5}), Value({A: 0.5}, {B: "the value is NaN"}))
    assert said(test, seen, A).startswith("breached")
    assert said(test, seen, B) == "unknown (over 5m: the value is NaN)"
    assert "sum by (s) (rate(r[1h]))" in next(test.questions())


def test_too_little_traffic_is_no_verdict(tmp_path: Path) -> None:
    test = burn(tmp_path, PAIR, needs={"expr": "sum(increase(r[5m]))", "at_least": 100})
    seen = answers(test, HIGH, HIGH)
    assert said(test, {**seen, "sum(increase(r[5m]))": one(99)}) == "no_data (too little traffic: 99 < 100)"
    assert said(test, {**seen, "sum(increase(r[5m]))": one(100)}).startswith("breached")
    ignored = burn(tmp_path, PAIR, no_data="ignore")
    assert worst(assessed(ignored, answers(ignored, NoData("nothing"), NAN))) is Verdict.CLEAR


@pytest.mark.parametrize(
    ("severity", "windows"),
    [
        ("critical", "14.4 over 1h and 5m (2% of the budget of 30d), or 6 over 6h and 30m (5% of the budget of 30d)"),
        ("page", "14.4 over 1h and 5m (2% of the budget of 30d), or 6 over 6h and 30m (5% of the budget of 30d)"),
        ("warning", "3 over 1d and 2h (10% of the budget of 30d), or 1 over 3d and 6h (10% of the budget of 30d)"),
    ],
)
def test_the_windows_are_those_of_the_workbook_by_severity(tmp_path: Path, severity: str, windows: str) -> None:
    for trigger in ({"severity": severity}, {"labels": {"severity": severity}}):
        file = rollout(tmp_path, {"burn_rate": OF, **trigger})
        assert understood(file)[0].startswith(f"T: burn rate of 99.9% above {windows}, at once")


def test_a_rate_without_a_minimum_of_traffic_is_warned_of(tmp_path: Path) -> None:
    told = [str(one) for one in warnings(rollout(tmp_path, {"burn_rate": OF, "severity": "critical"}))]
    assert [one for one in told if "with little traffic a few errors burn any budget" in one]
    needs = {"expr": "sum(increase(r[5m]))", "at_least": 100}
    assert not warnings(rollout(tmp_path, {"burn_rate": {**OF, "needs": needs}, "severity": "critical"}))


def test_after_an_incident_each_window_is_plotted_with_the_ratio_that_is_too_much(tmp_path: Path) -> None:
    test = burn(tmp_path, PAIR, {"long": "6h", "short": "1h", "factor": 6})
    assert [(signal.name, str(limit)) for signal, limit in test.plotted()] == [
        ("error ratio over 1h", "> 0.006"),
        ("error ratio over 5m", "> 0.0144"),
        ("error ratio over 6h", "> 0.006"),
    ]
