"""The routes about the flags themselves: how they are, and the copies of them that are kept.

Lives here: looking at a store for a person, what the answer has of that, and what the routes take. Must not live here: whether a copy may be put
back (`judge/restoring`), how that is done (`transitions`).
"""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import StringConstraints

from rollback_daemon.clock import SystemClock
from rollback_daemon.errors import FlagError, OperationRefused
from rollback_daemon.faces.http.answers import NOT_DONE, AsciiJSON, active, informed
from rollback_daemon.faces.http.caller import identify
from rollback_daemon.faces.http.changes import Reasoned, done
from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.guard import Guard
from rollback_daemon.judge import restoring
from rollback_daemon.judge.drift import matching
from rollback_daemon.judge.restoring import Copy, Kept
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.outlook import Outlook, on_record
from rollback_daemon.rules.model import Rollout
from rollback_daemon.watch import Watch

_CLOCK = SystemClock()
_READING: dict[int | str, dict[str, Any]] = {status: said for status, said in NOT_DONE.items() if status in {404, 422, 503}}


class RestoreRequest(Reasoned):
    """Which copy: its place, or a part of its name that no other has; left out, the newest one that may be put back."""

    backup: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None


def add(api: FastAPI, guard: Guard) -> None:
    """Put these routes into the application."""

    @api.get("/api/v1/rollouts/{rollout}/flags", responses=_READING)
    def flags(rollout: str) -> JSONResponse:
        """The flags as they are now beside those on record, and the copies that are kept."""
        watch = informed(guard).watch(rollout)
        return AsciiJSON(_described(watch, _look(guard, watch)))

    @api.post("/api/v1/rollouts/{rollout}/flags/backup", responses=NOT_DONE)
    def backup(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Copy the flags as they are now."""
        by, watch = identify(request), active(guard).watch(rollout)
        try:
            place = watch.store.backup(f"{_CLOCK.now():%Y%m%dT%H%M%S.%fZ}")
        except FlagError as error:
            watch.refused("flags backup", by, body.reason, str(error))
            raise OperationRefused(str(error)) from error
        watch.request("flags backup", by, body.reason, lambda *_: restoring.backed_up(place, by, body.reason), must=False)
        return AsciiJSON({"rollout": rollout, "backup": place})

    @api.post("/api/v1/rollouts/{rollout}/flags/restore", status_code=202, responses=NOT_DONE)
    def restore(rollout: str, body: RestoreRequest, request: Request) -> JSONResponse:
        """Put a copy of the flags back, which is a rollback: to the stage on record or a lower one, with all that follows one."""
        by, watch = identify(request), active(guard).watch(rollout)
        before, seen = watch.state.position, _look(guard, watch)

        def decide(ladder: Rollout, state: State, _: Judgement | None, now: datetime) -> Happened:
            kept = seen if state.position is before else _look(guard, watch)  # what happened meanwhile makes a look worthless
            return restoring.restore(ladder, state, kept, body.backup, by, body.reason, now)

        return done(guard, rollout, watch.request("flags restore", by, body.reason, decide, must=False), transition=True)


def _look(guard: Guard, watch: Watch) -> Kept:
    """The flags and their copies as they are now."""
    present = Outlook.read(watch.store, watch.ladder)
    try:
        places = watch.store.backups()
    except FlagError as error:
        return Kept(present, str(error))
    beside = _beside(guard, watch)
    return Kept(present, [_copy(watch, place, beside) for place in places])


def _copy(watch: Watch, place: str, beside: Sequence[Watch]) -> Copy:
    try:
        return Copy(place, watch.store.read_backup(place, watch.ladder.keys), tuple(_changed(watch, place, beside)))
    except FlagError as error:
        return Copy(place, str(error))


def _beside(guard: Guard, watch: Watch) -> list[Watch]:
    """The other rollouts whose flags stand in the same file, whatever path leads there."""
    here = os.path.realpath(watch.place)
    return [other for other in guard.watches if other is not watch and os.path.realpath(other.place) == here]


def _changed(watch: Watch, place: str, beside: Sequence[Watch]) -> Sequence[str]:
    """Those of the other rollouts whose flags are not the same in a copy, or of which that cannot be told."""
    if not beside:
        return ()
    keys = frozenset[str]().union(*(other.ladder.keys for other in beside))
    try:
        then = watch.store.read_backup(place, keys).values
    except FlagError:
        return [other.rollout.name for other in beside]
    try:
        now = watch.store.read(keys).values
    except FlagError:  # of a broken file nobody knows more than the record
        now = {key: value for other in beside for key, value in on_record(other.ladder, other.state).flags.items()}
    return [other.rollout.name for other in beside if any(_differs(key, now, then) for key in other.ladder.keys)]


def _differs(key: str, left: Mapping[str, FlagValue], right: Mapping[str, FlagValue]) -> bool:
    return (key in left) != (key in right) or (key in left and not same(left[key], right[key]))


def _described(watch: Watch, kept: Kept) -> dict[str, Any]:
    """What a person is told of the flags: `as_on_record` is nothing where that cannot be told."""
    rollout, position, present = watch.ladder, watch.state.position, kept.present
    stage = rollout.stage(position.stage) if position else None
    expected = stage.flags if stage else dict.fromkeys(sorted(rollout.keys))
    actual = None if isinstance(present, str) else present.values
    there = matching(rollout, actual) if actual is not None else None
    differing = [key for key in expected if actual is not None and _differs(key, expected, actual)]
    return {
        "rollout": rollout.name,
        "store": rollout.flags.store,
        "place": watch.place,
        "stage": stage.name if stage else None,
        "as_on_record": None if stage is None or actual is None else not differing,
        "flags_of": there.name if there else None,
        "unreadable": present if isinstance(present, str) else "",
        "under_way": f"{position.open.kind} to {position.open.target}" if position and position.open else "",
        "degraded": dict(position.degraded) if position else {},
        "flags": [
            {
                "flag": key,
                "expected": expected[key],
                "actual": actual.get(key) if actual is not None else None,
                "absent": actual is not None and key not in actual,
                "differs": key in differing if stage and actual is not None else None,
            }
            for key in expected
        ],
        "trace": {} if isinstance(present, str) else dict(present.trace),
        "backups": [] if isinstance(kept.copies, str) else [_copied(rollout, watch, copy, kept) for copy in kept.copies],
        "backups_unreadable": kept.copies if isinstance(kept.copies, str) else "",
    }


def _copied(rollout: Rollout, watch: Watch, copy: Copy, kept: Kept) -> dict[str, Any]:
    """One copy: whose flags they are, when it was made, and why it may not be put back now, where it may not."""
    position, stage = watch.state.position, restoring.stage_of(rollout, copy)
    against = restoring.why_not(rollout, position, copy, kept.present) if position else None
    return {
        "backup": copy.place,
        "stage": stage.name if stage else None,
        "trace": {} if isinstance(copy.found, str) else dict(copy.found.trace),
        "unreadable": copy.found if isinstance(copy.found, str) else "",
        "why_not": str(against) if against else "",
    }
