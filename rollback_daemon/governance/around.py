"""Which signals are kept of an incident, from when to when, and how they go on record. Pure.

Those of the triggers that fired come first, then those of the gates. Lives here: that choice, and the record's body. Must not live here: asking
Prometheus (`incident_notes`), plots.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.governance.incident_report import breached
from rollback_daemon.governance.incident_signals import MOST_SERIES, MOST_SIGNALS
from rollback_daemon.governance.incidents import Incident, triggers
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.measures import Condition, Op, Relative, Signal
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.relative import as_one_query
from rollback_daemon.signals.observation import Failed, Labels

Series = Mapping[Labels, Sequence[tuple[float, float]]]
Bases = Mapping[str, Mapping[Labels, float]]
_POINTS = 240
_LEAST, _MOST = timedelta(minutes=30), timedelta(hours=6)
_PER_FOR = 10
_SMALL = 4
_FINEST = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A signal to be kept, with what it is held against: the limit in words, its figures, and the triggers. `breach`: what is one, if it is known."""

    signal: Signal
    limit: str = ""
    breach: Condition | None = None
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when, and how far apart."""

    start: datetime
    end: datetime
    step: timedelta


def wanted(rollout: Rollout, one: Incident) -> list[Wanted]:
    """The signals of the triggers that fired, then those of the gates; each once, and six at most. Those that are no query have no past."""
    found: dict[tuple[str, Relative | None], Wanted] = {}
    for made in _every(rollout, one):
        key = made.signal.expr, made.signal.relative
        if not made.signal.expr:
            continue
        known = found.get(key)
        if known is None and len(found) < MOST_SIGNALS:
            found[key] = made
        elif known is not None and made.alerts:
            both = dict.fromkeys((known.limit, made.limit)) if made.limit else (known.limit,)
            found[key] = Wanted(known.signal, "; ".join(filter(None, both)), known.breach or made.breach, (*known.alerts, *made.alerts))
    return list(found.values())


def _every(rollout: Rollout, one: Incident) -> Iterator[Wanted]:
    fired = set(triggers(one))
    for trigger in rollout.triggers:
        if trigger.name not in fired:
            continue
        for signal, breach in trigger.test.plotted():
            yield Wanted(as_one_query(signal), str(breach) if breach else "", breach, (trigger.name,))
    for gate in rollout.gates:
        yield Wanted(as_one_query(gate.signal), f"must be {gate.condition}", gate.condition.negated)


def windows(rollout: Rollout, one: Incident, now: datetime) -> list[Window]:
    """What is asked for, at most 240 points in all: from half an hour before the first breach, or ten times the longest `for` (six hours at most),
    until now; and where the incident itself is a small part of that, it once more, with as many points.
    """
    fired = set(triggers(one))
    longest = max((trigger.for_ for trigger in rollout.triggers if trigger.name in fired), default=timedelta())
    before = min(max(_LEAST, _PER_FOR * longest), _MOST)
    since = breached(one) or one.opening.at
    itself = max(now - since, timedelta(seconds=20))
    if itself * _SMALL > before:
        return [_window(since - before, now, _POINTS)]
    return [_window(since - before, now, _POINTS // 2), _window(since - itself, now, _POINTS // 2)]


def _window(start: datetime, end: datetime, points: int) -> Window:
    """So many points at most, the last of them at the end."""
    apart = max((end - start) / (points - 1), _FINEST)
    step = timedelta(milliseconds=math.ceil(apart / timedelta(milliseconds=1)))
    return Window(end - step * ((end - start) // step), end, step)


def together(answers: Sequence[Series | Failed]) -> Series | Failed:
    """The points of all windows, by series, in order. What could not be had is nothing only if none could."""
    known = [answer for answer in answers if not isinstance(answer, Failed)]
    if not known:
        return answers[0]
    return {labels: sorted({point for answer in known for point in answer.get(labels, ())}) for answer in known for labels in answer}


def plotted(one: Incident, asked: Sequence[Wanted], answers: Mapping[str, Series | Failed], bases: Bases, over: Sequence[Window]) -> dict[str, Any]:
    """The body of the record. What could not be had says why."""
    fired = {tuple(sorted((str(name), str(value)) for name, value in (body.get("labels") or {}).items())) for body in _fired(one)}
    signals, why = [], []
    for made in asked:
        answer = answers.get(made.signal.expr)
        if isinstance(answer, Failed):
            why.append(f"{made.signal.subject}: {answer.why}")
        elif not answer:
            why.append(f"{made.signal.subject}: no data")
        else:
            signals += list(_kept(made, answer, fired, bases))
    return {"incident": one.id, "signals": signals, "from": over[0].start.isoformat(), "to": over[0].end.isoformat(), "why": why}


def _fired(one: Incident) -> Iterator[Mapping[str, Any]]:
    return (record.body for record in one.of_kind(Event.TRIGGER) if record.body.get("phase") == "firing")


def _kept(made: Wanted, answer: Series, fired: set[tuple[tuple[str, str], ...]], bases: Bases) -> Iterator[dict[str, Any]]:
    """The series that fired, then those furthest past the limit."""

    def urgency(labels: Labels) -> tuple[bool, float]:
        values = [value for _, value in answer[labels] if math.isfinite(value)]
        return labels not in fired, -max((made.breach.margin(value) if made.breach else value for value in values), default=-math.inf)

    for labels in sorted(answer, key=urgency)[:MOST_SERIES]:
        signal, base = made.signal, _base(made.signal, labels, bases)
        raw = signal.relative is not None and base is None
        points = [[round(at, 3), _rounded(_held(signal, value, base))] for at, value in answer[labels] if math.isfinite(value)]
        yield {
            "name": f"{signal.name} (its baseline is not known)" if raw else signal.subject,
            "expr": signal.expr,
            "unit": signal.unit if raw or signal.relative in {None, Relative.AMOUNT} else "",
            "labels": dict(labels),
            "limit": "" if raw else made.limit,
            "lines": [] if raw or made.breach is None else _lines(made.breach),
            "alerts": list(made.alerts),
            "points": [point for point in points if math.isfinite(point[1])],
        }


def _base(signal: Signal, labels: Labels, bases: Bases) -> float | None:
    known = bases.get(signal.name, {})
    return known.get(labels, next(iter(known.values())) if len(known) == 1 else None)


def _held(signal: Signal, value: float, base: float | None) -> float:
    """The value as it is held against its limit."""
    if signal.relative is None or base is None:
        return value
    return signal.relative.of(value, base) if base or signal.relative is Relative.AMOUNT else math.inf


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _lines(breach: Condition) -> list[float]:
    return [breach.limit, breach.upper] if breach.op in {Op.OUTSIDE, Op.WITHIN} else [breach.limit]
