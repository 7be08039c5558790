"""Which incidents a rollout had, and which records belong to each: the same fold as the judge's, over the same records. Pure.

An incident begins with a rollback while nothing is latched, and ends when somebody resumes or promotes; it has the id of its first rollback.
Lives here: that choice. Must not live here: reading the journal, the report of one incident (`incident_report`).
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollback_daemon.errors import OperationRefused
from rollback_daemon.governance.entries import Entry, moment
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge import aftermath
from rollback_daemon.judge.aftermath import Aftermath
from rollback_daemon.judge.postmortem import Paper
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.transitions import Event, Kind

LAST = "last"
"""How the newest incident is asked for."""
OUTLINE = (
    *(Event.ADOPTED, Event.INTENDED, Event.DONE, Event.ABANDONED, Event.RESUMED),
    *(Event.CHECKED, Event.VERIFIED, Event.UNVERIFIED, Event.POSTMORTEM),
)
"""The kinds of records that say which incidents there were; the other kinds fill them in."""
_ABOUT = {Event.POSTMORTEM, Event.PLOTTED, Event.TOLD}  # name their incident, and may come after its end
_BEFORE = {
    *(Event.ESCALATED, Event.ACKNOWLEDGED, Event.SCHEDULED, Event.CANCELLED, Event.DRIFT, Event.GATE, Event.SIGHT, Event.REFUSED),
    *(Event.MISCONFIGURED, Event.HELD, Event.RESUMED, Event.HOOKED, Event.TOLD, Event.BUDGET),
}
_MOST_BEFORE = 200


@dataclass(slots=True)
class Incident:
    """One incident: what led to it, its own records from the intent of its first rollback on, and what was written about it later.

    `stage` is where it was before, since `entered`. `aftermath` is the judge's, at its end or now. `unread`: records that could not be understood.
    """

    id: str
    rollout: str
    opening: Record
    stage: str
    entered: datetime | None
    aftermath: Aftermath
    lead: list[Record] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    ending: Record | None = None
    later: list[Record] = field(default_factory=list)
    unread: list[Record] = field(default_factory=list)

    @property
    def all(self) -> list[Record]:
        """All of them, oldest first."""
        return [*self.lead, *self.records, *self.later]

    def of_kind(self, *kinds: Event) -> Iterator[Record]:
        """Its records of these kinds, oldest first."""
        return (one for one in self.all if one.kind in kinds)

    @property
    def rollbacks(self) -> list[Record]:
        """The intents of its rollbacks."""
        return [one for one in self.records if is_rollback(one)]

    @property
    def paper(self) -> Paper:
        """What people have written of it."""
        written = frozenset(name for one in self.of_kind(Event.POSTMORTEM) for name in one.body.get("fields", {}))
        return Paper(self.id, written, self.completed is not None)

    @property
    def completed(self) -> Record | None:
        """Who completed its report first, after the last rollback that a trigger or a person asked for: such a one leaves more to be said."""
        since = max((one.seq for one in self.rollbacks if one.body.get("code") != Code.UNVERIFIED), default=0)
        return next((one for one in self.of_kind(Event.POSTMORTEM) if one.body.get("complete") and one.seq > since), None)

    @property
    def by_escalation(self) -> bool:
        """Whether the rollback that began it was announced because nobody had looked after a trigger, and not as what that trigger does."""
        named = set(self.opening.body.get("triggers", []))
        reached = [one for one in self.lead if one.kind == Event.ESCALATED and one.body.get("alert") in named]
        announced = [one for one in self.lead if one.kind == Event.SCHEDULED and one.body.get("alert") in named]
        return any(level.at < one.at for level in reached for one in announced if level.body.get("alert") == one.body.get("alert"))


def is_rollback(record: Record) -> bool:
    """Whether it is the intent of a rollback that is no rehearsal."""
    return record.kind == Event.INTENDED and record.body.get("kind") == Kind.ROLLBACK and "rehearsal" not in record.body


def incidents(records: Iterable[Record]) -> list[Incident]:
    """The incidents of one rollout, oldest first, from its records in order."""
    fold = _Fold()
    for record in records:
        fold.take(record)
    return fold.found


def called(found: Iterable[Incident], rollout: str, identity: str) -> Incident:
    """The incident with that id, or with a part of it that no other has, or the `last` one. Raises OperationRefused where there is none."""
    known = list(found)
    if not known:
        raise OperationRefused(f'there is no incident "{identity}" in {rollout}: it was never rolled back')
    if identity == LAST:
        return known[-1]
    meant = [one for one in known if one.id == identity] or [one for one in known if identity in one.id]
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(one.id for one in meant or known)
    if meant:
        raise OperationRefused(f'"{identity}" is a part of more than one incident of {rollout}; name one of: {names}')
    raise OperationRefused(f'there is no incident "{identity}" in {rollout}; known: {names}')


def outline(one: Incident) -> Entry:
    """An incident in a few facts."""
    body = one.opening.body
    return {
        "incident": one.id,
        "rollout": one.rollout,
        "began": moment(one.opening.at),
        "ended": moment(one.ending.at) if one.ending else None,
        "from": body.get("from", ""),
        "to": one.rollbacks[-1].body.get("to", "") if one.rollbacks else "",
        "code": body.get("code", ""),
        "triggers": triggers(one),
        "rollbacks": len(one.rollbacks),
        "verification": verification(one.aftermath),
        "complete": one.paper.complete,
    }


def triggers(one: Incident) -> list[str]:
    """The triggers that its rollbacks name, in their order."""
    return list(dict.fromkeys(name for intent in one.rollbacks for name in intent.body.get("triggers", [])))


def verification(known: Aftermath) -> str:
    """What its verification came to."""
    return "under way" if known.verifying else str(known.outcome or ("not asked for" if known.done else "not yet due"))


def overlapping(one: Incident, others: Iterable[Record], now: datetime) -> list[Entry]:
    """The incidents of other rollouts at the same time, in a few facts; `others` are the intents and resumes of every rollout, in order."""
    by_rollout: dict[str, list[Record]] = {}
    for record in others:
        if record.rollout != one.rollout:
            by_rollout.setdefault(record.rollout, []).append(record)
    start, end = one.opening.at, one.ending.at if one.ending else now
    found = (incident for records in by_rollout.values() for incident in incidents(records))
    return [
        {name: made[name] for name in ("rollout", "incident", "began", "ended", "from", "to")}
        for incident in found
        if incident.opening.at <= end and (incident.ending is None or incident.ending.at >= start)
        for made in [outline(incident)]
    ]


class _Fold:
    def __init__(self) -> None:
        self.found: list[Incident] = []
        self._aftermath = Aftermath()
        self._open: Incident | None = None
        self._stage, self._entered = "", None  # type: tuple[str, datetime | None]
        self._active: dict[tuple[str, frozenset[Any]], list[Record]] = {}
        self._before: deque[Record] = deque(maxlen=_MOST_BEFORE)
        self._evidence: dict[str, Record] = {}

    def take(self, record: Record) -> None:
        before = self._aftermath
        try:
            self._aftermath = aftermath.fold(before, Event(record.kind), record.body, record.at)
            self._watch(record)
        except (KeyError, ValueError, TypeError, AttributeError):
            if self._open:
                self._open.unread.append(record)
            return
        if not before.incident and self._aftermath.incident:
            self._begin(record)
        if self._open is None or record.kind in _ABOUT:
            self._file(record)
        else:
            self._open.records.append(record)
            self._end_if_over(record)

    def _begin(self, record: Record) -> None:
        stage = self._stage or record.body.get("from", "")
        self._open = Incident(self._aftermath.incident, record.rollout, record, stage, self._entered, self._aftermath)
        named = set(record.body.get("triggers", []))
        runs = [one for (alert, _), run in self._active.items() if alert in named for one in run]
        since = min((one.at for one in runs), default=record.at)
        told = [one for one in self._before if one.at >= since and _led_to(one, named, runs)]
        cited = [self._evidence.get(one["evidence"]) for one in record.body.get("evidence") or () if one.get("sha256")]
        told += [one for one in cited if one]
        self._open.lead = sorted([*runs, *told], key=lambda one: one.seq)
        self.found.append(self._open)

    def _end_if_over(self, record: Record) -> None:
        if self._open is None:
            return
        if self._aftermath.incident == self._open.id:
            self._open.aftermath = self._aftermath
        else:
            self._open.ending, self._open = record, None

    def _file(self, record: Record) -> None:
        """What says itself which incident it is about; what else lies outside of any is kept for the next one."""
        if record.kind in _ABOUT and record.body.get("incident"):
            for one in self.found:
                if one.id == record.body.get("incident"):
                    (one.records if one is self._open else one.later).append(record)
            if self._open and self._aftermath.incident == self._open.id:
                self._open.aftermath = self._aftermath
        elif self._open:
            self._open.records.append(record)
        elif record.kind in _BEFORE:
            self._before.append(record)

    def _watch(self, record: Record) -> None:
        body = record.body
        if record.kind == Event.TRIGGER:
            key = (body["alert"], frozenset(_labels(body).items()))
            if body["phase"] == "inactive":
                self._active.pop(key, None)
            else:
                self._active.setdefault(key, []).append(record)
        elif record.kind == Event.EVIDENCE:
            self._evidence[body["evidence"]] = record
        elif record.kind == Event.ADOPTED:
            self._stage, self._entered = body["stage"], record.at
        elif record.kind == Event.DONE and body["kind"] in {Kind.PROMOTE, Kind.ROLLBACK}:
            self._stage, self._entered = body["to"], record.at


def _led_to(record: Record, named: Collection[str], runs: Iterable[Record]) -> bool:
    """Whether what happened before an incident, of which these triggers are the cause, belongs to it; `runs` are the triggers' own records."""
    body = record.body
    if record.kind == Event.TOLD:
        return any(one.get("alertname") in named or one.get("trigger") in named for one in body.get("alerts", []))
    if record.kind == Event.HOOKED:  # of what lies further back it may be the last of many tries
        return bool(named) and body.get("of", 0) >= min((one.seq for one in runs), default=0)
    return body.get("alert", "") in {"", *named}


def _labels(body: Mapping[str, Any]) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in (body.get("labels") or {}).items()}
