"""The signals around an incident, for plots: as Prometheus had them where that is on record, else as the triggers' own records tell.

Lives here: series with their limits, and when each trigger was pending and firing. Pure. Must not live here: asking for them, drawing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from rollback_daemon.governance.entries import Entry, moment
from rollback_daemon.governance.incidents import Incident
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.transitions import Event

MOST_SIGNALS, MOST_SERIES = 6, 3
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


def signals(one: Incident) -> list[Entry]:
    """The series to be plotted: `name`, `labels`, `unit`, `limit` in words and its `lines`, the `alerts` that it belongs to, `points` of Unix
    seconds and value.
    """
    plotted: list[list[Entry]] = [record.body.get("signals", []) for record in one.of_kind(Event.PLOTTED)]
    newest = next((found for found in reversed(plotted) if found), None)
    told = list(_told_by_triggers(one))
    shown = [_with_breaches(_known(made), told) for made in newest or ()]
    covered = {alert for made in shown for alert in made["alerts"]}  # figures of evidence, for one, have no history to be asked for
    return [*shown, *[made for made in told if made["name"] not in covered][:MOST_SIGNALS]]


def _known(made: Mapping[str, Any]) -> Entry:
    names = ("name", "expr", "unit", "labels", "limit", "lines", "alerts", "points")
    empty: dict[str, Any] = {"name": "", "expr": "", "unit": "", "labels": {}, "limit": "", "lines": [], "alerts": [], "points": []}
    return {name: made.get(name, empty[name]) for name in names}


def _with_breaches(made: Entry, told: Iterable[Entry]) -> Entry:
    """The values that the triggers saw belong to it: a short breach may lie between two of Prometheus' points."""
    seen = [one for one in told if one["name"] in made["alerts"] and one["labels"] == made["labels"] and one["limit"] == made["limit"]]
    return {**made, "points": sorted([*made["points"], *(point for one in seen for point in one["points"])])}


def phases(one: Incident, at: datetime) -> list[Entry]:
    """When a series of a trigger was pending or firing: `alert`, `labels`, `phase`, `from`, `to` (None: still)."""
    found: list[Entry] = []
    under_way: dict[tuple[str, str], Entry] = {}
    for record in one.of_kind(Event.TRIGGER):
        key = _key(record)
        if key in under_way:
            under_way.pop(key)["to"] = moment(record.at)
        if record.body["phase"] in {"pending", "firing"} and len(found) < 100:
            since = record.body.get("active_since") if record.body["phase"] == "pending" else None
            start = moment(datetime.fromisoformat(since)) if since else moment(record.at)
            facts = {"alert": record.body["alert"], "labels": record.body.get("labels", {}), "phase": record.body["phase"]}
            under_way[key] = {**facts, "from": start, "to": None}
            found.append(under_way[key])
    end = moment(min(at, one.ending.at) if one.ending else at)
    for left in under_way.values():
        left["to"] = end
    return found


def _key(record: Record) -> tuple[str, str]:
    return record.body["alert"], repr(sorted((record.body.get("labels") or {}).items()))


def _told_by_triggers(one: Incident) -> Iterator[Entry]:
    """What the records of the triggers' phases have: a value now and then."""
    found: dict[tuple[str, str], Entry] = {}
    for record in one.of_kind(Event.TRIGGER):
        body, value = record.body, record.body.get("value")
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            continue
        limit = str(body.get("limit") or "")
        facts = {"name": body["alert"], "expr": "", "unit": "", "labels": body.get("labels", {}), "limit": limit, "lines": lines(limit)}
        made = found.setdefault(_key(record), {**facts, "alerts": [body["alert"]], "points": []})
        made["points"].append([record.at.timestamp(), value])
    yield from found.values()


def lines(limit: str) -> list[float]:
    """The figures in a limit as it is shown: `> 0.01`, `outside [1, 5]`."""
    return [float(text) for text in _NUMBER.findall(limit)]
