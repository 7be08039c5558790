"""The record, as people read it: a rollout that was voted on, climbed, rehearsed, raised from outside, raised past everything and taken back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from rollback_daemon.faces import telling
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.cli.ladder import Ladder
from tests.faces.http.bench import NOBODY_LISTENS, Bench, Ran

YES, NO, USAGE, UNKNOWN = 0, 1, 2, 3
RULES = """
rollout: checkout
owner: deployment-lead
interval: 200ms
break_glass: [lead]
flags: {store: dotenv, path: flags.env}
baseline: {NEW_CHECKOUT: "false", SHARE: "0"}
stages:
  - stage: canary
    exposure: 10%
    set: {NEW_CHECKOUT: "true", SHARE: "10"}
    soak: 1h
    requires:
      approvals: {roles: [lead, security]}
      checkpoints: [day-0]
  - {stage: half, exposure: 25%, set: {SHARE: "25"}, soak: 1h}
signals:
  error_rate: {expr: errors or vector(0)}
gates:
  - {gate: Errors, signal: error_rate, below: 0.1%}
triggers:
  - {alert: ErrorRateHigh, signal: error_rate, above: 1%, severity: critical}
rehearsal:
  steps: [{command: ["true"]}]
"""


@pytest.fixture(scope="module")
def story(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ladder]:
    """Everything that a ladder can have behind it; it ends at the top."""
    with Ladder(tmp_path_factory.mktemp("story"), told.url, RULES) as one:
        one.set_error_rate(0)
        wait_until(lambda: one.rollout()["evaluated_at"], "the first evaluation", 30)
        vote(one)
        climb(one)
        yield one


def vote(one: Ladder) -> None:
    """One who is against it, resolved on record, and two who are for it."""
    assert one.does("ann", "promote", "checkout", "--reason", "too early").code == NO
    for who, *words in (
        ("ann", "checkpoint", "checkout", "day-0", "--decision", "GO", "--reason", "all | green"),
        ("pam", "propose", "checkout", "--reason", "day one"),
        ("bob", "reject", "checkout", "--reason", "no `audit` yet <b>"),
        ("ann", "resolve", "checkout", "--of", "bob", "--reason", "audited since"),
        ("ann", "approve", "checkout", "--reason", "tests pass", "--condition", "watch the latency"),
        ("cat", "approve", "checkout", "--reason", "reviewed"),
        ("ann", "promote", "checkout", "--reason", "day one"),
    ):
        ran = one.does(who, *words)
        assert ran.code == YES, ran.err
    one.wait_for(stage="canary", phase="soaking")


def climb(one: Ladder) -> None:
    """Up and down by every way that there is."""
    wait_until(lambda: one.rollout()["evaluated_at"] > one.rollout()["since"], "an evaluation at canary", 30)
    ran = one.does("ann", "rehearse", "checkout", "--reason", "practice")
    assert ran.code == YES, ran.err
    one.wait_for(stage="canary", phase="soaking", drift="none")
    one.flags.write_text(one.flags.read_text(encoding="utf-8").replace("SHARE=10", "SHARE=25"), encoding="utf-8")
    wait_until(lambda: len(rollbacks(one)) == 2, "the raise to be reverted", 30)
    one.wait_for(drift="none")
    assert one.does("bob", "resume", "checkout", "--reason", "seen").code == YES
    ran = one.does("ann", "promote", "checkout", "--break-glass", "--reason", "the fix cannot wait")
    assert ran.code == YES, ran.err
    one.wait_for(stage="half")


def rollbacks(one: Bench) -> list[Any]:
    """Those that are done; a rehearsal has one, too."""
    return [event for event in one.history() if event["event"] == "done" and event["kind"] == "rollback"]


# history


def sentences(ran: Ran) -> list[tuple[str, str]]:
    """Event and sentence of each line; those of a terminal are as wide as they need to be."""
    assert ran.code == YES, ran.err
    return [(one["event"], telling.told(one)) for one in ran.json]


def test_history_tells_what_everybody_said(story: Ladder) -> None:
    events = sentences(story.rollbackd("history", "checkout", "--format", "json"))
    for event, words in (
        ("checkpoint", "day-0 GO at baseline: all | green"),
        ("proposed", "day one; it needs 2 of lead, security until 2"),
        ("voted", "NO-GO as security on canary ["),
        ("voted", "; on condition: watch the latency; saw "),
        ("resolved", "] is resolved: audited since"),
        (
            "intended",
            "; on the votes of bob (security) NO-GO, resolved by ann: audited since; ann (lead) on condition: watch the latency; cat (security)",
        ),
        ("step", "true passed in "),
        ("rehearsed", "rehearsal passed at canary in "),
        ("drift", "higher, those of half: SHARE: 10 -> 25; known: "),
        ("drift", "; a promotion would have lacked: soaked "),
        ("intended", "; past: soaked "),
    ):
        assert any(one == event and words in sentence for one, sentence in events), (event, words, events)


def test_history_prints_break_glass_first(story: Ladder) -> None:
    lines = story.rollbackd("history", "checkout").out.splitlines()
    assert sum(" BREAK-GLASS promote canary -> half [" in line for line in lines) == 1
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize("stage", ["half", "25%"])
def test_who_raised_it_to_25_percent(story: Ladder, stage: str) -> None:
    events = sentences(story.rollbackd("history", "checkout", "--stage", stage, "--format", "json"))
    assert [event for event, _ in events] == ["drift", *["intended", "applied", "done"] * 2]
    assert events[4][1].startswith("BREAK-GLASS promote canary -> half")


def test_the_newest_of_what_is_about_a_stage(story: Ladder) -> None:
    events = story.rollbackd("history", "checkout", "--stage", "canary", "--limit", "2", "--format", "json").json
    assert [(one["event"], one["to"]) for one in events if one["event"] != "applied"] == [("done", "half")]
    assert len(events) == 2


def test_a_stage_that_there_is_not_is_a_mistake_of_usage(story: Ladder) -> None:
    ran = story.rollbackd("history", "checkout", "--stage", "third")
    assert (ran.code, ran.err) == (USAGE, 'rollbackd: there is no stage "third" in checkout; known: baseline, canary, half\n')


# explain


def test_explain_tells_what_is_asked_for_and_that_the_glass_was_broken(story: Ladder) -> None:
    ran = story.rollbackd("explain", "checkout")
    assert "  canary asks for checkpoint day-0; approvals: lead, security\n" in ran.out
    assert "  BREAK-GLASS  it came to this stage past everything: ann: the fix cannot wait\n" in ran.out


def test_explain_shows_the_vote_that_is_open(told: PrometheusServer, tmp_path: Path) -> None:
    with Ladder(tmp_path, told.url, RULES) as one:
        one.set_error_rate(0)
        wait_until(lambda: one.rollout()["evaluated_at"], "the first evaluation", 30)
        one.does("pam", "propose", "checkout", "--reason", "day one")
        assert "  nobody has voted yet\n" in one.rollbackd("explain", "checkout").out
        one.does("bob", "reject", "checkout", "--reason", "not [red]audited", "--condition", "an audit")
        out = one.rollbackd("explain", "checkout").out
        report = one.rollbackd("report", "checkout").out
    assert "put to the vote  canary, by pam: day one  (2 of lead, security until 2" in out
    assert "  NO-GO  bob as security: not [red]audited; on condition: an audit\n" in out
    assert "Outcome: **open**." in report
    assert "| **stands** |" in report


def test_explain_at_a_time_of_the_history_tells_what_was_so_then(story: Ladder) -> None:
    raised = next(one for one in story.history() if one["event"] == "drift" and one["drift"] == "higher")
    ran = story.rollbackd("explain", "checkout", "--at", raised["at"])
    assert ran.code == YES, ran.err
    first, *lines = ran.out.splitlines()
    assert first.startswith(f"checkout at {raised['at'][:19].replace('T', ' ')}Z  ")
    assert f", since {raised['at'][:10]}" in first
    assert any(line.startswith("  rules      ") and line.endswith(", and still do") for line in lines)
    assert any(line.startswith("  flags      NEW_CHECKOUT: true, SHARE: 10  SHARE was 25, should have been 10, since ") for line in lines)
    assert "inactive  ErrorRateHigh" in lines
    for title in ("what happened before", "what came next", "what is not on record"):
        assert title in lines


def test_a_vote_that_was_open_is_told_with_who_had_voted(story: Ladder) -> None:
    voted = next(one for one in story.history() if one["event"] == "voted" and one["by"] == "ann")
    ran = story.rollbackd("explain", "checkout", "--at", voted["at"])
    assert "  vote       on canary, by pam, 2 of lead, security until 2" in ran.out
    assert ": bob NO-GO, ann GO\n" in ran.out


@pytest.mark.parametrize(
    ("at", "why"),
    [("1970-01-01", "nothing was on record of checkout"), ("9999-01-01", "has not come yet"), ("monday", '"monday" is no moment; write it as')],
)
def test_a_moment_of_which_nothing_is_known_is_a_mistake_of_usage(story: Ladder, at: str, why: str) -> None:
    ran = story.rollbackd("explain", "checkout", "--at", at)
    assert (ran.code, ran.out) == (USAGE, "")
    assert why in ran.err
    assert story.get(f"/api/v1/rollouts/checkout/explain?at={at}").status_code == 400
    assert story.get(f"/api/v1/rollouts/other/explain?at={at}").status_code == 404


# scorecard


def test_a_scorecard_that_says_go_is_a_yes(reading: Bench) -> None:
    ran = reading.rollbackd("scorecard", "checkout")
    assert (ran.code, ran.err) == (YES, "")
    assert ran.out.startswith("checkout  baseline -> canary  GO  100 of 100 (GO from 90, with monitoring from 70)\n")
    assert "pass" in ran.out


def test_whatever_blocks_is_a_no_in_every_format(story: Ladder) -> None:
    table, document, values = (story.rollbackd("scorecard", "checkout", "--format", form) for form in ("table", "markdown", "json"))
    assert (table.code, document.code, values.code) == (NO, NO, NO)
    assert "fail     stage" in table.out
    assert document.out.startswith("# checkout: scorecard\n")
    assert values.json["rollout"] == "checkout"
    assert values.json.keys() == story.get("/api/v1/rollouts/checkout/scorecard").json().keys()


def test_where_nothing_but_the_unknown_stands_between_it_cannot_tell(tmp_path: Path) -> None:
    with Bench(tmp_path, NOBODY_LISTENS) as bench:
        ran = bench.rollbackd("scorecard", "checkout")
    assert ran.code == UNKNOWN
    assert "unknown" in ran.out


# report


def test_the_report_is_a_document_that_says_who_raised_it(story: Ladder) -> None:
    ran = story.rollbackd("report", "checkout")
    assert (ran.code, ran.err) == (YES, "")
    rows = under("Who raised it", ran.out)
    assert [[row[2], row[4], row[5]] for row in rows[1:]] == [
        ["baseline -> canary", "ann", "approved"],
        ["baseline -> canary", "ann", "rehearsal return"],
        ["canary -> half", rows[3][4], "**from outside**"],
        ["canary -> half", "ann", "**BREAK-GLASS**"],
    ]
    assert "owner" in rows[3][4]
    assert rows[1][7] == "bob (security) **NO-GO**, resolved by ann; ann (lead); cat (security)"
    assert under("Conditions still to watch", ran.out)[1][3] == "watch the latency"
    assert under("Refused requests", ran.out)[1][2:5] == ["promote", "ann", "too early"]
    assert "no \\`audit\\` yet &lt;b&gt;" in ran.out
    assert "not understood" not in ran.out


def under(title: str, document: str) -> list[list[str]]:
    """The rows of the first table below a heading, as they are written."""
    _, _, rest = document.partition(f"## {title}\n")
    tokens = MarkdownIt("commonmark").enable("table").parse(rest)
    end = next(index for index, token in enumerate(tokens) if token.type == "table_close")
    rows: list[list[str]] = []
    for token in tokens[:end]:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(token.content)
    return rows


def test_the_report_is_the_same_from_the_api_in_both_forms(story: Ladder) -> None:
    values = story.rollbackd("report", "checkout", "--format", "json").json
    answer = story.get("/api/v1/rollouts/checkout/report")
    document = story.get("/api/v1/rollouts/checkout/report?format=markdown")
    assert answer.headers["content-type"] == "application/json"
    assert document.headers["content-type"] == "text/markdown; charset=utf-8"
    assert {**values, "at": "", "scorecard": {}} == {**answer.json(), "at": "", "scorecard": {}}
    assert document.text.startswith("# checkout: the record of the rollout\n")
    assert story.get("/api/v1/rollouts/checkout/report?format=html").status_code == 422


def test_every_number_in_the_report_is_one_of_the_journal(story: Ladder) -> None:
    known = {one["seq"]: one["event"] for one in story.history()}
    found: Any = story.get("/api/v1/rollouts/checkout/report").json()
    assert [known[one["seq"]] for one in found["climbs"]] == ["intended", "intended", "drift", "intended"]
    assert [known[one["ended"]["seq"]] for one in found["climbs"]] == ["done"] * 4
    assert found["journal"]["seq"] >= max(known)
    assert found["unread"] == []


def test_the_report_can_be_written_to_a_file(story: Ladder, tmp_path: Path) -> None:
    ran = story.rollbackd("report", "checkout", "--output", str(tmp_path / "report.md"))
    assert (ran.code, ran.out) == (YES, "")
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# checkout: the record of the rollout\n")
    story.rollbackd("report", "checkout", "--format", "json", "--output", str(tmp_path / "report.json"))
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["rollout"] == "checkout"
    ran = story.rollbackd("report", "checkout", "--output", str(tmp_path / "nowhere" / "report.md"))
    assert (ran.code, ran.err) == (USAGE, f"rollbackd: {tmp_path}/nowhere/report.md cannot be written: no such file or directory\n")


# preflight


def test_a_preflight_is_made_by_the_daemon(story: Ladder) -> None:
    ran = story.rollbackd("preflight", "checkout", "--format", "json")
    outcomes = {one["check"]: one["outcome"] for one in ran.json["checks"]}
    assert outcomes["prometheus"] == "pass"
    assert ran.code == {"pass": YES, "fail": NO, "unknown": UNKNOWN}[ran.json["outcome"]]
