"""The answers to one query at evenly spaced times, and the observation that each of them is.

What an instant query at one of these times would have brought is what stands here for it: a range query evaluates each step by itself. Lives here:
the columns and how they are read. Must not live here: asking (`fetching`), keeping (`cache`).
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.signals.observation import NOTHING, Failed, Labels, NoData, Observation, Value, labels_of

_NOTHING = NoData(NOTHING)
_HISTOGRAM = "is a native histogram; use histogram_quantile or histogram_avg"
_DOUBLE = "several series have the same labels; aggregate them"


@dataclass(frozen=True, slots=True)
class Grid:
    """`count` times, `step` apart, from `start` on."""

    start: datetime
    step: timedelta
    count: int

    @property
    def end(self) -> datetime:
        """The last of the times."""
        return self.at(self.count - 1)

    def at(self, index: int) -> datetime:
        """The time number `index`."""
        return self.start + index * self.step

    def index(self, unix: float) -> int:
        """Which of the times this one (Unix seconds) is."""
        return round((unix - self.start.timestamp()) / self.step.total_seconds())

    def part(self, first: int, count: int) -> "Grid":
        """`count` of the times from number `first` on."""
        return Grid(self.at(first), self.step, count)

    def parts(self, most: int) -> Iterable["Grid"]:
        """The same times in pieces of at most `most`."""
        for first in range(0, self.count, most):
            yield self.part(first, min(most, self.count - first))


@dataclass(slots=True)
class _Column:
    """One series: a value for each time, and whether there was one."""

    values: "array[float]"
    there: bytearray


@dataclass(slots=True)
class Track:
    """What one query brought on a grid. `failed`: at which times it could not be answered, and why."""

    grid: Grid
    columns: dict[Labels, _Column] = field(default_factory=dict)
    odd: dict[int, dict[Labels, str]] = field(default_factory=dict)
    failed: dict[int, Failed] = field(default_factory=dict)
    _last: tuple[int, Observation] | None = None

    def take(self, result: Sequence[Mapping[str, Any]]) -> None:
        """Add the `result` of a range query whose times are among those of the grid.

        Raises LookupError, TypeError, ValueError or AttributeError for what is none. As with an instant query NaN, native histograms and two series
        with equal labels are there without a usable number.
        """
        for one in result:
            labels = labels_of(one["metric"])
            column = self.columns.get(labels)
            if column is None:
                column = self.columns[labels] = _Column(array("d", bytes(8 * self.grid.count)), bytearray(self.grid.count))
            start, step = self.grid.start.timestamp(), self.grid.step.total_seconds()
            for at, text in one.get("values", ()):
                index, value = round((float(at) - start) / step), float(text)
                if value != value or column.there[index]:  # noqa: PLR0124 (only NaN differs from itself)
                    self._put(labels, column, index, value)
                else:  # nearly all there is, and there are millions
                    column.values[index], column.there[index] = value, 1
            for at, _ in one.get("histograms", ()):
                self.odd.setdefault(self.grid.index(float(at)), {})[labels] = _HISTOGRAM

    def fail(self, part: Grid, why: Failed) -> None:
        """Note that the query could not be answered at the times of `part`, which are among those of the grid."""
        first = self.grid.index(part.start.timestamp())
        self.failed.update(dict.fromkeys(range(first, first + part.count), why))

    def observation(self, index: int) -> Observation:
        """What the query brought at the time number `index`; the same object as before where nothing changed from the time before."""
        if index in self.failed:
            return self.failed[index]
        if index in self.odd:
            return self._value(index, self.odd[index])
        before = self._last
        if before is not None and before[0] == index - 1 and self._same(index):
            self._last = (index, before[1])
            return before[1]
        found = self._value(index, {})
        self._last = (index, found)
        return found

    def _put(self, labels: Labels, column: _Column, index: int, value: float) -> None:
        if math.isnan(value):
            self.odd.setdefault(index, {})[labels] = "the value is NaN"
        elif column.there[index]:
            self.odd.setdefault(index, {})[labels] = _DOUBLE
        column.there[index] = not math.isnan(value)
        column.values[index] = value

    def _value(self, index: int, odd: Mapping[Labels, str]) -> Observation:
        series = {labels: one.values[index] for labels, one in self.columns.items() if one.there[index] and labels not in odd}
        if series:
            return Value(series, odd)
        return NoData(next(iter(odd.values()))) if odd else _NOTHING

    def _same(self, index: int) -> bool:
        before = index - 1
        return before not in self.failed and all(
            one.there[index] == one.there[before] and one.values[index] == one.values[before] for one in self.columns.values()
        )
