"""What one rollout came to over a history: its triggers, its gates, its stages, and every decision in its order.

Lives here: keeping count while the history goes by; nothing in it grows with the history's length. Must not live here: a decision of any kind.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollback_daemon.judge.gates import gate_sentence
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import GateJudgement, Happened, Judgement
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.lab.backtesting.lines import Lines
from rollback_daemon.lab.backtesting.trigger_ledger import TriggerLedger
from rollback_daemon.replay import Replay
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Verdict

MOST_DECISIONS = 5_000
_KINDS = {
    Event.HELD: "hold",
    Event.RESUMED: "resume",
    Event.OBSERVED: "observe",
    Event.FROZEN: "freeze",
    Event.COMPLETED: "complete",
    Event.ESCALATED: "escalate",
    Event.SCHEDULED: "announce",
    Event.CANCELLED: "cancel",
    Event.UNVERIFIED: "unverified",
    Event.BUDGET: "budget spent",
}
"""What is kept beside transitions, and how it is called."""


@dataclass(slots=True)
class Decision:
    """Something that was decided. `kind`: rollback, promote, degrade, restore, or one of the words above; `until`: when a person resumed it."""

    at: datetime
    kind: str
    origin: str
    target: str
    why: tuple[str, ...]
    triggers: tuple[str, ...] = ()
    by: str = "rollbackd"
    code: str = ""
    until: datetime | None = None

    @property
    def latches(self) -> bool:
        """Whether the way up is shut by it until a person resumes."""
        return self.kind in {"rollback", "hold", "freeze"}

    def __str__(self) -> str:
        return f"{self.kind} {self.origin} > {self.target}" if self.target else self.kind


@dataclass(slots=True)
class GateLedger:
    """In how many evaluations a gate that was asked for passed, was violated, and could not be told. `why`: of the last that did not pass."""

    passing: int = 0
    violated: int = 0
    unknown: int = 0
    why: str = ""


@dataclass(slots=True)
class Ledger:
    """`begun`: the stage that it stood at first. `stays`: from when on it stood at which one. `at_stage`: for how many evaluations.

    `blockers`: what kept it from the next stage at the end. `seconds`: processor time of the judge.
    """

    rollout: Rollout
    triggers: dict[str, TriggerLedger]
    gates: dict[str, GateLedger]
    begun: str
    evaluations: int = 0
    decisions: list[Decision] = field(default_factory=list)
    left_out: int = 0
    at_stage: dict[str, int] = field(default_factory=dict)
    latched: int = 0
    stays: list[tuple[datetime, str]] = field(default_factory=list)
    blockers: tuple[str, ...] = ()
    seconds: float = 0.0
    _shut: list[Decision] = field(default_factory=list)

    @classmethod
    def of(cls, rollout: Rollout, begun: str, count: int, *, plotted: bool) -> "Ledger":
        """An empty one, for `count` evaluations."""
        triggers = {one.name: TriggerLedger(one, Lines(count) if plotted else None) for one in rollout.triggers}
        return cls(rollout, triggers, {one.name: GateLedger() for one in rollout.gates}, begun)

    def take(self, replay: Replay, happened: Iterable[Happened], now: datetime) -> None:
        """One more evaluation, after which it stands as `replay` has it."""
        self.evaluations += 1
        judgement = replay.judgement
        if judgement is not None:
            self._judged(judgement, now)
        for one in happened:
            self._happened(one, now)
        position = replay.state.position
        if position is not None:
            if not self.stays or (self.stays[-1][1] != position.stage and len(self.stays) < MOST_DECISIONS):
                self.stays.append((now, position.stage))
            self.at_stage[position.stage] = self.at_stage.get(position.stage, 0) + 1
        self.latched += bool(self._shut)

    def end(self, replay: Replay) -> None:
        """The history is over."""
        if replay.judgement is not None:
            self.blockers = tuple(str(reason) for reason in replay.judgement.blockers if reason.code is not Code.AT_TOP)

    def _judged(self, judgement: Judgement, now: datetime) -> None:
        for one in judgement.triggers:
            self.triggers[one.trigger.name].take(one, now)
        for gate in judgement.gates:
            if not gate.applies:
                continue
            known = self.gates[gate.gate.name]
            if gate.verdict is Verdict.CLEAR:
                known.passing += 1
            elif gate.verdict is Verdict.BREACHED:
                known.violated, known.why = known.violated + 1, _why_not(gate)
            else:
                known.unknown, known.why = known.unknown + 1, _why_not(gate)

    def _happened(self, one: Happened, now: datetime) -> None:
        decision = _decision(one.event, one.body, now)
        if decision is None:
            return
        if decision.kind in {"resume", "promote"}:
            for shut in self._shut:
                shut.until = now
            self._shut = []
        if decision.latches:
            self._shut.append(decision)
        self._follows(decision, one.body)
        if len(self.decisions) < MOST_DECISIONS:
            self.decisions.append(decision)
        else:
            self.left_out += 1

    def _follows(self, decision: Decision, body: Mapping[str, Any]) -> None:
        """Tell the periods that led to it."""
        keys = set(body["activations"]) if body.get("activations") and decision.code == Code.TRIGGER_FIRING else None
        for name in decision.triggers:
            if name in self.triggers:
                for period in self.triggers[name].firing_now(keys):
                    if len(period.followed) < 10:
                        period.followed.append(str(decision))


def _why_not(gate: GateJudgement) -> str:
    """The value beside its limit, without the gate's name, which stands beside it."""
    return gate_sentence(gate).partition(": ")[2]


def _decision(event: Event, body: Mapping[str, Any], now: datetime) -> Decision | None:
    why = body.get("why") or ()
    told = (why,) if isinstance(why, str) else tuple(why)
    named = body.get("triggers") or ([body["alert"]] if body.get("alert") else [])
    common = (told, tuple(named), body.get("by") or "rollbackd", str(body.get("code") or ""))
    if event is Event.INTENDED:
        moves = body["kind"] in {Kind.PROMOTE, Kind.ROLLBACK}
        return Decision(now, str(body["kind"]), body["from"] if moves else "", body["to"] if moves else "", *common)
    if event not in _KINDS or (event is Event.BUDGET and not body["spent"]):
        return None
    found = Decision(now, _KINDS[event], "", "", *common)
    if event is Event.OBSERVED:
        found.kind = f"would {body['would']}"
    return found
