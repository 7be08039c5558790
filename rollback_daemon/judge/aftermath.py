"""What follows a rollback, as a fold over the journal: its verification, the ways back that were taken, how many rollbacks there were. Pure.

An incident begins with a rollback while nothing is latched, and ends when a person resumes. Lives here: the aftermath, its fold, and which way back
comes next. Must not live here: running a step (`verifying`), how a gate is judged (`gates`), when something is due (`recovery`).
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.aftercare import Proof, Recovery, Way, WayKind
from rollback_daemon.rules.model import Rollout, Stage

READ_BACK = "flags read back"
"""What the first step of every verification is called."""
_REMEMBERED = 100  # rollbacks: no limit may be higher


class Verification(StrEnum):
    """What a verification came to."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"  # a step did not pass, or could not tell; another way back may follow
    FAILED = "failed"  # it did not pass, and there is no other way back


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is known of the last rollback. `incident` is the id of the first rollback of it, "" where there is none; `cause` its code.

    `transition`: its last rollback, `way` the number of the way back that it was, `tried` all ways since a trigger or a person last asked (by
    their `identity`), `done` when its flags were read back. `owed`: it is to be verified by the `steps` (their identity), and that began at
    `since`; `passed` steps of that have passed. `step` is the one that did not, `unknown`: because it could not tell. `marks`: where logs ended
    when it was done. `stopped`: who said that no further way back is to be taken. `unverified`: why a rollback of the incident could not be
    verified, until one is. `written`: the fields of the report that people wrote, `postmortem`: one of them has completed it.

    What outlives the incident: `rollbacks`, when triggers took it back, since it was last re-armed; and `last`, when any rollback was done.
    """

    incident: str = ""
    cause: str = ""
    transition: str = ""
    began: datetime | None = None
    done: datetime | None = None
    way: int = 0
    tried: tuple[str, ...] = ()
    owed: bool = False
    steps: str = ""
    since: datetime | None = None
    passed: int = 0
    passed_at: datetime | None = None
    outcome: Verification | None = None
    step: str = ""
    unknown: bool = False
    why: str = ""
    ended: datetime | None = None
    marks: Mapping[str, Any] = field(default_factory=dict)
    stopped: str = ""
    unverified: str = ""
    written: frozenset[str] = frozenset()
    postmortem: bool = False
    rollbacks: tuple[datetime, ...] = ()
    last: datetime | None = None

    @property
    def verifying(self) -> bool:
        """Whether a verification is under way."""
        return self.owed and self.done is not None and self.outcome is None


def fold(aftermath: Aftermath, event: Event, body: Mapping[str, Any], at: datetime) -> Aftermath:
    """The aftermath after one record."""
    known = _FOLDS.get(event)
    return known(aftermath, body, at) if known else aftermath


def proofs(rollout: Rollout, position: Position) -> tuple[Proof, ...]:
    """The steps of a verification where the rollout is now, after the flags are read back."""
    return rollout.aftercare.proofs(position.stage)


def proof(rollout: Rollout, position: Position, aftermath: Aftermath) -> Proof | None:
    """The next step of the verification; None for the first one, which reads the flags back."""
    return proofs(rollout, position)[aftermath.passed - 1] if aftermath.passed else None


def is_current(rollout: Rollout, position: Position, aftermath: Aftermath) -> bool:
    """Whether the rule file still asks for the steps that the verification began with."""
    return aftermath.steps == identity(proofs(rollout, position))


def identity(steps: Iterable[Proof | Way]) -> str:
    """What tells steps or ways from those of another version of the rule file."""
    return hashlib.sha256("|".join(map(_told, steps)).encode()).hexdigest()[:12]


def _told(step: Proof | Way) -> str:
    return f"{step.for_} {step.within} {sorted(step.gates)}" if isinstance(step, Recovery) else repr(step)


def way_left(rollout: Rollout, position: Position, tried: Collection[str]) -> tuple[int, Way, Stage] | None:
    """The next way back that was not tried, and the stage that it leads to; ways that would lead no lower are passed over."""
    current = rollout.stage(position.stage) or rollout.stages[0]
    for number, one in enumerate(rollout.aftercare.ways):
        if one.kind is WayKind.FLAGS or identity([one]) in tried:
            continue
        if one.kind is not WayKind.THEN:
            return number, one, current
        target = rollout.stage(one.to) if one.to else rollout.stages[max(0, current.number - 1)]
        if target and target.number < current.number:
            return number, one, target
    return None


def _intended(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    if body["kind"] == Kind.PROMOTE:
        return Aftermath(rollbacks=aftermath.rollbacks, last=aftermath.last)
    if body["kind"] != Kind.ROLLBACK or "rehearsal" in body:
        return aftermath
    code = body.get("code", "")
    counted = code in {Code.TRIGGER_FIRING, Code.NO_DATA, Code.ERRORS, Code.ESCALATED}
    rollbacks = (*aftermath.rollbacks, at)[-_REMEMBERED:] if counted else aftermath.rollbacks
    tried = (*aftermath.tried, body.get("way_told", "")) if code == Code.UNVERIFIED else ()
    begun = Aftermath(
        incident=aftermath.incident or body["id"],
        cause=aftermath.cause if aftermath.incident else code,
        began=aftermath.began if aftermath.incident else at,
        transition=body["id"],
        way=body.get("way", 0),
        tried=tried,
        unverified=aftermath.unverified,
        written=aftermath.written,
        postmortem=aftermath.postmortem,
        rollbacks=rollbacks,
        last=aftermath.last,
    )
    return begun if code == Code.UNVERIFIED or not aftermath.incident else replace(begun, postmortem=False)


def _done(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    if body["kind"] != Kind.ROLLBACK or body["id"] != aftermath.transition:
        return aftermath
    again = bool(aftermath.tried) and body.get("from") == body.get("to")  # another way to where it is already
    last = aftermath.last if again and aftermath.last else at
    owed = {"owed": body.get("verify", False), "steps": body.get("steps", ""), "marks": body.get("logs", {})}
    return replace(aftermath, done=at, last=last, since=at, passed_at=at, **owed)


def _verifying(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    """Once more, because a person asks for it, or the rule file asks for other steps; a log in which something was found is scanned from here."""
    if body["id"] != aftermath.transition:
        return aftermath
    again = replace(aftermath, owed=True, steps=body["steps"], since=at, passed=0, passed_at=at, marks={**aftermath.marks, **body["logs"]})
    return replace(again, outcome=None, step="", unknown=False, why="", ended=None)


def _abandoned(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    """A way back that could not be taken."""
    return _unverified(aftermath, body, at) if body["kind"] == Kind.ROLLBACK else aftermath


def _checked(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    if body["id"] != aftermath.transition or body["outcome"] != "pass":
        return aftermath
    return replace(aftermath, passed=body["number"] + 1, passed_at=at)


def _verified(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    if body["id"] != aftermath.transition:
        return aftermath
    return replace(aftermath, outcome=Verification.VERIFIED, step="", unknown=False, why="", unverified="", ended=at)


def _unverified(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    if body["id"] != aftermath.transition:
        return aftermath
    outcome = Verification.FAILED if body.get("final") else Verification.UNVERIFIED
    told = {"step": body.get("step", ""), "unknown": body.get("unknown", False), "why": body["why"], "unverified": body["why"]}
    return replace(aftermath, outcome=outcome, ended=at, **told)


def _cancelled(aftermath: Aftermath, body: Mapping[str, Any], _at: datetime) -> Aftermath:
    return replace(aftermath, stopped=body["why"]) if body.get("incident") == aftermath.incident and aftermath.incident else aftermath


def _resumed(aftermath: Aftermath, body: Mapping[str, Any], _at: datetime) -> Aftermath:
    return Aftermath(rollbacks=() if body.get("rearmed") else aftermath.rollbacks, last=aftermath.last)


def _postmortem(aftermath: Aftermath, body: Mapping[str, Any], _at: datetime) -> Aftermath:
    if body["incident"] != aftermath.incident:
        return aftermath
    return replace(aftermath, written=aftermath.written | body.get("fields", {}).keys(), postmortem=body["complete"])


_FOLDS = {
    Event.INTENDED: _intended,
    Event.DONE: _done,
    Event.ABANDONED: _abandoned,
    Event.VERIFYING: _verifying,
    Event.CHECKED: _checked,
    Event.VERIFIED: _verified,
    Event.UNVERIFIED: _unverified,
    Event.CANCELLED: _cancelled,
    Event.RESUMED: _resumed,
    Event.POSTMORTEM: _postmortem,
}
