"""Samples of a window of time, sixteen bytes each, and what many of them become.

Lives here: keeping, forgetting, aggregates. Must not live here: where samples come from.
"""

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from enum import StrEnum

MOST = 1_000_000
"""So many samples are kept; of more, the oldest are given up."""
_GIVEN_UP = 20  # this part of them at a time


class Aggregate(StrEnum):
    """What many values become one by."""

    LAST = "last"
    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    P50 = "p50"
    P95 = "p95"
    P99 = "p99"


def _rank(percent: int) -> Callable[[Sequence[float]], float]:
    """By the nearest rank, as the release gate does it."""
    return lambda values: sorted(values)[-(-percent * len(values) // 100) - 1]


_OF_MANY: dict[Aggregate, Callable[[Sequence[float]], float]] = {
    Aggregate.LAST: lambda values: values[-1],
    Aggregate.SUM: math.fsum,
    Aggregate.MEAN: lambda values: math.fsum(values) / len(values),
    Aggregate.MIN: min,
    Aggregate.MAX: max,
    Aggregate.P50: _rank(50),
    Aggregate.P95: _rank(95),
    Aggregate.P99: _rank(99),
}


class Samples:
    """Values with their times, in Unix seconds, in whatever order they come. `lost`: what was up to then was given up, for it was too much."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._times, self._values = array("d"), array("d")
        self._ordered = True
        self.lost = -math.inf

    def add(self, at: float, value: float) -> None:
        """One more. It stands behind those of the same time."""
        self._ordered = self._ordered and (not self._times or self._times[-1] <= at)
        self._times.append(at)
        self._values.append(value)
        if len(self._times) > self._most:
            self._put_in_order()
            self.lost = self._times[len(self._times) // _GIVEN_UP]
            self.forget(self.lost)

    def forget(self, until: float) -> None:
        """Everything up to that time."""
        self._put_in_order()
        gone = bisect_right(self._times, until)
        if gone:
            del self._times[:gone], self._values[:gone]

    def count(self, since: float) -> int:
        """How many are later than that."""
        self._put_in_order()
        return len(self._times) - bisect_right(self._times, since)

    def newest(self) -> float | None:
        """The time of the last one."""
        self._put_in_order()
        return self._times[-1] if self._times else None

    def aggregated(self, aggregate: Aggregate, since: float) -> float | None:
        """The aggregate of those that are later than that; None where there is nothing to aggregate. Nothing counted is 0."""
        if aggregate is Aggregate.COUNT:
            return float(self.count(since))
        self._put_in_order()
        values = self._values[bisect_right(self._times, since) :]
        return _OF_MANY[aggregate](values) if values else None

    def _put_in_order(self) -> None:
        """By their times; of the same time, as they came."""
        if self._ordered:
            return
        order = sorted(range(len(self._times)), key=self._times.__getitem__)
        self._times = array("d", [self._times[index] for index in order])
        self._values = array("d", [self._values[index] for index in order])
        self._ordered = True
