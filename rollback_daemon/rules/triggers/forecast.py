"""The trigger kind `forecast`: on the line that fits its recent past, a signal is beyond a limit within a time.

    R        = (expr)[fit:step]                    step: the interval, or the least multiple of it with 500 samples at most
    value    = predict_linear(R, within)           simple linear regression, least squares over the samples in R, read at now + within
    slope    = deriv(R)                            of the same line, per second
    breached = value above (or below) the limit

Both functions are Prometheus' own. The sentence has the present value, the slope per hour, and when the line reaches the limit: now + (limit - line
now) / slope, where line now = value - slope * within.

Unknown without data for `min_data` of the fit (half of it, unless said otherwise), counted as count_over_time(R) * step: while that is all that is
missing its health is `collecting`, which is no blindness, and a promotion waits. Unknown as well where the signal itself is unknown now. It speaks of
the end of `within` only: what is beyond the limit now and on its way back is clear; put a threshold beside it for what is too much already.

Units: the limit is in the signal's unit, `within` and `fit` are durations, the slope is units per hour.

When not to use it: for what goes up and down by the hour or day (a line through a saw-tooth points anywhere; a `fit` of whole periods helps a
little), for what saturates, and with a `within` of many times the `fit`: the error of the line grows with the distance.

Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#predict_linear and #deriv
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ConfigDict

from rollback_daemon.durations import format_coarse, format_duration, format_number
from rollback_daemon.rules import promql
from rollback_daemon.rules.build_signals import samples_apart
from rollback_daemon.rules.kinds import Kind, Setting
from rollback_daemon.rules.measures import Condition, Op, Signal, enclosed
from rollback_daemon.rules.reading import Assessment, Health, Memory, Observations, Reading, Verdict, look
from rollback_daemon.rules.schema_measures import Expr
from rollback_daemon.schema import Interval, Limit, Part
from rollback_daemon.signals.observation import Failed, Labels, NoData, Observation, Value

_FAR = timedelta(days=3650)
_LIMITS = ("above", "below")
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Breached where `condition` holds for the signal's fitted line, `within` from now."""

    signal: Signal
    condition: Condition
    within: timedelta
    fit: timedelta
    step: timedelta
    min_data: timedelta

    @property
    def subject(self) -> str:
        return f"{self.signal.subject} in {format_duration(self.within)}"

    @property
    def limit(self) -> str:
        return str(self.condition)

    @property
    def expr(self) -> str:
        """The query for the value at the end of `within`."""
        return f"predict_linear({self._range}, {self.within.total_seconds():.15g})"

    @property
    def slope_expr(self) -> str:
        """The query for the slope, per second."""
        return f"deriv({self._range})"

    @property
    def count_expr(self) -> str:
        """The query for the number of samples in the fit."""
        return f"count_over_time({self._range})"

    @property
    def _range(self) -> str:
        return f"{enclosed(self.signal.expr)}[{format_duration(self.fit)}:{format_duration(self.step)}]"

    @property
    def alert_expr(self) -> str:
        least = math.ceil(self.min_data / self.step)
        return f"{self.condition.in_promql(self.expr)}\nand\n{self.count_expr} >= {least}\nand\n{enclosed(self.signal.expr)}"

    def signals(self) -> Iterator[Signal]:
        yield self.signal

    def plotted(self) -> Iterator[tuple[Signal, Condition | None]]:
        yield self.signal, self.condition

    def questions(self) -> Iterator[str]:
        yield from self.signal.questions()
        yield from (self.expr, self.slope_expr, self.count_expr)

    def assess(self, observations: Observations, _memory: Memory, now: datetime, _max_gap: timedelta) -> tuple[Assessment, Memory]:
        seen, policy = look(self.signal, observations, now), self.signal.no_data
        line = [observations.get(query, NoData("not asked")) for query in (self.expr, self.slope_expr, self.count_expr)]
        failed = next((one for one in (seen, *line) if isinstance(one, Failed)), None)
        if failed:
            return Assessment(health=Health.ERROR, why=failed.why, no_data=policy), {}
        if not isinstance(seen, Value):
            return Assessment(health=Health.NO_DATA, why=seen.why, no_data=policy), {}
        young = {labels: short for labels in seen.series if (short := self._too_short(labels, line[2]))}
        readings = {labels: self._of_series(labels, value, line) for labels, value in seen.series.items() if labels not in young}
        readings |= {labels: Reading(Verdict.UNKNOWN, None, why) for labels, why in seen.unknown.items()}
        readings |= {labels: Reading(Verdict.UNKNOWN, None, why, stays=True) for labels, why in young.items()}
        unknown = sum(one.verdict is Verdict.UNKNOWN for one in readings.values())
        if young and unknown == len(young):  # all is seen; there is only not enough of a past yet
            return Assessment(readings, Health.COLLECTING, next(iter(young.values())), policy), {}
        return Assessment(readings, no_data=policy), {}

    def _too_short(self, labels: Labels, counts: Observation) -> str:
        """What is missing of a series' past; empty where there is enough."""
        count = counts.series.get(labels, 0.0) if isinstance(counts, Value) else 0.0
        had = max(0.0, min(count, self.fit / self.step + 1)) * self.step  # with both ends of the fit there is one more
        if had >= self.min_data:
            return ""
        span = f"{format_coarse(had)} of the last {format_duration(self.fit)}"
        return f"there is data for {span}, at least {format_duration(self.min_data)} is needed"

    def _of_series(self, labels: Labels, present: float, line: list[Observation]) -> Reading:
        value, slope, _ = (one.series.get(labels) if isinstance(one, Value) else None for one in line)
        if value is None or slope is None:
            return Reading(Verdict.UNKNOWN, None, "no line fits: too few samples, or one that is no number")
        verdict = Verdict.BREACHED if self.condition.holds(value) else Verdict.CLEAR
        hourly = format_number(float(f"{slope * _HOUR:.3g}"))
        note = f"now {format_number(present)}, {hourly if hourly.startswith(('-', '+')) else f'+{hourly}'} an hour{self._reached(value, slope)}"
        return Reading(verdict, value, note)

    def _reached(self, value: float, slope: float) -> str:
        """When the line reaches the limit, where it ever does."""
        limit, towards = self.condition.limit, 1 if self.condition.op is Op.ABOVE else -1
        line_now = value - slope * self.within.total_seconds()
        if (line_now - limit) * towards > 0:
            return f", beyond {format_number(limit)} already"
        if not math.isfinite(line_now) or slope * towards <= 0 or (left := (limit - line_now) / slope) > _FAR.total_seconds():
            return ""
        return f", reaches {format_number(limit)} in {format_coarse(timedelta(seconds=left))}"


# how it is written


class ForecastOf(Part):
    """A signal or an expression, a limit, how far ahead it is looked, and how much of the past the line is fitted to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"signal": "disk", "above": "90%", "within": "4h", "fit": "1h"}]})
    signal: str | None = None
    expr: Expr | None = None
    above: Limit = None
    below: Limit = None
    within: Interval
    fit: Interval
    min_data: Interval | None = None


def _build(of: ForecastOf, setting: Setting) -> Forecast:
    signal = _measured(of, setting)
    condition = setting.notes.condition(of, _LIMITS, signal.unit, setting.at)
    if condition is None:
        setting.say((), f"has no limit; add one of {', '.join(_LIMITS)}")
    min_data = of.min_data if of.min_data is not None else of.fit / 2
    if min_data > of.fit:
        setting.say(("min_data",), f"is longer than the fit ({format_duration(of.fit)}), which can never have as much")
    step = samples_apart(of.fit, setting.interval or of.fit / 4)
    if of.fit / step < 4:
        setting.say(("fit",), f"holds fewer than four evaluations (one each {format_duration(step)}), and any line fits those; make it longer")
    return Forecast(signal, condition or Condition(Op.ABOVE, 0), of.within, of.fit, step, min_data)


def _measured(of: ForecastOf, setting: Setting) -> Signal:
    if (of.signal is None) == (of.expr is None):
        setting.say((), "needs either signal or expr" + (", not both" if of.expr is not None else ""))
    signal = setting.notes.signal(of.signal, setting.signals, (*setting.at, "signal")) if of.signal else Signal(setting.alert, of.expr or "vector(0)")
    if signal.endpoints:
        setting.say(("signal",), f'the signal "{signal.name}" asks over http, and has no past in Prometheus to fit a line to; use one with expr')
    elif signal.evidence:
        setting.say(("signal",), f'the signal "{signal.name}" is a figure of evidence, and has no past to fit a line to; use one with expr')
    elif (of.expr or of.signal) and promql.is_scalar(signal.expr):
        setting.say(("signal" if of.signal else "expr",), "is a plain number without a past; wrap it in vector(…)")
    return signal


def _advise(test: Forecast) -> Iterator[tuple[tuple[str, ...], str]]:
    if test.within > 10 * test.fit:
        much = f"is more than ten times the fit ({format_duration(test.fit)})"
        yield ("within",), f"{much}, and the line is hardly worth anything so far away; fit more of the past"


KIND = Kind(Forecast, ForecastOf, _build, advise=_advise)
