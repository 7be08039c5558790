"""What an observation means against a condition: breached, clear or unknown, for each series. Pure.

Lives here: the three-valued reading, and what every trigger kind must offer. Must not live here: what a signal asks of its own answer (`demands`),
time passing (`for`, counting over cycles is a kind's own matter), actions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from rollback_daemon.rules import demands
from rollback_daemon.rules.measures import Condition, OnNoData, Signal
from rollback_daemon.signals.observation import Failed, Labels, NoData, Observation, Value

Observations = Mapping[str, Observation]
"""The answer to each query of one cycle."""

_NOT_CAPTURED = NoData("none was captured")

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
    COLLECTING = "collecting"  # all is seen, and it is not enough yet, as is to be expected: no blindness, but a promotion waits
    NO_DATA = "no_data"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Reading:
    """One series' verdict, with the value it rests on, or why there is none. `stays`: it is unknown, whatever the rule makes of a lack of data."""

    verdict: Verdict
    value: float | None = None
    why: str = ""
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Assessment:
    """The readings of one question. Where health is not OK, `why` says what was missing; a series that could be told all the same has its reading."""

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

    @property
    def alert_expr(self) -> str:
        """What an alerting rule of Prometheus would have as its `expr`; empty where no expression says the same."""

    def signals(self) -> Iterator[Signal]:
        """Every signal that it reads."""

    def plotted(self) -> Iterator[tuple[Signal, Condition | None]]:
        """The signals that show afterwards why it fired, each with what is too much of that very value, where it is known."""

    def questions(self) -> Iterator[str]:
        """Every query or endpoint whose answer it needs."""

    def assess(self, observations: Observations, memory: Memory, now: datetime, max_gap: timedelta) -> tuple[Assessment, Memory]:
        """Read the answers of the cycle at `now`; returns the readings and what to remember. `memory` may be that of another kind, which the trigger
        was before its file was changed. Pure.
        """


def look(signal: Signal, observations: Observations, now: datetime) -> Observation:
    """The signal's observation once its own demands (enough traffic, samples young enough, what it is held against) have been laid on it."""
    if signal.evidence:
        return observations.get(signal.figure_key, demands.NOT_ASKED)
    if signal.endpoints:
        return demands.together((url, observations.get(url, demands.NOT_ASKED)) for url in signal.endpoints)
    seen = observations.get(signal.expr, demands.NOT_ASKED)
    if isinstance(seen, Value) and signal.max_age is not None:
        seen = demands.young_enough(seen, observations.get(signal.age_query, demands.NOT_ASKED), signal.max_age, now)
    if isinstance(seen, Value) and signal.needs is not None:
        seen = demands.enough(seen, observations.get(signal.needs.expr, demands.NOT_ASKED), signal.needs.at_least)
    if isinstance(seen, Value) and signal.relative is not None:
        base = observations.get(signal.control, demands.NOT_ASKED) if signal.control else observations.get(signal.baseline_key, _NOT_CAPTURED)
        seen = demands.held_against(seen, base, signal.relative, signal.against)
    return seen


def compare(seen: Observation, condition: Condition | None, no_data: OnNoData) -> Assessment:
    """Lay a condition on each series. Without a condition every series is a breach and an empty answer is clear, as in a Prometheus alert.

    What is noted of a value stands in its reading's `why`, also where it is clear.
    """
    match seen:
        case Failed():
            return Assessment(health=Health.ERROR, why=seen.why, no_data=no_data)
        case NoData() if condition is None and seen.empty:
            return Assessment(no_data=OnNoData.DROP)
        case NoData():
            return Assessment(health=Health.NO_DATA, why=seen.why, no_data=no_data)
        case Value():
            readings = {labels: _reading(value, condition, seen.notes.get(labels, "")) for labels, value in seen.series.items()}
            readings |= {labels: Reading(Verdict.UNKNOWN, None, why) for labels, why in seen.unknown.items()}
            return Assessment(readings, no_data=no_data)


def worst(assessment: Assessment) -> Verdict:
    """One verdict for all series: a single breach is a breach, without one a single unknown is what the rule makes of no data.

    A failed query stays unknown, whatever the rule says: an outage is no reason to act, and none to go on.
    """
    readings = assessment.series.values()
    if any(reading.verdict is Verdict.BREACHED for reading in readings):
        return Verdict.BREACHED
    if assessment.health is Health.ERROR:
        return Verdict.UNKNOWN
    unknown = [reading for reading in readings if reading.verdict is Verdict.UNKNOWN]
    counted = Verdict.CLEAR
    if assessment.health is Health.NO_DATA or not all(reading.stays for reading in unknown):
        counted = {OnNoData.BREACH: Verdict.BREACHED, OnNoData.IGNORE: Verdict.CLEAR}.get(assessment.no_data, Verdict.UNKNOWN)
    return Verdict.UNKNOWN if counted is Verdict.CLEAR and any(reading.stays for reading in unknown) else counted


def quorum(assessment: Assessment, quorum: tuple[int, int]) -> Verdict:
    """One verdict for (`need`, `of`): clear with so many clear series; unknown while those that cannot be told might make it so.

    A series that is missing cannot be told. More series than there should be are not those that were meant: then nothing can be told.
    """
    need, of = quorum
    verdicts = [reading.verdict for reading in assessment.series.values()]
    if len(verdicts) > of:
        return Verdict.UNKNOWN
    clear = verdicts.count(Verdict.CLEAR)
    if clear >= need:
        return Verdict.CLEAR
    untold = verdicts.count(Verdict.UNKNOWN) + of - len(verdicts)
    return Verdict.UNKNOWN if clear + untold >= need else Verdict.BREACHED


def _reading(value: float, condition: Condition | None, note: str) -> Reading:
    breached = condition is None or condition.holds(value)
    return Reading(Verdict.BREACHED if breached else Verdict.CLEAR, value, note)
