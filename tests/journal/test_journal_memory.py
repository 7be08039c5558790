"""The judge's memory comes back as it was saved, all or nothing."""

from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.journal import Journal
from tests.journal.helpers import NOON, Opener, locked, tampering


def test_nothing_was_remembered_before_the_first_time(journal: Journal) -> None:
    assert journal.load_memory() == ({}, None)


def test_the_latest_state_of_each_rollout_survives_a_restart(opener: Opener) -> None:
    first = opener()
    first.save_memory({"checkout": "{1}", "search": "{2}"}, NOON)
    first.save_memory({"checkout": "{3}"}, NOON + timedelta(seconds=15))
    first.close()
    assert opener().load_memory() == ({"checkout": "{3}", "search": "{2}"}, NOON + timedelta(seconds=15))


def test_a_heartbeat_may_come_without_any_state(journal: Journal) -> None:
    journal.save_memory({}, NOON)
    assert journal.load_memory() == ({}, NOON)


def test_a_save_that_fails_half_way_changes_nothing(journal: Journal, path: Path) -> None:
    journal.save_memory({"checkout": "old", "search": "old"}, NOON)
    with tampering(path) as connection:
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON heartbeat BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(JournalUnavailable):
        journal.save_memory({"checkout": "new", "search": "new"}, NOON + timedelta(seconds=15))
    assert not journal.writable
    assert journal.load_memory() == ({"checkout": "old", "search": "old"}, NOON)


def test_a_locked_database_refuses_to_save(journal: Journal, path: Path) -> None:
    with locked(path), pytest.raises(JournalUnavailable, match="locked by another process"):
        journal.save_memory({"checkout": "1"}, NOON)
    journal.save_memory({"checkout": "2"}, NOON)
    assert journal.load_memory()[0] == {"checkout": "2"}


def test_memory_is_no_part_of_the_chain(journal: Journal) -> None:
    journal.append("checkout", "cycle", {}, NOON)
    head = journal.head()
    journal.save_memory({"checkout": "1"}, NOON)
    assert journal.head() == head
    assert journal.verify() == []
