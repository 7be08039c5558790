"""What is measured and what it is held against: signals, their baselines, and conditions on their values.

Lives here: nouns and what follows from them alone. Must not live here: the ladder (`model`), what an answer means (`reading`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from rollback_daemon.durations import format_duration, format_number


class Op(StrEnum):
    """How a value is compared with a limit; the member's value is how it is shown."""

    ABOVE = ">"
    BELOW = "<"
    AT_LEAST = ">="
    AT_MOST = "<="
    EQUAL = "=="
    NOT_EQUAL = "!="
    OUTSIDE = "outside"
    WITHIN = "within"


_NEGATED = {
    Op.ABOVE: Op.AT_MOST,
    Op.AT_MOST: Op.ABOVE,
    Op.BELOW: Op.AT_LEAST,
    Op.AT_LEAST: Op.BELOW,
    Op.EQUAL: Op.NOT_EQUAL,
    Op.NOT_EQUAL: Op.EQUAL,
    Op.OUTSIDE: Op.WITHIN,
    Op.WITHIN: Op.OUTSIDE,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A limit laid on a value. For a trigger it says what is a breach, for a gate what passes."""

    op: Op
    limit: float
    upper: float = 0.0  # the other end, for OUTSIDE and WITHIN only; both ends belong to the range

    def holds(self, value: float) -> bool:
        """Whether `value` (never NaN) meets the condition."""
        match self.op:
            case Op.ABOVE:
                return value > self.limit
            case Op.BELOW:
                return value < self.limit
            case Op.AT_LEAST:
                return value >= self.limit
            case Op.AT_MOST:
                return value <= self.limit
            case Op.EQUAL:
                return value == self.limit
            case Op.NOT_EQUAL:
                return value != self.limit
            case Op.OUTSIDE:
                return not self.limit <= value <= self.upper
            case Op.WITHIN:
                return self.limit <= value <= self.upper

    def margin(self, value: float) -> float:
        """How far inside the condition the value is: positive where it holds (0 at the limit), negative by what is missing."""
        match self.op:
            case Op.ABOVE | Op.AT_LEAST:
                return value - self.limit
            case Op.BELOW | Op.AT_MOST:
                return self.limit - value
            case Op.EQUAL:
                return -abs(value - self.limit)
            case Op.NOT_EQUAL:
                return abs(value - self.limit)
            case Op.OUTSIDE:
                return max(self.limit - value, value - self.upper)
            case Op.WITHIN:
                return min(value - self.limit, self.upper - value)

    @property
    def negated(self) -> "Condition":
        """The condition that holds exactly where this one does not."""
        return Condition(_NEGATED[self.op], self.limit, self.upper)

    def __str__(self) -> str:
        if self.op in {Op.OUTSIDE, Op.WITHIN}:
            return f"{self.op} [{format_number(self.limit)}, {format_number(self.upper)}]"
        return f"{self.op} {format_number(self.limit)}"


class OnNoData(StrEnum):
    """What a lack of data means to a trigger. Whatever is chosen, it never counts as clear for a promotion, save with `ignore`."""

    HOLD = "hold"  # the phase stays as it is (until sight returns, at most `max_gap` for a pending one)
    BREACH = "breach"  # counts as a breach
    IGNORE = "ignore"  # counts as clear
    DROP = "drop"  # as Prometheus does: what is pending or firing ends; still unknown for a promotion


@dataclass(frozen=True, slots=True)
class Needs:
    """A minimum of traffic: with less, the signal is unknown."""

    expr: str
    at_least: float


class Statistic(StrEnum):
    """What a baseline is of its window; the member's value is how it is written."""

    MEAN = "mean"
    MEDIAN = "median"
    MAX = "max"
    MIN = "min"


_OVER_TIME = {
    Statistic.MEAN: "avg_over_time({})",
    Statistic.MEDIAN: "quantile_over_time(0.5, {})",
    Statistic.MAX: "max_over_time({})",
    Statistic.MIN: "min_over_time({})",
}


@dataclass(frozen=True, slots=True)
class Baseline:
    """How a signal's baseline is captured: a statistic over the `window` before a stage begins, worth something with data for `at_least` of it."""

    window: timedelta
    at_least: timedelta
    step: timedelta  # between two of the samples that are looked at
    statistic: Statistic = Statistic.MEAN


class Relative(StrEnum):
    """How a value is held against its baseline."""

    SHARE = "/"  # as a multiple of it
    AMOUNT = "-"  # as what it is over it


@dataclass(frozen=True, slots=True)
class Signal:
    """Something measured, one value for each label set: by a query, or by asking HTTP `endpoints` (1 for one that answers well, else 0).

    With `relative` the value is the one held against the signal's baseline.
    """

    name: str
    expr: str
    unit: str = ""
    no_data: OnNoData = OnNoData.HOLD
    needs: Needs | None = None
    max_age: timedelta | None = None
    endpoints: tuple[str, ...] = ()
    baseline: Baseline | None = None
    relative: Relative | None = None

    @property
    def subject(self) -> str:
        """What is measured, in a few words."""
        return f"{self.name} {self.relative} its baseline" if self.relative else self.name

    @property
    def age_query(self) -> str:
        """The query that tells when each sample was taken, in Unix seconds."""
        return f"timestamp({self._enclosable})"

    @property
    def _enclosable(self) -> str:
        """The expression so that a parenthesis can follow it, which a comment at its end would swallow."""
        return f"{self.expr}\n" if "#" in self.expr else self.expr

    @property
    def baseline_key(self) -> str:
        """Under which the judge finds the captured baseline among the observations. No query looks like it."""
        return f"baseline of {self.name}"

    def baseline_questions(self) -> tuple[str, str] | None:
        """The queries that measure the window up to now: its statistic, and how many samples it has."""
        if self.baseline is None:
            return None
        span = f"({self._enclosable})[{format_duration(self.baseline.window)}:{format_duration(self.baseline.step)}]"
        return _OVER_TIME[self.baseline.statistic].format(span), f"count_over_time({span})"

    def questions(self) -> Iterator[str]:
        """Every query or endpoint whose answer this signal rests on, save for its baseline."""
        yield from self.endpoints
        if not self.expr:
            return
        yield self.expr
        if self.needs is not None:
            yield self.needs.expr
        if self.max_age is not None:
            yield self.age_query
