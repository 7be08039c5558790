"""What a form would do, as it is known now: every flag from and to, exposure, what it blocks, and what speaks against it.

The judge decides on trial, on the same state and by the same function as when it is done, so a page promises nothing that is known to be refused.
Must not live here: what each action says of itself (`actions`), routes (`forms`).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollback_daemon.errors import FlagError, OperationRefused
from rollback_daemon.faces import views
from rollback_daemon.faces.http.changes import Case, Reasoned
from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.judge import machine
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event
from rollback_daemon.transitions.plan import plan
from rollback_daemon.watch import Watch

UNTOLD = "(not given yet)"
"""The reason of a request that is only tried."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something to say beside the reason. `kind`: `text`, `lines`, or `choice` among `options`, each a value with its words."""

    name: str
    label: str
    kind: str = "text"
    options: tuple[tuple[str, str], ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Instead:
    """The same form about something else: its words, and what its address asks for."""

    text: str
    asks: Mapping[str, str]
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What an action says of itself. `asks` stands hidden in the form. `rests_on`: what must still be so when it is done, or it is shown again."""

    title: str
    button: str
    effects: tuple[str, ...]
    rests_on: tuple[object, ...]
    fields: tuple[Field, ...] = ()
    instead: tuple[Instead, ...] = ()
    asks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a person may ask for. `name` is what stands in the address and on record; `body` what a request of it says.

    `must`: it is refused when it cannot go on record. `tone`: `down` or `up`, where it moves flags. `done` says what has been done.
    """

    name: str
    body: type[Reasoned]
    decide: Callable[[Case, Any], Happened]
    tell: Callable[[Case, Any, Happened | None], Told]
    done: Callable[[Mapping[str, Any]], str]
    must: bool = True
    tone: str = ""


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One flag as it is and as it would be; `now` is None where it is not there, or not known."""

    key: str
    now: FlagValue
    then: FlagValue
    changes: bool


@dataclass(frozen=True, slots=True)
class Move:
    """What a transition would come to. `unreadable`: why it is not known what the flags are now; they are set all the same."""

    origin: str
    target: str
    exposures: tuple[float | None, float]
    flags: tuple[FlagChange, ...]
    place: str
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Against:
    """One reason why it may not be done."""

    sentence: str
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """All that the page shows. `seen` identifies what must be the same when the form comes back."""

    told: Told
    move: Move | None
    against: tuple[Against, ...]
    gates: tuple[Mapping[str, Any], ...]
    checks: tuple[Mapping[str, Any], ...]
    seen: str


def terms(action: Action, case: Case, body: Reasoned, watch: Watch) -> Terms:
    """What `action` would do in this case, if it were asked for now."""
    against: tuple[Against, ...] = ()
    happened: Happened | None = None
    try:
        happened = action.decide(case, body)
    except Refusal as refusal:
        against = tuple(Against(reason.sentence, reason.code.unknown) for reason in refusal.reasons)
    except OperationRefused as refusal:
        against = (Against(str(refusal)),)
    told = action.tell(case, body, happened)
    move = _move(case, happened, watch) if happened is not None and happened.event is Event.INTENDED else None
    up = action.tone == "up"
    gates = tuple(views.explanation(watch)["gates"]) if up else ()
    checks = tuple(views.scorecard(watch)["checks"]) if up else ()
    rests_on = [action.name, case.rollout.name, *told.rests_on]
    if move is not None and up:
        rests_on.append([(one.key, repr(one.now), repr(one.then)) for one in move.flags])
    return Terms(told, move, against, gates, checks, _digest(rests_on))


def _move(case: Case, happened: Happened, watch: Watch) -> Move | None:
    """The writes that would follow: the same plan as when it is done, from the flags as they are."""
    opened = machine.apply(case.state, happened, case.now)
    position, before = opened.position, case.state.position
    if position is None or position.open is None or before is None:
        return None
    stage = case.rollout.stage(before.stage)
    origin = stage.exposure if stage and before.placed else None
    try:
        flags = watch.store.read(case.rollout.keys).values
    except FlagError as error:
        target = case.rollout.stage(position.open.target) or case.rollout.stages[0]
        changes = tuple(FlagChange(key, None, value, changes=True) for key, value in position.open.flags.items())
        return Move(before.stage, target.name, (origin, target.exposure), changes, watch.place, str(error))
    planned = plan(case.rollout, position.open, flags)
    changes = tuple(
        FlagChange(key, flags.get(key), value, changes=key not in flags or not same(value, flags[key])) for key, value in planned.expected.items()
    )
    return Move(before.stage, planned.stage.name, (origin, planned.stage.exposure), changes, watch.place)


def _digest(rests_on: object) -> str:
    return hashlib.sha256(json.dumps(rests_on, sort_keys=True, default=str).encode()).hexdigest()
