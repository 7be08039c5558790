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
_WINDOWS = 4  # of so many at most the values are kept by their size


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


_OF_MANY: dict[Aggregate, Callable[[Sequence[float]], float]] = {
    Aggregate.LAST: lambda values: values[-1],
    Aggregate.SUM: math.fsum,
    Aggregate.MEAN: lambda values: math.fsum(values) / len(values),
    Aggregate.MIN: min,
    Aggregate.MAX: max,
}
_PERCENT = {Aggregate.P50: 50, Aggregate.P95: 95, Aggregate.P99: 99}


class Samples:
    """Values with their times, in Unix seconds, in whatever order they come. `lost`: what was up to then was given up, for it was too much."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._times, self._values = array("d"), array("d")
        self._ordered = 0  # so many of them, from the first on, stand in their order
        self._ranked: dict[int, array[float]] = {}  # from one on, the values by their size: several percentiles of a window need them
        self.lost = -math.inf

    def __len__(self) -> int:
        return len(self._times)

    def add(self, at: float, value: float) -> None:
        """One more. It stands behind those of the same time."""
        self._ordered += self._ordered == len(self._times) and (not self._times or self._times[-1] <= at)
        self._ranked.clear()
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
            self._ordered = len(self._times)
            self._ranked.clear()

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
        first = bisect_right(self._times, since)
        if first == len(self._times):
            return None
        if aggregate in _PERCENT:
            return self._of_rank(_PERCENT[aggregate], first)
        return _OF_MANY[aggregate](self._values[first:])

    def _of_rank(self, percent: int, first: int) -> float:
        """By the nearest rank, as the release gate does it."""
        if first not in self._ranked:
            if len(self._ranked) == _WINDOWS:
                self._ranked.clear()
            self._ranked[first] = array("d", sorted(self._values[first:]))
        values = self._ranked[first]
        return values[-(-percent * len(values) // 100) - 1]

    def _put_in_order(self) -> None:
        """By their times; of the same time, as they came. What stands before the first that came late stays where it is."""
        if self._ordered == len(self._times):
            return
        first = bisect_right(self._times, min(self._times[self._ordered :]), 0, self._ordered)
        order = sorted(range(first, len(self._times)), key=self._times.__getitem__)
        self._times[first:] = array("d", [self._times[index] for index in order])
        self._values[first:] = array("d", [self._values[index] for index in order])
        self._ordered = len(self._times)
