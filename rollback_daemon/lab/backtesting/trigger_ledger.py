"""What one trigger came to over a history: when it was pending and fired, how close it came, for how long it could not be told.

Counts are in evaluations, each of which stands for one interval. Must not live here: a decision, how it is shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollback_daemon.judge.state import TriggerJudgement
from rollback_daemon.judge.trigger import Active
from rollback_daemon.lab.backtesting.lines import FIRING, PENDING, UNKNOWN, Lines
from rollback_daemon.rules.measures import Condition
from rollback_daemon.rules.model import Trigger
from rollback_daemon.rules.reading import Assessment, Health
from rollback_daemon.signals.observation import Labels, show_labels

MOST_PERIODS = 5_000
"""Of one trigger that are kept one by one; further ones are counted."""


_SIGHTED = {Health.OK, Health.COLLECTING}


@dataclass(slots=True)
class Period:
    """One series that was pending, and perhaps fired. `peak`: its value furthest into the breach. `resolved`: None where it never was.

    `armed`: it fired where the trigger may act. `followed`: the decisions that it led to.
    """

    labels: Labels
    pending: datetime
    fired: datetime | None = None
    resolved: datetime | None = None
    peak: float | None = None
    peak_at: datetime | None = None
    armed: bool = False
    followed: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """As in the activations of a decision, behind the trigger's name."""
        return f"{show_labels(self.labels)}@{self.pending.isoformat()}"


@dataclass(frozen=True, slots=True)
class Closest:
    """The value that came closest to the limit, or went furthest past it. `headroom`: what was left, negative past the limit."""

    value: float
    headroom: float
    labels: Labels
    at: datetime


@dataclass(slots=True)
class Unknown:
    """Evaluations in which something could not be told, and the longest stretch of them without a break."""

    evaluations: int = 0
    longest: int = 0
    longest_from: datetime | None = None
    why: str = ""
    _run: int = 0
    _since: datetime | None = None

    def take(self, now: datetime, why: str) -> None:
        """One more."""
        self.evaluations += 1
        self._since = self._since if self._run else now
        self._run += 1
        if self._run > self.longest:
            self.longest, self.longest_from, self.why = self._run, self._since, why

    def end(self) -> None:
        """One that could be told."""
        self._run = 0


@dataclass(slots=True)
class TriggerLedger:
    """`periods` are those that fired, oldest first; `left_out` counts those too many to keep. `collecting`: seen, and not enough samples yet."""

    trigger: Trigger
    lines: Lines | None = None
    evaluations: int = 0
    pending: int = 0
    firing: int = 0
    unarmed: int = 0
    collecting: int = 0
    fired: int = 0
    periods: list[Period] = field(default_factory=list)
    left_out: int = 0
    closest: Closest | None = None
    longest_breach: timedelta = timedelta()
    no_data: Unknown = field(default_factory=Unknown)
    failed: Unknown = field(default_factory=Unknown)
    _open: dict[Labels, Period] = field(default_factory=dict)

    @property
    def unknown(self) -> int:
        """Evaluations in which it could not be told, for either reason."""
        return self.no_data.evaluations + self.failed.evaluations

    def take(self, judged: TriggerJudgement, now: datetime) -> None:
        """One more evaluation."""
        state = judged.state
        flag = 0
        self.evaluations += 1
        self.unarmed += not judged.armed
        self.collecting += state.health is Health.COLLECTING
        if state.health in _SIGHTED:
            if self.no_data.evaluations or self.failed.evaluations:
                self.no_data.end()
                self.failed.end()
        else:
            mine, other = (self.failed, self.no_data) if state.health is Health.ERROR else (self.no_data, self.failed)
            mine.take(now, state.why)
            other.end()
            flag = UNKNOWN
        if state.active or self._open:
            flag |= self._actives(judged, now)
        condition = judged.trigger.test.condition
        if condition is not None:
            self._measure(condition, judged.assessment, now)
        if self.lines is not None:
            self.lines.take(self.evaluations - 1, judged.assessment, flag)

    def firing_now(self, keys: set[str] | None) -> Iterator[Period]:
        """The periods that fire, or those of them that are among the activations `keys`."""
        for one in self._open.values():
            if one.fired and (keys is None or f"{self.trigger.name}{one.key}" in keys):
                yield one

    def _actives(self, judged: TriggerJudgement, now: datetime) -> int:
        active = judged.state.active
        for one in active:
            self._active(judged, one, now)
        if len(active) < len(self._open):
            for labels in self._open.keys() - {one.labels for one in active}:
                self._open.pop(labels).resolved = now
        if not active:
            return 0
        firing = any(one.firing_since for one in active)
        self.firing += firing
        self.pending += not firing
        return FIRING if firing else PENDING

    def _active(self, judged: TriggerJudgement, one: Active, now: datetime) -> None:
        period = self._open.get(one.labels)
        if period is None:
            period = self._open[one.labels] = Period(one.labels, one.active_since)
        if one.firing_since is None:
            period.pending = one.active_since
        elif period.fired is None:
            period.fired = one.firing_since
            self.fired += 1
            if len(self.periods) < MOST_PERIODS:
                self.periods.append(period)
            else:
                self.left_out += 1
        if one.firing_since and judged.armed:
            period.armed = True
        if one.seen == now:
            self.longest_breach = max(self.longest_breach, now - one.held_since)
            reading = judged.assessment.series.get(one.labels)
            if reading and reading.value is not None and _is_further(judged.trigger.test.condition, reading.value, period.peak):
                period.peak, period.peak_at = reading.value, now

    def _measure(self, condition: Condition, assessment: Assessment, now: datetime) -> None:
        for labels, reading in assessment.series.items():
            if reading.value is not None:
                headroom = -condition.margin(reading.value)
                if self.closest is None or headroom < self.closest.headroom:
                    self.closest = Closest(reading.value, headroom, labels, now)


def _is_further(condition: Condition | None, value: float, peak: float | None) -> bool:
    """Whether a value is further into the breach than the peak until now; of any result that is a breach, the larger one."""
    if peak is None:
        return True
    return value > peak if condition is None else condition.margin(value) > condition.margin(peak)
