"""Whether an expression gives one series at most, as far as its form tells. Pure. Must not live here: what it measures."""

from typing import Any

import promql_parser as pp

from rollback_daemon.rules import promql

_OF_HISTOGRAMS = {"histogram_quantile", "histogram_fraction"}
_SEVERAL = {"topk", "bottomk", "limitk", "limit_ratio", "count_values"}


def gives_one(expr: str) -> bool:
    """Whether the expression, which must be a right one, gives one series at most, whatever there is to be measured."""
    return _one(promql.parse(expr), set())


def _one(tree: Any, gone: set[str]) -> bool:
    """`gone`: labels that are taken away further out."""
    if isinstance(tree, (pp.ParenExpr, pp.UnaryExpr)):
        return _one(tree.expr, gone)
    if isinstance(tree, pp.NumberLiteral):
        return True
    if isinstance(tree, pp.BinaryExpr):
        both = _one(tree.lhs, gone) and _one(tree.rhs, gone)
        return both and str(tree.op) != "or"
    if isinstance(tree, pp.AggregateExpr):
        kept = tree.modifier
        by = set() if kept is None else set(kept.labels) if str(kept.type).endswith(".By") else {"anything"}
        return str(tree.op) not in _SEVERAL and by <= gone
    if isinstance(tree, pp.Call):
        if tree.func.return_type == pp.ValueType.Scalar or tree.func.name == "vector" or tree.func.name.startswith("absent"):
            return True
        gone = gone | ({"le"} if tree.func.name in _OF_HISTOGRAMS else set())
        return bool(tree.args) and all(_one(one, gone) for one in tree.args)
    return False
