"""Samples that a test expects of an expression, as values that can be compared with what the server's API tells.

Lives here: reading them. Must not live here: asking (`expressions`).
"""

import math

from rollback_daemon.lab.remote_write import Histogram
from rollback_daemon.lab.testing.histograms import CUSTOM, NoHistogramError, bound, read
from rollback_daemon.lab.testing.notation import NotationError, labels
from rollback_daemon.lab.testing.schema import ExpectedSample

Buckets = list[tuple[float, float]]
Content = float | tuple[float, float, Buckets]
"""A number, or of a native histogram its count, its sum, and its buckets: their upper bounds, and their counts."""
Sample = tuple[tuple[tuple[str, str], ...], Content]
"""All labels of a series, sorted, and what it has."""


def expected(one: ExpectedSample) -> Sample:
    """The sample as it is written. Raises NotationError."""
    own = tuple(sorted(labels(one.labels).items())) if one.labels else ()
    text = one.histogram.strip()
    if not text:
        return own, one.value
    try:
        item = read(text, 0)
    except NoHistogramError as error:
        raise NotationError(f'"{text}" is no native histogram: {error}') from None
    if item.end != len(text) or item.times:
        raise NotationError(f'"{text}" is more than one histogram; write a single one')
    return own, _content(item.first)


def _content(one: Histogram) -> Content:
    """As the API tells it: empty buckets are left out, the lowest comes first."""
    below = [(-_bound(one, index - 1), count) for index, count in sorted(one.negative.items(), reverse=True)]
    zero = [(one.zero_width, one.zero_count)]
    above = [(_bound(one, index), count) for index, count in sorted(one.positive.items())]
    return one.count, one.sum, [bucket for bucket in (*below, *zero, *above) if bucket[1]]


def _bound(one: Histogram, index: int) -> float:
    if one.schema == CUSTOM:
        return one.bounds[index] if index < len(one.bounds) else math.inf
    return bound(one.schema, index)
