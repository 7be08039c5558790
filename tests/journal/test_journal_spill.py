"""A journal that cannot be written never stands in a rollback's way, and loses nothing that it could keep anywhere."""

from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.database import Database
from rollback_daemon.journal.journal import Journal
from rollback_daemon.journal.spill import Line, Spill
from tests.journal.helpers import NOON, SHORT, Opener, locked, numbers, tampering


class KilledError(BaseException):
    """Stands for the end of the process."""


class DyingSpill(Spill):
    """A spill file whose process dies when a named step is reached, before or after it is taken."""

    def __init__(self, database: Path, step: str, *, before: bool) -> None:
        super().__init__(database)
        self._step, self._before = step, before

    def take(self) -> list[Path]:
        self._die("take", before=True)
        taken = super().take()
        self._die("take", before=False)
        return taken

    def read(self, taken: Path) -> tuple[list[Line], int]:
        found = super().read(taken)
        self._die("read", before=False)
        return found

    def forget(self, taken: Path) -> None:
        self._die("forget", before=True)
        super().forget(taken)
        self._die("forget", before=False)

    def _die(self, step: str, *, before: bool) -> None:
        if (step, before) == (self._step, self._before):
            raise KilledError


def spill_three(journal: Journal, path: Path) -> None:
    with locked(path):
        for number in (1, 2, 3):
            record = journal.append_or_spill("checkout", "rollback", {"n": number}, NOON + timedelta(seconds=number))
            assert record is None


def spill_files(path: Path) -> list[Path]:
    return sorted(each for each in path.parent.iterdir() if "spill" in each.name)


def test_a_record_that_the_database_takes_is_returned_and_not_spilled(journal: Journal, path: Path) -> None:
    record = journal.append_or_spill("checkout", "rollback", {"n": 1}, NOON)
    assert journal.records() == [record]
    assert spill_files(path) == []
    assert journal.absorb_spill() == 0


def test_spilled_records_are_absorbed_in_order_at_their_own_time(journal: Journal, path: Path) -> None:
    spill_three(journal, path)
    assert not journal.writable
    assert spill_files(path) == [path.with_name("journal.db.spill.jsonl")]
    assert journal.absorb_spill() == 3
    assert [(record.body, record.at) for record in journal.records()] == [
        ({"n": number, "spilled": True}, NOON + timedelta(seconds=number)) for number in (1, 2, 3)
    ]
    assert spill_files(path) == []
    assert journal.absorb_spill() == 0
    assert journal.writable
    assert journal.verify() == []


def test_the_next_append_absorbs_first_so_that_order_is_kept(journal: Journal, path: Path) -> None:
    spill_three(journal, path)
    journal.append("checkout", "resumed", {"n": 4}, NOON)
    assert numbers(journal) == [1, 2, 3, 4]
    assert spill_files(path) == []


def test_absorbing_into_a_database_that_is_still_locked_loses_nothing(journal: Journal, path: Path) -> None:
    spill_three(journal, path)
    with locked(path):
        with pytest.raises(JournalUnavailable, match="locked by another process"):
            journal.absorb_spill()
        assert journal.append_or_spill("checkout", "rollback", {"n": 4}, NOON) is None
    assert journal.absorb_spill() == 4
    assert numbers(journal) == [1, 2, 3, 4]


@pytest.mark.parametrize(("step", "before"), [("take", True), ("take", False), ("read", False), ("forget", True), ("forget", False)])
def test_killed_at_any_step_of_absorbing_nothing_is_lost_or_doubled(opener: Opener, path: Path, step: str, before: bool) -> None:
    first = opener()
    spill_three(first, path)
    url = f"sqlite:///{path}"
    dying = Journal(Database(url, SHORT), DyingSpill(path, step, before=before), last_resort=print, observe=None)
    with pytest.raises(KilledError):
        dying.absorb_spill()
    dying.close()
    with locked(path):
        first.append_or_spill("checkout", "rollback", {"n": 4}, NOON)
    again = opener()
    again.absorb_spill()
    assert numbers(again) == [1, 2, 3, 4]
    assert spill_files(path) == []
    assert again.verify() == []


def test_a_long_outage_does_not_litter_the_folder(journal: Journal, path: Path) -> None:
    with tampering(path) as connection:  # a database that can be locked but not filled
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON journal_record BEGIN SELECT RAISE(ABORT, 'no'); END")
    for number in range(5):
        assert journal.append_or_spill("checkout", "rollback", {"n": number}, NOON) is None
    assert len(spill_files(path)) == 2
    with tampering(path) as connection:
        connection.execute("DROP TRIGGER no")
    assert journal.absorb_spill() == 5
    assert numbers(journal) == [0, 1, 2, 3, 4]
    assert spill_files(path) == []


def test_a_file_absorbed_twice_is_in_the_journal_once(journal: Journal, path: Path) -> None:
    spill_three(journal, path)
    copy = path.with_name("journal.db.spill.jsonl.copy")
    copy.write_bytes(spill_files(path)[0].read_bytes())
    assert journal.absorb_spill() == 3
    assert numbers(journal) == [1, 2, 3]


def test_a_line_written_while_its_file_is_moved_away_is_written_again(tmp_path: Path) -> None:
    class Raced(Spill):
        moves = 1

        def _is_in_place(self, written: object) -> bool:
            if self.moves:
                self.moves -= 1
                self.path.rename(self.path.with_name(f"{self.path.name}.moved"))
                return False
            return True

    spill, line = Raced(tmp_path / "journal.db"), Line("1", NOON.isoformat(timespec="microseconds"), "checkout", "rollback", {})
    spill.write(line)
    for _ in range(2):
        [taken] = spill.take()
        assert spill.read(taken) == ([line], 0)
        spill.forget(taken)
    assert not spill.waiting()


def test_a_line_left_half_done_harms_no_other_and_is_kept_for_inspection(journal: Journal, path: Path, complaints: list[str]) -> None:
    place = path.with_name("journal.db.spill.jsonl")
    place.write_bytes(b'\n["0123", "2026-03-01T12:0')
    spill_three(journal, path)
    assert journal.absorb_spill() == 3
    assert numbers(journal) == [1, 2, 3]
    [kept] = spill_files(path)
    assert kept.name.startswith("journal.db.unreadable-spill.")
    assert complaints == [f'1 spilled lines could not be read; they are kept in "{kept}" for inspection']
    assert journal.absorb_spill() == 0


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b"\xff",
        b'["a", "b", "c", "d", "e"]',
        b'["a", "2026-03-01T12:00:00+00:00", "c", 4, {}]',
        b'["a", "2026-03-01T12:00:00", "c", "d", {}]',
        b'["a", "2026-03-01T12:00:00+00:00", "c", "d", []]',
        b'["a", "2026-03-01T12:00:00+00:00", "c", "d", "e"]',
        b'["a", "2026-03-01T12:00:00+00:00", "\\ud800", "d", {}]',
        b'["\\ud800", "2026-03-01T12:00:00+00:00", "c", "d", {}]',
        b'["a", "0001-01-01T00:00:00+12:00", "c", "d", {}]',
        b'["a", "2026-03-01T12:00:00+00:00", "c", "d", {"n": ' + b"[" * 400 + b"]" * 400 + b"}]",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
    ],
    ids=lambda content: content[:70].decode("latin-1"),
)
def test_lines_of_another_shape_are_not_absorbed(journal: Journal, path: Path, content: bytes) -> None:
    path.with_name("journal.db.spill.jsonl").write_bytes(content + b"\n")
    assert journal.absorb_spill() == 0
    assert journal.records() == []
    assert len(spill_files(path)) == 1
    journal.append("checkout", "cycle", {"n": 1}, NOON)
    assert numbers(journal) == [1]


def test_a_poisoned_line_harms_no_other(journal: Journal, path: Path) -> None:
    path.with_name("journal.db.spill.jsonl").write_bytes(b"[" * 100_000)
    spill_three(journal, path)
    journal.append("checkout", "cycle", {"n": 4}, NOON)
    assert numbers(journal) == [1, 2, 3, 4]
    assert journal.verify() == []


def test_what_can_be_written_nowhere_is_told_to_the_last_resort(journal: Journal, path: Path, complaints: list[str]) -> None:
    path.with_name("journal.db.spill.jsonl").mkdir()
    with locked(path):
        assert journal.append_or_spill("checkout", "rollback", {"stage": "canary"}, NOON) is None
    [complaint] = complaints
    assert complaint.startswith("not recorded anywhere: rollback of checkout at 2026-03-01T12:00:00.000000+00:00")
    assert '{"stage": "canary"}' in complaint
    assert "nor could it be spilled" in complaint


def test_a_last_resort_that_fails_does_not_stop_a_rollback(path: Path) -> None:
    def broken(sentence: str) -> None:
        raise OSError(sentence)

    journal = Journal.open(f"sqlite:///{path}", last_resort=broken, busy_timeout=SHORT)
    path.with_name("journal.db.spill.jsonl").mkdir()
    with locked(path):
        assert journal.append_or_spill("checkout", "rollback", {}, NOON) is None
    journal.close()


def test_a_spill_that_cannot_be_absorbed_blocks_promotion_and_no_rollback(journal: Journal, path: Path) -> None:
    path.with_name("journal.db.spill.jsonl.0-broken").mkdir()
    with pytest.raises(JournalUnavailable, match="cannot be absorbed; mend this"):
        journal.append("checkout", "promote", {}, NOON)
    assert journal.append_or_spill("checkout", "rollback", {}, NOON) is None
    assert path.with_name("journal.db.spill.jsonl").is_file()


def test_a_journal_whose_folder_is_gone_still_lets_rollbacks_through(tmp_path: Path, complaints: list[str]) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    journal = Journal.open(f"sqlite:///{folder}/journal.db", last_resort=complaints.append, busy_timeout=SHORT)
    folder.rename(tmp_path / "elsewhere")
    assert journal.append_or_spill("checkout", "rollback", {}, NOON) is None
    assert len(complaints) == 1
    (tmp_path / "elsewhere").rename(folder)
    assert journal.append_or_spill("checkout", "rollback", {}, NOON) is not None
    assert journal.writable
    journal.close()


def test_a_closed_journal_still_spills(journal: Journal, path: Path, opener: Opener) -> None:
    journal.close()
    assert journal.append_or_spill("checkout", "rollback", {"n": 1}, NOON) is None
    again = opener()
    assert again.absorb_spill() == 1
    assert numbers(again) == [1]
