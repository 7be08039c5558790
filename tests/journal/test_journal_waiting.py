"""What neither the database nor the spill file takes waits in memory, and is written first when either works again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.database import Database
from rollback_daemon.journal.journal import Journal
from rollback_daemon.journal.spill import KEPT, Line, Spill
from tests.journal.helpers import NOON, SHORT, Opener, locked, numbers


@contextmanager
def no_spill(path: Path) -> Iterator[None]:
    """A spill file that cannot be written."""
    place = path.with_name("journal.db.spill.jsonl")
    place.mkdir()
    yield
    place.rmdir()


def rollback(journal: Journal, number: int) -> bool:
    """Whether the database took it."""
    return journal.append_or_spill("checkout", "rollback", {"n": number}, NOON + timedelta(seconds=number)) is not None


def test_what_was_written_nowhere_is_written_first_when_the_database_works_again(journal: Journal, path: Path, complaints: list[str]) -> None:
    rollback(journal, 0)
    with locked(path), no_spill(path):
        assert not rollback(journal, 1)
        assert not rollback(journal, 2)
        assert not journal.writable
    assert not journal.writable, "the latch is not on record yet"
    assert rollback(journal, 3)
    assert numbers(journal) == [0, 1, 2, 3]
    assert [record.at for record in journal.records()] == [NOON + timedelta(seconds=number) for number in range(4)]
    assert [record.body.get("spilled", False) for record in journal.records()] == [False, True, True, False]
    assert journal.writable
    assert len(complaints) == 2
    assert journal.verify() == []


def test_when_the_spill_works_first_what_waits_goes_there_in_order_and_survives_a_restart(journal: Journal, path: Path, opener: Opener) -> None:
    with locked(path):
        with no_spill(path):
            rollback(journal, 1)
            rollback(journal, 2)
        rollback(journal, 3)
        assert not journal.writable
    again = opener()
    assert again.absorb_spill() == 3
    assert numbers(again) == [1, 2, 3]
    assert rollback(journal, 4)
    assert numbers(journal) == [1, 2, 3, 4]


def test_files_are_absorbed_before_what_is_in_memory(journal: Journal, path: Path) -> None:
    with locked(path):
        rollback(journal, 1)
        spilled = path.with_name("journal.db.spill.jsonl")
        spilled.rename(path.with_name("journal.db.spill.jsonl.1"))
        with no_spill(path):
            rollback(journal, 2)
    assert journal.absorb_spill() == 2
    assert numbers(journal) == [1, 2]
    assert journal.writable


def test_a_heartbeat_that_can_be_saved_brings_what_waits_into_the_database(journal: Journal, path: Path) -> None:
    with locked(path), no_spill(path):
        rollback(journal, 1)
    journal.save_memory({}, NOON)
    assert numbers(journal) == [1]
    assert journal.writable


def test_a_heartbeat_that_cannot_be_saved_at_least_spills_what_waits(journal: Journal, path: Path, opener: Opener) -> None:
    with locked(path):
        with no_spill(path):
            rollback(journal, 1)
        with pytest.raises(JournalUnavailable):
            journal.save_memory({}, NOON)
    assert opener().absorb_spill() == 1
    assert journal.absorb_spill() == 0


def test_a_journal_that_is_closed_spills_what_waits(journal: Journal, path: Path, opener: Opener) -> None:
    with locked(path), no_spill(path):
        rollback(journal, 1)
    journal.close()
    assert opener().absorb_spill() == 1


def test_a_heartbeat_that_is_saved_does_not_hide_that_a_spill_cannot_be_absorbed(journal: Journal, path: Path) -> None:
    rollback(journal, 0)
    with locked(path):
        rollback(journal, 1)
    broken = path.with_name("journal.db.spill.jsonl.0-broken")
    broken.mkdir()
    journal.save_memory({}, NOON)
    assert not journal.writable
    broken.rmdir()
    journal.save_memory({}, NOON)
    assert journal.writable
    assert numbers(journal) == [0, 1]


def test_lines_that_a_full_disk_took_in_part_are_in_the_journal_once(path: Path, complaints: list[str]) -> None:
    class Filling(Spill):
        room = True

        def _append(self, content: bytes) -> bool:
            if self.room:
                return super()._append(content)
            super()._append(content[: len(content) * 2 // 3])
            raise OSError("no space left on device")

    url, spill = f"sqlite:///{path}", Filling(path)
    journal = Journal(Database(url, SHORT), spill, last_resort=complaints.append, observe=None)
    with locked(path):
        spill.room = False
        journal.append_many_or_spill("checkout", [("fired", {"n": number}) for number in range(9)], NOON)
        spill.room = True
        rollback(journal, 9)
    assert rollback(journal, 10)
    assert numbers(journal) == list(range(11))
    assert journal.verify() == []
    journal.close()


def test_memory_is_bounded_and_gives_up_the_oldest(path: Path) -> None:
    spill = Spill(path)
    lines = [Line(str(number), NOON.isoformat(), "checkout", "rollback", {}) for number in range(KEPT + 3)]
    with no_spill(path):
        for some in (lines[:5], lines[5:]):
            with pytest.raises(OSError, match="directory"):
                spill.write(*some)
    assert spill.kept == tuple(lines[3:])
    spill.write()
    assert spill.kept == ()
    [taken] = spill.take()
    assert spill.read(taken) == ([Line(line.id, "2026-03-01T12:00:00.000000+00:00", "checkout", "rollback", {}) for line in lines[3:]], 0)


def test_the_folder_is_listed_once_and_not_at_every_append(path: Path) -> None:
    class Counted(Spill):
        listings = 0

        def _taken(self) -> list[Path]:
            self.listings += 1
            return super()._taken()

    spill = Counted(path)
    journal = Journal(Database(f"sqlite:///{path}", SHORT), spill, last_resort=print, observe=None)
    for number in range(50):
        journal.append("checkout", "cycle", {"n": number}, NOON)
    assert spill.listings == 1
    with locked(path):
        rollback(journal, 50)
    for number in range(51, 60):
        rollback(journal, number)
    assert spill.listings < 6
    assert numbers(journal) == list(range(60))
    journal.close()
