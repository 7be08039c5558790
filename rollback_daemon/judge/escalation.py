"""Who has to look at a trigger that goes on firing, as a fold over the journal: its levels, who has it in hand, the rollback that is announced. Pure.

A trigger with `escalate_after` climbs one level after each such time, until it eases or somebody acknowledges it. A rollback that is announced, as
the last level or as a trigger's own action (`{rollback: …, in: …}`), follows when its time has come, unless the trigger has eased by then or somebody
cancelled it. Lives here: the levels and their fold. Must not live here: when something is due (`escalating`), what people ask for
(`escalation_requests`), alerts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback_daemon.judge.transitions import Event, Kind


@dataclass(frozen=True, slots=True)
class Level:
    """A level that was reached: its name, and when."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said about it."""

    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Announced:
    """A rollback that will be: when, to which stage, why, and since when that is known."""

    due: datetime
    to: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Escalated:
    """How far one firing trigger has come.

    `levels`: those that it has reached, the first one included. `since`: since when the time to the next one counts; `unseen`: how long the
    trigger had been out of sight by then. `cancelled`: who cancelled an announced rollback; none is announced again as long as the trigger fires.
    `observed`: it is on record what would have been announced, were it enforced. `why`: the breach, as it was when that level was reached.
    """

    levels: tuple[Level, ...] = ()
    since: datetime | None = None
    unseen: timedelta = timedelta()
    acknowledged: Said | None = None
    announced: Announced | None = None
    cancelled: Said | None = None
    observed: bool = False
    why: str = ""

    @property
    def level(self) -> str:
        """The name of its level; "" where it has none."""
        return self.levels[-1].name if self.levels else ""


@dataclass(frozen=True, slots=True)
class Escalations:
    """Of every trigger that escalates now, or has a rollback announced, by its name."""

    triggers: Mapping[str, Escalated] = field(default_factory=dict)


def fold(known: Escalations, event: Event, body: Mapping[str, Any], at: datetime) -> Escalations:
    """The levels after one record."""
    if event is Event.INTENDED:
        return _rolled_back(known, body, at)
    name = body.get("alert", "")
    if event is Event.CANCELLED and not name:  # a further way back, which no trigger announced
        return known
    if event is Event.EASED:
        return Escalations({other: one for other, one in known.triggers.items() if other != name})
    folded = _FOLDS.get(event)
    if folded is None or (event is Event.OBSERVED and not body.get("announced")):
        return known
    return Escalations({**known.triggers, name: folded(known.triggers.get(name, Escalated()), body, at)})


def clock(at: datetime) -> str:
    """A time for people, wherever they are."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _escalated(one: Escalated, body: Mapping[str, Any], at: datetime) -> Escalated:
    return replace(one, levels=(*one.levels, Level(body["level"], at)), since=at, unseen=timedelta(seconds=body["unseen"]), why=body["why"])


def _scheduled(one: Escalated, body: Mapping[str, Any], at: datetime) -> Escalated:
    return replace(one, announced=Announced(datetime.fromisoformat(body["due"]), body["to"], body["why"], at))


def _acknowledged(one: Escalated, body: Mapping[str, Any], at: datetime) -> Escalated:
    return replace(one, acknowledged=Said(body["by"], body["why"], at))


def _cancelled(one: Escalated, body: Mapping[str, Any], at: datetime) -> Escalated:
    if body.get("moot"):
        return replace(one, announced=None, since=at, unseen=timedelta(seconds=body["unseen"]))
    return replace(one, announced=None, cancelled=Said(body["by"], body["why"], at))


def _observed(one: Escalated, _body: Mapping[str, Any], _at: datetime) -> Escalated:
    return replace(one, observed=True)


def _rolled_back(known: Escalations, body: Mapping[str, Any], at: datetime) -> Escalations:
    """What was announced has begun; whether it helps is seen before the next one."""
    if body["kind"] != Kind.ROLLBACK or "announced" not in body:
        return known
    begun = {
        name: replace(known.triggers[name], announced=None, since=at, unseen=timedelta(seconds=unseen))
        for name, unseen in body["announced"].items()
        if name in known.triggers
    }
    return Escalations({**known.triggers, **begun})


_FOLDS: dict[Event, Callable[[Escalated, Mapping[str, Any], datetime], Escalated]] = {
    Event.ESCALATED: _escalated,
    Event.SCHEDULED: _scheduled,
    Event.ACKNOWLEDGED: _acknowledged,
    Event.CANCELLED: _cancelled,
    Event.OBSERVED: _observed,
}
