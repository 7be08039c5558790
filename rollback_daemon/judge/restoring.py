"""Putting a copy of the flags back that was kept: which one, and whether it may be. It is a rollback like any other, and never a way up. Pure.

Lives here: the copy as it was seen, the choice, the reasons against it, and the events. Must not live here: reading a copy (`faces`), putting it
back (`transitions`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from rollback_daemon.errors import OperationRefused
from rollback_daemon.flags.store import Flags, same
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.drift import is_raised, matching
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.refusal import Refusal, known, refuse_if_observing, said
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.aftercare import WayKind
from rollback_daemon.rules.model import Rollout, Stage

_TOLD = 5  # copies that a refusal gives reasons for


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is kept: where it is, and the flags in it, or the sentence that says why they cannot be read.

    `others`: the rollouts whose flags stand in the same place and are not the same in it, so that it would change them, too.
    """

    place: str
    found: Flags | str
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the place."""
        return self.place.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Kept:
    """What was seen in one look: the flags as they are, and the copies of them, the newest first; or why either cannot be read."""

    present: Flags | str
    copies: Sequence[Copy] | str


def stage_of(rollout: Rollout, copy: Copy) -> Stage | None:
    """The stage whose flags are in the copy; the highest where stages share their flags."""
    return None if isinstance(copy.found, str) else matching(rollout, copy.found.values)


def backed_up(place: str, by: str, reason: str) -> Happened:
    """Somebody had the flags copied."""
    return Happened(Event.BACKED_UP, {"backup": place, "by": by, "why": said(by, reason)})


def restore(rollout: Rollout, state: State, kept: Kept, wanted: str | None, by: str, reason: str, now: datetime) -> Happened:
    """Put the copy back that is `wanted` (its place, or a part of its name that no other has), or the newest one that may be.

    Refused for flags of no stage, or of one above the record, and where it would raise a flag that somebody has lowered. Flags that cannot be
    read are in nobody's way: to get rid of a broken file is what copies are for.
    """
    position = known(rollout, state)
    what = f"{rollout.name} stays at {position.stage}"
    refuse_if_observing(rollout, what)
    if isinstance(kept.copies, str):
        raise Refusal(what, [Reason(Code.FLAGS_UNREADABLE, kept.copies)])
    reasons: list[Reason] = []
    for copy in [_named(kept.copies, wanted)] if wanted else kept.copies:
        against, target = why_not(rollout, position, copy, kept.present), stage_of(rollout, copy)
        if against is not None or target is None:
            reasons += [against] if against else []
            continue
        more = {"code": Code.PERSON, "way_kind": WayKind.BACKUP, "backup": copy.place}
        return intended(rollout, position, Kind.ROLLBACK, target, [said(by, reason), f"{copy.name} is put back"], by, now, more)
    raise Refusal(what, reasons[:_TOLD] or [Reason(Code.NOT_LOWER, "no copy of its flags is kept")])


def why_not(rollout: Rollout, position: Position, copy: Copy, present: Flags | str) -> Reason | None:
    """Why that copy must not be put back now; None if it may."""
    if isinstance(copy.found, str):
        return Reason(Code.FLAGS_UNREADABLE, copy.found, copy.place)
    stage, current = stage_of(rollout, copy), rollout.stage(position.stage) or rollout.stages[0]
    if stage is None:
        lesser = " as they are degraded now" if position.degraded else ""
        return Reason(Code.DRIFT, f"{copy.name}: its flags are those of no stage{lesser}", copy.place)
    if stage.number > current.number:
        return Reason(Code.NOT_LOWER, f'{copy.name}: its flags are those of "{stage.name}", above "{current.name}"; that is a promotion', copy.place)
    if under_way := _going_down(rollout, position, stage):
        return under_way
    if copy.others:
        names = ", ".join(islice(copy.others, _TOLD)) + (f" and {len(copy.others) - _TOLD} more" if len(copy.others) > _TOLD else "")
        return Reason(Code.SHARED, f"{copy.name}: it would change the flags of {names}, too, which stand in the same place", copy.place)
    if isinstance(present, str):
        return None
    if present.version == copy.found.version and position.open is None:
        return Reason(Code.NOT_LOWER, f"{copy.name}: it is as the flags are now; there is nothing to restore", copy.place)
    if lowered := _lowered(rollout, stage, present):
        keys = ", ".join(islice(lowered, _TOLD))
        return Reason(Code.DRIFT, f'{copy.name}: its flags are those of "{stage.name}", and somebody has lowered {keys} further', copy.place)
    return None


def _named(copies: Sequence[Copy], wanted: str) -> Copy:
    """The copy that a person means. Raises OperationRefused where that is none, or more than one."""
    found = [copy for copy in copies if copy.place == wanted] or [copy for copy in copies if wanted in copy.name]
    if len(found) == 1:
        return found[0]
    names = ", ".join(copy.name for copy in islice(found or copies, _TOLD)) or "there is none"
    raise OperationRefused(f'"{wanted}" {"is more than one copy" if found else "is no copy that is kept"}; name one of: {names}')


def _going_down(rollout: Rollout, position: Position, stage: Stage) -> Reason | None:
    """A rollback under way goes on, unless the copy leads lower, or as low where it has failed so far: a copy can mend a broken file."""
    opened = position.open
    if opened is None or opened.kind is not Kind.ROLLBACK:
        return None
    going = rollout.stage(opened.target) or rollout.stages[0]
    if going.number > stage.number or (going.number == stage.number and opened.failure):
        return None
    return Reason(Code.IN_TRANSITION, f'it is already being rolled back to "{going.name}"')


def _lowered(rollout: Rollout, stage: Stage, present: Flags) -> list[str]:
    """The flags that are lower now than at the stage, or of which that cannot be told. At the bottom there is nothing lower."""
    found = matching(rollout, present.values)
    if not stage.number or (found and found.number >= stage.number):
        return []

    def is_as_high(key: str) -> bool:
        value = present.values[key]
        if same(stage.flags[key], value) or found:  # where all of them are those of a lower stage, each that differs is lower
            return same(stage.flags[key], value)
        return any(same(one.flags[key], value) for one in rollout.stages[stage.number :]) or is_raised(rollout, stage, key, value)

    return sorted(key for key in stage.flags if key not in present.values or not is_as_high(key))
