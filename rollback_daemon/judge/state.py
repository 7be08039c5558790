"""What the judge knows of a rollout, what it sees, and what it says. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge.aftermath import Aftermath
from rollback_daemon.judge.attempts import Attempt
from rollback_daemon.judge.baselines import Prospect
from rollback_daemon.judge.dossier import Dossier
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.escalation import Escalations
from rollback_daemon.judge.follow_ups import FollowedUp
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Check, Reason
from rollback_daemon.judge.tenure import GateRecord, Tenure
from rollback_daemon.judge.transitions import Event
from rollback_daemon.judge.trigger import TriggerState
from rollback_daemon.rules.model import Gate, Trigger
from rollback_daemon.rules.reading import Assessment, Observations, Verdict
from rollback_daemon.signals.observation import Labels


@dataclass(frozen=True, slots=True)
class Waited:
    """What was seen of a verification's step about gates (`of`): for how long it was `watched`, and `passed` without a break (None: it does not).

    Only time between two evaluations that followed one another counts.
    """

    of: str = ""
    watched: timedelta = timedelta()
    passed: timedelta | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that is carried from one evaluation to the next. What stands before `triggers` comes from the journal, the rest is the judge's own memory.

    `waited`: how the gates do that a verification waits for. `eased`: for how long nothing has asked any more for what is degraded (None: something
    does). `failing`: the gates that failed when they were last looked at. `misconfigured`: what is not as the stage requires, in words.
    `attempts`: how evidence that comes by itself did, by its name; nothing is decided on it.
    """

    position: Position | None = None
    dossier: Dossier = field(default_factory=Dossier)
    aftermath: Aftermath = field(default_factory=Aftermath)
    escalations: Escalations = field(default_factory=Escalations)
    followed_up: FollowedUp = field(default_factory=FollowedUp)
    triggers: Mapping[str, TriggerState] = field(default_factory=dict)
    soaked: timedelta = timedelta()
    stepped: datetime | None = None
    blind_since: datetime | None = None
    blind: bool = False
    drift: Drift = Drift.NONE
    drift_since: datetime | None = None
    tenure: Tenure = field(default_factory=Tenure)
    prospects: Mapping[str, Prospect] = field(default_factory=dict)
    waited: Waited = field(default_factory=Waited)
    eased: timedelta | None = None
    failing: frozenset[str] = frozenset()
    misconfigured: tuple[str, ...] = ()
    misconfigured_since: datetime | None = None
    attempts: Mapping[str, Attempt] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen in one cycle: the answers, and the flags as read (or the sentence that says why they could not be).

    `trace` is what the flag store knows of its last change.
    """

    observations: Observations
    flags: Mapping[str, FlagValue] | str
    trace: Mapping[str, str] = field(default_factory=dict)


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
    """One gate in one evaluation. CLEAR passes, BREACHED is violated. `applies`: it is asked for at the present stage. `record` is of the stage."""

    gate: Gate
    verdict: Verdict
    value: float | None
    why: str = ""
    labels: Labels = ()
    applies: bool = True
    record: GateRecord = field(default_factory=GateRecord)

    @property
    def counts(self) -> bool:
        """Whether it has a say about the present stage."""
        return self.applies and self.gate.blocking


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that one evaluation came to, for people and for the next promotion.

    `checks` are all that a promotion asks for, `seen` those of them that rest on what was seen.
    """

    at: datetime
    triggers: tuple[TriggerJudgement, ...]
    gates: tuple[GateJudgement, ...]
    whereabouts: Whereabouts
    seen: tuple[Check, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def blockers(self) -> tuple[Reason, ...]:
        """Why the rollout may not be promoted now; nothing when it may."""
        return tuple(check.reason for check in self.checks if check.reason)


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one evaluation."""

    state: State
    happened: tuple[Happened, ...]
    judgement: Judgement
