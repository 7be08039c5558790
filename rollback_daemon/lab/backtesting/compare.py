"""Two versions of a rule file over the same history: which fires and decisions come, go, or move.

Triggers are matched by name. A fire of one version is that of the other where the times from pending to resolved overlap; a decision where it is of
the same kind to the same stage and at most an hour away. Works on the document (`report`). Must not live here: running either of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.lab.backtesting import words
from rollback_daemon.lab.backtesting.report import Entry, stamp
from rollback_daemon.lab.backtesting.spells import Spell, pairs, spells

_SAME = timedelta(hours=1)
_PEOPLE = {"resume", "complete", "restore", "promote"}


@dataclass(frozen=True, slots=True)
class _Moment:
    """A decision, half the tolerance wide on either side."""

    at: datetime
    what: str

    @property
    def begun(self) -> datetime:
        return self.at - _SAME / 2

    @property
    def end(self) -> datetime:
        return self.at + _SAME / 2


def compared(this: Mapping[str, Any], other: Mapping[str, Any]) -> Entry:
    """What is different in `other`, a rollout's part of the document, from `this`."""
    mine = {one["alert"]: one for one in this["triggers"]}
    theirs = {one["alert"]: one for one in other["triggers"]}
    last = datetime.fromisoformat(this["to"])
    triggers = [_trigger(name, mine.get(name), theirs.get(name), last) for name in dict.fromkeys([*mine, *theirs])]
    decisions = _decisions(this["decisions"], other["decisions"])
    return {
        "rollout": other["rollout"],
        "file": other["file"],
        "digest": other["digest"],
        "triggers": triggers,
        "decisions": decisions,
        "different": any(one["added"] or one["gone"] or one["moved"] for one in [*triggers, decisions]) or mine.keys() != theirs.keys(),
    }


def _trigger(name: str, mine: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None, last: datetime) -> Entry:
    matched = list(pairs(spells(mine, last) if mine else [], spells(theirs, last) if theirs else []))
    both = [(one, two) for one, two in matched if one and two]
    return {
        "alert": name,
        "only_in": None if mine and theirs else "this" if mine else "other",
        "limits": [_told(mine), _told(theirs)],
        "unknown": [mine["unknown"]["share"] if mine else None, theirs["unknown"]["share"] if theirs else None],
        "fired": [len([one for one, _ in matched if one]), len([two for _, two in matched if two])],
        "added": [_spell(two) for one, two in matched if two and not one],
        "gone": [_spell(one) for one, two in matched if one and not two],
        "moved": [_moved(one.fired, two.fired) for one, two in both if one.fired != two.fired],
        "same": sum(one.fired == two.fired for one, two in both),
    }


def _told(trigger: Mapping[str, Any] | None) -> str | None:
    return words.limit(trigger) if trigger else None


def _spell(one: Spell) -> Entry:
    return {"fired": stamp(one.fired), "resolved": None if one.open else stamp(one.end)}


def _moved(before: datetime, after: datetime) -> Entry:
    return {"fired": stamp(before), "other": stamp(after), "seconds_later": (after - before).total_seconds()}


def _decisions(mine: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> Entry:
    """Those of the guard; what people do follows from them."""
    ours, others = _moments(mine), _moments(theirs)
    matched = [
        found
        for what in dict.fromkeys([*(one.what for one in ours), *(one.what for one in others)])
        for found in pairs([one for one in ours if one.what == what], [one for one in others if one.what == what])
    ]
    both = [(one, two) for one, two in matched if one and two]
    return {
        "added": [{"at": stamp(two.at), "what": two.what} for one, two in matched if two and not one],
        "gone": [{"at": stamp(one.at), "what": one.what} for one, two in matched if one and not two],
        "moved": [{"what": one.what, **_moved(one.at, two.at)} for one, two in both if one.at != two.at],
        "same": sum(one.at == two.at for one, two in both),
    }


def _moments(decisions: Sequence[Mapping[str, Any]]) -> list[_Moment]:
    return [
        _Moment(datetime.fromisoformat(one["at"]), f"{one['kind']} {one['from']} > {one['to']}" if one["to"] else one["kind"])
        for one in decisions
        if one["kind"] not in _PEOPLE
    ]
