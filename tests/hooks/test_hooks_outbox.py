"""The outbox on a real journal: in order, at least once, with one key, and never in anybody's way."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.faults import Fault
from rollback_daemon.rules.model import Rollout
from tests.hooks.receiver import HELD, NOON, Office, Receiver, by_shell, guarded, over_http
from tests.journal.helpers import locked

Open = Callable[..., Office]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens an office on the same journal as the one before, which a test closes or leaves as a kill would."""
    offices: list[Office] = []

    def open_office(*rollouts: Rollout, **how: Any) -> Office:
        offices.append(Office(tmp_path, *rollouts, **how))
        return offices[-1]

    yield open_office
    for one in offices:
        one.close()


def said(receiver: Receiver) -> list[Any]:
    return [told["why"] for told in receiver.told]


def body(number: int) -> dict[str, Any]:
    return {"why": f"reason {number}", "by": "ann"}


def test_an_event_is_delivered_and_its_end_is_on_record(opened: Open, receiver: Receiver) -> None:
    office = opened(guarded(over_http(receiver.url)))
    office.happens(Event.HELD, HELD)
    (end,) = office.ends()
    assert end.body["seconds"] >= 0
    expected = {"hook": "Chat", "on": "held", "of": 1, "key": receiver.told[0]["id"], "attempts": 1, "error": "", "output": "taken"}
    assert {name: end.body[name] for name in expected} == expected
    assert office.outcomes == [("checkout", "Chat", "delivered")]


def test_a_hook_is_called_for_what_it_asked_for_and_for_its_own_rollout(opened: Open, receiver: Receiver) -> None:
    office = opened(guarded(over_http(receiver.url, "held")), guarded(over_http(receiver.url, "resumed"), name="billing"))
    office.happens(Event.RESUMED, {"why": "mended", "by": "ann"})
    office.happens(Event.HELD, HELD, "billing")
    office.happens(Event.HELD, HELD)
    office.ends()
    assert [(told["rollout"], told["event"]) for told in receiver.told] == [("checkout", "held")]


def test_what_fails_is_tried_again_with_the_same_key(opened: Open) -> None:
    with Receiver(500, 503) as receiver:
        office = opened(guarded(over_http(receiver.url)))
        office.happens(Event.HELD, HELD)
        failed, end = office.ends(2)
        assert (failed.body["retrying"], failed.body["attempts"], failed.body["error"]) == (True, 1, f"{receiver.url} answered 500")
        assert (end.body.get("retrying"), end.body["attempts"], end.body["error"]) == (None, 3, "")
        assert len({told["id"] for told in receiver.told}) == 1
        assert [outcome for *_, outcome in office.outcomes] == ["retried", "retried", "delivered"]


def test_a_hook_that_fails_is_on_record_and_in_the_log_with_what_it_said_while_it_is_tried_again(opened: Open) -> None:
    office = opened(guarded(by_shell("echo no such board >&2; exit 3")))
    with structlog.testing.capture_logs() as logs:
        office.happens(Event.HELD, body(0))
        office.happens(Event.HELD, body(1))
        (failed,) = office.ends()
        assert (failed.body["retrying"], failed.body["error"], failed.body["output"]) == (True, '"/bin/sh" exited with 3', "no such board")
        office.wait(lambda: len(office.outcomes) > 2, "three tries")
        office.wait(lambda: [one.waiting for _, one in office.outbox.behind("checkout")] == [2], "the second event to wait behind the first")
    (line,) = [one for one in logs if "hook" in one["event"]]
    assert (line["error"], line["output"]) == ('"/bin/sh" exited with 3', "no such board")
    ((name, backlog),) = office.outbox.behind("checkout")
    assert (name, backlog.waiting, backlog.first.event, backlog.error, backlog.output) == ("Ticket", 2, "held", failed.body["error"], "no such board")
    assert backlog.attempts > 1
    assert len(office.journal.records(kinds=[Event.HOOKED])) == 1, "the first of many failures is enough"


def test_a_hook_is_behind_when_it_fails_or_does_not_end_and_not_otherwise(opened: Open, receiver: Receiver, tmp_path: Path) -> None:
    began = tmp_path / "began"
    office = opened(guarded(by_shell(f"touch {began}; sleep 60", timeout=60), over_http(receiver.url)))
    office.happens(Event.HELD, HELD)
    office.ends()
    office.wait(began.exists, "the hook to begin")
    assert office.outbox.behind("checkout") == office.outbox.behind("unknown") == []
    office.time += timedelta(seconds=6)
    assert [(name, one.waiting, one.error) for name, one in office.outbox.behind("checkout")] == [("Ticket", 1, "")]


def test_the_order_is_kept_while_the_first_is_tried_again(opened: Open) -> None:
    with Receiver(500, 500) as receiver:
        office = opened(guarded(over_http(receiver.url)))
        for number in range(3):
            office.happens(Event.HELD, body(number))
        office.ends(4)
        assert said(receiver) == [["reason 0"]] * 3 + [["reason 1"], ["reason 2"]]


def test_after_a_day_it_is_given_up_on_record_and_the_next_has_its_turn(opened: Open) -> None:
    with Receiver(*[500] * 1000) as receiver:
        office = opened(guarded(over_http(receiver.url)))
        office.happens(Event.HELD, HELD)
        office.wait(lambda: len(receiver.requests) > 1, "a second try")
        office.time += timedelta(hours=24, seconds=1)
        _, end = office.ends(2)
        assert end.body["error"] == f"{receiver.url} answered 500"
        assert "retrying" not in end.body
        assert office.outcomes[-1] == ("checkout", "Chat", "given_up")


def test_what_is_refused_for_good_is_given_up_at_once(opened: Open) -> None:
    with Receiver(422) as receiver:
        office = opened(guarded(over_http(receiver.url)))
        office.happens(Event.HELD, body(0))
        office.happens(Event.HELD, body(1))
        first, second = office.ends(2)
        assert (first.body["attempts"], first.body["error"]) == (1, f"{receiver.url} answered 422")
        assert second.body["error"] == ""


def test_a_hook_that_hangs_delays_no_other_and_no_record(opened: Open, receiver: Receiver) -> None:
    office = opened(guarded(by_shell("sleep 60", timeout=60), over_http(receiver.url)))
    started = time.monotonic()
    office.happens(Event.HELD, HELD)
    office.ends()
    assert [told["hook"] for told in receiver.told] == ["Chat"]
    assert time.monotonic() - started < 10


def test_the_end_of_the_daemon_waits_a_little_and_then_kills(opened: Open, tmp_path: Path) -> None:
    began = tmp_path / "began"
    office = opened(guarded(by_shell(f"touch {began}; sleep 60", timeout=60)))
    office.happens(Event.HELD, HELD)
    office.wait(began.exists, "the hook to begin")
    started = time.monotonic()
    office.close()
    assert time.monotonic() - started < 8
    assert opened(guarded()).journal.records(kinds=[Event.HOOKED]) == []


def test_what_was_interrupted_is_made_again_by_the_next_start_with_the_same_key(opened: Open) -> None:
    with Receiver(500) as first:
        office = opened(guarded(over_http(first.url)))
        first.fault = Fault.HTTP_500
        office.happens(Event.HELD, HELD)
        office.ends()  # the first try, on record as one that failed
        office.close()
    with Receiver() as second:
        office = opened(guarded(over_http(second.url)))
        office.ends(2)
        assert second.told[0]["id"] == first.told[0]["id"]
        office.close()
        opened(guarded(over_http(second.url))).happens(Event.HELD, body(2))
        office.wait(lambda: len(second.told) > 1, "the next event")
        assert said(second) == [[HELD["why"]], ["reason 2"]]


def test_a_daemon_that_was_killed_before_it_could_deliver_does_so_at_its_next_start(opened: Open, receiver: Receiver) -> None:
    opened(guarded(over_http(receiver.url))).close()
    left = opened()
    left.outbox.close()  # a start without the rule would forget the hook: only the journal goes on here
    left.journal.cursors.save({("checkout", "Chat"): 0})
    left.put("checkout", Happened(Event.HELD, HELD))
    left.close()
    opened(guarded(over_http(receiver.url))).ends()
    assert said(receiver) == [[HELD["why"]]]


def test_a_new_hook_is_told_nothing_of_the_past(opened: Open, receiver: Receiver) -> None:
    office = opened()
    office.happens(Event.HELD, body(0))
    office.outbox.follow([guarded(over_http(receiver.url))])
    office.happens(Event.HELD, body(1))
    office.ends()
    assert said(receiver) == [["reason 1"]]


def test_a_hook_that_was_taken_out_of_the_rules_begins_anew_when_it_comes_back(opened: Open, receiver: Receiver) -> None:
    rollout = guarded(over_http(receiver.url))
    office = opened(rollout)
    office.happens(Event.HELD, body(0))
    office.ends()
    office.outbox.follow([])
    office.happens(Event.HELD, body(1))
    office.outbox.follow([rollout])
    office.happens(Event.HELD, body(2))
    office.ends(2)
    assert said(receiver) == [["reason 0"], ["reason 2"]]


def test_a_reload_changes_where_the_next_try_goes(opened: Open, receiver: Receiver) -> None:
    with Receiver(*[500] * 1000) as away:
        office = opened(guarded(over_http(away.url)))
        office.happens(Event.HELD, HELD)
        office.wait(lambda: away.requests, "a try")
        office.outbox.follow([guarded(over_http(receiver.url))])
        _, end = office.ends(2)
    assert end.body["error"] == ""
    assert said(receiver) == [[HELD["why"]]]


def test_a_journal_that_cannot_be_written_stops_no_delivery(opened: Open, receiver: Receiver) -> None:
    office = opened(guarded(over_http(receiver.url, "rolled_back")))
    transition = {"id": "t1", "kind": "rollback", "from": "half", "to": "canary"}
    with locked(office.database):
        office.happens(Event.INTENDED, {**transition, "why": ["errors 0.9 > 0.5"], "flags": {}, "by": "rollbackd"})
        office.happens(Event.DONE, transition)
        office.wait(lambda: receiver.told, "the hook to be told all the same")
    assert said(receiver) == [["errors 0.9 > 0.5"]]
    office.journal.absorb_spill()
    office.outbox.look()
    office.happens(Event.DONE, {**transition, "id": "t2"})
    office.wait(lambda: len(receiver.told) > 1, "the next event")
    assert [told["facts"]["id"] for told in receiver.told] == ["t1", "t2"]


def test_a_journal_that_cannot_be_written_at_the_start_makes_no_hook_deaf(opened: Open, receiver: Receiver, tmp_path: Path) -> None:
    Journal.open(f"sqlite:///{tmp_path}/journal.db").close()
    with locked(tmp_path / "journal.db"):
        office = opened(guarded(over_http(receiver.url)))
        office.happens(Event.HELD, HELD)
        office.wait(lambda: receiver.told, "the hook to be told all the same")
    office.journal.absorb_spill()
    office.outbox.look()
    office.happens(Event.HELD, body(1))
    office.wait(lambda: len(receiver.told) > 1, "the next event")
    assert said(receiver) == [[HELD["why"]], ["reason 1"]]


def test_a_flood_of_output_is_on_record_with_its_end_alone(opened: Open) -> None:
    office = opened(guarded(by_shell("yes flood | head -c 3000000; echo the end")))
    office.happens(Event.HELD, HELD)
    (end,) = office.ends()
    assert end.body["output"].endswith("the end")
    assert len(json.dumps(end.body)) < 2000


def test_a_record_that_cannot_be_understood_is_passed_over(opened: Open, receiver: Receiver) -> None:
    office = opened(guarded(over_http(receiver.url)))
    office.happens(Event.DRIFT, {})
    office.happens(Event.HELD, HELD)
    office.ends()
    assert said(receiver) == [[HELD["why"]]]


def test_many_events_at_once_are_each_delivered_once(opened: Open, receiver: Receiver) -> None:
    office = opened(guarded(over_http(receiver.url)))
    for number in range(30):
        office.happens(Event.HELD, body(number))
    office.ends(30)
    assert said(receiver) == [[f"reason {number}"] for number in range(30)]


def test_two_rollouts_with_the_same_news_at_the_same_moment_are_both_told(opened: Open, receiver: Receiver) -> None:
    office = opened(guarded(over_http(receiver.url)), guarded(over_http(receiver.url), name="billing"))
    for rollout in ("checkout", "billing"):
        office.journal.append_or_spill(rollout, Event.HELD, HELD, NOON)
        office.outbox.happened(rollout, Event.HELD, HELD, NOON)
    office.ends(2)
    assert sorted(told["rollout"] for told in receiver.told) == ["billing", "checkout"]


def test_nobody_is_told_before_every_rollout_was_looked_at(opened: Open, receiver: Receiver) -> None:
    office = opened(guarded(over_http(receiver.url)), begun=False)
    office.happens(Event.HELD, HELD)
    time.sleep(0.2)  # a call would have come by then; that none comes can only be waited for
    assert receiver.requests == []
    office.outbox.begin()
    office.ends()
    assert said(receiver) == [[HELD["why"]]]


def test_what_another_run_has_left_waits_for_half_as_long_again(opened: Open, receiver: Receiver) -> None:
    rollout = guarded(over_http(receiver.url))
    left = opened(rollout, begun=False)
    left.happens(Event.HELD, body(0))
    left.close()
    office = opened(rollout, at=NOON + timedelta(seconds=1))
    begun = time.monotonic()
    office.happens(Event.HELD, body(1))
    office.ends(2)
    assert time.monotonic() - begun > 0.4
    assert said(receiver) == [["reason 0"], ["reason 1"]]


def test_what_waits_from_another_run_is_no_reason_to_close_late(opened: Open, receiver: Receiver) -> None:
    rollout = guarded(over_http(receiver.url))
    left = opened(rollout, begun=False)
    left.happens(Event.HELD, body(0))
    left.close()
    office = opened(rollout, at=NOON + timedelta(days=1))
    office.wait(lambda: office.outbox.behind("checkout"), "it to be handed over")
    begun = time.monotonic()
    office.close()
    assert time.monotonic() - begun < 5
    assert receiver.requests == []
