"""The trigger kind `absent`."""

from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.rules import promql
from rollback_daemon.rules.reading import Verdict, worst
from rollback_daemon.signals.observation import NOTHING, NoData, Observation, Value
from tests.rules.kinds import EMPTY, FAILED, NAN, NOW, A, B, assessed, kind, one, said


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (EMPTY, "breached 0"),
        (one(0), "clear 1"),
        (Value({A: 1.0}, {B: "the value is NaN"}), "clear 2"),
        (NAN, "clear (the value is NaN)"),
        (FAILED, "error (no answer)"),
        (NoData("not asked"), "no_data (not asked)"),
        (NoData(NOTHING, ("a store is away",)), "no_data (the query returned nothing, with a warning: a store is away)"),
    ],
)
def test_only_an_answer_without_a_series_is_a_breach(tmp_path: Path, answer: Observation, what: str) -> None:
    test = kind(tmp_path, {"absent": "sum(up)"})
    assert said(test, {"sum(up)": answer}) == what
    assert (worst(assessed(test, {"sum(up)": answer})) is Verdict.BREACHED) == (answer == EMPTY)


def test_what_is_missing_has_the_labels_that_the_selector_fixes(tmp_path: Path) -> None:
    expr = 'redis_up{instance="a", zone=~"eu.*"}'
    test = kind(tmp_path, {"absent": expr})
    assert [*assessed(test, {expr: EMPTY}).series] == [(("instance", "a"),)]
    assert (test.subject, test.limit, test.expr, test.alert_expr) == ("series of redis_up", "< 1", expr, f"absent({expr})")


@pytest.mark.parametrize(
    ("expr", "labels"),
    [
        ('x{b="2", a="1"}', (("a", "1"), ("b", "2"))),
        ('x{a="1", a="2"}', ()),
        ('x{a="1", a!="2"}', ()),
        ('x{a!="2", a="1"}', (("a", "1"),)),
        ('{__name__="x", a=""}', ()),
        ('x{a="1"} offset 5m', (("a", "1"),)),
        ('sum(x{a="1"})', ()),
    ],
)
def test_labels_are_those_of_the_function_of_prometheus(expr: str, labels: tuple[Any, ...]) -> None:
    assert promql.fixed_labels(expr) == labels


def test_a_series_that_is_too_old_is_there_and_unknown(tmp_path: Path) -> None:
    test = kind(tmp_path, {"absent": {"signal": "young"}})
    assert said(test, {"young": one(1), "timestamp(young)": one(NOW.timestamp())}) == "clear 1"
    assert said(test, {"young": one(1), "timestamp(young)": one(NOW.timestamp() - 90)}) == "no_data (the sample is older than 1m)"
    assert said(test, {"young": one(1), "timestamp(young)": FAILED}) == "error (no answer)"
    assert said(test, {"young": EMPTY}) == "breached 0"
