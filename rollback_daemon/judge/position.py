"""Where a rollout stands, as a fold over its records in the journal: the same function live and at a restart.

Lives here: the position and `fold`. Must not live here: what the signals say (that is `State` in `machine`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.errors import IllegalTransition
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.transitions import BREAK_GLASS, RETURN, Event, Kind, Phase, after


@dataclass(frozen=True, slots=True)
class Open:
    """A transition that is intended and not yet done. `flags` is what must be read back at its end.

    `way`: the number of a way back, `way_told` its identity, and `way_kind`: how a rollback comes down (`rules.aftercare.WayKind`); `restores`: the
    backup that a person named for it.
    """

    id: str
    kind: Kind
    origin: str
    target: str
    flags: Mapping[str, Any]
    at: datetime
    breached_at: datetime | None
    why: tuple[str, ...]
    by: str
    applied: bool = False
    failure: str = ""
    next_try: datetime | None = None
    code: str = ""
    way: int = 0
    way_told: str = ""
    way_kind: str = "flags"
    restores: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rehearsal under way: the stage that it began at, since when that was, and what had been soaked there."""

    id: str
    stage: str
    entered: datetime
    soaked: timedelta
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Position:
    """A rollout's place on its ladder.

    `entered`: when it came to this stage, from `origin`. `armed`: since when a breach is held against this stage; a promotion may change flags
    from its intent on, so that is where it counts from. `counted_from`: when what is counted was last set to zero, because more was exposed or
    a person said go on. `placed`: false as long as its flags have been those of no stage ever since it was first seen. `code` is that of the
    last decision. `degraded`: flags that have another value than at their stage, until that is restored, and `degraded_by` the triggers that
    asked for it. `broken_glass`: who promoted to
    this stage past everything, and why. `frozen`: there were too many rollbacks, and nobody has resumed it since.
    """

    phase: Phase
    stage: str
    entered: datetime
    armed: datetime
    why: str = ""
    by: str = ""
    since: datetime | None = None
    open: Open | None = None
    origin: str = ""
    counted_from: datetime | None = None
    placed: bool = True
    code: str = ""
    degraded: Mapping[str, Any] = field(default_factory=dict)
    degraded_by: tuple[str, ...] = ()
    broken_glass: str = ""
    rehearsing: Rehearsal | None = None
    frozen: bool = False

    @property
    def tenure(self) -> datetime:
        """Since when it has been earning its next stage: a rehearsal does not interrupt that."""
        return self.rehearsing.entered if self.rehearsing else self.entered

    @property
    def goal(self) -> str:
        """The stage that a transition under way leads to; without one, the stage on record."""
        return self.open.target if self.open else self.stage

    @property
    def open_promotion(self) -> bool:
        """Whether a promotion is under way."""
        return self.open is not None and self.open.kind is Kind.PROMOTE

    @property
    def epoch(self) -> str:
        """What a trigger may act once in: ends with every transition and every resume."""
        return f"{self.stage}@{max(self.entered, self.armed).isoformat()}"


def not_ahead(position: Position, now: datetime, max_gap: timedelta) -> Position:
    """The position after the clock was set back: what seems to lie in the future by more than `max_gap` began now, or nothing would be armed."""
    if max(position.entered, position.armed) <= now + max_gap:
        return position
    return replace(position, entered=min(position.entered, now), armed=min(position.armed, now))


def fold(position: Position | None, event: Event, body: Mapping[str, Any], at: datetime) -> Position:
    """The position after one record. Raises IllegalTransition, and changes nothing, for one that cannot follow."""
    if event is Event.ADOPTED:
        return _adopted(position, body, at)
    if position is None:
        raise ValueError(f'the record "{event}" stands before any that says where the rollout is')
    phase = after(position.phase, event, _name(event, body) if event in _OF_TRANSITION else None)
    if event in _OF_OPEN and position.open and body.get("id", position.open.id) != position.open.id:
        raise IllegalTransition(f'"{event}" is about {body["id"]}, but {position.open.id} is under way')
    position = replace(position, phase=phase, since=at if phase is not position.phase else position.since)
    return _FOLDS.get(event, _unchanged)(position, body, at)


def _name(event: Event, body: Mapping[str, Any]) -> str | None:
    """The kind of the transition, as the table calls it."""
    special = {Code.BREAK_GLASS: BREAK_GLASS, Code.REHEARSAL: RETURN}
    if event is Event.INTENDED and body["kind"] == Kind.PROMOTE:
        return special.get(body.get("code", ""), Kind.PROMOTE)
    return Kind(body["kind"]) if "kind" in body else None


def _adopted(position: Position | None, body: Mapping[str, Any], at: datetime) -> Position:
    why, by = body.get("why", ""), body.get("by", "rollbackd")
    degraded, degraded_by = (position.degraded, position.degraded_by) if position else ({}, ())
    return Position(
        Phase(body["phase"]),
        body["stage"],
        at,
        at,
        why,
        by,
        at,
        counted_from=at,
        placed=body.get("placed", True),
        code=body.get("code", ""),
        degraded=degraded,
        degraded_by=degraded_by,
        frozen=body["phase"] == Phase.FROZEN,
    )


def _unchanged(position: Position, _body: Mapping[str, Any], _at: datetime) -> Position:
    return position


def _intended(position: Position, body: Mapping[str, Any], at: datetime) -> Position:
    breached_at = datetime.fromisoformat(body["breached_at"]) if body.get("breached_at") else None
    kind, code, by = Kind(body["kind"]), body.get("code", ""), body.get("by", "")
    way_kind, restores = body.get("way_kind", "flags"), body.get("backup", "")
    opened = Open(
        body["id"],
        kind,
        body["from"],
        body["to"],
        body["flags"],
        at,
        breached_at,
        tuple(body["why"]),
        by,
        code=code,
        way=body.get("way", 0),
        way_told=body.get("way_told", ""),
        way_kind=way_kind,
        restores=restores,
    )
    if kind is Kind.DEGRADE:
        asked = tuple(dict.fromkeys((*position.degraded_by, *body.get("triggers", ()))))
        return replace(position, open=opened, degraded={**position.degraded, **body["flags"]}, degraded_by=asked)
    if kind is Kind.RESTORE:
        return replace(position, open=opened, degraded={}, degraded_by=())
    if code == Code.UNVERIFIED:  # another way back for the same reason
        return replace(position, open=opened)
    rehearsing = _rehearsal(body["rehearsal"], position, by, at) if "rehearsal" in body else position.rehearsing
    return replace(position, open=opened, why="; ".join(body["why"]), by=by, code=code, rehearsing=rehearsing)


def _rehearsal(body: Mapping[str, Any], position: Position, by: str, at: datetime) -> Rehearsal:
    return Rehearsal(body["id"], position.stage, position.entered, timedelta(seconds=body["soaked"]), by, at)


def _applied(position: Position, _body: Mapping[str, Any], _at: datetime) -> Position:
    return replace(position, open=replace(position.open, applied=True)) if position.open else position


def _attempted(position: Position, body: Mapping[str, Any], _at: datetime) -> Position:
    if position.open is None:
        return position
    next_try = datetime.fromisoformat(body["next"]) if body.get("next") else None
    return replace(position, open=replace(position.open, failure=body["error"], next_try=next_try))


def _done(position: Position, body: Mapping[str, Any], at: datetime) -> Position:
    opened, kind = position.open, Kind(body["kind"])
    if kind in {Kind.DEGRADE, Kind.RESTORE}:
        return replace(position, open=None, armed=at if kind is Kind.RESTORE else position.armed)
    risen = kind is Kind.PROMOTE
    armed = opened.at if risen and opened else at
    again = opened is not None and opened.code in {Code.DRIFT, Code.UNVERIFIED}
    stays = again and body["to"] == position.stage  # reverted, or by another way: the stage goes on
    further = opened is not None and opened.code == Code.UNVERIFIED
    origin = position.origin if further else position.stage if stays else body.get("from", position.stage)
    returned = position.rehearsing if risen and opened and opened.code == Code.REHEARSAL else None
    entered = returned.entered if returned else position.entered if stays else at
    broken = position.why if risen and opened and opened.code == Code.BREAK_GLASS else ""
    position = replace(
        position,
        stage=body["to"],
        entered=entered,
        armed=armed,
        open=None,
        origin=origin,
        counted_from=position.counted_from if not risen or returned else at,
        placed=True,
        broken_glass=position.broken_glass if stays or position.rehearsing else broken,
    )
    return _settle(position)


def _abandoned(position: Position, body: Mapping[str, Any], _at: datetime) -> Position:
    if body.get("kind") == Kind.ROLLBACK:  # a way back that could not be taken; why it was rolled back stays
        return _settle(replace(position, open=None))
    return replace(position, open=None, why=body["why"], by="rollbackd")


def _frozen(position: Position, body: Mapping[str, Any], _at: datetime) -> Position:
    return replace(position, why=body["why"], by="rollbackd", code=body["code"], frozen=True)


def _held(position: Position, body: Mapping[str, Any], _at: datetime) -> Position:
    return replace(position, why=body["why"], by=body.get("by", ""), code=body.get("code", ""))


def _rehearsed(position: Position, body: Mapping[str, Any], _at: datetime) -> Position:
    if body["passed"] or position.code == Code.DRIFT:  # who raised flags in the middle of it is what people must hear of
        return replace(position, rehearsing=None)
    return replace(position, rehearsing=None, why=body["why"], by=body.get("by", ""), code=Code.REHEARSAL)


def _resumed(position: Position, body: Mapping[str, Any], at: datetime) -> Position:
    return _settle(replace(position, frozen=False, armed=at, counted_from=at, why=body["why"], by=body.get("by", ""), code=body.get("code", "")))


def _settle(position: Position) -> Position:
    """At the bottom of the ladder there is nothing to soak; and what is frozen stays so."""
    if position.frozen and position.phase is Phase.ROLLED_BACK:
        return replace(position, phase=Phase.FROZEN)
    at_bottom = position.stage == "baseline" and position.phase is Phase.SOAKING
    return replace(position, phase=Phase.BASELINE) if at_bottom else position


_OF_TRANSITION = {Event.INTENDED, Event.ATTEMPTED, Event.DONE, Event.ABANDONED}
_OF_OPEN = {Event.APPLIED, Event.ATTEMPTED, Event.DONE, Event.ABANDONED}
_FOLDS = {
    Event.INTENDED: _intended,
    Event.APPLIED: _applied,
    Event.ATTEMPTED: _attempted,
    Event.DONE: _done,
    Event.ABANDONED: _abandoned,
    Event.HELD: _held,
    Event.FROZEN: _frozen,
    Event.RESUMED: _resumed,
    Event.REHEARSED: _rehearsed,
}
