"""Opening, migrating and refusing: each way in which a database can be unusable has its cause and its remedy."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.database import METADATA, MIGRATIONS
from rollback_daemon.journal.journal import Journal
from tests.journal.helpers import NOON, SHORT, Opener, Start, line, locked, numbers, tampering


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("no url", "the storage url cannot be understood"),
        ("postgresql://user:secret@db/journal", 'the storage url names "postgresql", which is not known'),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///a.db?mode=ro", "must name a file, and nothing else"),
    ],
)
def test_a_url_that_names_no_file_is_refused_without_repeating_its_secrets(url: str, sentence: str) -> None:
    with pytest.raises(JournalUnavailable) as refusal:
        Journal.open(url)
    assert sentence in str(refusal.value)
    assert "write sqlite:///relative.db or sqlite:////absolute/path.db" in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_missing_folder_is_refused_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="is missing; create it: mkdir -p"):
        Journal.open(f"sqlite:///{tmp_path}/nowhere/journal.db")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_refused(path: Path, opener: Opener) -> None:
    path.mkdir()
    with pytest.raises(JournalUnavailable, match="cannot be opened; look at the permissions"):
        opener()


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, opener: Opener) -> None:
    path.write_bytes(b"flags: [a, b]\n" * 400)
    with pytest.raises(JournalUnavailable, match="no SQLite database, or a damaged one; move it away"):
        opener()
    assert path.read_bytes() == b"flags: [a, b]\n" * 400


def test_a_truncated_database_is_refused(path: Path, opener: Opener) -> None:
    opener().append("checkout", "cycle", {}, NOON)
    opener().close()
    with tampering(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    other = path.with_name("other.db")
    other.write_bytes(content[: len(content) // 2])
    with pytest.raises(JournalUnavailable, match="damaged"):
        Journal.open(f"sqlite:///{other}").records()


def test_the_database_of_another_program_is_refused_and_left_alone(path: Path, opener: Opener) -> None:
    with tampering(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(JournalUnavailable, match="is another program's database; name another file"):
        opener()
    assert path.read_bytes() == before


def test_a_database_of_a_newer_version_is_refused(path: Path, opener: Opener) -> None:
    opener().close()
    with tampering(path) as connection:
        connection.execute("UPDATE schema_version SET version = version + 1")
    with pytest.raises(JournalUnavailable, match=rf"newer rollbackd \(schema {len(MIGRATIONS) + 1}, this one knows"):
        opener()


def test_an_empty_file_becomes_a_journal(path: Path, opener: Opener) -> None:
    path.touch()
    assert opener().verify() == []


def test_the_migrated_tables_are_the_ones_that_the_code_asks_for(journal: Journal, path: Path) -> None:
    journal.close()
    engine = create_engine(f"sqlite:///{path}")
    found = inspect(engine)
    assert set(found.get_table_names()) == set(METADATA.tables)
    for name, table in METADATA.tables.items():
        assert [
            (
                column["name"],
                str(column["type"]).replace("CHAR", "VARCHAR").replace("VARVAR", "VAR"),
                column["nullable"],
            )
            for column in found.get_columns(name)
        ] == [(column.name, str(column.type), column.nullable) for column in table.columns]
    engine.dispose()


def test_the_writing_connection_syncs_every_commit_to_a_write_ahead_log(journal: Journal) -> None:
    with journal._database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_a_relative_url_is_meant_from_the_working_directory(tmp_path: Path, start: Start) -> None:
    program = f"""
import os
os.chdir("{tmp_path}")
from rollback_daemon.journal.journal import Journal
journal = Journal.open("sqlite:///own.db")
os.chdir("/")
journal.save_memory({{}}, __import__("datetime").datetime.now(__import__("datetime").UTC))
print(journal.load_memory()[1] is not None)
journal.close()
"""
    assert line(start(program)) == "True"
    assert (tmp_path / "own.db").exists()


def test_a_locked_database_refuses_after_the_busy_timeout_and_recovers(journal: Journal, path: Path) -> None:
    journal.append("checkout", "cycle", {"n": 1}, NOON)
    with locked(path):
        with pytest.raises(JournalUnavailable, match="is locked by another process; find it"):
            journal.append("checkout", "cycle", {"n": 2}, NOON)
        assert not journal.writable
    journal.append("checkout", "cycle", {"n": 3}, NOON)
    assert journal.writable
    assert numbers(journal) == [1, 3]
    assert journal.verify() == []


def delete(path: Path) -> None:
    path.unlink()


def remove_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [(delete, "is gone"), (remove_folder, "is gone"), (replace, "was replaced while it was open")],
)
def test_a_database_taken_away_underneath_is_noticed(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    path = folder / "journal.db"
    journal = Journal.open(f"sqlite:///{path}", busy_timeout=SHORT)
    journal.append("checkout", "cycle", {}, NOON)
    damage(path)
    with pytest.raises(JournalUnavailable, match=sentence):
        journal.append("checkout", "cycle", {}, NOON)
    with pytest.raises(JournalUnavailable, match=sentence):
        journal.records()
    assert not journal.writable
    assert path.exists() == (damage is replace), "a deleted journal does not come back as an empty one"
    journal.close()


def test_a_commit_that_fails_half_way_leaves_the_chain_as_it_was(journal: Journal, path: Path) -> None:
    journal.append("checkout", "cycle", {"n": 1}, NOON)
    with tampering(path) as connection:
        connection.execute("CREATE TRIGGER no BEFORE UPDATE ON journal_head BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(JournalUnavailable):
        journal.append("checkout", "cycle", {"n": 2}, NOON)
    assert numbers(journal) == [1]
    with tampering(path) as connection:
        connection.execute("DROP TRIGGER no")
    journal.append("checkout", "cycle", {"n": 3}, NOON)
    assert numbers(journal) == [1, 3]
    assert journal.verify() == []


def test_a_disk_that_is_full_refuses_and_loses_nothing(path: Path, start: Start, opener: Opener) -> None:
    program = f"""
import resource
from tests.journal.helpers import NOON, numbers
from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.journal import Journal
journal = Journal.open("sqlite:///{path}")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    for number in range(10_000):
        journal.append("checkout", "cycle", {{"n": number, "why": "x" * 500}}, NOON)
except JournalUnavailable as error:
    print(error)
print(number)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
print(journal.append_or_spill("checkout", "rollback", {{"n": number}}, NOON))
print(journal.writable)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append("checkout", "cycle", {{"n": number + 1}}, NOON)
print(journal.writable, journal.verify(), numbers(journal) == list(range(number + 2)))
journal.close()
"""
    child = start(program)
    refusal, number, spilled, writable, after = (line(child) for _ in range(5))
    assert "free space" in refusal or "disk is full" in refusal
    assert int(number) > 10
    assert (spilled, writable) == ("None", "False")
    assert after == "True [] True"
    assert opener().verify() == []


def test_a_closed_journal_says_so_and_may_be_closed_again(journal: Journal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(JournalUnavailable, match="is closed"):
        journal.append("checkout", "cycle", {}, NOON)
    with pytest.raises(JournalUnavailable, match="is closed"):
        journal.head()


def test_opening_again_migrates_nothing_and_keeps_the_rows(path: Path, opener: Opener) -> None:
    opener().append("checkout", "cycle", {"n": 1}, NOON)
    with tampering(path) as connection:
        version = connection.execute("SELECT version FROM schema_version").fetchall()
    assert version == [(len(MIGRATIONS),)]
    assert numbers(opener()) == [1]


def test_a_journal_opens_while_another_process_holds_the_lock(path: Path, opener: Opener) -> None:
    opener().append("checkout", "cycle", {"n": 1}, NOON)
    with locked(path):
        assert numbers(opener()) == [1]


def test_a_new_database_that_stays_locked_is_refused(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalUnavailable, match="is locked by another process"):
            Journal.open(f"sqlite:///{path}", busy_timeout=timedelta(milliseconds=5))
