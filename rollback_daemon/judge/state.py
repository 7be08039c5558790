"""What the judge knows of a rollout, what it sees, and what it says. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.flags.store import Scalar
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Reason
from rollback_daemon.judge.transitions import Event
from rollback_daemon.judge.trigger import TriggerState
from rollback_daemon.rules.model import Gate, Trigger
from rollback_daemon.rules.reading import Assessment, Observations, Verdict
from rollback_daemon.signals.observation import Labels


@dataclass(frozen=True, slots=True)
class State:
    """All that is carried from one evaluation to the next. `position` comes from the journal, the rest is the judge's own memory."""

    position: Position | None = None
    triggers: Mapping[str, TriggerState] = field(default_factory=dict)
    soaked: timedelta = timedelta()
    stepped: datetime | None = None
    blind_since: datetime | None = None
    blind: bool = False
    drift: Drift = Drift.NONE
    drift_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen in one cycle: the answers, and the flags as read (or the sentence that says why they could not be)."""

    observations: Observations
    flags: Mapping[str, Scalar] | str


@dataclass(frozen=True, slots=True)
class Happened:
    """One event for the journal: what, and its facts as plain JSON values."""

    event: Event
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TriggerJudgement:
    """One trigger in one evaluation."""

    trigger: Trigger
    state: TriggerState
    assessment: Assessment
    armed: bool


@dataclass(frozen=True, slots=True)
class GateJudgement:
    """One gate in one evaluation. CLEAR passes, BREACHED is violated."""

    gate: Gate
    verdict: Verdict
    value: float | None
    why: str = ""
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that one evaluation came to, for people and for the next promotion."""

    at: datetime
    triggers: tuple[TriggerJudgement, ...]
    gates: tuple[GateJudgement, ...]
    whereabouts: Whereabouts
    blockers: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one evaluation."""

    state: State
    happened: tuple[Happened, ...]
    judgement: Judgement
