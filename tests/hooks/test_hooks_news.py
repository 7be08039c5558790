"""What is looked up beside an event: the record before it, of the same rollout."""

from datetime import UTC, datetime
from pathlib import Path

from rollback_daemon.hooks.news import News
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.transitions import Event

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_what_came_before_is_of_the_same_rollout_whatever_others_did_meanwhile(tmp_path: Path) -> None:
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.db")
    for rollout, why in (("shop", "mine"), ("search", "theirs")):
        journal.append(rollout, Event.HELD, {"why": why}, NOON)
    journal.append("shop", Event.RESUMED, {"why": "go on"}, NOON)
    resumed = journal.records("shop")[-1]
    found = News(journal).last_before(resumed)((Event.HELD,))
    journal.close()
    assert found is not None
    assert found.body["why"] == "mine"
