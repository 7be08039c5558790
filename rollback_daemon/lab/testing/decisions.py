"""Decisions in the words of a test: `rollback to canary`, `hold`, `announce rollback to baseline`, `escalate to tech-lead`.

Lives here: the words, and which of them an event is. Must not live here: when something is decided (the judge).
"""

from collections.abc import Callable, Mapping
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.model import ActionKind, Rollout

_PLAIN = {
    Event.HELD: "hold",
    Event.RESUMED: "resume",
    Event.FROZEN: "freeze",
    Event.PROPOSED: "propose",
    Event.CANCELLED: "cancel",
    Event.ACKNOWLEDGED: "acknowledge",
}
_OF_BODY: Mapping[Event, Callable[[Mapping[str, Any]], str]] = {
    Event.SCHEDULED: lambda body: f"announce rollback to {body['to']}",
    Event.ESCALATED: lambda body: f"escalate to {body['level']}",
    Event.OBSERVED: lambda body: f"would {body['would']}",
}


def word(happened: Happened) -> str | None:
    """What the event is called, where it is a decision; None for news."""
    body = happened.body
    if happened.event is Event.INTENDED:
        kind = Kind(body["kind"])
        return f"{kind} to {body['to']}" if kind in {Kind.PROMOTE, Kind.ROLLBACK} else str(kind)
    known = _OF_BODY.get(happened.event)
    return known(body) if known else _PLAIN.get(happened.event)


def words(rollout: Rollout) -> list[str]:
    """Every decision that there can be for the rollout."""
    stages = [stage.name for stage in rollout.stages]
    moves = [f"{kind} to {name}" for kind in (Kind.PROMOTE, Kind.ROLLBACK) for name in stages]
    announced = [f"announce rollback to {name}" for name in stages]
    levels = [f"escalate to {level}" for level in rollout.aftercare.escalation.levels]
    ahead = [one.action.in_ for one in rollout.triggers if one.action.in_ is not None] + [rollout.aftercare.escalation.in_]
    would = [f"would {one.action}" for one in rollout.triggers if one.action.kind is not ActionKind.ALERT]
    would += [f"would rollback to {name} in {format_duration(one)}" for name in stages for one in ahead if one is not None]
    return [*moves, str(Kind.DEGRADE), str(Kind.RESTORE), *_PLAIN.values(), *announced, *levels, *dict.fromkeys(would)]
