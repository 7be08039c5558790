"""The trigger kind `burn_rate`: an error budget is being used up too fast, seen over a long and a short window at once.

    error ratio over W = (sum by (L) (rate(errors[W])) or 0 * sum by (L) (rate(total[W]))) / sum by (L) (rate(total[W]))
    burn rate over W   = error ratio over W / (1 - objective)

1 uses up the budget of the period exactly at its end. Breached where for any pair of `windows` the burn rate over the long *and* over the short
window is above the pair's `factor`; the long one proves that it matters, the short one that it still goes on. Judged for each label set of `by`; the
value is, of the pair that is nearest to its factor, the lower of both burn rates as a multiple of that factor, held against `> 1`.

Without a series of errors there was no error yet: that is 0, as long as there is `total`. A pair with one window that is not above the factor is
clear, whatever the other is; it is unknown when it hangs on a window that cannot be told: the query failed, no requests at all (0 / 0), less than it
`needs`. Nothing breached and one pair unknown is unknown.

Default windows, by severity, for a period of 30 days. `critical` or `page`: 14.4 over 1h and 5m (2 % of the budget in an hour), 6 over 6h and 30m (5
% in six hours). Any other (a ticket): 3 over 1d and 2h, 1 over 3d and 6h (10 % each). For another `period` they have to be written out: nothing is
scaled silently. The factor that uses up a share S of the budget within W is S * period / W.

Units: objective, ratios 0-1; factors and burn rates are multiples of the budget; windows are durations. `errors` and `total` are selectors of
counters.

When not to use it: with little traffic, where one error among ten requests is a burn rate of 100 (add `needs`, or use a threshold); for a canary that
gets a small share of a service's traffic without a label of its own, as the rest hides it; windows longer than a stage also look at the time before
it.

Source: Google, The Site Reliability Workbook, chapter 5, "Alerting on SLOs", alert 6 (https://sre.google/workbook/alerting-on-slos/).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.rules import promql
from rollback_daemon.rules.kinds import Kind, Setting
from rollback_daemon.rules.measures import Condition, Needs, OnNoData, Op, Signal
from rollback_daemon.rules.reading import Assessment, Health, Memory, Observations, Reading, Verdict, look
from rollback_daemon.rules.schema_measures import NeedsPart
from rollback_daemon.schema import Interval, LabelName, Part, Proportion
from rollback_daemon.signals.observation import Failed, Labels, NoData, Observation, Value

_ABOVE = Condition(Op.ABOVE, 1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two windows, and the burn rate that both must be above."""

    long: timedelta
    short: timedelta
    factor: float

    def __str__(self) -> str:
        return f"{format_number(self.factor)} over {format_duration(self.long)} and {format_duration(self.short)}"


_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_PAGES = {"critical", "page"}
PERIOD = 30 * _DAY
"""What the default windows are for."""
PAGE = (Pair(_HOUR, 5 * _MINUTE, 14.4), Pair(6 * _HOUR, 30 * _MINUTE, 6))
TICKET = (Pair(_DAY, 2 * _HOUR, 3), Pair(3 * _DAY, 6 * _HOUR, 1))


@dataclass(frozen=True, slots=True)
class BurnRate:
    """Breached where both windows of any of `pairs` are above its factor. `ratios`: the signal that gives the error ratio over each window."""

    objective: float
    pairs: tuple[Pair, ...]
    ratios: tuple[tuple[timedelta, Signal], ...]
    period: timedelta = PERIOD

    @property
    def subject(self) -> str:
        return f"burn rate of {_percent(self.objective)} / its factor"

    @property
    def limit(self) -> str:
        return str(_ABOVE)

    @property
    def condition(self) -> Condition:
        return _ABOVE

    @property
    def expr(self) -> str:
        return ""

    @property
    def alert_expr(self) -> str:
        ratio = dict(self.ratios)
        both = (
            f"({ratio[pair.long].expr}) > {_limit(self, pair)!r}\nand\n({ratio[pair.short].expr}) > {_limit(self, pair)!r}" for pair in self.pairs
        )
        return "\nor\n".join(f"(\n{one}\n)" for one in both) if len(self.pairs) > 1 else next(both)

    def signals(self) -> Iterator[Signal]:
        for _, signal in self.ratios:
            yield signal

    def plotted(self) -> Iterator[tuple[Signal, Condition | None]]:
        for window, signal in self.ratios:
            lowest = min(_limit(self, pair) for pair in self.pairs if window in {pair.long, pair.short})
            yield signal, Condition(Op.ABOVE, lowest)

    def questions(self) -> Iterator[str]:
        for signal in self.signals():
            yield from signal.questions()

    def assess(self, observations: Observations, memory: Memory, now: datetime, _max_gap: timedelta) -> tuple[Assessment, Memory]:
        return self._read({window: look(signal, observations, now) for window, signal in self.ratios}), memory

    def _read(self, seen: dict[timedelta, Observation]) -> Assessment:
        policy = self.ratios[0][1].no_data
        series: dict[Labels, None] = {}
        for one in seen.values():
            if isinstance(one, Value):
                series |= dict.fromkeys([*one.series, *one.unknown])
        readings = {labels: self._of_series(seen, labels) for labels in series}
        blind = not series or any(reading.verdict is Verdict.UNKNOWN for reading in readings.values())
        failed = next((one for one in seen.values() if isinstance(one, Failed)), None)
        if blind and failed:
            return Assessment(readings, Health.ERROR, failed.why, policy)
        if not series:
            why = next((one.why for one in seen.values() if isinstance(one, NoData)), "")
            return Assessment(health=Health.NO_DATA, why=why, no_data=policy)
        return Assessment(readings, no_data=policy)

    def _of_series(self, seen: dict[timedelta, Observation], labels: Labels) -> Reading:
        pairs = [self._of_pair(pair, seen, labels) for pair in self.pairs]
        unknown = next((one for one in pairs if one.verdict is Verdict.UNKNOWN), None)
        told = [one for one in pairs if one.verdict is not Verdict.UNKNOWN]
        nearest = max(told, key=lambda one: (one.verdict is Verdict.BREACHED, one.value or 0.0), default=None)
        if nearest is None or (unknown is not None and nearest.verdict is Verdict.CLEAR):
            return unknown or Reading(Verdict.UNKNOWN)
        return nearest

    def _of_pair(self, pair: Pair, seen: dict[timedelta, Observation], labels: Labels) -> Reading:
        """Above in both windows, or not in one of them, whatever the other is; else it cannot be told."""
        limit, known, lost = _limit(self, pair), dict[timedelta, float](), list[str]()
        for window in (pair.long, pair.short):
            one = seen[window]
            if isinstance(one, Value) and labels in one.series:
                known[window] = one.series[labels]
            else:
                why = one.unknown.get(labels, "no such series") if isinstance(one, Value) else one.why
                lost.append(f"over {format_duration(window)}: {why}")
        if lost and all(value > limit for value in known.values()):
            return Reading(Verdict.UNKNOWN, None, lost[0])
        rates = " and ".join(f"{format_number(value / (1 - self.objective))} over {format_duration(window)}" for window, value in known.items())
        lowest = min(known.values())
        verdict = Verdict.BREACHED if lowest > limit else Verdict.CLEAR
        return Reading(verdict, lowest / limit, f"{rates}, factor {format_number(pair.factor)}")


def _limit(test: BurnRate, pair: Pair) -> float:
    """The error ratio at which the burn rate is the factor, without the dust of binary fractions."""
    return float(Decimal(str(pair.factor)) * (1 - Decimal(str(test.objective))))


def _percent(share: float) -> str:
    return f"{Decimal(str(share)) * 100:f}".rstrip("0").rstrip(".") + "%"


def error_ratio(errors: str, total: str, by: Sequence[str], window: timedelta) -> str:
    """The query for the error ratio over a window. No errors at all are 0 where there is `total`; 0 of 0 is NaN, which is unknown."""
    grouping = f" by ({', '.join(by)}) " if by else ""
    part, whole = (f"sum{grouping}(rate({selector}[{format_duration(window)}]))" for selector in (errors, total))
    return f"({part} or 0 * {whole}) / {whole}"


# how it is written


def _counter(text: str) -> str:
    if not promql.takes_a_range(text):
        raise ValueError('must be a selector of a counter, like http_requests_total{code=~"5.."}; rate, sum and the windows are put around it here')
    return text.strip()


Counter = Annotated[str, Field(min_length=1), AfterValidator(_counter)]


class WindowPart(Part):
    """A pair of windows with the burn rate that both must be above."""

    long: Interval
    short: Interval
    factor: float = Field(gt=0, allow_inf_nan=False)


class BurnRateOf(Part):
    """An objective, the counters of errors and of everything, and the windows that are looked at."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"objective": "99.9%", "errors": 'http_requests_total{code=~"5.."}', "total": "http_requests_total"}]}
    )
    objective: Proportion
    errors: Counter
    total: Counter
    by: list[LabelName] = []
    windows: list[WindowPart] | None = Field(default=None, min_length=1)
    period: Interval = PERIOD
    needs: NeedsPart | None = None
    no_data: Literal["hold", "breach", "ignore"] = "hold"


def _build(of: BurnRateOf, setting: Setting) -> BurnRate:
    if not 0 < of.objective < 1:
        why = "leaves no error budget" if of.objective else "promises nothing"
        setting.say(("objective",), f"{_percent(of.objective)} {why}; it must be between 0% and 100%, for instance 99.9%")
    setting.notes.distinct(of.by, (*setting.at, "by"))
    if of.errors == of.total:
        setting.say(("errors",), "is the same as total, so that everything is an error; narrow it by a label")
    needs = Needs(of.needs.expr, setting.notes.number(of.needs.at_least, "", (*setting.at, "needs", "at_least"))) if of.needs else None
    pairs = _pairs(of, setting)
    windows = dict.fromkeys(window for pair in pairs for window in (pair.long, pair.short))
    policy = OnNoData(of.no_data)
    ratios = (
        (one, Signal(f"error ratio over {format_duration(one)}", error_ratio(of.errors, of.total, of.by, one), no_data=policy, needs=needs))
        for one in windows
    )
    test = BurnRate(of.objective, pairs, tuple(ratios), of.period)
    for index, pair in enumerate(pairs):
        if 0 < of.objective < 1 <= _limit(test, pair):
            where = ("windows", index, "factor") if of.windows else ("objective",)
            most = format_number(float(1 / (1 - Decimal(str(of.objective)))))
            what = f"a burn rate above {format_number(pair.factor)} can never be: with an objective of {_percent(of.objective)} the highest is {most}"
            setting.say(where, f"{what}; {'lower it' if of.windows else 'give windows with lower factors'}")
    return test


def _pairs(of: BurnRateOf, setting: Setting) -> tuple[Pair, ...]:
    usual = PAGE if setting.severity in _PAGES else TICKET
    if of.windows is None:
        if of.period != PERIOD:
            scaled = ", ".join(_written(replace(one, factor=one.factor * (of.period / PERIOD))) for one in usual)
            setting.say(("period",), f"the default windows are for {format_duration(PERIOD)}; write them out, for instance windows: [{scaled}]")
        return usual
    pairs = tuple(Pair(one.long, one.short, one.factor) for one in of.windows)
    for index, pair in enumerate(pairs):
        if pair.short >= pair.long:
            text = f"{format_duration(pair.short)} must be shorter than long ({format_duration(pair.long)}); a twelfth of it is usual"
            setting.say(("windows", index, "short"), text)
        if pair.long > of.period:
            text = f"{format_duration(pair.long)} is longer than the period of the budget ({format_duration(of.period)}); shorten it"
            setting.say(("windows", index, "long"), text)
        if pair in pairs[:index]:
            setting.say(("windows", index), "stands here twice; keep one")
    return pairs


def _written(pair: Pair) -> str:
    return f"{{long: {format_duration(pair.long)}, short: {format_duration(pair.short)}, factor: {format_number(pair.factor)}}}"


def _describe(test: BurnRate) -> str:
    period = format_duration(test.period)
    pairs = (f"{pair} ({format_number(100 * pair.factor * (pair.long / test.period))}% of the budget of {period})" for pair in test.pairs)
    return f"burn rate of {_percent(test.objective)} above {', or '.join(pairs)}"


def _advise(test: BurnRate) -> Iterator[tuple[tuple[str, ...], str]]:
    if test.ratios[0][1].needs is None:
        yield (), "is a ratio, and with little traffic a few errors burn any budget; add needs: {expr: …, at_least: …}"


KIND = Kind(BurnRate, BurnRateOf, _build, _describe, _advise)
