"""The journal: append, replay, verify.

Lives here: what a record is, how records are chained, and what happens when the database will not take one.
Must not live here: SQL that only one database understands, or what any kind of record means to the daemon.
"""

import contextlib
import hashlib
import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select, update

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.canonical import canonical, plain_text, stamp
from rollback_daemon.journal.cursors import Cursors
from rollback_daemon.journal.database import ABSORBED, HEAD, HEARTBEAT, MEMORY, ORIGIN, RECORDS, Database
from rollback_daemon.journal.looking_back import LookingBack
from rollback_daemon.journal.spill import Line, Spill


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal. `seq` counts from 1 without gaps, `at` is in UTC.

    `digest` covers this record and, through the one before it, all earlier ones.
    """

    seq: int
    at: datetime
    rollout: str
    kind: str
    body: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: how many records there are, and the number and digest of the last one."""

    count: int
    seq: int
    digest: str


def digest_of(previous: str, seq: int, at: str, rollout: str, kind: str, body: str) -> str:
    """SHA-256, in hex, of the previous digest and the record's canonical JSON: keys sorted, no spaces, ASCII.

    `body` is itself canonical JSON already, so that what is hashed is byte for byte what is stored.
    """
    at, kind, rollout = json.dumps(at), json.dumps(kind), json.dumps(rollout)
    record = f'{{"at":{at},"body":{body},"kind":{kind},"rollout":{rollout},"seq":{seq}}}'
    return hashlib.sha256(f"{previous}{record}".encode()).hexdigest()


def _complain(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")


Entry = tuple[str, str, str, str]
"""A record that has no place in the chain yet: time, rollout, kind, and body in canonical JSON."""

_HEAD = select(HEAD.c.count, HEAD.c.seq, HEAD.c.digest).where(HEAD.c.id == 1)


class Journal:
    """The durable record of what was decided and done. Safe to share between threads."""

    def __init__(
        self,
        database: Database,
        spill: Spill,
        *,
        last_resort: Callable[[str], None],
        observe: Callable[[float], None] | None,
    ) -> None:
        self._database = database
        self._spill = spill
        self._last_resort = last_resort
        self._observe = observe
        self._lock = threading.RLock()  # around the chain, and around the order of database and spill
        self._behind = False  # whether something that was handed over is not in the database yet

    @classmethod
    def open(
        cls,
        url: str,
        *,
        last_resort: Callable[[str], None] = _complain,
        observe: Callable[[float], None] | None = None,
        busy_timeout: timedelta = timedelta(seconds=2),
    ) -> Self:
        """Open the journal, creating the file (not its folder) where there is none.

        `last_resort` is told, in one sentence, what could be written nowhere. `observe` receives the seconds of each
        successful append. `busy_timeout` is how long to wait for another process to let go of the database.
        Raises JournalUnavailable, with cause and remedy.
        """
        database = Database(url, busy_timeout)
        return cls(database, Spill(database.path), last_resort=last_resort, observe=observe)

    @property
    def file(self) -> Path:
        """Where the database is."""
        return self._database.path

    def append(self, rollout: str, kind: str, body: Mapping[str, Any], at: datetime) -> Record:
        """Add a record: committed and on the disk when this returns.

        What was spilled before is absorbed first, so that the order is kept. Numbers that are not finite become what
        Prometheus writes for them ("NaN", "+Inf", "-Inf"), bytes that were no UTF-8 (lone surrogates) become text like
        "\\udcff". Raises JournalUnavailable; TypeError for a body that is not JSON and ValueError for a time without a
        zone or a body of more than 100 levels, all before anything is written.
        """
        return self._append([_entry(rollout, kind, body, stamp(at))], patient=True)[0]

    def append_or_spill(self, rollout: str, kind: str, body: Mapping[str, Any], at: datetime) -> Record | None:
        """Add a record without ever standing in a rollback's way; None when the database did not take it.

        Then it was spilled or, where even that failed, told to the last resort and kept in memory until either works; all
        of these come before the next record. A database that did not take the last record is tried again, but its lock is
        not waited for. Raises nothing but what a programming error deserves: TypeError and ValueError, as in `append`.
        """
        added = self._append_or_spill([_entry(rollout, kind, body, stamp(at))])
        return added[0] if added else None

    def append_many_or_spill(self, rollout: str, happened: Sequence[tuple[str, Mapping[str, Any]]], at: datetime) -> None:
        """`append_or_spill` for several pairs of kind and body, in their order, all or none of them in one transaction."""
        moment = stamp(at)
        if entries := [_entry(rollout, kind, body, moment) for kind, body in happened]:
            self._append_or_spill(entries)

    def absorb_spill(self) -> int:
        """Append what was spilled or kept in memory, in order, at its original time, with `"spilled": true` in the body.

        Returns how many records these were. May be killed at any point and called again: no record is lost, none
        appears twice. Raises JournalUnavailable; then nothing is lost either.
        """
        with self._lock:
            return self._absorb(patient=True)

    def records(
        self,
        rollout: str | None = None,
        *,
        kinds: Collection[str] | None = None,
        after: int = 0,
        before: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Record]:
        """Records with a `seq` above `after` and below `before`, oldest first unless told otherwise, at most `limit` of them.

        Raises JournalUnavailable.
        """
        order = RECORDS.c.seq.desc() if newest_first else RECORDS.c.seq
        query = select(RECORDS).where(RECORDS.c.seq > after).order_by(order).limit(limit)
        if rollout is not None:
            query = query.where(RECORDS.c.rollout == rollout)
        if before is not None:
            query = query.where(RECORDS.c.seq < before)
        if kinds is not None:
            query = query.where(RECORDS.c.kind.in_(sorted(kinds)))
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def head(self) -> Head:
        """The end of the chain as it is stored. Raises JournalUnavailable."""
        with self._database.reading() as connection:
            return _head(connection)

    def verify(self) -> list[str]:
        """Walk the whole chain. Empty when it is whole; otherwise sentences that name the first bad `seq` and say why.

        Whoever rewrites every record and the head is noticed only by a digest of `head` that was kept elsewhere.
        Raises JournalUnavailable when the database cannot be read.
        """
        if damage := self._database.damage():
            return damage
        with self._database.reading() as connection:
            return _faults(connection)

    def save_memory(self, memories: Mapping[str, str], at: datetime) -> None:
        """Keep the judge's latest state (opaque text) of these rollouts, and the time of this heartbeat.

        All or nothing; other rollouts keep theirs. As in `append_or_spill`, a database that did not take the last write is not waited for.
        What was spilled or kept in memory is tried again as well. Raises JournalUnavailable.
        """
        moment = stamp(at)
        rows = [{"rollout": rollout, "state": state} for rollout, state in memories.items()]
        with self._lock, self._catching_up(), self._database.writing(patient=self.writable) as connection:
            if rows:
                old = delete(MEMORY).where(MEMORY.c.rollout == bindparam("key"))
                connection.execute(old, [{"key": rollout} for rollout in memories])
                connection.execute(insert(MEMORY), rows)
            connection.execute(delete(HEARTBEAT))
            connection.execute(insert(HEARTBEAT).values(id=1, at=moment))

    def load_memory(self) -> tuple[dict[str, str], datetime | None]:
        """The judge's states by rollout, and the time of the last heartbeat (None before the first).

        Raises JournalUnavailable.
        """
        with self._database.reading() as connection:
            states = {row.rollout: row.state for row in connection.execute(select(MEMORY))}
            at = connection.execute(select(HEARTBEAT.c.at)).scalar_one_or_none()
        return states, None if at is None else datetime.fromisoformat(at)

    @property
    def cursors(self) -> Cursors:
        """How far each hook has been told what is on record."""
        return Cursors(self._database, self._lock)

    @property
    def past(self) -> LookingBack[Record]:
        """What was on record at a moment."""
        return LookingBack(self._database, _record)

    @property
    def writable(self) -> bool:
        """Whether the last attempt to write succeeded, and nothing is waiting to be written; true before any."""
        return self._database.writable and not self._behind

    def close(self) -> None:
        """Let go of the database. May be called twice."""
        with self._lock:
            self._spill_kept()
            self._database.close()

    def _append(self, entries: Sequence[Entry], *, patient: bool) -> list[Record]:
        start = time.perf_counter()
        with self._lock:
            self._absorb(patient=patient)
            with self._database.writing(patient=patient) as connection:
                records = _chain(connection, entries)
        if self._observe is not None:
            self._observe(time.perf_counter() - start)
        return records

    def _append_or_spill(self, entries: Sequence[Entry]) -> list[Record]:
        with self._lock:
            try:
                return self._append(entries, patient=self.writable)
            except JournalUnavailable as error:
                self._behind = True
                self._spill_or_complain([Line(uuid.uuid4().hex, at, rollout, kind, json.loads(body)) for at, rollout, kind, body in entries], error)
                return []

    def _absorb(self, *, patient: bool) -> int:
        count = 0
        while self._waiting():
            with self._database.writing(patient=patient) as connection:  # no file is touched before the lock is had
                with self._reading_spill():
                    found = {taken: self._spill.read(taken) for taken in self._spill.take()}
                count += _absorb_lines(connection, [line for lines, _ in found.values() for line in lines])
            for taken, (_, unreadable) in found.items():
                self._put_away(taken, unreadable)
        if kept := self._spill.kept:
            with self._database.writing(patient=patient) as connection:
                count += _absorb_lines(connection, kept)
            self._spill.release()
        self._behind = False
        return count

    @contextlib.contextmanager
    def _catching_up(self) -> Iterator[None]:
        """After a write that succeeded or failed, see whether what is waiting can go where it belongs, or at least on the disk."""
        try:
            yield
        except JournalUnavailable:
            self._spill_kept()
            raise
        if self._behind:
            with contextlib.suppress(JournalUnavailable):  # the write itself succeeded; `writable` says that something waits
                self._absorb(patient=False)

    def _spill_kept(self) -> None:
        if self._spill.kept:
            with contextlib.suppress(OSError):  # they were told to the last resort when they came
                self._spill.write()

    def _waiting(self) -> bool:
        with self._reading_spill():
            return self._spill.waiting()

    def _put_away(self, taken: Path, unreadable: int) -> None:
        with self._reading_spill():
            if not unreadable:
                self._spill.forget(taken)
                return
            place = self._spill.set_aside(taken)
        self._tell(f'{unreadable} spilled lines could not be read; they are kept in "{place}" for inspection')

    @contextlib.contextmanager
    def _reading_spill(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = self._spill.path
            raise JournalUnavailable(f'what was spilled to "{place}" cannot be absorbed; mend this: {error}') from error

    def _spill_or_complain(self, lines: Sequence[Line], cause: JournalUnavailable) -> None:
        try:
            self._spill.write(*lines)
        except OSError as error:
            for line in lines:
                what = f"{line.kind} of {line.rollout} at {line.at}: {json.dumps(dict(line.body))}"
                self._tell(f"not recorded anywhere: {what}; {cause}; nor could it be spilled: {error}; it is in memory until either works again")

    def _tell(self, sentence: str) -> None:
        with contextlib.suppress(Exception):  # nothing may come between a rollback and its flags, not even a full log
            self._last_resort(sentence)


def _entry(rollout: str, kind: str, body: Mapping[str, Any], at: str) -> Entry:
    return at, plain_text(rollout), plain_text(kind), canonical(body)


def _record(row: Row[Any]) -> Record:
    try:
        return Record(row.seq, datetime.fromisoformat(row.at), row.rollout, row.kind, json.loads(row.body), row.digest)
    except (ValueError, TypeError) as error:
        remedy = "see `rollbackd audit verify`, then put back a backup"
        raise JournalUnavailable(f"record {row.seq} of the journal was altered and cannot be read; {remedy}") from error


def _head(connection: Connection, query: Select[Any] = _HEAD) -> Head:
    row = connection.execute(query).one_or_none()
    if row is None or [type(column) for column in row] != [int, int, str]:
        raise JournalUnavailable("the head of the journal was removed or altered; put back a backup")
    return Head(*row)


def _chain(connection: Connection, entries: Sequence[Entry]) -> list[Record]:
    # The head is read inside the transaction: after a failure, or beside another process, a remembered one is a guess.
    head = _head(connection, _HEAD.with_for_update())
    rows: list[dict[str, Any]] = []
    digest = head.digest
    for seq, (at, rollout, kind, body) in enumerate(entries, head.seq + 1):
        digest = digest_of(digest, seq, at, rollout, kind, body)
        rows.append({"seq": seq, "at": at, "rollout": rollout, "kind": kind, "body": body, "digest": digest})
    connection.execute(insert(RECORDS), rows)
    connection.execute(update(HEAD).where(HEAD.c.id == 1).values(count=head.count + len(rows), seq=head.seq + len(rows), digest=digest))
    return [Record(**{**row, "at": datetime.fromisoformat(row["at"]), "body": json.loads(row["body"])}) for row in rows]


def _absorb_lines(connection: Connection, lines: Sequence[Line]) -> int:
    known = select(ABSORBED.c.seq).where(ABSORBED.c.id == bindparam("key"))
    fresh = {line.id: line for line in lines if connection.execute(known, {"key": line.id}).one_or_none() is None}
    if fresh:
        entries = [_entry(line.rollout, line.kind, {**line.body, "spilled": True}, line.at) for line in fresh.values()]
        added = _chain(connection, entries)
        connection.execute(insert(ABSORBED), [{"id": key, "seq": record.seq} for key, record in zip(fresh, added, strict=True)])
    return len(fresh)


def _faults(connection: Connection) -> list[str]:
    expected, digest = 1, ORIGIN
    for row in connection.execute(select(RECORDS).order_by(RECORDS.c.seq).execution_options(yield_per=1000)):
        if fault := _fault(row, expected, digest):
            return [fault]
        expected, digest = row.seq + 1, row.digest
    return _head_faults(connection, Head(expected - 1, expected - 1, digest))


def _fault(row: Row[Any], expected: int, previous: str) -> str | None:
    if row.seq > expected:
        where = "at the beginning" if expected == 1 else "in between"
        span = f"record {expected} is" if row.seq == expected + 1 else f"records {expected} to {row.seq - 1} are"
        return f"{span} missing: the journal was cut {where}"
    if row.seq < expected:
        return f"record {row.seq} was put in before the first one"
    columns = (row.at, row.rollout, row.kind, row.body)
    if not all(isinstance(column, str) for column in columns) or digest_of(previous, row.seq, *columns) != row.digest:
        return f"record {row.seq} was altered: its digest is not that of its content and of the record before it"
    return None


def _head_faults(connection: Connection, walked: Head) -> list[str]:
    try:
        head = _head(connection)
    except JournalUnavailable as error:
        return [str(error)]
    if head.seq > walked.seq:
        return [f"record {walked.seq + 1} is missing: the journal was cut at the end, its head says {head.seq}"]
    if head.seq < walked.seq:
        return [f"record {head.seq + 1} was added past the head, which says {head.seq} records"]
    if head != walked:
        return [f"the head was altered: it does not fit record {walked.seq}, the last one"]
    return []
