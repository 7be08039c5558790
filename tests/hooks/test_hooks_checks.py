"""Checks that failed in evidence: each is told once, by an id that is the same however often the file is handed in, and a kill loses none."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.hooks.events import notices
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge import consent, figures
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules import advice_aftercare
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout
from tests.evidence.samples import gated
from tests.hooks.receiver import NOON, Office, Receiver, by_shell, guarded, over_http
from tests.judge.world import World, flags_of

RULES = """
rollout: checkout
owner: lead
flags: {store: dotenv, path: .env}
baseline: {NEW: "no"}
evidence: {release-gate: {kind: release_gate, max_age: 3000d}}
stages: [{stage: canary, exposure: 10%, set: {NEW: "yes"}}]
triggers: [{alert: Any, expr: up == 0}]
hooks: [{hook: Ticket, on: [check_failed], command: ["true"]}]
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Rollout:
    file = tmp_path_factory.mktemp("rules") / "checkout.yml"
    file.write_text(RULES, encoding="utf-8")
    return load(file)


def no_go(*failed: str) -> bytes:
    """The document of a gate in which these checks failed."""
    document = gated() | ({"decision": "no-go", "overall_go": False} if failed else {})
    checks = [{**one, **({"outcome": "fail", "sentence": f"{one['check']} is bad"} if one["check"] in failed else {})} for one in document["checks"]]
    return json.dumps({**document, "checks": checks}).encode()


def handed_in(rollout: Rollout, data: bytes, why: str = "gated") -> Mapping[str, Any]:
    """What goes on record of it at the canary."""
    world, declared = World(rollout, flags_of(rollout, "canary")), rollout.declared("release-gate")
    world.evaluate({}, NOON)
    assert declared
    reading = figures.read(declared, data, "gate.json", NOON.replace(year=2027))
    file = consent.File("gate.json", hashlib.sha256(data).hexdigest(), len(data))
    return consent.evidence(rollout, world.state, Person("ann", frozenset()), "release-gate", why, file, reading, NOON.replace(year=2027)).body


def told(body: Mapping[str, Any], seq: int = 7) -> list[Any]:
    return list(notices(Record(seq, NOON, "checkout", Event.EVIDENCE, body, ""), lambda _: None))


def test_each_check_that_failed_is_told_with_what_it_came_to_and_where(checkout: Rollout) -> None:
    body = handed_in(checkout, no_go("latency_p95", "write_safety"))
    latency, safety = sorted(told(body), key=lambda one: one.facts["check"])
    assert latency.sentence == "checkout fails the check latency_p95 of release-gate: latency_p95 is bad"
    facts = {"check": "latency_p95", "came_to": "latency_p95 is bad", "label": "canary", "sha256": body["sha256"], "by": "ann", "file": "gate.json"}
    assert facts.items() <= latency.facts.items()
    assert (latency.event, latency.stage, latency.facts["figures"]["stage"]) == ("check_failed", "canary", 10)
    assert (safety.facts["check"], len({latency.key("Ticket"), safety.key("Ticket")})) == ("write_safety", 2)


def test_a_gate_without_a_failed_check_is_no_news(checkout: Rollout) -> None:
    body = handed_in(checkout, no_go())
    assert ("failed" in body, told(body)) == (False, [])


def test_the_same_file_has_the_same_ids_whenever_and_by_whomever_it_is_handed_in(checkout: Rollout) -> None:
    first, again = (told(handed_in(checkout, no_go("latency_p95"), why), seq)[0] for why, seq in (("gated", 7), ("once more", 9)))
    other = told(handed_in(checkout, no_go("latency_p95", "write_safety")))
    assert first.key("Ticket") == again.key("Ticket")
    assert told({**handed_in(checkout, no_go("latency_p95")), "again": True}) == [], "read anew, by other rules"
    assert first.key("Ticket") not in {one.key("Ticket") for one in other}


def test_a_kill_between_two_of_them_loses_none_and_changes_no_id(checkout: Rollout, tmp_path: Path) -> None:
    body = handed_in(checkout, no_go("latency_p95", "write_safety", "role_parity"))
    log, once = tmp_path / "told", tmp_path / "once"
    first = Office(tmp_path, guarded(by_shell(f"[ -e {once} ] && sleep 60; touch {once}; cat >> {log}; echo >> {log}", "check_failed")))
    first.happens(Event.EVIDENCE, body)
    wait_until(log.exists, "the first to be told", 20)
    first.ends()
    first.close()
    with Receiver() as receiver:
        after = Office(tmp_path, guarded(over_http(receiver.url, "check_failed", name="Ticket")))
        wait_until(lambda: len(receiver.told) > 2, "all of them to be told", 20)
        after.close()
        keys = {one.key("Ticket") for one in told(body)}
        assert ({one["id"] for one in receiver.told}, len(receiver.told)) == (keys, 3)
    assert json.loads(log.read_text())["id"] in keys


def test_a_hook_that_waits_for_failed_checks_needs_evidence_that_has_some(checkout: Rollout, tmp_path: Path) -> None:
    (tmp_path / "checkout.yml").write_text(RULES.replace("kind: release_gate", "kind: junit"), encoding="utf-8")
    (warned,) = [str(one) for one in advice_aftercare.warnings(load(tmp_path / "checkout.yml"))]
    assert warned.endswith("hooks[0].on: there is never check_failed here: the file has no evidence of a kind with checks (release_gate)")
    assert [*advice_aftercare.warnings(checkout)] == []
