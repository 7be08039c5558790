"""The trigger kind `burn_rate` as it is written in a rule file, and what is made of it. Must not live here: the judgement (`triggers.burn_rate`)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.rules import promql
from rollback_daemon.rules.kinds import Kind, Setting, Where
from rollback_daemon.rules.measures import Needs, OnNoData, Signal
from rollback_daemon.rules.schema_measures import NeedsPart
from rollback_daemon.rules.triggers.burn_rate import PERIOD, BurnRate, Pair, percent
from rollback_daemon.schema import Interval, LabelName, Part, Proportion

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_PAGES = {"critical", "page"}
_PAGE = (Pair(_HOUR, 5 * _MINUTE, 14.4), Pair(6 * _HOUR, 30 * _MINUTE, 6))
_TICKET = (Pair(_DAY, 2 * _HOUR, 3), Pair(3 * _DAY, 6 * _HOUR, 1))


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
        setting.say(("objective",), f"{percent(of.objective)} {why}; it must be between 0% and 100%, for instance 99.9%")
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
        if 0 < of.objective < 1 <= test.highest(pair):
            where = ("windows", index, "factor") if of.windows else ("objective",)
            most = format_number(float(1 / (1 - Decimal(str(of.objective)))))
            what = f"a burn rate above {format_number(pair.factor)} can never be: with an objective of {percent(of.objective)} the highest is {most}"
            setting.say(where, f"{what}; {'lower it' if of.windows else 'give windows with lower factors'}")
    return test


def error_ratio(errors: str, total: str, by: Sequence[str], window: timedelta) -> str:
    """The query for the error ratio over a window. No errors at all are 0 where there is `total`; 0 of 0 is NaN, which is unknown."""
    grouping = f" by ({', '.join(by)}) " if by else ""
    part, whole = (f"sum{grouping}(rate({selector}[{format_duration(window)}]))" for selector in (errors, total))
    return f"({part} or 0 * {whole}) / {whole}"


def _pairs(of: BurnRateOf, setting: Setting) -> tuple[Pair, ...]:
    usual = _PAGE if setting.severity in _PAGES else _TICKET
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
    return f"burn rate of {percent(test.objective)} above {', or '.join(pairs)}"


def _advise(test: BurnRate) -> Iterator[tuple[Where, str]]:
    if test.ratios[0][1].needs is None:
        yield (), "is a ratio, and with little traffic a few errors burn any budget; add needs: {expr: …, at_least: …}"


KIND = Kind(BurnRate, BurnRateOf, _build, _describe, _advise)
