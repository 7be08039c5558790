"""What people may ask of a rollout's flags: roll back, hold, resume, restore. Each gives the event, or raises OperationRefused with the reasons.

Pure. Must not live here: the way up (`promotion`), what people say for it (`consent`).
"""

from dataclasses import replace
from datetime import datetime

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import postmortem
from rollback_daemon.judge.act import intended, no_higher_than, previous
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.refusal import Refusal, known, refuse_if_observing, said
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.model import Rollout, Stage


def rollback(rollout: Rollout, state: State, judgement: Judgement | None, to: str | None, by: str, reason: str, now: datetime) -> Happened:
    """To a lower stage: the one named, or the previous one; during a promotion that is where it came from.

    Refused for a stage that is not lower, be it than the record or than the flags. Flags that are those of no stage go to the bottom.
    """
    position = known(rollout, state)
    what = f"{rollout.name} stays at {position.stage}"
    refuse_if_observing(rollout, what)
    current = rollout.stage(position.stage) or rollout.stages[0]
    where = judgement.whereabouts if judgement and judgement.at >= position.entered else Whereabouts(Drift.NONE, current)
    named = rollout.stage(to) if to else rollout.stages[min(previous(rollout, position, where), current.number)]
    if named is None:
        names = ", ".join(stage.name for stage in rollout.stages)
        raise OperationRefused(f'{rollout.name} has no stage "{to}"; it has {names}')
    if why_not := _not_lower(rollout, position, where, current, named):
        raise Refusal(what, [why_not])
    if to and where.drift is Drift.LOWER and where.stage and where.stage.number < named.number:
        raise Refusal(what, [Reason(Code.DRIFT, f'its flags are already those of "{where.stage.name}"; "{named.name}" would raise them')])
    told = [said(by, reason)]
    if where.drift is Drift.OTHER and named.number:
        told.append(f'its flags are those of no stage, so they are set to "{rollout.stages[0].name}"')
    target = rollout.stages[no_higher_than(named.number, where)]
    return intended(rollout, position, Kind.ROLLBACK, target, told, by, now, {"code": Code.PERSON})


def _not_lower(rollout: Rollout, position: Position, where: Whereabouts, current: Stage, named: Stage) -> Reason | None:
    """Why the stage asked for is none to go back to. The stage on record is one while a promotion or somebody's hand has left it."""
    if position.open and position.open.kind is Kind.ROLLBACK:
        going = rollout.stage(position.open.target) or rollout.stages[0]
        failed = f"; the last try failed ({position.open.failure}), and it is tried again by itself" if position.open.failure else ""
        return Reason(Code.IN_TRANSITION, f'it is already being rolled back to "{going.name}"{failed}') if going.number <= named.number else None
    if named.number < current.number or (named is current and (position.open_promotion or where.drift is not Drift.NONE)):
        return None
    return Reason(Code.NOT_LOWER, f'"{named.name}" is not below "{current.name}"; going up is a promotion')


def halt(rollout: Rollout, state: State, by: str, reason: str, now: datetime) -> Happened:
    """`hold`; and a rehearsal that has not begun to come back up has failed by it, and stays down."""
    position = state.position
    rehearsal = position.rehearsing if position else None
    if position is None or rehearsal is None or position.open_promotion:
        return hold(rollout, state, by, reason)
    why, seconds = f"the rehearsal failed: it was stopped by {said(by, reason)}", (now - rehearsal.at).total_seconds()
    return Happened(Event.REHEARSED, {"id": rehearsal.id, "stage": rehearsal.stage, "passed": False, "seconds": seconds, "why": why, "by": by})


def hold(rollout: Rollout, state: State, by: str, reason: str) -> Happened:
    """Stop the way up until it is resumed."""
    position = known(rollout, state)
    what = f"{rollout.name} cannot be held"
    if position.phase is Phase.PROMOTING:
        raise Refusal(what, [Reason(Code.IN_TRANSITION, f'it is being promoted to "{position.goal}"; roll it back to stop that')])
    if position.phase in {Phase.ROLLING_BACK, Phase.FAILED}:
        raise Refusal(what, [Reason(Code.IN_TRANSITION, f'it is being rolled back to "{position.goal}", and stays there until it is resumed')])
    if position.phase in {Phase.ROLLED_BACK, Phase.FROZEN}:
        raise Refusal(what, [Reason(Code.LATCHED, "it was rolled back, and stays there until it is resumed")])
    return Happened(Event.HELD, {"why": said(by, reason), "by": by, "code": Code.PERSON})


def resume(rollout: Rollout, state: State, by: str, reason: str) -> Happened:
    """Open the way up again after a hold or a rollback. What still fires acts again once it has been held for its `for` from here.

    Out of FROZEN it is re-armed: the rollbacks before count no more. Refused while a report is owed that `resume: {requires: postmortem}` asks for.
    """
    position = known(rollout, state)
    if position.phase not in {Phase.HELD, Phase.ROLLED_BACK, Phase.FROZEN}:
        raise OperationRefused(f"{rollout.name} is {position.phase}; there is nothing to resume")
    if position.phase is not Phase.HELD and (owed := postmortem.owed(rollout, state)):
        raise Refusal(f"{rollout.name} stays as it is", [owed])
    aftermath, care = state.aftermath, rollout.aftercare
    dropped = {"dropped": f"{aftermath.passed} of {1 + len(care.proofs(position.stage))} steps had passed"} if aftermath.verifying else {}
    rearmed = {"rearmed": True} if position.phase is Phase.FROZEN else {}
    return Happened(Event.RESUMED, {"why": said(by, reason), "by": by, "code": Code.PERSON, **rearmed, **dropped})


def restore(rollout: Rollout, state: State, by: str, reason: str, now: datetime) -> Happened:
    """End a degradation: the flags that it set go back to those of the stage. What still fires degrades again after its `for`."""
    position = known(rollout, state)
    what = f"{rollout.name} stays as it is"
    refuse_if_observing(rollout, what)
    if not position.degraded:
        raise OperationRefused(f"{rollout.name} is not degraded; there is nothing to restore")
    if position.open:
        raise Refusal(what, [Reason(Code.IN_TRANSITION, f"its flags are being changed now ({position.open.kind}); ask again")])
    stage = rollout.stage(position.stage) or rollout.stages[0]
    flags = {key: stage.flags[key] for key in position.degraded if key in stage.flags}
    return intended(rollout, position, Kind.RESTORE, replace(stage, flags=flags), [said(by, reason)], by, now, {"code": Code.PERSON})
