"""What a signal asks of its own answer before anything is compared: samples young enough, enough traffic, all endpoints, a baseline or control. Pure.

Lives here: observations to observations. Must not live here: limits and verdicts (`reading`).
"""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.rules.measures import Relative
from rollback_daemon.signals.observation import Failed, Labels, NoData, Observation, Value, endpoint_labels

NOT_ASKED = NoData("not asked")


def young_enough(seen: Value, taken: Observation, max_age: timedelta, now: datetime) -> Observation:
    """`seen` with the series made unknown whose sample, `taken` in Unix seconds, is older than `max_age`."""
    if isinstance(taken, Failed):
        return taken
    times = taken.series if isinstance(taken, Value) else {}
    oldest = now.timestamp() - max_age.total_seconds()
    old = {labels: f"the sample is older than {format_duration(max_age)}" for labels in seen.series if times.get(labels, oldest - 1) < oldest}
    return _without(seen, old)


def enough(seen: Value, traffic: Observation, at_least: float) -> Observation:
    """`seen` with the series made unknown that have less `traffic` than `at_least`; one unlabelled figure serves all series."""
    if not isinstance(traffic, Value):
        return traffic if isinstance(traffic, Failed) else NoData(f"traffic unknown: {traffic.why}")
    little: dict[Labels, str] = {}
    for labels in seen.series:
        amount = _of(traffic, labels)
        if amount is None:
            little[labels] = "traffic unknown: no such series"
        elif amount < at_least:
            little[labels] = f"too little traffic: {format_number(amount)} < {format_number(at_least)}"
    return _without(seen, little)


def together(answers: Iterable[tuple[str, Observation]]) -> Observation:
    """The answers of several endpoints, by their addresses, as one: a series for each, unknown where the address could not be asked."""
    series: dict[Labels, float] = {}
    unknown: dict[Labels, str] = {}
    notes: dict[Labels, str] = {}
    lost: list[NoData | Failed] = []
    for url, answer in answers:
        labels = endpoint_labels(url)
        if isinstance(answer, Value) and () in answer.series:
            series[labels] = answer.series[()]
            if answer.warnings:
                notes[labels] = ", ".join(answer.warnings)
        else:
            lost.append(NoData("no single value") if isinstance(answer, Value) else answer)
            unknown[labels] = lost[-1].why
    if not series and lost:
        return next((one for one in lost if isinstance(one, Failed)), lost[0])
    return Value(series, unknown, notes=notes)


def held_against(seen: Value, base: Observation, relative: Relative, what: str = "baseline") -> Observation:
    """`seen` as `relative` says of its `base`, which is called `what`; one unlabelled figure serves all series.

    A series without a base is unknown, and so is a share of nothing: of a base that is 0 or less.
    """
    if not isinstance(base, Value):
        return base if isinstance(base, Failed) else NoData(f"no {what}: {base.why}", seen.warnings)
    series: dict[Labels, float] = {}
    lost: dict[Labels, str] = {}
    notes: dict[Labels, str] = {}
    for labels, value in seen.series.items():
        known = _of(base, labels)
        if known is None:
            lost[labels] = f"no {what}: {base.unknown.get(labels, 'no such series')}"
        elif not math.isfinite(known) or (relative is not Relative.AMOUNT and known <= 0):
            lost[labels] = f"its {what} is {format_number(known)}"
        else:
            series[labels] = relative.of(value, known)
            notes[labels] = f"{format_number(value)}, {what} {format_number(known)}"
    return _without(Value({**seen.series, **series}, seen.unknown, seen.warnings, notes), lost)


def _of(value: Value, labels: Labels) -> float | None:
    """The number for one series; a single one without labels is for all."""
    everywhere = value.series.get(()) if len(value.series) == 1 else None
    return value.series.get(labels, everywhere)


def _without(seen: Value, lost: Mapping[Labels, str]) -> Observation:
    """`seen` with some series made unknown; NoData when none is left."""
    if not lost:
        return seen
    left = {labels: value for labels, value in seen.series.items() if labels not in lost}
    if not left:
        return NoData(next(iter(lost.values())), seen.warnings)
    return Value(left, {**seen.unknown, **lost}, seen.warnings, seen.notes)
