"""Looking back in a real journal: how far it went at a moment, and what was so of each thing by then."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollback_daemon.governance.past import past
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.transitions import Event

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}")
    yield journal
    journal.close()


def test_a_record_of_that_very_moment_is_within_it_and_those_of_others_are_not(journal: Journal) -> None:
    for seconds, rollout in enumerate(("checkout", "search", "checkout")):
        journal.append(rollout, Event.SIGHT, {"blind": False, "why": []}, NOON + timedelta(seconds=seconds))
    moments = [NOON - timedelta(microseconds=1), NOON, NOON + timedelta(seconds=1), NOON + timedelta(seconds=2)]
    assert [journal.past.number_at("checkout", at) for at in moments] == [0, 1, 1, 3]


def test_series_are_told_apart_by_all_of_their_labels_and_the_newest_of_each_counts(journal: Journal) -> None:
    """More of them than one query may name; a label may have the name of a key of the record."""
    series = [{"limit": "1", "pod": f"p{number}"} for number in range(600)]
    body = {"alert": "Errors", "limit": "> 1", "active_since": NOON.isoformat()}
    for phase, value in (("pending", 2.0), ("firing", 3.0), ("inactive", 0.0)):
        told = [(Event.TRIGGER.value, {**body, "labels": labels, "phase": phase, "value": value}) for labels in series]
        journal.append_many_or_spill("checkout", told, NOON if phase == "pending" else NOON + timedelta(seconds=1 if phase == "firing" else 2))
    found = past(journal, "checkout", NOON + timedelta(seconds=1)).series
    assert sorted(one.body["labels"]["pod"] for one in found) == sorted(labels["pod"] for labels in series)
    assert {one.body["phase"] for one in found} == {"firing"}


def test_every_record_is_folded_however_many_there_are(journal: Journal) -> None:
    journal.append_many_or_spill("checkout", [(Event.READY.value, {"stage": "half"})] * 2001, NOON)  # none of which can follow from nothing
    assert past(journal, "checkout", NOON).unread == 2001
