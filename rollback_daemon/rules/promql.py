"""PromQL, offline: what an expression yields, and the split of `vector CMP number` into what is measured and its limit.

The parser is promql-parser, a port of Prometheus' own grammar. Its errors have no position and its durations below a second are wrong, so neither
is relied on. Lives here: parsing. Must not live here: asking a server.
"""

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import promql_parser as pp

_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_RANGE = re.compile(r"\[\s*((?:[0-9]+(?:ms|[smhdwy]))+)\s*(?:\]|:)")
_COMMENT = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)|#[^\n]*""")  # a text, which is kept, or a comment
_FILTERS = {"and", "unless"}  # operators whose empty result may mean "clear"
_TO_ONE = {"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile"}  # of each group one value; the others keep series
_LONGEST = 10_000  # characters; the parser and what walks its tree are recursive
_MOST_PARENTHESES = 200
_SIGNS = re.compile(r"([-+]\s*){20}")


class PromQLError(ValueError):
    """The expression is no PromQL, or yields something that cannot be judged."""


@dataclass(frozen=True, slots=True)
class Split:
    """`left op limit`, where `left` is the user's own text and `op` is how a breach is recognised."""

    left: str
    op: str
    limit: float


@lru_cache(maxsize=4096)
def parse(expr: str) -> Any:
    """The expression's syntax tree, outer parentheses removed. Raises PromQLError."""
    if len(expr) > _LONGEST or expr.count("(") > _MOST_PARENTHESES or _SIGNS.search(expr):  # deeper ones overflow the parser's own stack
        raise PromQLError("is too long or too deep for a rule; split it with a recording rule")
    try:
        tree = pp.parse(expr)
    except ValueError as error:
        raise PromQLError(f"is no PromQL: {_in_words(expr, str(error))}") from error
    return _bare(tree)


def _in_words(expr: str, error: str) -> str:
    """The parser's words, with a remedy where they have none."""
    if "$" in expr and "$" in error:
        return "variables such as $__rate_interval are Grafana's; write the range, for instance [5m]"
    if error != "invalid promql query":
        return error
    if re.search(r"(?<![<>=!~])=(?![=~])", re.sub(r"\{[^}]*\}", "", expr)):
        return 'a single "=" belongs into {…}; compare with "=="'
    return "it does not parse; look for a missing operator, operand or bracket"


def require_vector(expr: str) -> None:
    """Raise PromQLError unless the expression yields an instant vector or a scalar, which is what a condition can be laid on."""
    tree = parse(expr)
    if isinstance(tree, pp.StringLiteral):
        raise PromQLError("is a string; a signal must be a number for each series")
    if isinstance(tree, (pp.MatrixSelector, pp.SubqueryExpr)):
        raise PromQLError("is a range vector; wrap it, for instance in rate(…) or avg_over_time(…)")


def is_scalar(expr: str) -> bool:
    """Whether the expression, which must be a right one, yields a scalar: no subquery can be made of it."""
    try:
        parse(f"({expr}\n)[1m:1m]")
    except PromQLError:
        return True
    return False


def is_single(expr: str) -> bool:
    """Whether the expression is a vector of one value without labels at most, so that `scalar(expr)` is that value."""
    tree = parse(expr)
    if isinstance(tree, pp.AggregateExpr):
        return tree.modifier is None and str(tree.op) in _TO_ONE
    return isinstance(tree, pp.Call) and tree.func.name == "vector"


def is_selector(expr: str) -> bool:
    """Whether the expression only selects series, so that `timestamp(expr)` tells the age of its samples."""
    return isinstance(parse(expr), pp.VectorSelector)


def takes_a_range(expr: str) -> bool:
    """Whether the expression is a selector that a range can be put behind: no modifier, no comment, no parentheses."""
    try:
        return "#" not in expr and isinstance(pp.parse(f"{expr}[1m]"), pp.MatrixSelector)
    except ValueError:
        return False


def metric_of(expr: str) -> str:
    """The name of the metric that a plain selector selects; empty for anything else."""
    tree = parse(expr)
    return str(tree.name or "") if isinstance(tree, pp.VectorSelector) else ""


def fixed_labels(expr: str) -> tuple[tuple[str, str], ...]:
    """The labels that `absent(expr)` gives, sorted: those that a plain selector fixes with `=`, unless a later matcher is about the same label."""
    tree = parse(expr)
    fixed: dict[str, str] = {}
    seen: set[str] = set()
    for one in tree.matchers.matchers if isinstance(tree, pp.VectorSelector) else ():
        if one.op == pp.MatchOp.Equal and one.name not in seen:
            seen.add(one.name)
            fixed[one.name] = one.value
        else:
            fixed.pop(one.name, None)
    return tuple(sorted((name, value) for name, value in fixed.items() if value and name != "__name__"))


def split(expr: str) -> Split | None:
    """`expr` split at its top comparison with a number; None where that would change a decision.

    Not split: a comparison of two vectors, `bool` comparisons, and a left side that may be empty because all is well (it compares, uses `and`
    or `unless`, or `absent`): there an empty left side is no lack of data.
    """
    tree = parse(expr)
    if not isinstance(tree, pp.BinaryExpr) or str(tree.op) not in _FLIPPED or _returns_bool(tree):
        return None
    left, right = _constant(tree.lhs), _constant(tree.rhs)
    if (left is None) == (right is None):
        return None
    measured, limit, op = (tree.lhs, right, str(tree.op)) if right is not None else (tree.rhs, left, _FLIPPED[str(tree.op)])
    if limit is None or not math.isfinite(limit) or _is_scalar(measured) or _empties(measured):
        return None
    text = _source(expr, tree, measured)
    return Split(text, op, limit) if text else None


def compares(expr: str) -> bool:
    """Whether anything in the expression can make its result empty; without that, every result, even 0, is a breach."""
    return _empties(parse(expr))


def is_ratio(expr: str) -> bool:
    """Whether the expression divides one measured thing by another: a handful of requests then makes any figure."""
    return _is_ratio(parse(expr))


def _is_ratio(tree: Any) -> bool:
    tree = _bare(tree)
    if isinstance(tree, pp.UnaryExpr):
        return _is_ratio(tree.expr)
    if not isinstance(tree, pp.BinaryExpr) or str(tree.op) not in {"+", "-", "*", "/"}:
        return False
    left, right = _constant(tree.lhs), _constant(tree.rhs)
    if left is None and right is None:
        return str(tree.op) == "/"
    return _is_ratio(tree.rhs if left is not None else tree.lhs)  # 100 * (errors / requests), 1 - errors / requests


def is_share(expr: str) -> bool:
    """Whether the expression divides a part by its whole: the same metric on both sides, narrowed above. Its value is from 0 to 1."""
    tree = parse(expr)
    if not is_ratio(expr):
        return False
    part, whole = _metrics(tree.lhs), _metrics(tree.rhs)
    return part == whole and len(part) == 1


def _metrics(tree: Any) -> set[str]:
    """The names of the metrics that an expression reads."""
    found: set[str] = set()

    def visit(node: Any) -> bool:
        selector = node.vector_selector if isinstance(node, pp.MatrixSelector) else node
        if isinstance(selector, pp.VectorSelector):
            found.add(selector.name or str(selector))
        return True

    pp.walk(tree, pre_visit=visit)
    return found


def rate_windows(expr: str) -> list[str]:
    """The ranges (`5m`) of every `rate`, `irate`, `increase` and `delta` in the expression, as written."""
    found: list[str] = []

    def visit(node: Any) -> bool:
        if isinstance(node, pp.Call) and node.func.name in {"rate", "irate", "increase", "delta"}:
            found.extend(match[1] for match in _RANGE.finditer(str(node)))
        return True

    pp.walk(parse(expr), pre_visit=visit)
    return list(dict.fromkeys(found))


def reach(expr: str) -> timedelta:
    """How far back the data go that one value rests on: the widest range, with the ranges of subqueries around it. 0 where there is none."""
    widest, around = timedelta(), [timedelta()]

    def enter(node: Any) -> bool:
        nonlocal widest
        if isinstance(node, (pp.MatrixSelector, pp.SubqueryExpr)):
            around.append(around[-1] + (node.range or timedelta()))
            widest = max(widest, around[-1])
        return True

    def leave(node: Any) -> bool:
        if isinstance(node, (pp.MatrixSelector, pp.SubqueryExpr)):
            around.pop()
        return True

    pp.walk(parse(expr), pre_visit=enter, post_visit=leave)
    return widest


def _bare(tree: Any) -> Any:
    while isinstance(tree, pp.ParenExpr):
        tree = tree.expr
    return tree


def _returns_bool(tree: Any) -> bool:
    return tree.modifier is not None and bool(tree.modifier.return_bool)


def _constant(tree: Any) -> float | None:
    """The number that an expression of number literals is, or None."""
    tree = _bare(tree)
    if isinstance(tree, pp.NumberLiteral):
        return float(tree.val)
    if isinstance(tree, pp.UnaryExpr):
        inner = _constant(tree.expr)
        return None if inner is None else -inner
    if isinstance(tree, pp.BinaryExpr):
        return _arithmetic(str(tree.op), _constant(tree.lhs), _constant(tree.rhs))
    return None


def _arithmetic(op: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    try:
        return {"+": left + right, "-": left - right, "*": left * right}[op] if op != "/" else left / right
    except (KeyError, ZeroDivisionError):
        return None


def _is_scalar(tree: Any) -> bool:
    tree = _bare(tree)
    if isinstance(tree, pp.Call):
        return bool(tree.func.return_type == pp.ValueType.Scalar)
    if isinstance(tree, pp.UnaryExpr):
        return _is_scalar(tree.expr)
    if isinstance(tree, pp.BinaryExpr):
        return _is_scalar(tree.lhs) and _is_scalar(tree.rhs)
    return isinstance(tree, pp.NumberLiteral)


def _empties(tree: Any) -> bool:
    """Whether a part of the expression drops series because of their values, or `absent` turns lack into presence."""
    found = False

    def visit(node: Any) -> bool:
        nonlocal found
        if isinstance(node, pp.BinaryExpr):
            op = str(node.op)
            found |= op in _FILTERS or (op in _FLIPPED and not _returns_bool(node))
        elif isinstance(node, pp.Call):
            found |= node.func.name in {"absent", "absent_over_time"}
        return not found

    pp.walk(tree, pre_visit=visit)
    return found


def _source(expr: str, tree: Any, measured: Any) -> str | None:
    """The user's own text of the measured side, without comments: cut at the operator where both parts parse to the very parts of the tree."""
    text = _COMMENT.sub(lambda match: match[1] or " ", expr).strip()
    while text.startswith("(") and text.endswith(")") and _bare_text(text[1:-1]) == str(tree):
        text = text[1:-1].strip()
    for match in re.finditer(r"[<>]=?|[!=]=", text):
        before, after = text[: match.start()].strip(), text[match.end() :].strip()
        side = before if measured is tree.lhs or str(measured) == str(tree.lhs) else after
        other = after if side is before else before
        if match.group() == str(tree.op) and _parses_to(side, str(measured)) and _constant_text(other) is not None:
            return side
    return None


def _parses_to(text: str, wanted: str) -> bool:
    try:
        return str(pp.parse(text)) == wanted
    except ValueError:
        return False


def _bare_text(text: str) -> str | None:
    try:
        return str(_bare(pp.parse(text)))
    except ValueError:
        return None


def _constant_text(text: str) -> float | None:
    try:
        return _constant(pp.parse(text))
    except ValueError:
        return None
