"""Prometheus' templates in labels and annotations, the part of them that alerting rules commonly use.

`{{ $value }}`, `{{ .Value }}`, `{{ $labels.NAME }}` and `{{ .Labels.NAME }}`, alone or through `humanize`, `humanize1024`, `humanizePercentage`,
`humanizeDuration` and `printf` (%f %.2f %0.2f %g %e %v %s %d %%), in both of Go's ways: `{{ $value | humanize }}` and `{{ humanize $value }}`. They
give what Prometheus gives, letter by letter. Everything else stays as it is written, and `unknown` names it.

Lives here: text to text. Must not live here: where labels and values come from.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

NO_VALUE = "no value"
"""What stands for a value that there is none of."""

_ACTION = re.compile(r"\{\{(.*?)\}\}|\{\{.*", re.DOTALL)
_TOKEN = re.compile(r"""\s*(?:(?P<string>"(?:[^"\\\n])*"|`[^`]*`)|(?P<name>[$.]?[A-Za-z_][\w.]*)|(?P<pipe>\|))""")
_LABEL = re.compile(r"(?:\$labels|\.Labels)\.([A-Za-z_]\w*)")
_VERB = re.compile(r"%(?:(?P<precise>0?(?:\.\d*)?[fge])|(?P<plain>[vsd%]))")

_Argument = float | str


@dataclass(frozen=True, slots=True)
class _Label:
    name: str


@dataclass(frozen=True, slots=True)
class _Call:
    """A function with its arguments. `$value` is None here, a text is a format."""

    function: str
    arguments: tuple["_Node", ...]


_Node = _Label | _Call | str | None


class _Unknown(ValueError):
    """Not among the templates that are known here."""


def render(text: str, value: float | None, labels: Mapping[str, str]) -> str:
    """`text` with every known template replaced. A label that is not there is empty, as in Prometheus; a value that is not there is `NO_VALUE`."""

    def replaced(action: re.Match[str]) -> str:
        try:
            return _shown(_value_of(_parsed(action), value, labels))
        except _NoValue:
            return NO_VALUE
        except _Unknown:
            return action[0]

    return _ACTION.sub(replaced, text)


def unknown(text: str) -> list[str]:
    """The templates in `text` that `render` leaves as they are."""
    return [action[0] for action in _ACTION.finditer(text) if not _is_known(action)]


def _is_known(action: re.Match[str]) -> bool:
    try:
        _parsed(action)
    except _Unknown:
        return False
    return True


def _parsed(action: re.Match[str]) -> _Node:
    if action[1] is None:
        raise _Unknown("is never closed")
    node: _Node = None
    for number, command in enumerate(_commands(action[1])):
        node = _command(command, (node,) if number else ())
    return node


def _commands(text: str) -> Iterator[list[str]]:
    """The tokens between the pipes."""
    command: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        token = _TOKEN.match(text, at)
        if token is None:
            raise _Unknown(text)
        if token["pipe"]:
            yield command
            command = []
        else:
            command.append(token[0].strip())
        at = token.end()
    yield command


def _command(tokens: list[str], piped: tuple[_Node, ...]) -> _Node:
    if not tokens:
        raise _Unknown("nothing between the pipes")
    if tokens[0] == "printf":
        return _printf(tokens, piped)
    if tokens[0] in _FUNCTIONS:
        arguments = (*map(_operand, tokens[1:]), *piped)
        if len(arguments) != 1:
            raise _Unknown(f"{tokens[0]} takes one argument")
        return _Call(tokens[0], arguments)
    if len(tokens) > 1 or piped:
        raise _Unknown(tokens[0])
    return _operand(tokens[0])


def _printf(tokens: list[str], piped: tuple[_Node, ...]) -> _Node:
    if len(tokens) < 2 or tokens[1][0] not in {'"', "`"}:
        raise _Unknown("printf without a format")
    wanted = tokens[1][1:-1]
    arguments = (*map(_operand, tokens[2:]), *piped)
    verbs = [verb[0] for verb in _VERB.finditer(wanted) if verb[0] != "%%"]
    if len(verbs) != len(arguments) or "%" in _VERB.sub("", wanted):
        raise _Unknown(wanted)
    return _Call("printf", (wanted, *arguments))


def _operand(token: str) -> _Node:
    if token in {"$value", ".Value"}:
        return None
    if label := _LABEL.fullmatch(token):
        return _Label(label[1])
    raise _Unknown(token)


class _NoValue(ValueError):
    """The template shows a value, and there is none."""


def _value_of(node: _Node, value: float | None, labels: Mapping[str, str]) -> _Argument:
    match node:
        case None:
            return _present(value)
        case str():
            return node
        case _Label():
            return labels.get(node.name, "")
        case _Call("printf", (str() as wanted, *arguments)):
            return _formatted(wanted, [_value_of(one, value, labels) for one in arguments])
        case _Call():
            return _FUNCTIONS[node.function](_number(_value_of(node.arguments[0], value, labels)))


def _present(value: float | None) -> float:
    if value is None:
        raise _NoValue
    return value


def _number(argument: _Argument) -> float:
    try:
        return float(argument)
    except ValueError:
        raise _Unknown(f"{argument} is no number") from None


def _shown(argument: _Argument) -> str:
    return argument if isinstance(argument, str) else _general(argument)


def _formatted(wanted: str, arguments: list[_Argument]) -> str:
    left = iter(arguments)

    def one(verb: re.Match[str]) -> str:
        return "%" if verb[0] == "%%" else _verb(verb, next(left))

    return _VERB.sub(one, wanted)


def _verb(verb: re.Match[str], argument: _Argument) -> str:
    kind = verb[0][-1]
    if kind == "v" or (kind == "s" and isinstance(argument, str)):
        return _shown(argument)
    if kind in "fge" and not isinstance(argument, str):
        return _float(verb[0], argument)
    return _misfit(verb[0], argument)


def _misfit(verb: str, argument: _Argument) -> str:
    """How Go shows that a verb does not suit its argument; a precision cuts a text there, too."""
    if not isinstance(argument, str):
        return f"%!{verb[-1]}(float64={_general(argument)})"
    precision = verb[1:-1].lstrip("0")
    cut = argument[: int(precision[1:] or "0")] if precision else argument
    return f"%!{verb[-1]}(string={cut})"


def _float(verb: str, value: float) -> str:
    if not math.isfinite(value):
        return _special(value)
    return _general(value) if verb in {"%g", "%0g"} else verb % value


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _general(value: float) -> str:
    """A figure as Go's %v: the fewest digits that tell it from every other one."""
    if not math.isfinite(value):
        return _special(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    size = len(digits) + int(exponent) - 1
    if value and not -4 <= size < 6:
        mantissa = "".join(map(str, digits))
        tail = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
        return f"{'-' if sign else ''}{mantissa[0]}{tail}e{'-' if size < 0 else '+'}{abs(size):02d}"
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def _four(value: float) -> str:
    return _float("%.4g", value)


def _scaled(value: float, prefixes: str, step: float) -> tuple[float, str]:
    """`value` in the first of the units that leaves it below `step`; with a step below 1, in the first that leaves it at 1 or above."""
    found = ""
    for prefix in prefixes:
        if (abs(value) < step) if step > 1 else (abs(value) >= 1):
            break
        found, value = prefix, value / step if step > 1 else value * 1000
    return value, found


def _humanize(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return _four(value)
    scaled, prefix = _scaled(value, "kMGTPEZY", 1000) if abs(value) >= 1 else _scaled(value, "munpfazy", 0.001)
    return _four(scaled) + prefix


def _humanize1024(value: float) -> str:
    if abs(value) <= 1 or not math.isfinite(value):
        return _four(value)
    scaled, prefix = _scaled(value, "kMGTPEZY", 1024)
    return _four(scaled) + (f"{prefix}i" if prefix else "")


def _humanize_percentage(value: float) -> str:
    return f"{_four(value * 100)}%"


def _humanize_duration(value: float) -> str:
    if not math.isfinite(value):
        return _four(value)
    if abs(value) < 1:
        scaled, prefix = _scaled(value, "munpfazy", 0.001) if value else (value, "")
        return f"{_four(scaled)}{prefix}s"
    sign, value = ("-", -value) if value < 0 else ("", value)
    if value >= 2**63:  # Prometheus' own counter overflows here
        return f"{sign}{_four(value)}s"
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{_four(value)}s"


_FUNCTIONS: Mapping[str, Callable[[float], str]] = {
    "humanize": _humanize,
    "humanize1024": _humanize1024,
    "humanizePercentage": _humanize_percentage,
    "humanizeDuration": _humanize_duration,
}
