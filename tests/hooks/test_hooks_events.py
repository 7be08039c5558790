"""Which record is which event of a hook, and what is said of it: a function of records."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollback_daemon.hooks.events import KINDS, notices, payload
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.aftercare import HOOK_EVENTS
from tests.hooks.receiver import NOON, guarded, over_http

WHY = "ErrorsHigh: errors 0.9 > 0.5"
ROLLBACK = {"id": "t1", "kind": "rollback", "from": "half", "to": "canary"}
INTENT: Mapping[str, Any] = {
    **ROLLBACK,
    "why": [WHY],
    "by": "rollbackd",
    "flags": {"KEY": "secret"},
    "code": "trigger_firing",
    "triggers": ["ErrorsHigh"],
}
SHOWN: Mapping[Event, Mapping[str, Any]] = {
    Event.VERIFIED: {"id": "t1", "steps": 3},
    Event.UNVERIFIED: {"id": "t1", "step": "GET /health", "why": "GET /health: /on is true, must be false", "final": False},
    Event.FROZEN: {"why": "2 rollbacks by triggers in 1d"},
    Event.READY: {"stage": "half"},
    Event.COMPLETED: {"stage": "full"},
    Event.HELD: {"why": WHY, "by": "rollbackd"},
    Event.RESUMED: {"why": "mended", "by": "ann"},
    Event.ESCALATED: {"alert": "ErrorsHigh", "level": "lead", "number": 2, "why": "not acknowledged for 1h"},
    Event.SCHEDULED: {"alert": "ErrorsHigh", "due": "2026-03-01T13:00:00+00:00", "to": "baseline", "why": WHY},
    Event.CANCELLED: {"alert": "ErrorsHigh", "by": "ann", "why": "mended"},
}


def on_record(*happened: tuple[Event, Mapping[str, Any]]) -> list[Record]:
    return [Record(seq, NOON + timedelta(seconds=seq), "checkout", event, body, "") for seq, (event, body) in enumerate(happened, 1)]


def told(*happened: tuple[Event, Mapping[str, Any]]) -> list[Any]:
    """What is told of the last of these records."""
    *before, record = on_record(*happened)

    def last(kinds: tuple[Event, ...]) -> Record | None:
        return next((one for one in reversed(before) if one.kind in kinds), None)

    return list(notices(record, last))


def names(*happened: tuple[Event, Mapping[str, Any]]) -> list[str]:
    return [one.event for one in told(*happened)]


def test_a_rollback_that_is_done_is_told_with_what_led_to_it() -> None:
    (notice,) = told((Event.INTENDED, INTENT), (Event.DONE, {**ROLLBACK, "flags": {"KEY": "secret"}}))
    assert notice.event == "rolled_back"
    assert notice.sentence == f'checkout was rolled back from "half" to "canary": {WHY}'
    assert notice.why == (WHY,)
    assert notice.stage == "canary"
    assert notice.facts["triggers"] == ["ErrorsHigh"]
    assert "secret" not in json.dumps(dict(notice.facts))


def test_flags_that_were_taken_back_at_the_same_stage_are_no_step_down() -> None:
    (notice,) = told((Event.INTENDED, {**INTENT, "to": "half"}), (Event.DONE, {**ROLLBACK, "to": "half"}))
    assert notice.sentence.startswith('checkout has the flags of "half" again: ')


def test_another_way_back_to_where_it_is_already_is_no_news_and_a_step_further_down_is() -> None:
    first, again = (Event.DONE, {**ROLLBACK, "id": "t0"}), {"id": "t1", "kind": "rollback", "from": "canary", "to": "canary"}
    way = (Event.INTENDED, {**INTENT, **again, "code": "unverified"})
    assert names(first, (Event.UNVERIFIED, SHOWN[Event.UNVERIFIED]), way, (Event.DONE, again)) == []
    lower = {**again, "to": "baseline"}
    assert names(first, (Event.INTENDED, {**INTENT, **lower}), (Event.DONE, lower)) == ["rolled_back"]
    abandoned = (Event.ABANDONED, {**ROLLBACK, "id": "t0", "why": "no backup"})
    assert names((Event.DONE, {**ROLLBACK, "kind": "promote"}), abandoned, way, (Event.DONE, again)) == ["rolled_back"], "nobody was told yet"
    assert names(first, (Event.RESUMED, SHOWN[Event.RESUMED]), (Event.INTENDED, {**INTENT, **again}), (Event.DONE, again)) == ["rolled_back"]


def test_where_logs_ended_is_for_the_daemon_alone() -> None:
    (notice,) = told((Event.INTENDED, INTENT), (Event.DONE, {**ROLLBACK, "logs": {"app.log": {"inode": 7, "digest": "ab"}}}))
    assert "logs" not in notice.facts


def test_a_rehearsal_is_no_rollback_and_its_return_no_promotion() -> None:
    down = {**INTENT, "rehearsal": {"id": "r1", "soaked": 0}}
    assert names((Event.INTENDED, down), (Event.DONE, ROLLBACK)) == []
    up = {**INTENT, "kind": "promote", "code": "rehearsal"}
    assert names((Event.INTENDED, up), (Event.DONE, {**ROLLBACK, "kind": "promote"})) == []


@pytest.mark.parametrize(("kind", "name"), [("promote", "promoted"), ("degrade", "degraded"), ("restore", "restored")])
def test_each_kind_of_transition_that_is_done_is_an_event(kind: str, name: str) -> None:
    assert names((Event.INTENDED, {**INTENT, "kind": kind}), (Event.DONE, {**ROLLBACK, "kind": kind})) == [name]


def test_of_many_tries_of_a_rollback_that_fail_the_first_is_told() -> None:
    failed = (Event.ATTEMPTED, {**ROLLBACK, "error": "disk full", "attempt": 1})
    (notice,) = told((Event.INTENDED, INTENT), failed)
    assert (notice.event, notice.why) == ("rollback_failed", ("disk full",))
    assert names((Event.INTENDED, INTENT), failed, failed) == []
    assert names((Event.ATTEMPTED, {**ROLLBACK, "id": "t0", "error": "disk full"}), (Event.INTENDED, INTENT), failed) == ["rollback_failed"]


def test_a_try_of_a_promotion_that_fails_is_not_told() -> None:
    assert names((Event.INTENDED, INTENT), (Event.ATTEMPTED, {**ROLLBACK, "kind": "promote", "error": "disk full"})) == []


def test_a_way_back_that_could_not_be_taken_is_not_verified() -> None:
    assert names((Event.INTENDED, INTENT), (Event.ABANDONED, {**ROLLBACK, "why": "no backup"})) == ["unverified"]


def test_a_promotion_that_is_given_up_holds() -> None:
    assert names((Event.INTENDED, INTENT), (Event.ABANDONED, {**ROLLBACK, "kind": "promote", "why": "stopped"})) == ["held"]


def test_a_gate_fails_and_passes() -> None:
    facts = {"gate": "Errors", "value": 0.9, "limit": "< 0.5", "labels": {}, "why": "Errors: errors 0.9, must be < 0.5", "stage": "half"}
    (notice,) = told((Event.GATE, {**facts, "passes": False}))
    assert notice.event == "gate_failed"
    assert notice.sentence == "checkout fails the gate Errors: Errors: errors 0.9, must be < 0.5"
    assert notice.stage == "half"
    assert names((Event.GATE, {**facts, "passes": True})) == ["gate_passed"]


@pytest.mark.parametrize(("drift", "known"), [("lower", ["drift"]), ("higher", ["drift"]), ("other", ["drift"]), ("none", []), ("unreadable", [])])
def test_flags_that_somebody_changed_are_told_and_that_they_are_right_again_is_not(drift: str, known: list[str]) -> None:
    assert names((Event.DRIFT, {"drift": drift, "keys": {}, "why": "", "stage": ""})) == known


def test_configuration_that_is_not_as_required_is_told_and_that_it_is_again_is_not() -> None:
    why = 'MODE is "slow", must be "fast" at "half"'
    (notice,) = told((Event.MISCONFIGURED, {"wrong": {"MODE": {"expected": "fast", "actual": "slow"}}, "why": [why], "stage": "half"}))
    assert notice.sentence == f'checkout has not the configuration that "half" requires: {why}'
    assert names((Event.MISCONFIGURED, {"wrong": {}, "why": [], "stage": "half"})) == []


def test_a_rehearsal_is_told_when_it_failed() -> None:
    assert names((Event.REHEARSED, {"passed": False, "why": "x", "stage": "half"})) == ["rehearsal_failed"]
    assert names((Event.REHEARSED, {"passed": True, "why": "x", "stage": "half"})) == []


def test_a_follow_up_is_told_when_it_fails_for_the_first_time_and_the_last_one_when_it_ends() -> None:
    body = {"number": 3, "passed": False, "why": "Errors: 0.9", "try": 1}
    assert names((Event.FOLLOWED_UP, {**body, "decision_due": True})) == ["follow_up_failed", "decision_due"]
    assert names((Event.FOLLOWED_UP, {**body, "try": 2})) == []
    assert names((Event.FOLLOWED_UP, {**body, "passed": True, "decision_due": True})) == ["decision_due"]


def test_a_first_level_is_reached_and_the_next_because_nobody_came() -> None:
    level = {"alert": "ErrorsHigh", "level": "ticket", "number": 1, "why": WHY}
    assert told((Event.ESCALATED, level))[0].sentence == f"checkout is at level ticket: {WHY}"
    later = told((Event.ESCALATED, {**level, "level": "lead", "number": 2}))[0].sentence
    assert later == f"checkout goes to the next level, lead: nobody has looked after ErrorsHigh: {WHY}"


def test_an_announced_rollback_that_is_moot_was_cancelled_by_nobody() -> None:
    moot = {"alert": "ErrorsHigh", "by": "rollbackd", "why": 'it is at "baseline" already', "moot": True}
    (notice,) = told((Event.CANCELLED, moot))
    begin = "checkout will not be rolled back as announced"
    assert notice.sentence == f'{begin}: nobody cancelled it, it does not apply any more: it is at "baseline" already'
    assert notice.facts["moot"] is True
    assert told((Event.CANCELLED, SHOWN[Event.CANCELLED]))[0].sentence == f"{begin}: mended"


@pytest.mark.parametrize("event", SHOWN)
def test_every_other_event_has_a_sentence_with_its_cause(event: Event) -> None:
    (notice,) = told((Event.ADOPTED, {"stage": "half", "phase": "soaking"}), (event, SHOWN[event]))
    assert notice.event in HOOK_EVENTS
    assert notice.sentence.startswith("checkout ")
    assert "?" not in notice.sentence
    assert notice.stage == "half"


def test_what_tells_of_hooks_themselves_calls_no_hook() -> None:
    assert not {Event.HOOKED, Event.TOLD, Event.PLOTTED} & KINDS


def test_every_event_that_a_rule_file_may_name_can_happen() -> None:
    done = {
        names((Event.INTENDED, {**INTENT, "kind": kind}), (Event.DONE, {**ROLLBACK, "kind": kind}))[0]
        for kind in ("rollback", "promote", "degrade", "restore")
    }
    plain = {names((event, body))[0] for event, body in SHOWN.items()}
    others = {"rollback_failed", "gate_failed", "gate_passed", "drift", "misconfigured"}  # see above
    others |= {"rehearsal_failed", "follow_up_failed", "decision_due"}
    others |= {"check_failed"}  # see test_hooks_checks
    assert done | plain | others == set(HOOK_EVENTS)


def test_a_hook_is_given_who_what_when_why_and_where_to_look() -> None:
    (notice,) = told((Event.INTENDED, INTENT), (Event.DONE, ROLLBACK))
    given = payload(notice, guarded(), over_http("http://127.0.0.1:9"), "http://localhost:9811/")
    assert given["id"].startswith("msg_")
    assert {name: given[name] for name in ("event", "rollout", "owner", "stage", "hook", "why")} == {
        "event": "rolled_back",
        "rollout": "checkout",
        "owner": "lead",
        "stage": "canary",
        "hook": "Chat",
        "why": [WHY],
    }
    assert given["at"] == "2026-03-01T12:00:02.000000+00:00"
    assert given["url"] == "http://localhost:9811/rollouts/checkout"
    assert given["runbook_url"] == "https://runbooks.example.com/x"
    json.dumps(given)


def test_the_key_is_that_of_the_event_and_the_hook_wherever_the_record_was_kept() -> None:
    record = on_record((Event.HELD, SHOWN[Event.HELD]))[0]
    spilled = replace(record, seq=77, body={**record.body, "spilled": True})
    keys = [notice.key("Chat") for one in (record, spilled) for notice in notices(one, lambda _: None)]
    assert keys[0] == keys[1]
    assert told((Event.HELD, SHOWN[Event.HELD]))[0].key("Ticket") != keys[0]
    assert told((Event.HELD, {"why": "something else"}))[0].key("Chat") != keys[0]


def test_texts_and_lists_without_end_are_cut() -> None:
    (notice,) = told((Event.HELD, {"why": "x" * 5000, "by": "ann", "missing": ["y"] * 500}))
    assert len(notice.sentence) == len(notice.why[0]) == 1024
    assert len(notice.facts["missing"]) == 50
