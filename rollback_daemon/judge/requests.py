"""What people may ask of a rollout: promote, roll back, hold, resume. Each gives the event, or raises OperationRefused with the reasons. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge.act import intended, no_higher_than, previous
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.gates import OF_POSITION, of_position
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.model import Rollout, Stage


class Refusal(OperationRefused):
    """A request that may not be done now, with every reason."""

    def __init__(self, what: str, reasons: Iterable[Reason]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(f"{what}: " + "; ".join(map(str, self.reasons)))

    @property
    def unknown(self) -> bool:
        """Whether nothing speaks against it except that something could not be told."""
        return all(reason.code.unknown for reason in self.reasons)


def promote(rollout: Rollout, state: State, judgement: Judgement | None, by: str, reason: str, now: datetime) -> Happened:
    """To the next stage, if nothing blocks it in an evaluation of the present stage that is at most `max_gap` old."""
    position = _known(rollout, state)
    what = f"{rollout.name} stays at {position.stage}"
    _refuse_if_observing(rollout, what)
    if why_not := list(_against_promotion(rollout, state, position, judgement, now)):
        raise Refusal(what, why_not)
    current = rollout.stage(position.stage) or rollout.stages[0]
    return intended(rollout, position, Kind.PROMOTE, rollout.stages[current.number + 1], [_said(by, reason)], by, now, {"code": Code.PERSON})


def _against_promotion(rollout: Rollout, state: State, position: Position, judgement: Judgement | None, now: datetime) -> Iterator[Reason]:
    """The record as it is now, and the evaluation as it was: much may have happened since."""
    why_not = list(of_position(rollout, state, position))
    yield from why_not
    if judgement is None or now - judgement.at > rollout.max_gap:
        yield Reason(Code.NOT_EVALUATED, "there is no evaluation that is young enough")
        return
    if judgement.at < position.entered:
        yield Reason(Code.NOT_EVALUATED, f'there is no evaluation yet since it came to "{position.stage}"')
        return
    seen = [reason for reason in judgement.blockers if reason.code not in OF_POSITION]
    yield from seen
    if not why_not and not seen and position.phase not in {Phase.BASELINE, Phase.READY}:
        yield Reason(Code.NOT_EVALUATED, f"it is {position.phase}; the next evaluation tells whether it is ready")


def rollback(rollout: Rollout, state: State, judgement: Judgement | None, to: str | None, by: str, reason: str, now: datetime) -> Happened:
    """To a lower stage: the one named, or the previous one; during a promotion that is where it came from.

    Refused for a stage that is not lower, be it than the record or than the flags. Flags that are those of no stage go to the bottom.
    """
    position = _known(rollout, state)
    what = f"{rollout.name} stays at {position.stage}"
    _refuse_if_observing(rollout, what)
    current = rollout.stage(position.stage) or rollout.stages[0]
    where = judgement.whereabouts if judgement and judgement.at >= position.entered else Whereabouts(Drift.NONE, current)
    named = rollout.stage(to) if to else rollout.stages[min(previous(rollout, position, where), current.number)]
    if named is None:
        known = ", ".join(stage.name for stage in rollout.stages)
        raise OperationRefused(f'{rollout.name} has no stage "{to}"; it has {known}')
    if why_not := _not_lower(rollout, position, where, current, named):
        raise Refusal(what, [why_not])
    if to and where.drift is Drift.LOWER and where.stage and where.stage.number < named.number:
        raise Refusal(what, [Reason(Code.DRIFT, f'its flags are already those of "{where.stage.name}"; "{named.name}" would raise them')])
    said = [_said(by, reason)]
    if where.drift is Drift.OTHER and named.number:
        said.append(f'its flags are those of no stage, so they are set to "{rollout.stages[0].name}"')
    target = rollout.stages[no_higher_than(named.number, where)]
    return intended(rollout, position, Kind.ROLLBACK, target, said, by, now, {"code": Code.PERSON})


def _not_lower(rollout: Rollout, position: Position, where: Whereabouts, current: Stage, named: Stage) -> Reason | None:
    """Why the stage asked for is none to go back to. The stage on record is one while a promotion or somebody's hand has left it."""
    if position.open and position.open.kind is Kind.ROLLBACK:
        going = rollout.stage(position.open.target) or rollout.stages[0]
        failed = f"; the last try failed ({position.open.failure}), and it is tried again by itself" if position.open.failure else ""
        return Reason(Code.IN_TRANSITION, f'it is already being rolled back to "{going.name}"{failed}') if going.number <= named.number else None
    if named.number < current.number or (named is current and (position.open or where.drift is not Drift.NONE)):
        return None
    return Reason(Code.NOT_LOWER, f'"{named.name}" is not below "{current.name}"; going up is a promotion')


def hold(rollout: Rollout, state: State, by: str, reason: str) -> Happened:
    """Stop the way up until it is resumed."""
    position = _known(rollout, state)
    what = f"{rollout.name} cannot be held"
    if position.phase is Phase.PROMOTING:
        raise Refusal(what, [Reason(Code.IN_TRANSITION, f'it is being promoted to "{position.goal}"; roll it back to stop that')])
    if position.phase in {Phase.ROLLING_BACK, Phase.FAILED}:
        raise Refusal(what, [Reason(Code.IN_TRANSITION, f'it is being rolled back to "{position.goal}", and stays there until it is resumed')])
    if position.phase in {Phase.ROLLED_BACK, Phase.FROZEN}:
        raise Refusal(what, [Reason(Code.LATCHED, "it was rolled back, and stays there until it is resumed")])
    return Happened(Event.HELD, {"why": _said(by, reason), "by": by, "code": Code.PERSON})


def resume(rollout: Rollout, state: State, by: str, reason: str) -> Happened:
    """Open the way up again after a hold or a rollback. What still fires acts again once it has been held for its `for` from here."""
    position = _known(rollout, state)
    if position.phase not in {Phase.HELD, Phase.ROLLED_BACK, Phase.FROZEN}:
        raise OperationRefused(f"{rollout.name} is {position.phase}; there is nothing to resume")
    return Happened(Event.RESUMED, {"why": _said(by, reason), "by": by, "code": Code.PERSON})


def _refuse_if_observing(rollout: Rollout, what: str) -> None:
    if not rollout.enforce:
        raise Refusal(what, [Reason(Code.OBSERVING, "its mode is observe, in which no flag is touched")])


def _known(rollout: Rollout, state: State) -> Position:
    if state.position is None:
        raise Refusal(f"{rollout.name} cannot be changed", [Reason(Code.NOT_EVALUATED, "its flags have not been read yet")])
    return state.position


def _said(by: str, reason: str) -> str:
    return f"{by}: {reason}"
