"""Evidence that takes a rollout back is named wherever the rollback is told, and nothing that is told of is from before it."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from rollback_daemon.evidence import KINDS
from rollback_daemon.faces import alerts, views, views_past, views_record
from rollback_daemon.faces.cli import show, show_past
from rollback_daemon.governance import incident_records
from rollback_daemon.governance.incident_html import incident_html
from rollback_daemon.governance.incident_markdown import incident_markdown
from rollback_daemon.governance.incident_report import incident_report
from rollback_daemon.governance.past import past
from rollback_daemon.judge import consent, figures
from rollback_daemon.judge.attempts import Attempt
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.duties import Command, Declared, Followed, Inbox, Scheduled
from rollback_daemon.rules.measures import Condition, OnNoData, Op, Signal
from rollback_daemon.rules.model import Trigger
from rollback_daemon.rules.triggers import Threshold
from rollback_daemon.signals.observation import Value
from tests.watch.guarded import GOOD, SECOND, Desk

DAY = timedelta(days=1)
SHA = "ab12" * 16
FAILED = {"critical_cases": "FIN-02 did not pass as ai.reader", "role_parity": "FIN-02 differs"}
CHECKS = Signal("failed_checks", "", evidence="gate", figure="checks_failed", no_data=OnNoData.IGNORE)
WORDS = "gate: run.json by cid at 2026-03-01 12:00:03 UTC, sha256 ab12ab12ab12; failed: critical_cases, role_parity"


@pytest.fixture
def gated(desk: Desk) -> Desk:
    """At canary, where a gate that failed leads to the bottom."""
    declared = Declared("gate", "release_gate", KINDS["release_gate"].settings(), DAY, "release_gate")
    trigger = Trigger("GateFailed", Threshold(CHECKS, Condition(Op.ABOVE, 0)), frozenset({"canary", "half"}))
    desk.restart(evidence=(declared,), signals=(*desk.rollout.signals, CHECKS), triggers=(*desk.rollout.triggers, trigger))
    return desk.climb_to("canary")


def hand_in(desk: Desk) -> None:
    told = {"overall_go": 0.0, "stage": 10.0, "checks_failed": 2.0, "checks_unknown": 0.0, "latency_limit": 800.0}
    reading = figures.Reading("release_gate", told, failed=FAILED)
    person, file = Person("cid"), consent.File("run.json", SHA, 9)
    desk.watch.request(
        "evidence", "cid", "CI", lambda rollout, state, _, now: consent.evidence(rollout, state, person, "gate", "CI", file, reading, now)
    )


def test_until_the_next_evaluation_nothing_is_told_that_is_from_before_the_evidence(gated: Desk) -> None:
    gated.evaluate(GOOD)
    assert views.summary(gated.watch)["next"] == "may be promoted to half by a person"
    gated.hands.time += SECOND / 2
    hand_in(gated)
    told = views.summary(gated.watch)
    assert told["next"] == "evidence gate is newer than the last evaluation; the next one, within 1s, acts on it"
    assert told["unjudged"] == ["gate"]
    gated.evaluate(GOOD)
    assert views.summary(gated.watch)["unjudged"] == []


def test_a_rollback_names_the_evidence_that_it_rests_on_wherever_it_is_told(gated: Desk) -> None:
    hand_in(gated)
    gated.evaluate(GOOD)
    gated.settle()
    intent = gated.bodies(Event.INTENDED)[-1]
    assert intent["why"] == [f"GateFailed: failed_checks 2 > 0 ({WORDS})"]
    (cited,) = intent["evidence"]
    assert (cited["evidence"], cited["file"], cited["sha256"], cited["by"], cited["failed"]) == ("gate", "run.json", SHA, "cid", FAILED)
    gated.evaluate(GOOD)
    rollout, state, judgement = gated.rollout, gated.watch.state, gated.watch.judgement
    assert judgement is not None
    annotations = {one.labels["alertname"]: one.annotations for one in alerts.active(rollout, state, judgement, external_url="", external_labels={})}
    assert WORDS in annotations["GateFailed"]["summary"]
    assert "Failed: critical_cases: FIN-02 did not pass as ai.reader. Failed: role_parity" in annotations["GateFailed"]["description"]
    assert WORDS in annotations["RolloutRolledBack"]["description"]
    found, records = incident_records.find(gated.journal, "checkout", "last")
    report = incident_report(found, records, views.explanation(gated.watch), [], gated.hands.now())
    assert [(one["file"], one["by"], one["handed_in"]) for one in report["evidence"]] == [("run.json", "cid", "2026-03-01T12:00:03.500Z")]
    assert [one["name"] for one in report["signals"]] == ["GateFailed"]
    first = report["timeline"][0]
    assert (first["event"], first["tone"], first["what"]) == ("evidence", "bad", "evidence gate handed in by cid: run.json, sha256 ab12ab12ab12")
    for document in (incident_markdown(report).replace("\\_", "_"), incident_html(report)):
        assert all(said in document for said in ("Evidence that it rests on", SHA, "FIN-02 did not pass as ai.reader"))
    then = views_past.moment(past(gated.journal, "checkout", gated.hands.now()), rollout)
    out = Console(file=io.StringIO(), width=300)
    show_past.explain(out, then)
    assert isinstance(out.file, io.StringIO)
    assert f"  evidence   {WORDS}; overall_go 0, stage 10, checks_failed 2" in out.file.getvalue()


def test_what_took_it_back_is_told_before_evidence_that_does_not_come(gated: Desk) -> None:
    hand_in(gated)
    gated.evaluate(GOOD)
    gated.settle()
    gated.watch.tried("gate", Attempt(failed="the folder is empty", since=gated.hands.now()))
    told = views.what_next(gated.watch)
    assert told.startswith("stays until a person resumes it with a reason: GateFailed: failed_checks 2 > 0")
    assert told.endswith("; EVIDENCE gate: the folder is empty")


def test_figures_stand_in_the_order_of_their_kind_with_their_units_after_a_restart_too(gated: Desk) -> None:
    hand_in(gated)
    gated.restart()
    gated.evaluate(GOOD)
    out = Console(file=io.StringIO(), width=300)
    show.explain(out, views.explanation(gated.watch))
    assert isinstance(out.file, io.StringIO)
    assert "overall_go 0, stage 10 %, checks_failed 2, checks_unknown 0, latency_limit 800 ms" in out.file.getvalue()
    record = next(one for one in gated.records() if one.kind == Event.EVIDENCE)
    assert list(views_record.event(record)["figures"])[:3] == ["overall_go", "stage", "checks_failed"]


def test_of_a_followed_file_is_told_what_is_asked_of_it_and_no_question_as_the_daemon_writes_it(gated: Desk) -> None:
    settings = KINDS["jsonl"].settings.model_validate({"field": "/ms", "aggregate": "p95", "window": "10m", "where": {"/event": "call"}})
    log = Declared("log", "jsonl", settings, DAY, "jsonl", Followed("/var/log/app.jsonl"))
    slow = Signal("slow", "", "ms", evidence="log", figure="value", followed='followed file ["/var/log/app.jsonl"]')
    gated.restart(evidence=(log,), signals=(slow,), gates=(), triggers=())
    gated.evaluate({**GOOD, slow.figure_key: Value({(): 12.5}, warnings=("1 line cannot be read",))})
    told = views.explanation(gated.watch)
    assert (told["warnings"], told["evidence"][0]["units"]["value"]) == ([], "ms")
    assert told["evidence"][0]["of"] == 'p95 of /ms over 10m, where /event is "call"'


def test_what_is_not_on_record_is_said_with_what_to_do(gated: Desk) -> None:
    (declared,) = gated.rollout.evidence
    for comes, said in (
        (None, "hand it in with"),
        (Inbox("/srv/ci", "*.json"), "lay it as *.json into /srv/ci, or hand it in with"),
        (Scheduled(Command(("./gate.sh",)), DAY), "./gate.sh makes it every 1d, or hand it in with"),
    ):
        rollout = replace(gated.rollout, evidence=(replace(declared, comes=comes),))
        assert figures.missing(rollout, "gate") == f"{said} `rollbackd evidence checkout gate FILE`"
