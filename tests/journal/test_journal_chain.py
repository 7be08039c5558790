"""Any sequence of appends verifies; whatever is done to the rows behind the journal's back is noticed and named."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.journal import Journal
from tests.journal.helpers import NOON, tampering

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.tuples(TEXT, TEXT, st.dictionaries(TEXT, JSON, max_size=4), st.datetimes(timezones=st.just(UTC)))
LENGTH = st.integers(2, 7)
few = settings(max_examples=40, deadline=None)


@contextmanager
def temporary_journal(entries: int = 0) -> Iterator[tuple[Journal, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        with closing(Journal.open(f"sqlite:///{path}")) as journal:
            for number in range(1, entries + 1):
                journal.append("checkout", "cycle", {"n": number}, NOON + timedelta(seconds=number))
            yield journal, path


@few
@given(st.lists(ENTRY, max_size=8))
def test_whatever_is_appended_is_read_back_and_verifies(
    entries: list[tuple[str, str, dict[str, Any], datetime]],
) -> None:
    with temporary_journal() as (journal, _):
        appended = [journal.append(rollout, kind, body, at) for rollout, kind, body, at in entries]
        assert journal.records() == appended
        assert [(r.rollout, r.kind, r.body, r.at) for r in appended] == entries
        assert [r.seq for r in appended] == list(range(1, len(entries) + 1))
        assert journal.head().count == len(entries)
        assert journal.verify() == []


@few
@given(LENGTH, st.data(), st.sampled_from(["at", "rollout", "kind", "body", "digest"]))
def test_one_altered_column_is_noticed_at_its_record(length: int, data: st.DataObject, column: str) -> None:
    seq = data.draw(st.integers(1, length))
    value = data.draw(TEXT | st.binary(max_size=4))
    with temporary_journal(length) as (journal, path):
        with tampering(path) as connection:
            connection.execute(f"UPDATE journal_record SET {column} = ? WHERE seq = ?", (value, seq))  # noqa: S608 - our own names
        [fault] = journal.verify()
        assert fault.startswith(f"record {seq} was altered")


@few
@given(LENGTH, st.data())
def test_one_removed_record_is_noticed_by_its_number(length: int, data: st.DataObject) -> None:
    seq = data.draw(st.integers(1, length))
    where = "at the beginning" if seq == 1 else "at the end" if seq == length else "in between"
    with temporary_journal(length) as (journal, path):
        with tampering(path) as connection:
            connection.execute("DELETE FROM journal_record WHERE seq = ?", (seq,))
        [fault] = journal.verify()
        assert fault.startswith(f"record {seq} is missing: the journal was cut {where}")


@few
@given(LENGTH, st.data())
def test_two_swapped_records_are_noticed_at_the_first(length: int, data: st.DataObject) -> None:
    first, second = sorted(data.draw(st.lists(st.integers(1, length), min_size=2, max_size=2, unique=True)))
    with temporary_journal(length) as (journal, path):
        with tampering(path) as connection:
            for old, new in ((first, -1), (second, first), (-1, second)):
                connection.execute("UPDATE journal_record SET seq = ? WHERE seq = ?", (new, old))
        [fault] = journal.verify()
        assert fault.startswith(f"record {first} was altered")


@few
@given(LENGTH, st.data())
def test_removing_records_and_closing_the_gap_is_noticed(length: int, data: st.DataObject) -> None:
    seq = data.draw(st.integers(1, length - 1))
    with temporary_journal(length) as (journal, path):
        with tampering(path) as connection:
            connection.execute("DELETE FROM journal_record WHERE seq = ?", (seq,))
            connection.execute("UPDATE journal_record SET seq = -seq WHERE seq > ?", (seq,))
            connection.execute("UPDATE journal_record SET seq = -seq - 1 WHERE seq < 0")
        [fault] = journal.verify()
        assert fault.startswith(f"record {seq} was altered")


@few
@given(LENGTH, st.sampled_from(["count", "seq", "digest"]), st.integers(-3, 12) | st.just("0" * 64))
def test_an_altered_head_is_noticed(length: int, column: str, value: int | str) -> None:
    assume(value != length)
    with temporary_journal(length) as (journal, path):
        with tampering(path) as connection:
            connection.execute(f"UPDATE journal_head SET {column} = ?", (value,))  # noqa: S608 - our own names
        assert len(journal.verify()) == 1


def test_a_journal_cut_at_both_ends_says_what_is_missing_at_the_beginning() -> None:
    with temporary_journal(6) as (journal, path):
        with tampering(path) as connection:
            connection.execute("DELETE FROM journal_record WHERE seq IN (1, 2, 6)")
        assert journal.verify() == ["records 1 to 2 are missing: the journal was cut at the beginning"]


def test_an_emptied_journal_is_noticed() -> None:
    with temporary_journal(3) as (journal, path):
        with tampering(path) as connection:
            connection.execute("DELETE FROM journal_record")
        assert journal.verify() == ["record 1 is missing: the journal was cut at the end, its head says 3"]


@pytest.mark.parametrize("seq", [0, -7])
def test_a_record_put_in_before_the_first_is_noticed(seq: int) -> None:
    with temporary_journal(3) as (journal, path):
        with tampering(path) as connection:
            connection.execute("INSERT INTO journal_record VALUES (?, 'x', 'x', 'x', '{}', 'x')", (seq,))
        assert journal.verify() == [f"record {seq} was put in before the first one"]


def test_a_head_set_back_is_noticed_and_nothing_is_overwritten() -> None:
    with temporary_journal(3) as (journal, path):
        with tampering(path) as connection:
            connection.execute("UPDATE journal_head SET count = 2, seq = 2")
        assert journal.verify() == ["record 3 was added past the head, which says 2 records"]
        with pytest.raises(JournalUnavailable, match="does not fit its own head"):
            journal.append("checkout", "cycle", {}, NOON)
        assert len(journal.records()) == 3


def test_a_removed_head_is_noticed_and_refuses_appends() -> None:
    with temporary_journal(3) as (journal, path):
        with tampering(path) as connection:
            connection.execute("DELETE FROM journal_head")
        assert journal.verify() == ["the head of the journal was removed or altered; put back a backup"]
        with pytest.raises(JournalUnavailable, match="head of the journal was removed"):
            journal.append("checkout", "cycle", {}, NOON)


def test_pages_that_the_disk_has_mangled_are_noticed() -> None:
    with temporary_journal() as (journal, path):
        for number in range(400):
            journal.append("checkout", "cycle", {"n": number, "why": "x" * 100}, NOON)
        journal.close()
        content = bytearray(path.read_bytes())
        content[8192:16384] = b"\xa5" * 8192
        path.write_bytes(content)
        with closing(Journal.open(f"sqlite:///{path}")) as damaged:
            assert "is damaged; stop the daemon" in damaged.verify()[0]


def test_the_chain_can_be_recomputed_from_what_is_documented() -> None:
    digest = "0" * 64
    with temporary_journal(3) as (journal, _):
        for record in journal.records():
            at = record.at.isoformat(timespec="microseconds")
            body = {"seq": record.seq, "at": at, "rollout": record.rollout, "kind": record.kind, "body": record.body}
            digest = sha256((digest + json.dumps(body, sort_keys=True, separators=(",", ":"))).encode()).hexdigest()
            assert record.digest == digest
        assert journal.head().digest == digest


def test_a_time_of_another_zone_is_kept_in_utc() -> None:
    with temporary_journal() as (journal, _):
        berlin = timezone(timedelta(hours=1))
        record = journal.append("checkout", "cycle", {}, datetime(2026, 3, 1, 13, tzinfo=berlin))
        assert record.at == NOON
        assert record.at.tzinfo is UTC
