"""Series as promtool's test files write them: `up{job="api"}`, and `0+1x10 _x5 stale 3` as points, one for each step.

The grammar is that of Prometheus (`promql/parser`), measured on promtool 2.42, 2.53 and 3.5: `axn` are n+1 points, `_xn` are n gaps, a step is added
n times over, a leading zero is octal, and neither `stale` nor `NaN` nor `Inf` can be repeated by `x`. Lives here: text to points. Must not live here:
native histograms (`histograms`), times, files.
"""

import math
import re
from collections.abc import Iterator

from rollback_daemon.lab.remote_write import STALE, Histogram
from rollback_daemon.lab.testing import histograms
from rollback_daemon.lab.testing.numbers import DIGITS, number
from rollback_daemon.rules.promql import PromQLError, parse

Point = float | str | Histogram | None
"""A value, STALE, a native histogram, or None for a gap."""

MOST_POINTS = 1_000_000
"""Of one series: a hundred days at 15 s are not half of them."""

_GAP = re.compile(r"_(?:x([0-9]+))?")
_VALUE = re.compile(rf"([-+]?(?:{DIGITS}|(?i:inf|nan)(?![A-Za-z0-9_]))|stale(?![A-Za-z0-9_]))(?:([-+]{DIGITS})?x([0-9]+))?")
_SPACE = re.compile(r"[ \t\r]+")
_TOKEN = re.compile(r"\{\{.*?\}\}\S*|\S+")
_LONGEST_TOKEN = 60


class NotationError(ValueError):
    """Text that is no notation. Names the part of it, and the remedy."""


def points(text: str) -> list[Point]:
    """What `values` stands for, one point for each step. Raises NotationError."""
    found: list[Point] = []
    at, text = 0, text.rstrip(" \t\r\n")
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        at, more = _item(text, at, MOST_POINTS - len(found))
        found.extend(more)
        if at < len(text) and not _SPACE.match(text, at):
            raise _wrong(text, at)
    return found


def labels(text: str) -> dict[str, str]:
    """What `series` stands for: all its labels, `__name__` included. Raises NotationError."""
    if text.replace(" ", "") == "{}":
        return {}
    try:
        tree = parse(text)
    except PromQLError as error:
        raise NotationError(f'"{text}" is no series: {error}') from None
    matchers = getattr(getattr(tree, "matchers", None), "matchers", None)
    if type(tree).__name__ != "VectorSelector" or tree.offset or tree.at or matchers is None:
        raise NotationError(f'"{text}" is no series; write it like requests_total{{job="api"}}')
    wrong = [one.name for one in matchers if str(one.op) != "MatchOp.Equal"]
    if wrong:
        raise NotationError(f'the label "{wrong[0]}" of "{text}" is matched and not set; write {wrong[0]}="..."')
    found: dict[str, str] = {"__name__": tree.name} if tree.name else {}
    for one in matchers:
        if one.name in found:
            raise NotationError(f'the label "{one.name}" stands twice in "{text}"; leave one out')
        found[one.name] = one.value
    return {name: value for name, value in found.items() if value}


def _item(text: str, at: int, room: int) -> tuple[int, Iterator[Point]]:
    """Where the item that begins at `at` ends, and its points."""
    if text.startswith("{{", at):
        return _histogram(text, at, room)
    if gap := _GAP.match(text, at):
        return gap.end(), iter([None] * _times(text, at, gap[1] or "1", room))
    match = _VALUE.match(text, at)
    if match is None:
        raise _wrong(text, at)
    value = STALE if match[1] == "stale" else _number(match[1], text, at)
    if match[3] is None:
        _times(text, at, "1", room)
        return match.end(), iter([value])
    if match[2] is None and match[1].lstrip("+-").lower() in {"inf", "nan", "stale"}:
        raise _wrong(text, at)
    step = _number(match[2], text, at) if match[2] else 0.0
    return match.end(), _growing(value, step, _times(text, at, match[3], room - 1))


def _growing(value: float | str, step: float, times: int) -> Iterator[float | str]:
    yield value
    current = math.nan if isinstance(value, str) else value  # a marker that something is added to is an ordinary NaN
    for _ in range(times):
        current += step
        yield current


def _histogram(text: str, at: int, room: int) -> tuple[int, Iterator[Point]]:
    try:
        item = histograms.read(text, at)
        times = _times(text, at, item.times or "0", room - 1)
        return item.end, histograms.series(item, times)
    except histograms.NoHistogramError as error:
        raise NotationError(f'"{_token(text, at)}" is no native histogram: {error}') from None


def _times(text: str, at: int, digits: str, room: int) -> int:
    times = int(digits) if len(digits) < 20 else MOST_POINTS + 1
    if times > room:
        raise NotationError(f'"{_token(text, at)}" makes the series longer than {MOST_POINTS:,} points; write a longer interval, or fewer')
    return times


def _number(digits: str, text: str, at: int) -> float:
    found = number(digits)
    if found is None:
        raise _wrong(text, at)
    return found


def _token(text: str, at: int) -> str:
    match = _TOKEN.match(text, at)
    token = match[0] if match else text[at:]
    return token if len(token) <= _LONGEST_TOKEN else f"{token[: _LONGEST_TOKEN - 3]}..."


def _wrong(text: str, at: int) -> NotationError:
    start = max(text.rfind(space, 0, at) for space in " \t\n") + 1 if "{{" not in text else at
    token = _token(text, start)
    return NotationError(f'"{token}" is no part of a series (character {start + 1}); {_remedy(token, text, at)}')


def _remedy(token: str, text: str, at: int) -> str:
    low = token.lower()
    if "\n" in text[at : at + 1]:
        return "all values stand in one line; begin them with >- to fold several"
    if match := re.fullmatch(r"(stale|[-+]?inf|[-+]?nan)x([0-9]+)", low):
        written = token[: len(match[1])]
        return f"a word cannot be repeated; write {written} {written}" if match[1] == "stale" else f"write {written}+0x{match[2]}"
    if "0x" in low and re.search(r"0x[0-9]*[a-f]", low):
        return "there are no hexadecimal numbers here; 0x10 is eleven times 0"
    if re.fullmatch(r"[-+]?[0-9]+\.?[0-9]*(e\+?[0-9]+)?", text[at:].lower().split(" ", maxsplit=1)[0]):
        return "it is larger than a number can be"
    if "," in token:
        return "separate values by spaces"
    if token in {"x", "+", "-"} or re.fullmatch(r"x[0-9]+|[-+][0-9.]+", text[at:].split(" ", maxsplit=1)[0]) or token.endswith(("x", "+", "-")):
        return "write repetitions without spaces: 1+2x3 is 1 3 5 7, 4x3 is 4 4 4 4"
    if re.fullmatch(r"[0-9.]+(ms|[smhdwy%])", low):
        return "values are plain numbers, without a unit"
    return "write numbers, a+bxn, axn, _ or _xn for gaps, stale, NaN, Inf or {{...}}, with spaces between them"
