"""What an observation means against a condition: breached, clear or unknown, for each series. Pure.

Lives here: the three-valued reading, and what every trigger kind must offer. Must not live here: time passing (`for`, counting over cycles is a
kind's own matter), actions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.rules.model import Condition, OnNoData, Signal
from rollback_daemon.signals.observation import Failed, Labels, NoData, Observation, Value

Observations = Mapping[str, Observation]
"""The answer to each query of one cycle."""

Memory = Mapping[str, Any]
"""What a trigger kind remembers from one cycle to the next: plain JSON values, empty at first."""


class Verdict(StrEnum):
    """What one value means. Never squeezed into a boolean."""

    BREACHED = "breached"
    CLEAR = "clear"
    UNKNOWN = "unknown"


class Health(StrEnum):
    """Whether there was something to judge at all; an outage changes this and never a phase."""

    OK = "ok"
    NO_DATA = "no_data"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Reading:
    """One series' verdict, with the value it rests on, or why there is none."""

    verdict: Verdict
    value: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The readings of one question. Where health is not OK, `why` says what was missing; readings there are all unknown or absent."""

    series: Mapping[Labels, Reading] = field(default_factory=dict)
    health: Health = Health.OK
    why: str = ""
    no_data: OnNoData = OnNoData.HOLD


class TriggerKind(Protocol):
    """What a trigger kind is: the questions it needs answered, how it reads the answers, and words for people."""

    @property
    def subject(self) -> str:
        """What is measured, in a few words: `error_rate`."""

    @property
    def condition(self) -> Condition | None:
        """What is a breach, as a condition on the value; None where any result is."""

    @property
    def limit(self) -> str:
        """What it is compared with: `> 0.01`; empty where any result is a breach."""

    @property
    def expr(self) -> str:
        """The query, for people; empty where there is no single one."""

    def questions(self) -> Iterator[str]:
        """Every query whose answer it needs."""

    def assess(self, observations: Observations, memory: Memory, now: datetime, max_gap: timedelta) -> tuple[Assessment, Memory]:
        """Read the answers of the cycle at `now`; returns the readings and what to remember. Pure."""


def look(signal: Signal, observations: Observations, now: datetime) -> Observation:
    """The signal's observation once its own demands (enough traffic, samples young enough) have been laid on it."""
    seen = observations.get(signal.expr, NoData("not asked"))
    if isinstance(seen, Value) and signal.max_age is not None:
        seen = _young_enough(seen, observations.get(signal.age_query, NoData("not asked")), signal.max_age, now)
    if isinstance(seen, Value) and signal.needs is not None:
        seen = _enough(seen, observations.get(signal.needs.expr, NoData("not asked")), signal.needs.at_least)
    return seen


def compare(seen: Observation, condition: Condition | None, no_data: OnNoData) -> Assessment:
    """Lay a condition on each series. Without a condition every series is a breach and an empty answer is clear, as in a Prometheus alert."""
    match seen:
        case Failed():
            return Assessment(health=Health.ERROR, why=seen.why, no_data=no_data)
        case NoData() if condition is None and seen.empty:
            return Assessment(no_data=OnNoData.DROP)
        case NoData():
            return Assessment(health=Health.NO_DATA, why=seen.why, no_data=no_data)
        case Value():
            readings = {labels: _reading(value, condition) for labels, value in seen.series.items()}
            readings |= {labels: Reading(Verdict.UNKNOWN, None, why) for labels, why in seen.unknown.items()}
            return Assessment(readings, no_data=no_data)


def worst(assessment: Assessment) -> Verdict:
    """One verdict for all series: a single breach is a breach, without one a single unknown is what the rule makes of no data.

    A failed query stays unknown, whatever the rule says: an outage is no reason to act, and none to go on.
    """
    verdicts = {reading.verdict for reading in assessment.series.values()}
    if Verdict.BREACHED in verdicts:
        return Verdict.BREACHED
    if assessment.health is Health.ERROR:
        return Verdict.UNKNOWN
    if assessment.health is Health.NO_DATA or Verdict.UNKNOWN in verdicts:
        return {OnNoData.BREACH: Verdict.BREACHED, OnNoData.IGNORE: Verdict.CLEAR}.get(assessment.no_data, Verdict.UNKNOWN)
    return Verdict.CLEAR


def _reading(value: float, condition: Condition | None) -> Reading:
    breached = condition is None or condition.holds(value)
    return Reading(Verdict.BREACHED if breached else Verdict.CLEAR, value)


def _young_enough(seen: Value, taken: Observation, max_age: timedelta, now: datetime) -> Observation:
    if isinstance(taken, Failed):
        return taken
    times = taken.series if isinstance(taken, Value) else {}
    oldest = now.timestamp() - max_age.total_seconds()
    old = {labels: f"the sample is older than {format_duration(max_age)}" for labels in seen.series if times.get(labels, oldest - 1) < oldest}
    return _without(seen, old)


def _enough(seen: Value, traffic: Observation, at_least: float) -> Observation:
    if not isinstance(traffic, Value):
        return traffic if isinstance(traffic, Failed) else NoData(f"traffic unknown: {traffic.why}")
    everywhere = traffic.series.get(()) if len(traffic.series) == 1 else None
    little: dict[Labels, str] = {}
    for labels in seen.series:
        amount = traffic.series.get(labels, everywhere)
        if amount is None:
            little[labels] = "traffic unknown: no such series"
        elif amount < at_least:
            little[labels] = f"too little traffic: {format_number(amount)} < {format_number(at_least)}"
    return _without(seen, little)


def _without(seen: Value, lost: Mapping[Labels, str]) -> Observation:
    """`seen` with some series made unknown; NoData when none is left."""
    if not lost:
        return seen
    left = {labels: value for labels, value in seen.series.items() if labels not in lost}
    if not left:
        return NoData(next(iter(lost.values())), seen.warnings)
    return Value(left, {**seen.unknown, **lost}, seen.warnings)
