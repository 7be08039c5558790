"""Reading records by rollout, kind and place; what a body may hold; threads and processes side by side."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.journal import Head, Journal
from tests.journal.helpers import NOON, Opener, Start, locked, numbers, tampering


def test_an_empty_journal_has_a_head_and_verifies(journal: Journal) -> None:
    assert journal.head() == Head(0, 0, "0" * 64)
    assert journal.records() == []
    assert journal.verify() == []


def test_a_journal_goes_on_where_it_was_left(opener: Opener) -> None:
    first = opener()
    first.append("checkout", "planned", {"n": 1}, NOON)
    first.close()
    second = opener()
    second.append("checkout", "applied", {"n": 2}, NOON)
    assert numbers(second) == [1, 2]
    assert second.verify() == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"rollout": "search"}, [2, 5]),
        ({"kinds": {"planned", "verified"}}, [1, 2, 5, 6]),
        ({"kinds": ()}, []),
        ({"rollout": "checkout", "kinds": ["planned"]}, [1, 6]),
        ({"after": 4}, [5, 6]),
        ({"limit": 2}, [1, 2]),
        ({"newest_first": True, "limit": 2}, [6, 5]),
        ({"rollout": "checkout", "after": 1, "newest_first": True}, [6, 4, 3]),
        ({"rollout": "nobody"}, []),
    ],
)
def test_records_are_selected_and_ordered(journal: Journal, query: dict[str, Any], expected: list[int]) -> None:
    kinds = ["planned", "planned", "applied", "applied", "verified", "planned"]
    for number, kind in enumerate(kinds, 1):
        journal.append("search" if number in {2, 5} else "checkout", kind, {}, NOON)
    assert [record.seq for record in journal.records(**query)] == expected


def test_numbers_that_are_not_finite_are_kept_as_prometheus_writes_them(journal: Journal) -> None:
    body = {"values": [math.nan, math.inf, (-math.inf, 1.5)]}
    expected = {"values": ["NaN", "+Inf", ["-Inf", 1.5]]}
    assert journal.append("checkout", "breached", body, NOON).body == expected
    assert journal.records()[0].body == expected
    assert journal.verify() == []


@pytest.mark.parametrize("body", [{"a": object()}, {1: "a"}, {"a": {None: 1}}, {"a": {1, 2}}])
def test_a_body_that_is_not_json_is_a_mistake_of_the_caller(journal: Journal, body: Any) -> None:
    with pytest.raises(TypeError):
        journal.append("checkout", "cycle", body, NOON)
    with pytest.raises(TypeError):
        journal.append_or_spill("checkout", "cycle", body, NOON)
    assert journal.head().count == 0
    assert journal.writable


def test_a_time_without_a_zone_is_a_mistake_of_the_caller(journal: Journal) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        journal.append("checkout", "cycle", {}, NOON.replace(tzinfo=None))


def test_a_record_altered_beyond_reading_is_named(journal: Journal, path: Path) -> None:
    journal.append("checkout", "cycle", {}, NOON)
    with tampering(path) as connection:
        connection.execute("UPDATE journal_record SET body = '{'")
    with pytest.raises(JournalUnavailable, match="record 1 of the journal was altered"):
        journal.records()


def test_each_append_is_timed(path: Path) -> None:
    seconds: list[float] = []
    journal = Journal.open(f"sqlite:///{path}", observe=seconds.append)
    journal.append("checkout", "cycle", {}, NOON)
    journal.append_or_spill("checkout", "cycle", {}, NOON)
    journal.close()
    assert len(seconds) == 2
    assert all(0 < each < 60 for each in seconds)


def test_threads_append_to_one_chain(journal: Journal) -> None:
    def work(thread: int) -> None:
        for number in range(20):
            journal.append(f"r{thread}", "cycle", {"n": number}, NOON)
            journal.records(f"r{thread}")
            journal.save_memory({f"r{thread}": str(number)}, NOON)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert journal.verify() == []
    assert journal.head().count == 120
    assert [record.body["n"] for record in journal.records("r3")] == list(range(20))


def test_readers_do_not_wait_for_a_writer(journal: Journal, path: Path) -> None:
    journal.append("checkout", "cycle", {"n": 1}, NOON)
    with locked(path):
        assert numbers(journal) == [1]
        assert journal.verify() == []
        assert journal.load_memory() == ({}, None)


def test_processes_that_open_a_new_journal_at_once_share_one_chain(path: Path, start: Start, opener: Opener) -> None:
    program = f"""
from tests.journal.helpers import NOON
from rollback_daemon.journal.journal import Journal
journal = Journal.open("sqlite:///{path}")
for number in range(20):
    journal.append("checkout", "cycle", {{"n": number}}, NOON)
journal.close()
"""
    children = [start(program) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    journal = opener()
    assert journal.head().count == 80
    assert journal.verify() == []
