"""Signals from a rule file as written to what they mean. Must not live here: single keys and their types (`schema_measures`), limits on signals."""

import math
from collections.abc import Mapping
from datetime import timedelta

from rollback_daemon.documents import Step
from rollback_daemon.durations import format_duration
from rollback_daemon.rules import promql
from rollback_daemon.rules.build_evidence import figure
from rollback_daemon.rules.conditions import Notes
from rollback_daemon.rules.duties import Declared
from rollback_daemon.rules.measures import Baseline, Needs, OnNoData, Signal, Statistic
from rollback_daemon.rules.schema_measures import BaselinePart, SignalPart
from rollback_daemon.signals.observation import address

_SAMPLES = 500  # of a window: enough for statistics and lines, and no burden to Prometheus
_OF_QUERIES = ("needs", "max_age", "baseline")
_Where = tuple[Step, ...]


def signal(notes: Notes, name: str, part: SignalPart, interval: timedelta | None, evidence: Mapping[str, Declared] | None) -> Signal:
    """The signal; what is wrong with it is noted. `interval` is None where the file's own could not be read, `evidence` where that could not."""
    trail: _Where = ("signals", name)
    given = [key for key in ("expr", "http", "evidence") if getattr(part, key) is not None]
    if part.field is not None and part.evidence is None:
        notes.say((*trail, "field"), "is a figure of evidence; say of which: add evidence: NAME")
    if len(given) != 1:
        several = f", not {' and '.join(given)} at once" if given else ""
        notes.say(trail, f"needs one of expr, http and evidence{several}")
    elif part.evidence is not None:
        return figure(notes, name, part, evidence)
    elif part.http is not None:
        return _of_endpoints(notes, name, part, trail)
    expr = part.expr or "vector(0)"
    if part.max_age is not None and not promql.is_selector(expr):
        notes.say((*trail, "max_age"), "needs an expression that only selects series; the age of a computed value cannot be told")
    needs = Needs(part.needs.expr, notes.number(part.needs.at_least, "", (*trail, "needs", "at_least"))) if part.needs else None
    baseline = _baseline(notes, part.baseline, interval, (*trail, "baseline")) if part.baseline else None
    if baseline is not None and promql.is_scalar(expr):
        notes.say((*trail, "baseline"), "needs an expression with series; this one is a plain number without a past, wrap it in vector(…)")
    return Signal(name, expr, part.unit, OnNoData(part.no_data), needs, part.max_age, baseline=baseline)


def _of_endpoints(notes: Notes, name: str, part: SignalPart, trail: _Where) -> Signal:
    for key in _OF_QUERIES:
        if getattr(part, key) is not None:
            notes.say((*trail, key), "is about a query; a signal that asks over http has none")
    urls = part.http or []
    notes.distinct([*map(address, urls)], (*trail, "http"))
    return Signal(name, "", part.unit, OnNoData(part.no_data), endpoints=tuple(urls))


def _baseline(notes: Notes, part: BaselinePart, interval: timedelta | None, trail: _Where) -> Baseline:
    at_least = part.at_least if part.at_least is not None else part.window / 2
    if at_least > part.window:
        notes.say((*trail, "at_least"), f"is longer than the window ({format_duration(part.window)}), which can never have as much")
    if interval is not None and part.window < interval:
        notes.say((*trail, "window"), f"is shorter than the interval ({format_duration(interval)}), and would hold no sample")
    return Baseline(part.window, at_least, samples_apart(part.window, interval or part.window), Statistic(part.statistic))


def samples_apart(window: timedelta, interval: timedelta) -> timedelta:
    """How far apart the samples are at which a window of the past is looked at.

    It is the interval, or the least multiple of it that makes no more samples than wanted.
    """
    return interval * max(1, math.ceil(window / interval / _SAMPLES))
