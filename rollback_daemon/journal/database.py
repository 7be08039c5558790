"""Where the journal's rows are: connections, transactions, tables and numbered migrations.

Lives here: everything that is particular to SQLite, and the sentence for each way in which a database can refuse.
Must not live here: what a record means, the chain, the spill file. Only `journal` and `lease` import this.
"""

import contextlib
import functools
import os
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from rollback_daemon.errors import JournalUnavailable

ORIGIN = "0" * 64
"""The digest before the first record."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE journal_record (
            seq INTEGER NOT NULL PRIMARY KEY, at VARCHAR(32) NOT NULL, rollout TEXT NOT NULL, kind TEXT NOT NULL,
            body TEXT NOT NULL, digest CHAR(64) NOT NULL)""",
        "CREATE INDEX journal_record_rollout ON journal_record (rollout, seq)",
        """CREATE TABLE journal_head (
            id INTEGER NOT NULL PRIMARY KEY, count INTEGER NOT NULL, seq INTEGER NOT NULL, digest CHAR(64) NOT NULL)""",
        f"INSERT INTO journal_head (id, count, seq, digest) VALUES (1, 0, 0, '{ORIGIN}')",  # noqa: S608 - a constant of this file
        "CREATE TABLE journal_absorbed (id CHAR(32) NOT NULL PRIMARY KEY, seq INTEGER NOT NULL)",
        "CREATE TABLE judge_memory (rollout VARCHAR(255) NOT NULL PRIMARY KEY, state TEXT NOT NULL)",
        "CREATE TABLE heartbeat (id INTEGER NOT NULL PRIMARY KEY, at VARCHAR(32) NOT NULL)",
    ),
    ("CREATE TABLE hook_cursor (rollout VARCHAR(255) NOT NULL, hook VARCHAR(255) NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (rollout, hook))",),
)
"""What brings a database from version N to N + 1, in plain SQL that PostgreSQL also takes.

Append only: a published migration never changes.
"""

METADATA = MetaData()
VERSION = Table("schema_version", METADATA, Column("version", Integer, nullable=False))
RECORDS = Table(
    "journal_record",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("rollout", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", String(64), nullable=False),
)
HEAD = Table(
    "journal_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
)
ABSORBED = Table("journal_absorbed", METADATA, Column("id", String(32), primary_key=True), Column("seq", Integer, nullable=False))
MEMORY = Table("judge_memory", METADATA, Column("rollout", String(255), primary_key=True), Column("state", Text, nullable=False))
HEARTBEAT = Table(
    "heartbeat",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
)
CURSORS = Table(
    "hook_cursor",
    METADATA,
    Column("rollout", String(255), primary_key=True),
    Column("hook", String(255), primary_key=True),
    Column("seq", Integer, nullable=False),
)

_DAMAGED = "is damaged; stop the daemon, keep a copy, then put back a backup or let it start with a new file"
_CAUSES = {
    sqlite3.SQLITE_BUSY: "is locked by another process; find it (`fuser FILE`) and let it finish, or stop it",
    sqlite3.SQLITE_READONLY: "is read-only; let the daemon's user write to the file and to its folder",
    sqlite3.SQLITE_IOERR: "could not be read or written by the disk; look at the kernel's log and at the free space",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; free some space",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; look at the permissions of the file and of its folder",
    sqlite3.SQLITE_CONSTRAINT: "does not fit its own head, its rows have been changed; see `rollbackd audit verify`",
    sqlite3.SQLITE_NOTADB: "is no SQLite database, or a damaged one; move it away, name another file in --storage.url",
}


def file_of(url: str) -> Path:
    """The database file that a storage URL names, absolute, links resolved.

    Raises JournalUnavailable for a URL that names none.
    """
    remedy = "write sqlite:///relative.db or sqlite:////absolute/path.db"
    try:
        parsed = make_url(url)
    except ArgumentError:  # the text may hold a password, so it is not repeated
        raise JournalUnavailable(f"the storage url cannot be understood; {remedy}") from None
    if parsed.get_backend_name() != "sqlite":
        raise JournalUnavailable(f'the storage url names "{parsed.get_backend_name()}", which is not known; {remedy}')
    if parsed.query or parsed.database in {None, "", ":memory:"}:
        raise JournalUnavailable(f"the storage url must name a file, and nothing else; {remedy}")
    return Path(str(parsed.database)).resolve()


class Database:
    """One journal database. One thread writes at a time (the caller holds a lock); any number may read meanwhile."""

    def __init__(self, url: str, busy_timeout: timedelta) -> None:
        """Open, create or migrate the file. Raises JournalUnavailable, with cause and remedy."""
        self.path = file_of(url)
        self.writable = True
        self._patience = busy_timeout / timedelta(seconds=1)
        self._readers = self._engine("BEGIN")
        self._writers = self._engine("BEGIN IMMEDIATE")
        self._writer: Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._closed = False
        self._prepare()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot: later writes are not seen, and are not waited for. Raises JournalUnavailable."""
        with self._explained():
            self._check_place()
            with self._readers.connect() as connection, connection.begin():
                yield connection

    @contextlib.contextmanager
    def writing(self, *, patient: bool = True) -> Iterator[Connection]:
        """One transaction: committed and fsynced when the block is left, rolled back when it raises.

        Not `patient` means that a lock of another process is not waited for. Raises JournalUnavailable.
        """
        done = False
        try:
            with self._explained():
                self._check_place()
                connection = self._writing_connection(patient=patient)
                with connection.begin():
                    yield connection
                self._check_place()  # a commit into a deleted file succeeds, and is worth nothing
            done = True
        finally:
            if not done:
                self._drop_writer()
            self.writable = done

    def damage(self) -> list[str]:
        """What the database's own check finds wrong with its pages and indexes; empty when all is well."""
        with self.reading() as connection:
            rows = connection.exec_driver_sql("PRAGMA quick_check(5)").scalars().all()
        return [f"the database itself {_DAMAGED} ({row})" for row in rows if row != "ok"]

    def close(self) -> None:
        """Let go of the file. Later reads and writes raise JournalUnavailable."""
        self._closed = True
        self._drop_writer()

    def _prepare(self) -> None:
        folder = self.path.parent
        with self._explained():
            if not folder.is_dir():
                raise JournalUnavailable(f'the folder "{folder}" of the journal is missing; create it: mkdir -p {folder}')
            _connect(self.path, "rwc", self._patience).close()
            self._identity = _identity(self.path)
            with self._readers.connect() as connection:
                version = self._version(connection)
            self._use_write_ahead_log()  # only now: another program's database is left as it was
        if version < len(MIGRATIONS):
            with self.writing() as connection:
                self._migrate(connection)

    def _version(self, connection: Connection) -> int:
        tables = inspect(connection).get_table_names()
        if not tables:
            return 0
        if VERSION.name not in tables:
            raise JournalUnavailable(f'"{self.path}" is another program\'s database; name another file in --storage.url')
        version = int(connection.execute(select(VERSION.c.version)).scalar_one())
        if version > len(MIGRATIONS):
            raise JournalUnavailable(
                f'journal "{self.path}" was written by a newer rollbackd (schema {version}, this one knows '
                f"{len(MIGRATIONS)}); run that version, or put back a backup from before the upgrade"
            )
        return version

    def _migrate(self, connection: Connection) -> None:
        version = self._version(connection)  # again, now under the lock: another process may have been quicker
        if version == 0:
            VERSION.create(connection)
            connection.execute(insert(VERSION).values(version=0))
        for statement in (statement for migration in MIGRATIONS[version:] for statement in migration):
            connection.execute(text(statement))
        connection.execute(update(VERSION).values(version=len(MIGRATIONS)))

    def _use_write_ahead_log(self) -> None:
        # SQLite does not wait for a lock while it changes the mode, so two first starts at once need the retry.
        stop, again = stop_after_delay(self._patience), retry_if_exception(_is_busy)
        with contextlib.closing(_connect(self.path, "rw", self._patience)) as driver:
            mode = Retrying(stop=stop, wait=wait_fixed(0.01), retry=again, reraise=True)(_write_ahead_mode, driver)
        if mode != "wal":
            raise JournalUnavailable(f'the file system of "{self.path}" cannot hold a write-ahead log; use a local disk')

    def _writing_connection(self, *, patient: bool) -> Connection:
        if self._writer is None:
            self._writer = self._writers.connect()
        _driver(self._writer).execute(f"PRAGMA busy_timeout = {int(self._patience * 1000) if patient else 0}")
        return self._writer

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(SQLAlchemyError, sqlite3.Error):
                writer.close()

    def _check_place(self) -> None:
        if self._closed:
            raise JournalUnavailable(f'journal "{self.path}" is closed')
        try:
            found = _identity(self.path)
        except OSError as error:
            remedy = "put it back and start the daemon again"
            raise JournalUnavailable(f'journal "{self.path}" is gone ({error.strerror}); {remedy}') from error
        if found != self._identity:
            raise JournalUnavailable(f'journal "{self.path}" was replaced while it was open; start the daemon again')

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            origin = error.orig if isinstance(error, DBAPIError) else error
            kind = getattr(origin, "sqlite_errorcode", 0) & 0xFF  # the higher bytes are details
            cause = _CAUSES.get(kind, "cannot be used; the cause is named at the end")
            raise JournalUnavailable(f'journal "{self.path}" {cause} ({origin})') from error

    def _engine(self, begin: str) -> Engine:
        # NullPool: a connection that failed must never be handed out again, and a reader costs little to open.
        # "rw": a database that was deleted must not come back as an empty one.
        creator = functools.partial(_connect, self.path, "rw", self._patience)
        engine = create_engine("sqlite://", creator=creator, poolclass=NullPool)

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine


def _connect(path: Path, mode: str, patience: float) -> sqlite3.Connection:
    # isolation_level None: the driver's own idea of when to begin would take the lock too late.
    place = f"{path.as_uri()}?mode={mode}"
    connection = sqlite3.connect(place, uri=True, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _write_ahead_mode(driver: sqlite3.Connection) -> str:
    if (mode := driver.execute("PRAGMA journal_mode").fetchone()[0]) != "wal":
        mode = driver.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    return str(mode)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - tells mypy what `_connect` made
    return driver


def _identity(path: Path) -> tuple[int, int]:
    # stat and never open: closing a second descriptor of the file would drop SQLite's locks on it.
    found = os.stat(path)  # noqa: PTH116 - on the path of every write; half the price of Path.stat
    return found.st_dev, found.st_ino


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
