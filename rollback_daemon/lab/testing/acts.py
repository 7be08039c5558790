"""What people do in a test: each act asks the judge as the API does; a request that is refused is told with the codes of why.

Lives here: what each deed asks. Must not live here: how it is written (`act_forms`), when it is done (`running`).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import consent, escalation_requests, postmortem, promotion, requests
from rollback_daemon.judge.figures import Reading
from rollback_daemon.judge.refusal import Person, Refusal
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.testing.act_forms import UNSAID, Act, AlertPart, PostmortemPart, RollbackTo
from rollback_daemon.lab.testing.figures import measured
from rollback_daemon.replay import Replay
from rollback_daemon.rules.model import Rollout


@dataclass(frozen=True, slots=True)
class Asking:
    """A rollout in which somebody asks for something at a time. `roles` are those of people; None: everybody has every role."""

    replay: Replay
    act: Act
    now: datetime
    roles: Mapping[str, list[str]] | None

    @property
    def person(self) -> Person:
        rollout, by = self.replay.rollout, self.act.by
        if self.roles is None:
            return Person(by, rollout.roles())
        return Person(by, frozenset(role for role, names in self.roles.items() if by in names))


def do(asking: Asking) -> list[str] | None:
    """Do it, with all that follows at once. Returns the codes of why it was refused (none where there are only words), or None."""
    replay, act, now = asking.replay, asking.act, asking.now
    if act.flags is not None:
        before = {} if isinstance(replay.flags, str) else replay.flags
        replay.flags = {**before, **act.flags}
        if replay.judgement is not None and replay.state.position is not None:
            replay.glance(now)
            replay.settle(now)
        return None
    try:
        happened = _DEEDS[act.deed](asking)
    except OperationRefused as refusal:
        codes = [str(reason.code) for reason in refusal.reasons] if isinstance(refusal, Refusal) else []
        replay.recorded(Happened(Event.REFUSED, {"by": act.by, "request": act.deed, "reason": str(refusal)}), now)
        return sorted(set(codes))
    replay.accept(happened, now)
    replay.settle(now)
    if act.rehearse is not None:
        _come_back(asking, happened.body["id"])
    return None


def _come_back(asking: Asking, identity: str) -> None:
    """The steps of a rehearsal have passed, and it comes back up."""
    replay, now = asking.replay, asking.now
    rehearsal = replay.position.rehearsing
    if rehearsal is None:
        return
    why = ""
    try:
        replay.accept(promotion.come_back(replay.ladder, replay.state, replay.judgement, now), now)
        replay.settle(now)
    except OperationRefused as refusal:
        why = str(refusal)
    facts: dict[str, Any] = {"passed": not why, "seconds": 0.0, "why": why, "by": asking.act.by}
    replay.happen(Event.REHEARSED, now, id=identity, stage=rehearsal.stage, **facts)


def _said(asking: Asking) -> tuple[Rollout, Any, Any]:
    replay = asking.replay
    return replay.ladder, replay.state, replay.judgement


def _promote(asking: Asking) -> Happened:
    return promotion.promote(*_said(asking), asking.act.by, asking.act.promote or "", asking.now)


def _rollback(asking: Asking) -> Happened:
    asked = asking.act.rollback or RollbackTo()
    return requests.rollback(*_said(asking), asked.to, asking.act.by, asked.reason, asking.now)


def _hold(asking: Asking) -> Happened:
    return requests.halt(asking.replay.ladder, asking.replay.state, asking.act.by, asking.act.hold or "", asking.now)


def _resume(asking: Asking) -> Happened:
    return requests.resume(asking.replay.ladder, asking.replay.state, asking.act.by, asking.act.resume or "")


def _restore(asking: Asking) -> Happened:
    return requests.restore(asking.replay.rollout, asking.replay.state, asking.act.by, asking.act.restore or "", asking.now)


def _rehearse(asking: Asking) -> Happened:
    return promotion.rehearse(*_said(asking), asking.act.by, asking.act.rehearse or "", asking.now)


def _propose(asking: Asking) -> Happened:
    return consent.propose(*_said(asking), asking.person, asking.act.propose or "", asking.now)


def _vote(asking: Asking) -> Happened:
    cast = asking.act.vote
    assert cast is not None  # noqa: S101 (the deed is this one)
    ballot = consent.Ballot(cast.decision == "GO", cast.reason, cast.role, tuple(cast.conditions))
    return consent.vote(*_said(asking), asking.person, ballot, asking.now)


def _withdraw(asking: Asking) -> Happened:
    return consent.withdraw(asking.replay.ladder, asking.replay.state, asking.person, asking.act.withdraw or "", asking.now)


def _resolve(asking: Asking) -> Happened:
    asked = asking.act.resolve
    assert asked is not None  # noqa: S101 (the deed is this one)
    return consent.resolve(asking.replay.ladder, asking.replay.state, asking.person, asked.of, asked.reason, asking.now)


def _checkpoint(asking: Asking) -> Happened:
    asked = asking.act.checkpoint
    assert asked is not None  # noqa: S101 (the deed is this one)
    ladder, state = asking.replay.ladder, asking.replay.state
    return consent.checkpoint(ladder, state, asking.person, asked.checkpoint, asked.reason, "", go=asked.decision == "GO")


def _evidence(asking: Asking) -> Happened:
    asked = asking.act.evidence
    assert asked is not None  # noqa: S101 (the deed is this one)
    text = f"{asked.evidence} at {asking.now.isoformat()}: {asked.figures}".encode()
    file = consent.File(asked.file, hashlib.sha256(text).hexdigest(), len(text))
    ladder, declared = asking.replay.ladder, asking.replay.rollout.declared(asked.evidence)
    reading = Reading(declared.read_as, measured(declared, asked.figures)) if declared and asked.figures is not None else None
    return consent.evidence(ladder, asking.replay.state, asking.person, asked.evidence, asked.reason, file, reading, asking.now)


def _break_glass(asking: Asking) -> Happened:
    return promotion.break_glass(*_said(asking), asking.person, asking.act.break_glass or "", asking.now)


def _acknowledge(asking: Asking) -> Happened:
    asked = asking.act.acknowledge or AlertPart()
    return escalation_requests.acknowledge(asking.replay.ladder, asking.replay.state, asked.alert or "", asking.act.by, asked.reason)


def _cancel(asking: Asking) -> Happened:
    asked = asking.act.cancel or AlertPart()
    return escalation_requests.cancel(asking.replay.ladder, asking.replay.state, asked.alert, asking.act.by, asked.reason)


def _postmortem(asking: Asking) -> Happened:
    asked = asking.act.postmortem or PostmortemPart()
    known = asking.replay.state.aftermath
    if not known.incident:
        raise OperationRefused(f"there is no incident of {asking.replay.rollout.name} to write a report of")
    fields = {name: text for name in postmortem.FIELDS if (text := getattr(asked, name)) is not None}
    paper = postmortem.Paper(known.incident, known.written, known.postmortem)
    return postmortem.write(asking.replay.ladder, asking.replay.state, asking.person, paper, fields, UNSAID, complete=asked.complete)


_DEEDS: dict[str, Callable[[Asking], Happened]] = {
    "promote": _promote,
    "rollback": _rollback,
    "hold": _hold,
    "resume": _resume,
    "restore": _restore,
    "rehearse": _rehearse,
    "propose": _propose,
    "vote": _vote,
    "withdraw": _withdraw,
    "resolve": _resolve,
    "checkpoint": _checkpoint,
    "evidence": _evidence,
    "break_glass": _break_glass,
    "acknowledge": _acknowledge,
    "cancel": _cancel,
    "postmortem": _postmortem,
}
