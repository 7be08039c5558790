"""Many records in one transaction, and texts that are no texts."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.journal.canonical import DEEPEST, plain_text
from rollback_daemon.journal.journal import Journal
from tests.journal.helpers import NOON, Opener, locked, numbers

FIRED: list[tuple[str, dict[str, Any]]] = [("fired", {"n": number}) for number in range(1, 6)]


def test_many_records_are_chained_in_their_order(journal: Journal) -> None:
    journal.append("search", "cycle", {"n": 0}, NOON)
    journal.append_many_or_spill("checkout", FIRED, NOON)
    journal.append("search", "cycle", {"n": 6}, NOON)
    assert numbers(journal) == list(range(7))
    assert {(record.rollout, record.kind, record.at) for record in journal.records()[1:6]} == {("checkout", "fired", NOON)}
    assert journal.head().count == 7
    assert journal.verify() == []


def test_many_records_are_one_transaction(path: Path) -> None:
    seconds: list[float] = []
    journal = Journal.open(f"sqlite:///{path}", observe=seconds.append)
    journal.append_many_or_spill("checkout", FIRED, NOON)
    assert len(seconds) == 1
    journal.close()


def test_no_records_at_all_are_no_transaction(journal: Journal) -> None:
    journal.append_many_or_spill("checkout", [], NOON)
    assert journal.head().count == 0


def test_many_records_are_spilled_in_their_order(journal: Journal, path: Path, opener: Opener) -> None:
    with locked(path):
        journal.append_many_or_spill("checkout", FIRED, NOON)
        assert journal.append_or_spill("checkout", "rollback", {"n": 6}, NOON + timedelta(seconds=1)) is None
    journal.close()
    again = opener()
    assert again.absorb_spill() == 6
    assert numbers(again) == [1, 2, 3, 4, 5, 6]
    assert again.verify() == []


def test_many_records_that_are_written_nowhere_are_told_one_by_one_and_written_later(journal: Journal, path: Path, complaints: list[str]) -> None:
    place = path.with_name("journal.db.spill.jsonl")
    place.mkdir()
    with locked(path):
        journal.append_many_or_spill("checkout", FIRED, NOON)
    assert len(complaints) == 5
    place.rmdir()
    assert journal.absorb_spill() == 5
    assert numbers(journal) == [1, 2, 3, 4, 5]


def test_one_mistake_of_the_caller_among_many_writes_none(journal: Journal) -> None:
    with pytest.raises(TypeError):
        journal.append_many_or_spill("checkout", [*FIRED, ("fired", {"n": object()})], NOON)
    assert journal.head().count == 0


def test_bytes_that_were_no_text_are_kept_escaped(journal: Journal, path: Path) -> None:
    strange = b"a\xff\xc3".decode("utf-8", "surrogateescape")
    journal.append("checkout", "drifted", {"found": strange, strange: [strange]}, NOON)
    with locked(path):
        journal.append_or_spill("checkout", "drifted", {"found": strange}, NOON)
    journal.append_many_or_spill(strange, [(strange, {"found": {"flag": strange}})], NOON)
    seen = "a\\udcff\\udcc3"
    first, second, third = journal.records()
    assert first.body == {"found": seen, seen: [seen]}
    assert second.body == {"found": seen, "spilled": True}
    assert (third.rollout, third.kind, third.body) == (seen, seen, {"found": {"flag": seen}})
    assert journal.verify() == []


@given(st.text(st.characters()))
def test_every_text_can_be_sent_and_whole_ones_are_unchanged(text: str) -> None:
    plain = plain_text(text)
    plain.encode()
    assert plain_text(plain) == plain
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert plain == text


def test_a_body_nested_too_deep_is_a_mistake_of_the_caller(journal: Journal) -> None:
    body: dict[str, Any] = {}
    for _ in range(DEEPEST - 1):
        body = {"in": body}
    journal.append("checkout", "cycle", body, NOON)
    with pytest.raises(ValueError, match="more than 100 levels"):
        journal.append_or_spill("checkout", "cycle", {"in": body}, NOON)
    assert journal.head().count == 1
