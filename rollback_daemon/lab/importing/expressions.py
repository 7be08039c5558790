"""The language of Argo's conditions, as far as figures are compared: parsing, and the value of an expression for a result.

The language is that of github.com/expr-lang/expr; Python's own parser reads it, and only what is listed here is looked at. Pure. Must not live here:
what a condition means as a limit (`conditions`).
"""

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

_LONGEST = 1000  # characters
_COMPARES: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_COMPUTES: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_PYTHON = [(r"&&", " and "), (r"\|\|", " or "), (r"!(?!=)", " not "), (r"#", " _item "), (r"\{", "("), (r"\}", ")")]
_NAMES = {"true": True, "false": False, "nil": None}


class Unmappable(ValueError):
    """The condition has no limit that says the same. The message says why."""


class Undefined(ValueError):
    """The condition is an error for this result."""


def parsed(condition: str) -> ast.expr:
    """The condition as a tree. Raises Unmappable."""
    if len(condition) > _LONGEST:
        raise Unmappable("is too long")
    text = condition
    for pattern, replacement in _PYTHON:
        text = re.sub(pattern, replacement, text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python, about what is no Python
            return ast.parse(f"({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        early = "; it ends too early: for YAML a # behind a space begins a comment, so quote it" if text.count("(") > text.count(")") else ""
        raise Unmappable(f"is no condition that is understood here{early}") from None


def figures_in(tree: ast.expr) -> set[float]:
    """Every figure in the condition, computed where it is."""
    found: set[float] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.BinOp, ast.UnaryOp)):
            try:
                value = _constant(node)
            except Undefined:
                continue
            found.add(value)
    return {value for value in found if math.isfinite(value)}


def _constant(node: ast.expr) -> float:
    value = _value(node, None, ())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Undefined
    return float(value)


def truth(node: ast.expr, result: Any) -> bool:
    """Whether the condition holds for a result: a list of figures, or one. Raises Undefined."""
    value = _value(node, result, ())
    if not isinstance(value, bool):
        raise Undefined
    return value


def _value(node: ast.expr, result: Any, item: tuple[Any, ...]) -> Any:
    """The value of an expression; `item` is what # stands for. Raises Undefined where Argo has an error, or this is not understood."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return node.value
        case ast.Name():
            return _named(node.id, result, item)
        case ast.Subscript(value=of, slice=ast.Constant(value=int() as index)):
            return _entry(_value(of, result, item), index)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _called(name, args, result, item)
    return _operated(node, result, item)


def _named(name: str, result: Any, item: tuple[Any, ...]) -> Any:
    if name in _NAMES:
        return _NAMES[name]
    if name == "result":
        return result
    if name == "_item" and item:
        return item[0]
    raise Undefined


def _operated(node: ast.expr, result: Any, item: tuple[Any, ...]) -> Any:
    """What has operators. Figures are computed, results are only compared: of anything else the limit could not be told."""
    match node:
        case ast.BoolOp(op=op, values=values):
            return _both(op, values, result, item)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _bool(_value(operand, result, item))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(_value(operand, None, ()))
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _COMPUTES:
            return _computed(_COMPUTES[type(op)], _number(_value(left, None, ())), _number(_value(right, None, ())))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARES:
            return _compared(op, _value(left, result, item), _value(right, result, item))
    raise Undefined


def _both(op: ast.boolop, values: Sequence[ast.expr], result: Any, item: tuple[Any, ...]) -> bool:
    """And, or: the first that decides it, and what comes behind is not looked at."""
    decides = isinstance(op, ast.Or)
    return decides if any(_bool(_value(one, result, item)) is decides for one in values) else not decides


def _entry(of: Any, index: int) -> Any:
    if not isinstance(of, list) or not -len(of) <= index < len(of):
        raise Undefined
    return of[index]


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Undefined
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Undefined
    return value


def _computed(how: Callable[[float, float], float], left: float, right: float) -> float:
    try:
        return how(left, right)
    except ArithmeticError:
        raise Undefined from None


def _compared(op: ast.cmpop, left: Any, right: Any) -> bool:
    if left is None or right is None:
        if isinstance(op, (ast.Eq, ast.NotEq)):
            return (left is right) is isinstance(op, ast.Eq)
        raise Undefined
    return _COMPARES[type(op)](_number(left), _number(right))


def _called(name: str, args: Sequence[ast.expr], result: Any, item: tuple[Any, ...]) -> Any:
    first = _value(args[0], result, item) if args else None
    if len(args) == 2 and name in _OVER_SERIES and isinstance(first, list):
        return _OVER_SERIES[name](first, [_bool(_value(args[1], result, (one,))) for one in first])
    if len(args) == 2 and name == "default":
        return _value(args[1], result, item) if first in ([], None) else first
    if len(args) == 1 and name in _OF_ONE:
        return _OF_ONE[name](first)
    raise Undefined


def _length(value: Any) -> int:
    if not isinstance(value, list):
        raise Undefined
    return len(value)


def _furthest(which: Callable[[list[float]], float], value: Any) -> float:
    if not isinstance(value, list) or not value:
        raise Undefined
    return which([_number(one) for one in value])


_OVER_SERIES: dict[str, Callable[[list[Any], list[bool]], Any]] = {
    "all": lambda _series, held: all(held),
    "any": lambda _series, held: any(held),
    "none": lambda _series, held: not any(held),
    "one": lambda _series, held: sum(held) == 1,
    "count": lambda _series, held: sum(held),
    "filter": lambda series, held: [one for one, kept in zip(series, held, strict=True) if kept],
}
_OF_ONE: dict[str, Callable[[Any], Any]] = {
    "len": _length,
    "max": lambda value: _furthest(max, value),
    "min": lambda value: _furthest(min, value),
    "isNaN": lambda value: math.isnan(_number(value)),
    "isInf": lambda value: math.isinf(_number(value)),
    "isNil": lambda value: value is None,
    "asFloat": _number,
    "float": _number,
}
