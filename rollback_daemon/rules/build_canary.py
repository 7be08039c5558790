"""The trigger kind `canary` as it is written in a rule file, and what is made of that. Must not live here: the judgement (`triggers.canary`)."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from rollback_daemon.durations import format_duration
from rollback_daemon.rules import promql
from rollback_daemon.rules.kinds import Kind, Setting, Where
from rollback_daemon.rules.measures import Signal
from rollback_daemon.rules.model import BASELINE
from rollback_daemon.rules.schema_measures import Expr
from rollback_daemon.rules.statistics import ranks
from rollback_daemon.rules.statistics.judging import Direction, Tolerance
from rollback_daemon.rules.triggers.canary import Canary, Method
from rollback_daemon.schema import Interval, Limit, Part, Proportion


class GroupPart(Part):
    """A group: a signal, which may ask for enough traffic (`needs`), or an expression."""

    model_config = ConfigDict(title="canary group")
    signal: str | None = None
    expr: Expr | None = None


class OutliersPart(Part):
    """Which values are left out: those so many interquartile ranges outside of the middle half."""

    beyond: float = Field(gt=0, allow_inf_nan=False)


Group = Annotated[
    Annotated[Expr, Tag("canary query")] | Annotated[GroupPart, Tag("canary group")],
    Discriminator(lambda value: "canary group" if isinstance(value, dict) else "canary query"),
]


class CanaryOf(Part):
    """An experiment held against its control by statistics: what is bad, how much of it is tolerated, and how sure one must be."""

    experiment: Group
    control: Group
    direction: Literal["increase", "decrease", "either"] = "increase"
    tolerance: Limit = "25%"
    method: Literal["sequential", "mann_whitney"] = "sequential"
    error_rate: Proportion = 0.01
    at_least: int | None = Field(default=None, ge=1)
    samples: int = Field(default=200, ge=2, le=2000)
    every: Interval | None = None
    nan: Literal["skip", "zero"] = "skip"
    outliers: OutliersPart | None = None


_AT_LEAST = {Method.SEQUENTIAL: 20, Method.MANN_WHITNEY: 50}
"""By method. Of 20 pairs most show a difference of two standard deviations; 50 are what Kayenta asks for."""


def _build(of: CanaryOf, setting: Setting) -> Canary:
    experiment = replace(_group(of.experiment, setting.alert, "experiment", setting), exposed_only=True)
    control = _group(of.control, f"{setting.alert} control", "control", setting)
    if experiment.expr == control.expr:
        setting.say(("control",), "asks the same as experiment, which is always alike; name those who do not have the new version")
    if experiment.unit and control.unit and experiment.unit != control.unit:
        setting.say(("control",), f'is in "{control.unit}", and the experiment in "{experiment.unit}"; measure both alike')
    if BASELINE in setting.stages:
        setting.notes.say((*setting.trail, "stages", setting.stages.index(BASELINE)), "exposes nobody, so that there is no experiment; leave it out")
    method = Method(of.method)
    made = Canary(
        experiment,
        control,
        Tolerance(Direction(of.direction), *_tolerated(of, experiment.unit or control.unit, setting)),
        method,
        of.error_rate,
        of.at_least if of.at_least is not None else min(_AT_LEAST[method], of.samples),
        of.samples,
        *_times(of, experiment, control, setting),
        of.nan == "zero",
        of.outliers.beyond if of.outliers else None,
    )
    _check(made, setting)
    return made


def _group(group: str | GroupPart, name: str, key: str, setting: Setting) -> Signal:
    if isinstance(group, GroupPart) and (group.signal is None) == (group.expr is None):
        setting.say((key,), "needs either expr or signal" + (", not both" if group.signal is not None else ""))
    if isinstance(group, GroupPart) and group.signal is not None:
        signal = setting.notes.signal(group.signal, setting.signals, (*setting.at, key, "signal"))
        if signal.endpoints:
            setting.say((key, "signal"), f'the signal "{signal.name}" asks over http, and has no groups; use one with expr')
        if signal.evidence:
            setting.say((key, "signal"), f'the signal "{signal.name}" is a figure of evidence, and has no groups; use one with expr')
        return signal
    expr = (group.expr or "vector(0)") if isinstance(group, GroupPart) else group
    meant = setting.signals.get(expr)
    if meant and meant.expr != expr:
        setting.say((key,), f"is a query here, and the name of a signal as well; for that write {{signal: {expr}}}")
    return Signal(name, expr)


def _tolerated(of: CanaryOf, unit: str, setting: Setting) -> tuple[float, bool]:
    """How much, and whether that is a share of the control."""
    relative = str(of.tolerance).endswith("%")
    amount = setting.notes.number(of.tolerance, "" if relative else unit, (*setting.at, "tolerance"))
    if amount < 0:
        setting.say(("tolerance",), "cannot be below 0; which way is bad is told by direction")
    return max(0.0, amount), relative


def _times(of: CanaryOf, experiment: Signal, control: Signal, setting: Setting) -> tuple[timedelta, timedelta]:
    """How often a pair is taken, and the widest range in both expressions."""
    window = max(promql.reach(experiment.expr), promql.reach(control.expr)) if experiment.expr and control.expr else timedelta()
    interval = setting.interval or timedelta()
    if of.every is None:
        if not window:
            setting.say((), "needs every: no range in its queries tells how far apart samples must be not to rest on the same events")
        return max(window, interval, timedelta(seconds=1)), window
    if of.every < interval:
        setting.say(("every",), f"is shorter than the interval; there is one evaluation each {format_duration(interval)}")
    if of.every < window:
        wide = format_duration(window)
        setting.say(("every",), f"is shorter than the range [{wide}] of a query, so that samples would rest on the same events; use {wide} or more")
    return max(of.every, interval), window


def _check(made: Canary, setting: Setting) -> None:
    """Note what cannot be meant of the numbers together."""
    if not 0 < made.error_rate < 0.5:
        setting.say(("error_rate",), "must be above 0 and below 50%: how often it may fire though nothing is wrong; 1% is usual")
    if made.at_least > made.samples:
        setting.say(("samples",), f"{made.samples} are kept, so that there are never {made.at_least}; raise it, or lower at_least")
    if made.method is Method.SEQUENTIAL and made.beyond is not None:
        setting.say(("outliers",), "belongs to mann_whitney; sequential counts each pair once, however far out it is")
    if made.method is not Method.MANN_WHITNEY:
        return
    if not ranks.is_available():
        setting.say(("method",), "mann_whitney needs scipy, which is not installed; install rollback-daemon[stats], or use sequential")
    sides = 2 if made.tolerance.direction is Direction.EITHER else 1
    if 0 < made.error_rate < sides / math.comb(2 * made.samples, made.samples):
        setting.say(("samples",), f"{made.samples} in each group can never be so clear; raise it, or the error_rate of {made.error_rate:.3g}")


def _describe(test: Canary) -> str:
    """`p for errors more than 25% above control <= 0.01, clear from 20 pairs on, one each 5m (1h40m)`."""
    needed = "clear" if test.method is Method.SEQUENTIAL else "judged"
    time = format_duration(test.at_least * test.every)
    return f"{test.subject} {test.limit}, {needed} from {test.at_least} pairs on, one each {format_duration(test.every)} ({time})"


def _advise(test: Canary) -> Iterator[tuple[Where, str]]:
    if test.method is Method.MANN_WHITNEY:
        text = "holds its error_rate for one look, and there is one with every pair; for an action that nobody looks at first use method: sequential"
        yield ("method",), text
    if not test.tolerance.amount:
        yield ("tolerance",), "is 0, so that with time the slightest difference is found; say what does no harm, for instance 10%"


KIND = Kind(Canary, CanaryOf, _build, _describe, _advise)
