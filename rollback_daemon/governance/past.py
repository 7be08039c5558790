"""One rollout at a past moment, as far as the journal tells: the records up to it, folded as a restart folds them, and what else was on record.

Lives here: which records tell it, and the fold. Must not live here: how it is shown (`views_past`), the text of a moment (`moments`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rollback_daemon.errors import ImpossibleMoment
from rollback_daemon.journal.journal import Journal, Record
from rollback_daemon.judge.machine import recorded
from rollback_daemon.judge.state import State
from rollback_daemon.judge.transitions import Event, Kind

_SEEN = {Event.TRIGGER, Event.GATE, Event.BUDGET, Event.SIGHT, Event.DRIFT, Event.MISCONFIGURED}
"""What was seen: of these the newest of each thing tells, and there are many of them."""
_BESIDE = {Event.TOLD, Event.HOOKED, Event.PLOTTED}
_FOLDED = [event for event in Event if event not in {*_SEEN, *_BESIDE, Event.REFUSED, Event.BACKED_UP}]
TOLD = [event for event in Event if event not in _BESIDE]
"""What is told of the time before and after: everything but whom that was told."""
BEFORE, AFTER = 5, 3
_PAGE = 1000
_ENDS = (Event.DONE, Event.ABANDONED, Event.INTENDED)

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(slots=True)
class Past:
    """What was on record of a rollout at `at`. `state` is what a restart would have folded then; the judge's own memory is not in it.

    `rules`: the version of the rule file that held. `series`: the newest record of each series of each trigger; `gates`, `budgets`, `sight`, `drift`
    and `misconfigured`: the newest of each. `flags`: those that the last transition read back (None: there was none since its flags were found so).
    `steps`: what had been done of the transition under way, and `ended` how it ended later. `before` are the last records, newest last, and
    `after` the next ones. `unread`: records that do not follow from those before them. `turned_back`: the clock was set back since.
    `forgotten`: at which record a trigger (`alert`) or `gate` was taken out of the rule file, and with it what was known of it.
    """

    at: datetime
    state: State = field(default_factory=State)
    rules: Record | None = None
    series: list[Record] = field(default_factory=list)
    gates: list[Record] = field(default_factory=list)
    budgets: list[Record] = field(default_factory=list)
    sight: Record | None = None
    drift: Record | None = None
    misconfigured: Record | None = None
    flags: Mapping[str, Any] | None = None
    steps: list[Record] = field(default_factory=list)
    ended: Record | None = None
    before: list[Record] = field(default_factory=list)
    after: list[Record] = field(default_factory=list)
    unread: int = 0
    turned_back: bool = False
    forgotten: dict[tuple[str, str], int] = field(default_factory=dict)


def past(journal: Journal, rollout: str, at: datetime) -> Past:
    """What was on record then. Raises ImpossibleMoment for one before the first record, and JournalUnavailable."""
    last = journal.past.number_at(rollout, at)
    if not last:
        first = journal.records(rollout, limit=1)
        since = f"its first record is of {first[0].at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if first else "nothing is on record of it yet"
        raise ImpossibleMoment(f"nothing was on record of {rollout} at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z; {since}")
    found = Past(at)
    _fold(found, _pages(journal, rollout, last))
    for kind, name, known, key in (
        (Event.TRIGGER, "alert", found.series, _series),
        (Event.GATE, "gate", found.gates, lambda body: _between(body, '"gate":', ',"labels":')),
        (Event.BUDGET, "alert", found.budgets, lambda body: _between(body, '"alert":', ',"spent":')),
    ):
        newest = journal.past.newest_of_each(rollout, kind, last, key)
        known += [one for one in newest if one.seq > found.forgotten.get((name, one.body[name]), 0)]
    found.sight, found.drift = (_newest(journal, rollout, kind, last) for kind in (Event.SIGHT, Event.DRIFT))
    found.misconfigured = _newest(journal, rollout, Event.MISCONFIGURED, last)
    found.before = journal.records(rollout, kinds=TOLD, before=last + 1, limit=BEFORE, newest_first=True)[::-1]
    found.after = journal.records(rollout, kinds=TOLD, after=last, limit=AFTER)
    opened = found.state.position.open if found.state.position else None
    if opened:
        later = journal.records(rollout, kinds=_ENDS, after=last, limit=1)
        found.ended = later[0] if later else None
    return found


def _pages(journal: Journal, rollout: str, last: int) -> Iterator[Record]:
    """All that is folded, in order, a few at a time: there may be years of it."""
    after: int | None = 0
    while after is not None:
        page = journal.records(rollout, kinds=_FOLDED, after=after, before=last + 1, limit=_PAGE)
        yield from page
        after = page[-1].seq if len(page) == _PAGE else None


def _newest(journal: Journal, rollout: str, kind: Event, last: int) -> Record | None:
    found = journal.records(rollout, kinds=[kind], before=last + 1, limit=1, newest_first=True)
    return found[0] if found else None


def _series(body: str) -> str:
    """The trigger and the labels, as they stand in canonical JSON."""
    return _between(body, '"alert":', '},"limit":')  # a label may be called limit, too


def _between(body: str, first: str, then: str) -> str:
    """A part of canonical JSON from one key to another; neither can stand in a text there, where a quotation mark has a backslash before it."""
    start = body.find(first)
    return body[start : body.find(then, start)]


def _fold(found: Past, records: Iterable[Record]) -> None:
    steps: list[Record] = []
    for record in records:
        found.turned_back = found.turned_back or record.at > found.at
        try:
            found.state = recorded(found.state, Event(record.kind), record.body, record.at)
            _note(found, record)
        except Exception:  # noqa: BLE001 (as at a restart: one altered record must not hide the others)
            found.unread += 1
            continue
        if record.kind == Event.INTENDED:
            steps = [record]
        elif steps and record.body.get("id") == steps[0].body.get("id"):
            steps.append(record)
    opened = found.state.position.open if found.state.position else None
    found.steps = steps if opened else []


def _note(found: Past, record: Record) -> None:
    body = record.body
    if record.kind == Event.CONFIGURED:
        before, found.rules = found.rules.body if found.rules else {}, record
        for name, kind in (("alert", "triggers"), ("gate", "gates")):
            gone = set(before.get(kind) or ()) - set(body[kind]) if body.get(kind) is not None else ()
            found.forgotten |= {(name, one): record.seq for one in gone}
    elif record.kind == Event.ADOPTED:
        found.flags = None
    elif record.kind == Event.DONE and body.get("flags") is not None:
        partly = body["kind"] in {Kind.DEGRADE, Kind.RESTORE}
        found.flags = {**found.flags, **body["flags"]} if partly and found.flags is not None else None if partly else body["flags"]
