"""What a plot needs of a history of any length: for each bucket of time the lowest and the highest value, and what was the case in it.

A bucket is 1/600 of the history, so a line has at most 1,200 points and memory does not grow with the history. Must not live here: drawing.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan

from rollback_daemon.rules.reading import Assessment
from rollback_daemon.signals.observation import Labels

BUCKETS = 600
MOST_LINES = 5
"""Series that have a line of their own; the further ones share one."""
UNKNOWN, PENDING, FIRING = 1, 2, 4
"""What was the case in a bucket, as bits."""


@dataclass(slots=True)
class _Line:
    lowest: "array[float]"
    highest: "array[float]"


@dataclass(slots=True)
class Lines:
    """The values of one trigger over `count` evaluations."""

    count: int
    series: dict[Labels | None, _Line] = field(default_factory=dict)
    flags: bytearray = field(default_factory=bytearray)
    others: int = 0
    _seen: set[Labels] = field(default_factory=set)

    @property
    def buckets(self) -> int:
        return min(BUCKETS, self.count)

    def take(self, index: int, assessment: Assessment, flag: int) -> None:
        """The evaluation number `index`."""
        bucket = index * self.buckets // self.count
        if flag:
            self.flags = self.flags or bytearray(self.buckets)
            self.flags[bucket] |= flag
        for labels, reading in assessment.series.items():
            if reading.value is not None:
                line = self.series.get(labels) or self._line(labels)
                value = reading.value
                if not value >= line.lowest[bucket]:
                    line.lowest[bucket] = value
                if not value <= line.highest[bucket]:
                    line.highest[bucket] = value

    def points(self, labels: Labels | None) -> Iterator[tuple[float, float]]:
        """(share of the time from 0 to 1, value): the lowest and the highest of each bucket that has any; infinite ones are left out."""
        line, buckets = self.series[labels], self.buckets
        for bucket in range(buckets):
            low, high = line.lowest[bucket], line.highest[bucket]
            if isfinite(low):
                yield (bucket + 0.5) / buckets, low
            if high != low and isfinite(high):
                yield (bucket + 0.5) / buckets, high

    def bands(self, flag: int) -> Iterator[tuple[float, float]]:
        """From where to where (shares of the time) something was the case."""
        begun: int | None = None
        for bucket, bits in enumerate([*self.flags, 0]):
            if bits & flag and begun is None:
                begun = bucket
            elif not bits & flag and begun is not None:
                yield begun / self.buckets, bucket / self.buckets
                begun = None

    def _line(self, labels: Labels) -> _Line:
        own: Labels | None = labels
        if len(self.series) >= MOST_LINES:
            own = None
            if len(self._seen) < 1000:
                self._seen.add(labels)
            self.others = len(self._seen)
        if own not in self.series:
            self.series[own] = _Line(array("d", _nothing(self.buckets)), array("d", _nothing(self.buckets)))
        return self.series[own]


def _nothing(count: int) -> Sequence[float]:
    return [nan] * count
