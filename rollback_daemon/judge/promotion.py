"""The way up: a promotion, by a person, by itself when it was approved, or past everything by break-glass; and a rehearsal, which comes back. Pure.

Lives here: when a stage is climbed. Must not live here: what is asked for before (`standing`, `gates`, `requirements`), the vote (`consent`).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import baselines, required_config
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.consent import proposed
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.refusal import Person, Refusal, known, refuse_if_observing, said
from rollback_daemon.judge.standing import CODES, of_record
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.judge.transitions import Kind, Phase
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.model import ActionKind, Rollout, Stage

DAEMON = "rollbackd"


def promote(rollout: Rollout, state: State, judgement: Judgement | None, by: str, reason: str, now: datetime) -> Happened:
    """To the next stage, if nothing blocks it in an evaluation of the present stage that is at most `max_gap` old."""
    return _promote(rollout, state, judgement, by, reason, now, Code.PERSON)


def automatic(rollout: Rollout, state: State, judgement: Judgement, now: datetime) -> Happened | None:
    """What the daemon does for the way up by itself, right after an evaluation: puts a promotion to the vote, or carries out an approved one."""
    position = state.position
    stage = rollout.stage(position.stage) if position else None
    target = rollout.above(stage) if stage else None
    if position is None or target is None or not (target.automatic and rollout.enforce and target.requires.approvals):
        return None
    against = {reason.code for reason in judgement.blockers}
    if not against:
        return _promote(rollout, state, judgement, DAEMON, f'everything that "{target.name}" asks for is there', now, Code.AUTOMATIC)
    if against == {Code.APPROVALS_MISSING} and state.dossier.proposal is None:
        return proposed(rollout, state, judgement, Person(DAEMON), f'all that is left for "{target.name}" are the approvals', now)
    return None


def break_glass(rollout: Rollout, state: State, judgement: Judgement | None, person: Person, reason: str, now: datetime) -> Happened:
    """To the next stage past soak, gates, votes, holds and latches, for a role that may. Not past a trigger that would take it back at once."""
    position = known(rollout, state)
    what = f"{rollout.name} stays at {position.stage}"
    refuse_if_observing(rollout, what)
    if not person.roles & set(rollout.break_glass):
        roles = ", ".join(rollout.break_glass) or "nobody, as the rule file has no break_glass"
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, f"{person.name} may not break the glass; who may: {roles}")])
    stage = rollout.stage(position.stage) or rollout.stages[0]
    target = rollout.above(stage)
    if why_not := list(_against_break_glass(position, stage, target, judgement)):
        raise Refusal(what, why_not)
    assert target is not None  # noqa: S101 (said above)
    past = [reason.sentence for reason in judgement.blockers] if judgement else []
    return _climb(rollout, state, position, target, [said(person.name, reason)], person.name, now, {"code": Code.BREAK_GLASS, "past": past})


def _against_break_glass(position: Position, stage: Stage, target: Stage | None, judgement: Judgement | None) -> Iterator[Reason]:
    if target is None:
        yield Reason(Code.AT_TOP, f'"{stage.name}" is its highest stage')
    if position.open or position.rehearsing:
        yield Reason(Code.IN_TRANSITION, "its flags are being changed now; ask again")
    if judgement is None or judgement.whereabouts.drift is Drift.UNREADABLE:
        yield Reason(Code.FLAGS_UNREADABLE, "its flags cannot be read")
    for one in judgement.triggers if judgement else ():
        if one.state.phase is TriggerPhase.FIRING and one.trigger.action.kind is ActionKind.ROLLBACK and not one.trigger.dry_run:
            yield Reason(Code.TRIGGER_FIRING, f"trigger {one.trigger.name} is firing and would take it back at once", one.trigger.name)


def _promote(rollout: Rollout, state: State, judgement: Judgement | None, by: str, reason: str, now: datetime, code: Code) -> Happened:
    position = known(rollout, state)
    what = f"{rollout.name} stays at {position.stage}"
    refuse_if_observing(rollout, what)
    if why_not := list(_against_promotion(rollout, state, position, judgement, now)):
        raise Refusal(what, why_not)
    stage = rollout.stage(position.stage) or rollout.stages[0]
    return _climb(rollout, state, position, rollout.stages[stage.number + 1], [said(by, reason)], by, now, {"code": code, **_consent(state)})


def _climb(
    rollout: Rollout, state: State, position: Position, target: Stage, why: list[str], by: str, now: datetime, more: dict[str, Any]
) -> Happened:
    bases = baselines.captured(rollout, state.prospects)
    return intended(rollout, position, Kind.PROMOTE, target, why, by, now, {**more, "bases": bases})


def _consent(state: State) -> dict[str, Any]:
    """Whose word the promotion rests on, for its record."""
    proposal = state.dossier.proposal
    if proposal is None:
        return {}
    votes = [
        {"by": vote.by, "role": vote.role, "go": vote.go, "conditions": list(vote.conditions), "resolved": vote.resolved} for vote in proposal.votes
    ]
    return {"proposal": proposal.id, "approved_by": votes}


def _against_promotion(rollout: Rollout, state: State, position: Position, judgement: Judgement | None, now: datetime) -> Iterator[Reason]:
    """The record as it is now, and the evaluation as it was: much may have happened since."""
    why_not = [check.reason for check in of_record(rollout, state, position, now) if check.reason]
    yield from why_not
    if judgement is None or now - judgement.at > rollout.max_gap:
        yield Reason(Code.NOT_EVALUATED, "there is no evaluation that is young enough")
        return
    if judgement.at < position.entered:
        yield Reason(Code.NOT_EVALUATED, f'there is no evaluation yet since it came to "{position.stage}"')
        return
    seen = [reason for reason in judgement.blockers if reason.code not in CODES]
    yield from seen
    if not why_not and not seen and position.phase not in {Phase.BASELINE, Phase.READY}:
        yield Reason(Code.NOT_EVALUATED, f"it is {position.phase}; the next evaluation tells whether it is ready")


# rehearsals


def rehearse(rollout: Rollout, state: State, judgement: Judgement | None, by: str, reason: str, now: datetime) -> Happened:
    """A rollback for practice: refused where anything is wrong, as coming back must be as safe as being there."""
    position = known(rollout, state)
    what = f"{rollout.name} stays at {position.stage}"
    refuse_if_observing(rollout, what)
    if rollout.rehearsal is None:
        raise OperationRefused(f"{rollout.name} has no rehearsal in its rule file; it says where to go and what must succeed there")
    stage = rollout.stage(position.stage) or rollout.stages[0]
    to = _rehearsed_at(rollout, stage)
    if to is None:
        raise Refusal(what, [Reason(Code.NOT_LOWER, f'there is nothing to rehearse at "{stage.name}"')])
    if why_not := list(_against_rehearsal(rollout, position, judgement, now)):
        raise Refusal(what, why_not)
    begun = intended(rollout, position, Kind.ROLLBACK, to, [f"rehearsal, {said(by, reason)}"], by, now, {"code": Code.REHEARSAL})
    rehearsal = {"id": begun.body["id"], "soaked": state.soaked.total_seconds()}
    return Happened(begun.event, {**begun.body, "rehearsal": rehearsal})


def _rehearsed_at(rollout: Rollout, stage: Stage) -> Stage | None:
    """The stage that a rehearsal goes to from `stage`; None where there is none below."""
    below = rollout.stages[max(0, stage.number - 1)]
    to = rollout.stage(rollout.rehearsal.to) if rollout.rehearsal and rollout.rehearsal.to else below
    return to if to and to.number < stage.number else None


def _against_rehearsal(rollout: Rollout, position: Position, judgement: Judgement | None, now: datetime) -> Iterator[Reason]:
    if position.phase not in {Phase.SOAKING, Phase.READY, Phase.COMPLETE} or position.open or position.degraded:
        doing = "degraded" if position.degraded else str(position.open.kind) if position.open else str(position.phase)
        yield Reason(Code.IN_TRANSITION, f"it is {doing}; a rehearsal begins only where all is well")
    if judgement is None or now - judgement.at > rollout.max_gap or judgement.at < position.entered:
        yield Reason(Code.NOT_EVALUATED, "there is no evaluation of this stage that is young enough")
        return
    wrong = {Code.DRIFT, Code.FLAGS_UNREADABLE, Code.TRIGGER_FIRING, Code.TRIGGER_PENDING, Code.TRIGGER_UNKNOWN}
    yield from (reason for reason in judgement.blockers if reason.code in wrong)
    yield from (Reason(Code.CONFIG, f"config {one}", one.key) for one in required_config.wrong(judgement.whereabouts.settings))


def come_back(rollout: Rollout, state: State, judgement: Judgement | None, now: datetime) -> Happened:
    """The way back up after the steps of a rehearsal have passed, to where it began. Refused if anything has happened meanwhile."""
    position = known(rollout, state)
    rehearsal = position.rehearsing
    target = rollout.stage(rehearsal.stage) if rehearsal else None
    what = f"{rollout.name} stays at {position.stage}"
    if rehearsal is None or target is None or position.open or position.phase is not Phase.ROLLED_BACK or position.code != Code.REHEARSAL:
        raise Refusal(what, [Reason(Code.LATCHED, f"the rehearsal was overtaken: {position.why}")])
    if _rehearsed_at(rollout, target) is not rollout.stage(position.stage):  # flags that a person lowered meanwhile are not raised
        raise Refusal(what, [Reason(Code.DRIFT, f'its flags were lowered to those of "{position.stage}" during the rehearsal')])
    if judgement is None or now - judgement.at > rollout.max_gap:
        raise Refusal(what, [Reason(Code.NOT_EVALUATED, "there is no evaluation that is young enough")])
    firing = [one.trigger for one in judgement.triggers if one.state.phase is TriggerPhase.FIRING and not one.trigger.dry_run]
    against = [Reason(Code.TRIGGER_FIRING, f"trigger {one.name} is firing", one.name) for one in firing if one.action.kind is ActionKind.ROLLBACK]
    if judgement.whereabouts.drift is not Drift.NONE:
        against.append(Reason(Code.DRIFT, "somebody changed its flags during the rehearsal"))
    against += [check.reason for check in required_config.checks(judgement.whereabouts.settings) if check.reason]
    if against:
        raise Refusal(what, against)
    why = f'the steps of the rehearsal passed; back to "{target.name}"'
    return intended(rollout, position, Kind.PROMOTE, target, [why], rehearsal.by, now, {"code": Code.REHEARSAL})
