"""Native histograms as promtool's test files write them: `{{schema:0 sum:3 count:4 buckets:[1 2 1]}}x5`, `{{count:2}}+{{count:1}}x3`.

The grammar and the addition are those of Prometheus (`promql/parser`, `model/histogram`), as far as no bucket has to go into a wider zero bucket.
Lives here: text to histograms. Must not live here: series (`notation`), how they are sent (`lab.remote_write`).
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.lab.remote_write import Histogram
from rollback_daemon.lab.testing.numbers import number

CUSTOM = -53
"""The schema of a histogram with bounds of its own."""

_COARSEST, _FINEST = -4, 8

_KEYS = (
    "schema",
    "sum",
    "count",
    "z_bucket",
    "z_bucket_w",
    "custom_values",
    "buckets",
    "offset",
    "n_buckets",
    "n_offset",
    "counter_reset_hint",
)
_HINTS = {"unknown": 0, "reset": 1, "not_reset": 2, "gauge": 3}
_LISTS = {"buckets", "n_buckets", "custom_values"}
_WHOLE = {"schema", "offset", "n_offset"}
_ITEM = re.compile(r"\{\{(.*?)\}\}(?:([-+])\{\{(.*?)\}\}(?=x))?(?:x([0-9]+))?", re.DOTALL)
_PAIR = re.compile(r"([A-Za-z_]+):(\[[^\]]*\]|[^ \[\]]+)")
_NUMBER = re.compile(r"-?(?:[0-9][0-9_]*\.?[0-9]*(?:[eE][-+]?[0-9]+)?|(?i:inf|nan))")


class NoHistogramError(ValueError):
    """Text that is no histogram, or two that cannot be added."""


@dataclass(frozen=True, slots=True)
class Item:
    """What stands at one place: the first histogram, what is added (or taken, `sign` -1) `times` times, and where it ends in the text."""

    first: Histogram
    step: Histogram | None
    sign: int
    times: str | None
    end: int


def read(text: str, at: int) -> Item:
    """The item that begins at `at`, where two braces open. Raises NoHistogramError."""
    match = _ITEM.match(text, at)
    if match is None:
        raise NoHistogramError("close it with }}")
    step = histogram(match[3]) if match[3] is not None else None
    return Item(histogram(match[1]), step, -1 if match[2] == "-" else 1, match[4], match.end())


def histogram(inside: str) -> Histogram:
    """The histogram between the braces. Raises NoHistogramError."""
    known: dict[str, str] = {}
    at = len(inside) if inside.isspace() else 0
    while at < len(inside):
        match = _PAIR.match(inside, at)
        if match is None:
            found = inside[at:].split(" ", maxsplit=1)[0] or "a space"
            raise NoHistogramError(f"{found} stands where key:value is expected; a space only separates")
        key = match[1].lower()
        if key not in _KEYS:
            raise NoHistogramError(f'unknown key "{match[1]}"; {did_you_mean(key, _KEYS)}')
        if key in known:
            raise NoHistogramError(f'the key "{key}" stands twice; leave one out')
        known[key] = match[2]
        at = match.end()
        if at < len(inside) and inside[at] != " ":
            raise NoHistogramError(f'"{inside[at]}" after {match[0]}; separate keys by spaces')
        at += len(inside[at:]) - len(inside[at:].lstrip(" "))
    return _built(known)


def bound(schema: int, index: int) -> float:
    """The upper bound of the bucket with this index; infinite where it is beyond every number. Not for bounds of its own."""
    try:
        return float(2.0 ** (index * 2.0**-schema))
    except OverflowError:
        return math.inf


def series(item: Item, times: int) -> Iterator[Histogram]:
    """The points of an item: the first one, and the sum after each further step. Raises NoHistogramError for two that cannot be added."""
    current = item.first
    found = [current]
    for _ in range(times):
        current = _sum(current, item.step, item.sign) if item.step else current
        found.append(current)
    return iter(found)


def _built(known: Mapping[str, str]) -> Histogram:
    numbers = {key: _number(key, known[key]) for key in known if key not in _LISTS and key != "counter_reset_hint"}
    lists = {key: _list(key, known[key]) for key in _LISTS & known.keys()}
    schema = int(numbers.get("schema", 0))
    if schema != CUSTOM and not _COARSEST <= schema <= _FINEST:
        raise NoHistogramError(f"schema {schema} is none; give one from {_COARSEST} to {_FINEST}, or {CUSTOM} for custom_values")
    hint = known.get("counter_reset_hint", "unknown")
    if hint not in _HINTS:
        raise NoHistogramError(f'unknown counter_reset_hint "{hint}"; {did_you_mean(hint, _HINTS)}')
    return Histogram(
        count=numbers.get("count", 0.0),
        sum=numbers.get("sum", 0.0),
        schema=schema,
        zero_count=numbers.get("z_bucket", 0.0),
        zero_width=numbers.get("z_bucket_w", 0.0),
        positive=dict(enumerate(lists.get("buckets", []), int(numbers.get("offset", 0)))),
        negative=dict(enumerate(lists.get("n_buckets", []), int(numbers.get("n_offset", 0)))),
        bounds=tuple(lists.get("custom_values", [])),
        hint=_HINTS[hint],
    )


def _number(key: str, text: str) -> float:
    if key in _WHOLE:
        if not re.fullmatch(r"-?[0-9]{1,9}", text):
            raise NoHistogramError(f'"{text}" is no whole number for {key}')
        return int(text)
    found = number(text) if _NUMBER.fullmatch(text) else None
    if found is None:
        raise NoHistogramError(f'"{text}" is no number for {key}')
    return found


def _list(key: str, text: str) -> list[float]:
    words = text[1:-1].rstrip(" ").split(" ") if text.startswith("[") else []
    words = [word for index, word in enumerate(words) if word or not index]
    if not words or not all(map(_NUMBER.fullmatch, words)):
        raise NoHistogramError(f'"{text}" is no list for {key}; write it like [1 2 1]')
    return [float(_number(key, word)) for word in words]


def _sum(one: Histogram, other: Histogram, sign: int) -> Histogram:
    if (one.schema == CUSTOM) != (other.schema == CUSTOM) or one.bounds != other.bounds:
        raise NoHistogramError("what is added has other bounds; give both the same schema and custom_values")
    if one.schema > other.schema:
        raise NoHistogramError(f"schema {other.schema} cannot be added to schema {one.schema}, which is finer; swap them, or write the points out")
    width = max(one.zero_width, other.zero_width)
    if any(_reaches_into(width, each) for each in (one, other)):
        raise NoHistogramError("what is added has another z_bucket_w; give both the same, or write the points out")
    finer = other.schema - one.schema
    return replace(
        one,
        count=one.count + sign * other.count,
        sum=one.sum + sign * other.sum,
        zero_count=one.zero_count + sign * other.zero_count,
        zero_width=width,
        positive=_added(one.positive, other.positive, sign, finer),
        negative=_added(one.negative, other.negative, sign, finer),
    )


def _reaches_into(width: float, one: Histogram) -> bool:
    """Whether a wider zero bucket than its own would hold a part of its other buckets."""
    indices = [index for buckets in (one.positive, one.negative) for index, count in buckets.items() if count]
    return one.zero_width < width and any(bound(one.schema, index - 1) < width for index in indices)


def _added(buckets: Mapping[int, float], more: Mapping[int, float], sign: int, finer: int) -> dict[int, float]:
    """The buckets of both; those of a finer schema fall into the coarser one that holds them."""
    found = dict(buckets)
    for index, count in more.items():
        at = (index - 1 >> finer) + 1 if finer else index
        found[at] = found.get(at, 0.0) + sign * count
    return found
