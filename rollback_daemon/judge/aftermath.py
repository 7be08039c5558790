"""What follows a rollback, as a fold over the journal: its verification, the ways back that were taken, how many rollbacks there were. Pure.

An incident begins with a rollback while nothing is latched, and ends when a person resumes. Lives here: the aftermath, its fold, and which way back
comes next. Must not live here: running a step (`verifying`), how a gate is judged (`gates`), when something is due (`recovery`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.aftercare import Proof, Way, WayKind
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
    """What is known of the last rollback. `incident` is the id of the first rollback of it, "" where there is none.

    `transition`: its last rollback, `way` the number of the way back that it was, `done` when its flags were read back. `owed`: it is to be
    verified, and that began at `since`; `passed` steps of that have passed, the last of them at `passed_at`. `unknown`: the step that did not
    pass could not tell. `marks`: where logs ended when it was done. `postmortem`: a person has completed the report.

    What outlives the incident: `rollbacks`, when triggers took it back, since it was last re-armed; and `last`, when any rollback was done.
    """

    incident: str = ""
    transition: str = ""
    began: datetime | None = None
    done: datetime | None = None
    way: int = 0
    owed: bool = False
    since: datetime | None = None
    passed: int = 0
    passed_at: datetime | None = None
    outcome: Verification | None = None
    unknown: bool = False
    why: str = ""
    ended: datetime | None = None
    marks: Mapping[str, Any] = field(default_factory=dict)
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


def proof(rollout: Rollout, aftermath: Aftermath) -> Proof | None:
    """The next step of the verification; None for the first one, which reads the flags back."""
    return rollout.aftercare.verify[aftermath.passed - 1] if aftermath.passed else None


def is_last(rollout: Rollout, number: int) -> bool:
    """Whether that is the last step of a verification; the flags are number 0."""
    return number >= len(rollout.aftercare.verify)


def way_left(rollout: Rollout, position: Position, way: int) -> tuple[int, Way, Stage] | None:
    """The next way back after number `way`, and the stage that it leads to; ways that would lead no lower are passed over."""
    current = rollout.stage(position.stage) or rollout.stages[0]
    for number, one in enumerate(rollout.aftercare.ways):
        if number <= way:
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
    counted = body.get("code") in {Code.TRIGGER_FIRING, Code.ESCALATED}
    rollbacks = (*aftermath.rollbacks, at)[-_REMEMBERED:] if counted else aftermath.rollbacks
    begun = replace(aftermath, transition=body["id"], way=body.get("way", 0), rollbacks=rollbacks)
    begun = replace(begun, done=None, owed=False, passed=0, passed_at=None, outcome=None, unknown=False, why="", ended=None)
    return begun if aftermath.incident else replace(begun, incident=body["id"], began=at, postmortem=False)


def _done(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    if body["kind"] != Kind.ROLLBACK or body["id"] != aftermath.transition:
        return aftermath
    return replace(aftermath, done=at, last=at, owed=body.get("verify", False), since=at, passed_at=at, marks=body.get("logs", {}))


def _verifying(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    """Once more, because a person asks for it; logs are scanned from here."""
    if body["id"] != aftermath.transition:
        return aftermath
    again = replace(aftermath, owed=True, since=at, passed=0, passed_at=at, marks=body.get("logs", {}))
    return replace(again, outcome=None, unknown=False, why="", ended=None)


def _abandoned(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    """A way back that could not be taken."""
    return _unverified(aftermath, body, at) if body["kind"] == Kind.ROLLBACK else aftermath


def _checked(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    if body["id"] != aftermath.transition or body["outcome"] != "pass":
        return aftermath
    return replace(aftermath, passed=body["number"] + 1, passed_at=at)


def _verified(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    return replace(aftermath, outcome=Verification.VERIFIED, unknown=False, why="", ended=at) if body["id"] == aftermath.transition else aftermath


def _unverified(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:
    if body["id"] != aftermath.transition:
        return aftermath
    outcome = Verification.FAILED if body.get("final") else Verification.UNVERIFIED
    return replace(aftermath, outcome=outcome, unknown=body.get("unknown", False), why=body["why"], ended=at)


def _resumed(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:  # noqa: ARG001 (the shape of a fold)
    return Aftermath(rollbacks=() if body.get("rearmed") else aftermath.rollbacks, last=aftermath.last)


def _postmortem(aftermath: Aftermath, body: Mapping[str, Any], at: datetime) -> Aftermath:  # noqa: ARG001 (the shape of a fold)
    return replace(aftermath, postmortem=body["complete"]) if body["incident"] == aftermath.incident else aftermath


_FOLDS = {
    Event.INTENDED: _intended,
    Event.DONE: _done,
    Event.ABANDONED: _abandoned,
    Event.VERIFYING: _verifying,
    Event.CHECKED: _checked,
    Event.VERIFIED: _verified,
    Event.UNVERIFIED: _unverified,
    Event.RESUMED: _resumed,
    Event.POSTMORTEM: _postmortem,
}
