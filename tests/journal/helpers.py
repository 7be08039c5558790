"""What the tests of the journal share: a time, ways to go around the journal, and how its fixtures are called."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollback_daemon.journal.journal import Journal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHORT = timedelta(milliseconds=20)
Opener = Callable[[], Journal]
Start = Callable[[str], "subprocess.Popen[str]"]


@contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody who goes around the journal; every statement is committed by itself."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process that keeps the database's write lock."""
    with tampering(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def numbers(journal: Journal) -> list[int]:
    """The "n" of every record's body, in the order of the chain."""
    return [record.body["n"] for record in journal.records()]


def line(child: "subprocess.Popen[str]") -> str:
    """The next line that a process printed."""
    assert child.stdout is not None
    return child.stdout.readline().strip()
