"""PromQL, offline: what can be judged, and the split of an alert's expression, which must change no decision."""

import operator
import re

import promql_parser as pp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.rules import promql
from rollback_daemon.rules.conditions import pasted
from rollback_daemon.rules.measures import OnNoData
from rollback_daemon.rules.promql import PromQLError, Split, split

COMPARE = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne}
FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}

MEASURED = [
    "up",
    'x{a=">", b!="< 5", c=~"=="}',
    "rate(x[5m])",
    'sum(rate(http_requests_total{code=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))',
    "histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))",
    "x offset 5m",
    "-x",
    "a + b * 2",
    "a or b",
    "1 - a / b",
    "x > bool 5",
    "(x == bool 1) * 2",
    "vector(1)",
    "max_over_time(x[1h:30s])",
    "topk(3, x)",
    "{__name__=~'a|b'}",
    'label_replace(x, "a", "$1 > 2", "b", "(.*) > 3")',
]
EMPTY_WHEN_WELL = [
    "x > 5",
    "x and y",
    "x unless y",
    "absent(x)",
    "absent_over_time(x[5m])",
    "count(x > 5)",
    "(x != 3) + 1",
    "rate(x[5m]) < 1 or y",
    "-(x > 1)",
]
NUMBERS = {"5": 5.0, "0.05": 0.05, "-1": -1.0, "1e3": 1000.0, "0x1F": 31.0, "(5)": 5.0, "2 * 3": 6.0, "1 / 4": 0.25, "-(2 - 5)": 3.0, "1 + 1": 2.0}
VALUES = st.floats(allow_nan=False) | st.sampled_from(sorted(NUMBERS.values()))
SPACE = st.sampled_from([" ", "  ", "\n", "\t", " # a > 7, b < 8\n"])


def same(one: str, other: str) -> bool:
    return str(promql.parse(one)) == str(promql.parse(other))


@given(
    measured=st.sampled_from(MEASURED),
    op=st.sampled_from(sorted(COMPARE)),
    number=st.sampled_from(sorted(NUMBERS)),
    value=VALUES,
    parens=st.lists(st.booleans(), min_size=2, max_size=2),
    spaces=st.lists(SPACE, min_size=3, max_size=3),
    number_first=st.booleans(),
)
def test_splitting_an_expression_changes_no_decision(
    measured: str, op: str, number: str, value: float, parens: list[bool], spaces: list[str], number_first: bool
) -> None:
    """Whatever the measured side gives, Prometheus keeps the series just where the condition holds for its value."""
    before, after, last = spaces
    side = f"({before}{measured}{after})" if parens[0] or not _binds_tighter(measured) else measured
    expr = f"{number}{before}{op}{after}{side}" if number_first else f"{side}{before}{op}{after}{number}"
    whole = f"({expr}{last})" if parens[1] else f"{expr}{last}"
    kept_by_prometheus = COMPARE[op](NUMBERS[number], value) if number_first else COMPARE[op](value, NUMBERS[number])

    signal, condition = pasted("Alert", whole, None)

    assert condition is not None
    assert same(signal.expr, measured)
    assert condition.holds(value) == kept_by_prometheus
    assert condition.negated.holds(value) != kept_by_prometheus
    assert signal.no_data is OnNoData.DROP


def _binds_tighter(measured: str) -> bool:
    """Whether the measured side keeps its meaning next to a comparison: `or` and comparisons do not."""
    tree = pp.parse(measured)
    return not isinstance(tree, pp.BinaryExpr) or str(tree.op) in {"+", "-", "*", "/"}


@given(measured=st.sampled_from(EMPTY_WHEN_WELL), op=st.sampled_from(sorted(COMPARE)), number=st.sampled_from(sorted(NUMBERS)), first=st.booleans())
def test_what_may_be_empty_because_all_is_well_is_not_split(measured: str, op: str, number: str, first: bool) -> None:
    expr = f"{number} {op} ({measured})" if first else f"({measured}) {op} {number}"
    assert split(expr) is None
    assert pasted("Alert", expr, None)[0].expr == expr


@pytest.mark.parametrize(
    "expr",
    [
        "a > b",
        "a > on (job) group_left b",
        "x > bool 5",
        "x > 5 and y",
        "x > 5 or y > 5",
        "x > 5 unless on () y",
        "x > scalar(y)",
        "x > Inf",
        "x > NaN",
        "x > 1 / 0",
        "x > 2 ^ 3",
        "x > time()",
        "time() - x",
        "sum(x > 5)",
        "up",
        "vector(1)",
        "absent(up)",
        "1 > bool 2",
    ],
)
def test_what_is_no_comparison_of_something_measured_with_a_number_is_not_split(expr: str) -> None:
    assert split(expr) is None


@pytest.mark.parametrize(
    ("expr", "parts"),
    [
        ("x > 5", Split("x", ">", 5)),
        ("5 > x", Split("x", "<", 5)),
        ("(((x) > (5)))", Split("(x)", ">", 5)),
        ("a / b >= 0.05", Split("a / b", ">=", 0.05)),
        ("x{a='>'} != 0", Split("x{a='>'}", "!=", 0)),
        ("sum(rate(x[5m])) by (job)\n  > 0.05  # too many\n", Split("sum(rate(x[5m])) by (job)", ">", 0.05)),
        ("x # y > 3\n > 5", Split("x", ">", 5)),
        ("((x > 5)) # an alert", Split("x", ">", 5)),
        ('x{a="# >"} > 5', Split('x{a="# >"}', ">", 5)),
        ('x{a="\\"# >"} > 5', Split('x{a="\\"# >"}', ">", 5)),
        ('x{a=`#"`} > 5 # "', Split('x{a=`#"`}', ">", 5)),
        ("rate(x[500ms]) > 5", Split("rate(x[500ms])", ">", 5)),
    ],
)
def test_the_measured_side_is_the_users_own_text(expr: str, parts: Split | None) -> None:
    assert split(expr) == parts


def test_both_sides_are_asked_with_the_operator_as_a_breach_is_told() -> None:
    for op, flipped in FLIPPED.items():
        assert split(f"5 {op} x") == Split("x", flipped, 5)


@pytest.mark.parametrize("expr", [*MEASURED, *EMPTY_WHEN_WELL, "time()", "1", "x @ end()", "sort_desc(x)", "info(x)"])
def test_vectors_and_scalars_can_be_judged(expr: str) -> None:
    promql.require_vector(expr)


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        ("x[5m]", "is a range vector"),
        ("(x[5m])", "is a range vector"),
        ("x[5m:]", "is a range vector"),
        ('"text"', "is a string"),
        ("sum(", "is no PromQL: unclosed left parenthesis"),
        ("x = 5", 'compare with "=="'),
        ("x y", "does not parse"),
        ("rate(x[$__interval])", "Grafana"),
        ("", "is no PromQL: no expression"),
        ("1 > 2", "BOOL"),
    ],
)
def test_what_cannot_be_judged_says_why(expr: str, why: str) -> None:
    with pytest.raises(PromQLError, match=re.escape(why)):
        promql.require_vector(expr)


@given(st.text(alphabet="xy(){}[]5m=<>!~\"' \n#@/-", max_size=24))
def test_any_text_is_promql_or_refused(text: str) -> None:
    try:
        promql.require_vector(text)
    except PromQLError:
        return
    split(text)
    promql.compares(text)
    promql.is_ratio(text)
    promql.rate_windows(text)


@pytest.mark.parametrize("expr", ["x", "x{a='b'}", "(x)", "x offset 5m", "x @ 5"])
def test_a_selector_has_samples_with_an_age(expr: str) -> None:
    assert promql.is_selector(expr)


@pytest.mark.parametrize("expr", ["rate(x[5m])", "x + 1", "-x", "sum(x)", "1", "x > 5"])
def test_a_computed_value_has_none(expr: str) -> None:
    assert not promql.is_selector(expr)


@pytest.mark.parametrize("expr", ["a / b", "(a / b)", "100 * (a / b)", "100 * a / b", "1 - a / b", "-(a / b)", "sum(a) / sum(b) / 2", "a / b + 0.5"])
def test_a_ratio_of_two_measured_things(expr: str) -> None:
    assert promql.is_ratio(expr)


@pytest.mark.parametrize("expr", ["a", "a / 2", "2 / a", "a * b", "sum(a / b)", "a / b > 1", "a + b"])
def test_no_ratio_of_two_measured_things(expr: str) -> None:
    assert not promql.is_ratio(expr)


@pytest.mark.parametrize(
    ("expr", "windows"),
    [
        ("rate(x[5m])", ["5m"]),
        ("sum(rate(x[5m])) / sum(increase(y[1h30m]))", ["5m", "1h30m"]),
        ("max_over_time(rate(x[1m])[10m:30s])", ["1m"]),
        ("rate(x[5m]) + irate(y[5m])", ["5m"]),
        ("max_over_time(x[5m])", []),
        ("x", []),
    ],
)
def test_the_ranges_of_rates(expr: str, windows: list[str]) -> None:
    assert promql.rate_windows(expr) == windows


@pytest.mark.parametrize("expr", ["(" * 3000 + "1" + ")" * 3000, "-" * 5000 + "1", "+".join(["a"] * 20_000)])
def test_an_expression_that_would_overflow_the_parser_is_refused(expr: str) -> None:
    with pytest.raises(promql.PromQLError, match="too long or too deep"):
        promql.parse(expr)


@pytest.mark.parametrize(("expr", "scalar"), [("1", True), ("scalar(x)", True), ("time() - 5", True), ("x", False), ("vector(1) # 1", False)])
def test_only_a_plain_number_has_no_past(expr: str, scalar: bool) -> None:
    assert promql.is_scalar(expr) is scalar
