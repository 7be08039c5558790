"""How well triggers and rollbacks found the incidents that people know of. Works on the document (`report`).

What counts as what: an incident is widened by the tolerance on both sides. A fire that overlaps it *catches* it, and is a true one; a fire that
overlaps none is *false*. An incident that nothing caught is *missed*. Detection is counted from the incident's start to the first fire that caught
it, and is 0 where that fired already. For the rollout a rollback (or what would have been one) stands for a fire that lasts no time; an incident
during all of which the rollout was latched or at its baseline could not be caught, is *not exposed*, and counts neither way. Precision is the share
of fires that are true, recall the share of incidents that were caught. Incidents outside of the history are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from rollback_daemon.lab.backtesting.incidents import Incident
from rollback_daemon.lab.backtesting.report import Entry, stamp
from rollback_daemon.lab.backtesting.spells import Spell, spells
from rollback_daemon.rules.model import BASELINE


@dataclass(frozen=True, slots=True)
class _Judged:
    incidents: Sequence[Incident]
    fires: Sequence[Spell]
    tolerance: timedelta


def scored(rollout: Mapping[str, Any], incidents: Sequence[Incident], tolerance: timedelta) -> Entry:
    """A rollout's part of the document against the incidents that are its own or everybody's."""
    first, last = datetime.fromisoformat(rollout["from"]), datetime.fromisoformat(rollout["to"])
    mine = [one for one in incidents if one.rollout in {"", rollout["rollout"]}]
    inside = [one for one in mine if one.end >= first and one.start <= last]
    rollbacks = [_moment(one["at"]) for one in rollout["decisions"] if one["kind"] == "rollback" or one["kind"].startswith("would rollback")]
    shut = _unexposed(rollout, last)
    hidden = [one for one in inside if _is_within(one, shut) and not any(_overlaps(one, fire, tolerance) for fire in rollbacks)]
    exposed = [one for one in inside if one not in hidden]
    return {
        "rollout": rollout["rollout"],
        "incidents": len(inside),
        "outside": [one.name for one in mine if one not in inside],
        "tolerance": tolerance.total_seconds(),
        "rollbacks": {**_score(_Judged(exposed, rollbacks, tolerance)), "not_exposed": [one.name for one in hidden]},
        "triggers": [{"alert": one["alert"], **_score(_Judged(inside, spells(one, last), tolerance))} for one in rollout["triggers"]],
    }


def _score(judged: _Judged) -> Entry:
    caught: list[Entry] = []
    missed: list[str] = []
    for one in judged.incidents:
        by = [fire for fire in judged.fires if _overlaps(one, fire, judged.tolerance)]
        if not by:
            missed.append(one.name)
            continue
        after = max(timedelta(), min(fire.fired for fire in by) - one.start).total_seconds()
        caught.append({"name": one.name, "start": stamp(one.start), "fired": stamp(min(fire.fired for fire in by)), "after": after})
    false = [fire for fire in judged.fires if not any(_overlaps(one, fire, judged.tolerance) for one in judged.incidents)]
    delays = [one["after"] for one in caught]
    return {
        "caught": caught,
        "missed": missed,
        "false": [stamp(one.fired) for one in false],
        "detection": {"median": median(delays), "worst": max(delays)} if delays else None,
        "precision": 1 - len(false) / len(judged.fires) if judged.fires else None,
        "recall": len(caught) / len(judged.incidents) if judged.incidents else None,
    }


def _overlaps(incident: Incident, fire: Spell, tolerance: timedelta) -> bool:
    return fire.fired <= incident.end + tolerance and fire.end >= incident.start - tolerance


def _moment(text: str) -> Spell:
    at = datetime.fromisoformat(text)
    return Spell(at, at, at)


def _unexposed(rollout: Mapping[str, Any], last: datetime) -> list[tuple[datetime, datetime]]:
    """From when to when it was latched after a rollback, or stood at its baseline."""
    found = [
        (datetime.fromisoformat(one["at"]), datetime.fromisoformat(one["until"]) if one["until"] else last)
        for one in rollout["decisions"]
        if one["kind"] == "rollback"
    ]
    stays = [(datetime.fromisoformat(one["at"]), one["stage"]) for one in rollout["stays"]]
    ends = [*(at for at, _ in stays[1:]), last]
    return found + [(at, end) for (at, stage), end in zip(stays, ends, strict=False) if stage == BASELINE]


def _is_within(incident: Incident, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    """Whether the spans together cover all of the incident."""
    reached: datetime | None = None
    for begin, end in sorted(spans):
        if begin <= (reached or incident.start) <= end:
            reached = max(reached or end, end)
    return reached is not None and reached >= incident.end
