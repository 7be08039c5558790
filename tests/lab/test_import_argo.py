"""Analyses of Argo Rollouts: what their conditions mean as limits, and how they count here."""

import math
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.durations import format_duration
from rollback_daemon.lab.importing.argo_limits import lay
from rollback_daemon.lab.importing.conditions import Meaning, Outcome, Reach, meaning
from rollback_daemon.lab.importing.draft import NoteKind, Wanted
from rollback_daemon.lab.importing.expressions import Unmappable
from rollback_daemon.lab.importing.go_times import go_duration
from rollback_daemon.lab.importing.single import gives_one
from rollback_daemon.rules.measures import Condition, OnNoData, Op
from rollback_daemon.rules.model import ActionKind, ErrorBudget
from rollback_daemon.rules.promql import require_vector
from rollback_daemon.rules.triggers import Threshold, Violations
from tests.lab.importer import carried, said

HERE = Path(__file__).parent / "imports"
SUCCESS, FAILURE, ERROR = Outcome.SUCCESS, Outcome.FAILURE, Outcome.ERROR
MEANINGS = {
    ("result[0] >= 0.95", ""): Meaning("below", (0.95,), Reach.FIRST, ERROR, FAILURE),
    ("", "result[0] >= 0.05"): Meaning("at_least", (0.05,), Reach.FIRST, ERROR, SUCCESS),
    ("result < 5", ""): Meaning("at_least", (5,), Reach.ANY, ERROR, FAILURE, scalar=True),
    ("all(result, # < 2 * 3)", ""): Meaning("at_least", (6,), Reach.ANY, SUCCESS, FAILURE),
    ("any(result, {# <= -1})", ""): Meaning("above", (-1,), Reach.ALL, FAILURE, FAILURE),
    ("", "none(result, # < 3) and len(result) > 0"): Meaning("at_least", (3,), Reach.ALL, SUCCESS, FAILURE),
    ("len(result) == 0 || result[0] <= 5", ""): Meaning("above", (5,), Reach.FIRST, SUCCESS, FAILURE),
    ("isNaN(result[0]) || result[0] > 1", ""): Meaning("at_most", (1,), Reach.FIRST, ERROR, SUCCESS),
    ("default(result, 0) < 5", ""): Meaning("at_least", (5,), Reach.ANY, SUCCESS, FAILURE, scalar=True),
    ("len(result) > 0 && result[0] < 0.05", "len(result) == 0 || result[0] >= 0.05"): Meaning(
        "at_least", (0.05,), Reach.FIRST, FAILURE, Outcome.INCONCLUSIVE
    ),
    ("len(result) == 1 && result[0] < 1", "len(result) != 1 || !(result[0] < 1)"): Meaning("at_least", (1,), Reach.ANY, FAILURE, FAILURE),
    ("result[0] >= 1 && result[0] <= 5", ""): Meaning("outside", (1, 5), Reach.FIRST, ERROR, FAILURE),
    ("result[0] > 1 && result[0] <= 5", ""): Meaning("outside", (1, 5), Reach.FIRST, ERROR, FAILURE, edges=(1,)),
    ("", "result[0] >= 1 && result[0] <= 5"): Meaning("within", (1, 5), Reach.FIRST, ERROR, SUCCESS),
    ("result[0] == 0", ""): Meaning("!=", (0,), Reach.FIRST, ERROR, FAILURE),
    ("result[0] != 0", ""): Meaning("==", (0,), Reach.FIRST, ERROR, SUCCESS),
    ("result[0] < 1", "result[0] > 2"): Meaning("above", (2,), Reach.FIRST, ERROR, Outcome.INCONCLUSIVE, undecided=True),
    ("max(result) <= 0.5", ""): Meaning("above", (0.5,), Reach.ANY, ERROR, FAILURE),
}


@pytest.mark.parametrize(("conditions", "meant"), MEANINGS.items(), ids=str)
def test_a_condition_has_its_limit(conditions: tuple[str, str], meant: Meaning) -> None:
    assert meaning(*conditions) == meant


UNMAPPABLE = {
    "result[0] < 1 && result[1] < 2": "is an error for some values",
    "result[0] * 100 < 5": "is no comparison of the result with figures",
    'result[0] == "ok"': "is no comparison of the result with figures",
    "1 < result[0] < 3": "is no comparison of the result with figures",
    "true": "never fails",
    "result[0] > 1 && result[0] < 1": "always fails",
    "result[0] < 1 || (result[0] > 2 && result[0] < 3)": "fails in a way that no single limit can say",
    "result[0] > 1 ? true : false": "is no condition that is understood here",
    "all(result,": "is no condition that is understood here; it ends too early: for YAML a # behind a space begins a comment, so quote it",
    "__import__('os')": "is no comparison of the result with figures",
    "result[0] < 1 || " * 80 + "true": "is too long",
    " || ".join(f"result[0] > {n}" for n in range(30)): "has too many figures",
    "result[0] < 1 / 0": "is no comparison of the result with figures",
}


@pytest.mark.parametrize(("condition", "why"), UNMAPPABLE.items())
def test_a_condition_without_a_limit_says_why(condition: str, why: str) -> None:
    with pytest.raises(Unmappable) as caught:
        meaning(condition, "")
    assert str(caught.value) == why


OPERATORS = {">": Op.ABOVE, "<": Op.BELOW, ">=": Op.AT_LEAST, "<=": Op.AT_MOST}


@settings(max_examples=50)
@given(st.sampled_from(list(OPERATORS)), st.floats(-1e6, 1e6), st.floats(allow_nan=False))
def test_the_limit_is_a_breach_where_the_condition_fails(operator: str, figure: float, value: float) -> None:
    meant = meaning("", f"result[0] {operator} {figure!r}")
    compared = {">": value > figure, "<": value < figure, ">=": value >= figure, "<=": value <= figure}[operator]
    assert Condition(Op[meant.limit.upper()], meant.figures[0]).holds(value) == compared


def test_an_analysis_becomes_signals_and_triggers(tmp_path: Path) -> None:
    rollout, draft = carried(tmp_path, HERE / "analysis.yaml", Wanted("rollback", {"service": "shop"}))
    assert (draft.carried, draft.total) == (4, 6)
    rate, errors, latency, tried = rollout.triggers
    assert isinstance(rate.test, Violations)
    assert rate.test.checks[0].violation == Condition(Op.BELOW, 0.95)
    assert (rate.test.needed, rate.test.every, rate.initial_delay) == (Condition(Op.ABOVE, 3), timedelta(minutes=5), timedelta(seconds=90))
    assert 'service="shop"' in rate.test.expr
    assert rate.errors == ErrorBudget(4, ActionKind.HOLD)
    assert isinstance(errors.test, Violations)
    assert (errors.test.out_of, errors.test.every) == (5, timedelta(seconds=10))
    assert errors.test.checks[0].signal.no_data is OnNoData.IGNORE
    assert (errors.test.checks[0].signal.expr, errors.test.checks[0].violation) == ("-(sum(errors))", Condition(Op.AT_MOST, -5))
    assert isinstance(tried.test, Threshold)
    assert (tried.test.expr, tried.test.condition) == ("abs((sum(crashes)) - 0)", Condition(Op.ABOVE, 0))
    assert isinstance(latency.test, Threshold)
    assert latency.test.condition == Condition(Op.ABOVE, 2)
    assert (tried.dry_run, rate.dry_run) == (True, False)
    assert rollout.interval == timedelta(seconds=10)


def test_what_counts_otherwise_is_told_by_place(tmp_path: Path) -> None:
    _, draft = carried(tmp_path, HERE / "analysis.yaml", Wanted(arguments={"service": "shop"}))
    assert said(draft, HERE) == (HERE / "analysis.txt").read_text().splitlines()


def test_an_argument_without_a_value_is_asked_for(tmp_path: Path) -> None:
    _, draft = carried(tmp_path, HERE / "analysis.yaml")
    left_out = [str(note.problem.text) for note in draft.notes if note.kind is NoteKind.LEFT_OUT]
    assert left_out[0] == 'left out: the argument "service" has no value; give it by --arg service=…'


@pytest.mark.parametrize(
    ("query", "failure", "counted", "expr", "limit"),
    [
        ("a", "result[0] == -2", False, "abs((a) - (-2))", {"at_most": 0}),
        ("time() # now", "result != 3", False, "abs(vector((time() # now\n) - 3))", {"above": 0}),
        ("a", "all(result, # >= 0.5)", True, "-(min(a))", {"at_most": -0.5}),
        ("a", "result[0] >= 0.5", False, "a", {"at_least": 0.5}),
        ("a", "all(result, # < 2)", False, "max(a)", {"below": 2}),
    ],
)
def test_a_limit_that_there_is_not_is_laid_on_another_query(query: str, failure: str, counted: bool, expr: str, limit: dict[str, float]) -> None:
    laid = lay(query, meaning("", failure), counted=counted)
    assert (laid.expr, laid.limit) == (expr, limit)
    require_vector(laid.expr)


def test_all_series_out_of_a_range_cannot_be_said_by_one_limit() -> None:
    with pytest.raises(Unmappable, match="fails when all series are bad"):
        lay("a", meaning("", "all(result, # < 1 || # > 2)"))


@pytest.mark.parametrize(("text", "told"), [("5m", "5m"), ("1.5h", "1h30m"), ("1m30s", "1m30s"), ("90s", "1m30s"), ("250ms", "250ms")])
def test_durations_of_go_are_understood(text: str, told: str) -> None:
    assert format_duration(go_duration(text)) == told


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "0s", "9" * 400 + "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 5m or 30s"):
        go_duration(text)


@pytest.mark.parametrize(
    ("expr", "one"),
    [
        ("sum(rate(a[5m])) / sum(rate(b[5m]))", True),
        ("histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))", True),
        ("histogram_quantile(0.9, sum by (le, job) (rate(a_bucket[5m])))", False),
        ("sum without (job) (a)", False),
        ("topk(1, a)", False),
        ("sum(a) or vector(0)", False),
        ("-(max(a))", True),
        ("a", False),
        ("time()", True),
    ],
)
def test_an_expression_that_gives_one_series_is_known_by_its_form(expr: str, one: bool) -> None:
    assert gives_one(expr) is one


def test_no_figure_is_infinite() -> None:
    assert math.isfinite(meaning("result[0] < 1e308", "").figures[0])
