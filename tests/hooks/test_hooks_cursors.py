"""How far hooks have come, in the journal's database, and looking back from a record."""

import sqlite3
from pathlib import Path

import pytest

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.database import MIGRATIONS
from rollback_daemon.journal.journal import Journal
from tests.hooks.receiver import NOON
from tests.journal.helpers import SHORT, locked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def opened(path: Path) -> Journal:
    return Journal.open(f"sqlite:///{path}", busy_timeout=SHORT)


def test_what_is_saved_is_there_after_a_restart_and_what_is_gone_is_not(path: Path) -> None:
    journal = opened(path)
    journal.cursors.save({("checkout", "Chat"): 3, ("checkout", "Ticket"): 1})
    journal.cursors.save({("checkout", "Chat"): 7}, gone=[("checkout", "Ticket"), ("billing", "Chat")])
    journal.close()
    assert opened(path).cursors.load() == {("checkout", "Chat"): 7}


def test_a_database_that_is_locked_says_so_and_keeps_what_it_had(path: Path) -> None:
    journal = opened(path)
    journal.cursors.save({("checkout", "Chat"): 3})
    with locked(path), pytest.raises(JournalUnavailable, match="is locked by another process"):
        journal.cursors.save({("checkout", "Chat"): 4})
    assert journal.cursors.load() == {("checkout", "Chat"): 3}


def test_a_journal_from_before_there_were_hooks_is_taken_over_with_its_records(path: Path) -> None:
    with sqlite3.connect(path) as before:
        before.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
        before.execute("INSERT INTO schema_version VALUES (1)")
        for statement in MIGRATIONS[0]:
            before.execute(statement)
    before.close()
    journal = opened(path)
    assert journal.cursors.load() == {}
    journal.append("checkout", "held", {}, NOON)
    assert journal.verify() == []
    journal.close()


def test_looking_back_from_a_record_finds_the_newest_one_before_it(path: Path) -> None:
    journal = opened(path)
    for number in range(5):
        journal.append("checkout", "held", {"n": number}, NOON)
    assert [record.seq for record in journal.records(before=4, newest_first=True, limit=1)] == [3]
    assert journal.records(before=1) == []
    journal.close()
