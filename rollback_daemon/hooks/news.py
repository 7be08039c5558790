"""What has happened, for hooks: read from the journal, and remembered from this run while the journal does not take it.

Lives here: reading records once each, whichever way they come. Must not live here: what a record means to a hook (`events`), who is told (`outbox`).
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.hooks.events import CONTEXT, KINDS, Last, identity
from rollback_daemon.journal.journal import Journal, Record
from rollback_daemon.judge.transitions import Event

_PAGE = 500  # records that are read at once
_KEPT = 1000  # records that are remembered while the journal does not have them


class News:
    """The records that hooks may be told of. `happened` is for any thread, the rest for one at a time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()  # around what is astray
        self._astray: deque[Record] = deque(maxlen=_KEPT)
        self._unread: deque[Record] = deque(maxlen=_KEPT)
        self._given: dict[tuple[str, str], None] = {}  # in their order, as a set is not

    @property
    def astray(self) -> bool:
        """Whether something happened that the journal may not have."""
        return bool(self._astray)

    def happened(self, rollout: str, event: Event, body: Mapping[str, Any], at: datetime) -> bool:
        """Something was put on record, or could not be; returns whether hooks may be told of it. Costs next to nothing."""
        told = event in KINDS
        if (told or event in CONTEXT) and not self._journal.writable:
            record = Record(0, at, rollout, event, dict(body), "")
            with self._lock:
                self._astray.append(record)
                if told:
                    self._unread.append(record)
        return told

    def on_record(self, after: int) -> Iterator[tuple[list[Record], int]]:
        """Page by page what stands in the journal after that number, and the number up to which it is read then. Raises JournalUnavailable."""
        while True:
            end = self._journal.head().seq
            page = self._journal.records(kinds=KINDS, after=after, limit=_PAGE)
            whole = len(page) < _PAGE
            after = max([after, end if whole else 0, *(record.seq for record in page)])
            yield page, after
            if whole:
                break
        if self._journal.writable:
            with self._lock:
                self._astray.clear()

    def off_record(self) -> Iterator[Record]:
        """What the journal did not have when it happened, and nobody was given yet."""
        while True:
            with self._lock:
                record = self._unread.popleft() if self._unread else None
            if record is None:
                return
            yield record

    def last_before(self, record: Record) -> Last:
        """Looks back from that record."""

        def last(kinds: tuple[Event, ...]) -> Record | None:
            if not record.seq and (known := self._last_astray(record, kinds)):
                return known
            try:
                found = self._journal.records(record.rollout, kinds=kinds, before=record.seq or None, limit=1, newest_first=True)
            except JournalUnavailable:
                if record.seq:
                    raise
                return None  # less is said then
            return found[0] if found else None

        return last

    def is_new(self, record: Record) -> bool:
        """Whether it was not given yet: what was spilled comes a second time when the journal takes it."""
        return _known_by(record) not in self._given

    def given(self, record: Record) -> None:
        """Everybody was told of it who asked for it."""
        self._given[_known_by(record)] = None
        if len(self._given) > 2 * _KEPT:
            del self._given[next(iter(self._given))]

    def _last_astray(self, record: Record, kinds: tuple[Event, ...]) -> Record | None:
        with self._lock:
            earlier = []
            for one in self._astray:
                if one is record:
                    break
                if one.rollout == record.rollout and one.kind in kinds:
                    earlier.append(one)
        return earlier[-1] if earlier else None


def _known_by(record: Record) -> tuple[str, str]:
    """Two rollouts that are judged in one cycle have records of the same moment, and often with the same words."""
    return record.rollout, identity(record.kind, record.at, record.body)
