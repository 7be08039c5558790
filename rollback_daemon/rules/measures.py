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


def enclosed(expr: str) -> str:
    """The expression in parentheses, which a comment at its end does not swallow."""
    return f"({expr}\n)" if "#" in expr else f"({expr})"


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

    def in_promql(self, expr: str) -> str:
        """The comparison as PromQL has it, with the limit to its last digit: yields the series for which the condition holds."""
        inner, low, high = enclosed(expr), repr(float(self.limit)), repr(float(self.upper))
        if self.op is Op.OUTSIDE:
            return f"{inner} < {low} or {inner} > {high}"
        return f"{inner} >= {low} <= {high}" if self.op is Op.WITHIN else f"{inner} {self.op} {low}"

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
    """How a value is held against its baseline, or its control."""

    SHARE = "/"  # as a multiple of it
    AMOUNT = "-"  # as what it is over it
    GROWTH = "growth"  # as what it is over it, in shares of it: 0.1 is a tenth more

    def of(self, value: float, base: float) -> float:
        """The value as it is held against `base`, which is above 0 wherever something is divided by it."""
        match self:
            case Relative.SHARE:
                return value / base
            case Relative.AMOUNT:
                return value - base
            case Relative.GROWTH:
                return (value - base) / base  # so 11 is exactly 10 % over 10; value / base - 1 is a little more


@dataclass(frozen=True, slots=True)
class Signal:
    """Something measured, one value for each label set: by a query, or by asking HTTP `endpoints` (1 for one that answers well, else 0).

    Or a single value that nobody is asked for: the `figure` of the `evidence` that was handed in last. Where that comes from a file that is followed,
    `followed` is the question for it.

    With `relative` the value is the one held against the signal's baseline, or, where there is one, against the answer to the query `control`.
    `exposed_only`: it is about those who are exposed to the stage, so that nothing is known of it before the stage begins.
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
    control: str = ""
    exposed_only: bool = False
    evidence: str = ""
    figure: str = ""
    followed: str = ""

    @property
    def subject(self) -> str:
        """What is measured, in a few words."""
        match self.relative:
            case None:
                return self.name
            case Relative.GROWTH:
                return f"growth of {self.name} over its {self.against}"
            case _:
                return f"{self.name} {self.relative} its {self.against}"

    @property
    def against(self) -> str:
        """What a relative value is held against, in one word."""
        return "control" if self.control else "baseline"

    @property
    def over_baseline(self) -> bool:
        """Whether it is held against a baseline, which is captured, and not against a control, which is asked."""
        return self.relative is not None and not self.control

    @property
    def age_query(self) -> str:
        """The query that tells when each sample was taken, in Unix seconds."""
        return f"timestamp{enclosed(self.expr)}"

    @property
    def baseline_key(self) -> str:
        """Under which the judge finds the captured baseline among the observations. No query looks like it."""
        return f"baseline of {self.name}"

    @property
    def figure_key(self) -> str:
        """Under which the judge finds the figure of evidence among the observations. No query looks like it."""
        return self.followed or (f"figure {self.figure} of evidence {self.evidence}" if self.evidence else "")

    def baseline_questions(self) -> tuple[str, str] | None:
        """The queries that measure the window up to now: its statistic, and how many samples it has."""
        if self.baseline is None:
            return None
        span = f"{enclosed(self.expr)}[{format_duration(self.baseline.window)}:{format_duration(self.baseline.step)}]"
        return _OVER_TIME[self.baseline.statistic].format(span), f"count_over_time({span})"

    def questions(self) -> Iterator[str]:
        """Every query, endpoint or figure of a followed file whose answer this signal rests on, save for its baseline."""
        yield from self.endpoints
        if self.followed:
            yield self.followed
        if not self.expr:
            return
        yield self.expr
        if self.needs is not None:
            yield self.needs.expr
        if self.max_age is not None:
            yield self.age_query
        if self.control:
            yield self.control
