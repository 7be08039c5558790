"""Parts of a rollout's page that need much to happen first: rendered from what the API would say."""

from typing import Any

import pytest

from rollback_daemon.faces.page.assets import Assets
from rollback_daemon.faces.page.rendering import environment
from rollback_daemon.faces.page.urls import Urls
from tests.faces.page.scene import NASTY

AT = "2026-03-01T12:00:00.000Z"
TEMPLATES, URLS = environment(), Urls("", Assets.load())
INCIDENT = {
    "incident": "i/1",
    "began": AT,
    "verification": "unverified",
    "passed": 1,
    "of": 3,
    "step": f"GET {NASTY}",
    "why": "it says true",
    "next": {"way": "command ./back.sh", "at": AT},
}
FOLLOW_UPS = {
    "completed": AT,
    "after": ["1d", "7d"],
    "next": {"after": "7d", "at": AT},
    "looks": [{"outcome": "fail", "after": "1d", "at": AT, "tries": 2, "why": "still slow"}],
    "decision": None,
    "decision_due": True,
}
HOOK = {"hook": "ticket", "waiting": 3, "since": AT, "error": f"exit code 1 {NASTY}"}
VOTE = {"by": "bob", "role": "security", "decision": "NO-GO", "why": "not yet", "conditions": [], "resolved": ""}
PROPOSAL = {"to": "half", "by": "pam", "why": NASTY, "needed": 2, "roles": ["lead", "security"], "expires": AT, "votes": []}
PEOPLE: dict[str, Any] = {"next": "half", "approvals": "lead, security", "void": "", "checkpoints": [], "rehearsed": None}
COMING = {"failed": "exited with 7", "sentence": "comes from soak.sh every 6h; FAILING since 03:00: exited with 7"}
LEFT_OUT = {"name": NASTY, "reason": "no GPU here", "outcome": "failed"}
MADE = {
    "made": AT,
    "by": NASTY,
    "file": "soak.json",
    "sha256": 64 * "a",
    "dated": False,
    "notes": ["2 games of 15 were not begun"],
    "excluded": [LEFT_OUT],
    "coming": COMING,
}
EVIDENCE = {"evidence": "soak", "kind": "soak", "max_age": "1d", **MADE, "figures": {"violations": 0.0}, "why": "older than 1d"}
TRIGGER = {
    "alert": NASTY,
    "phase": "firing",
    "health": "no_data",
    "armed": False,
    "dry_run": True,
    "action": "rollback to previous",
    "severity": "critical",
    "for": "5m",
    "limit": "> 5",
    "expr": NASTY,
    "change": "",
    "series": [{"sentence": f"{NASTY}: oops 7 > 5", "since": AT, "fires_in": None}] * 8,
    "budgets": [{"sentence": "2 of 5 failed", "spent": AT, "then": "hold"}, {"sentence": "1m of 5m", "spent": None, "then": "alert"}],
}
ESCALATED = {
    "alert": NASTY,
    "level": "tech-lead",
    "acknowledged": {"by": "ann", "why": "looking"},
    "rollback": {"to": "baseline", "due": AT},
    "cancelled": {"by": "bob", "why": "not now"},
}


def part(name: str, r: dict[str, Any], **more: Any) -> str:
    text = TEMPLATES.get_template(f"parts/{name}.html.j2").render({"r": {"rollout": "checkout", **r}, "url": URLS, **more})
    assert NASTY not in text
    assert " style=" not in text
    return text


@pytest.mark.parametrize(
    ("r", "said"),
    [
        ({"aftermath": INCIDENT}, ["unverified", "1 of 3 steps passed", "command ./back.sh, is taken at 2026-03-01 12:00:00Z"]),
        ({"follow_ups": FOLLOW_UPS}, ["a person decides", "2 tries: still slow", "the next, of 7d"]),
        ({"follow_ups": {**FOLLOW_UPS, "decision": {"by": "ann", "decision": "keep", "why": "fine"}}}, ['ann decided "keep"']),
        ({"hooks": [HOOK]}, ["Hook ticket has 3 events waiting", "exit code 1"]),
        ({"follow_ups": {**FOLLOW_UPS, "completed": None}}, ["hidden"]),
        ({}, ["hidden"]),
    ],
)
def test_what_follows_is_told(r: dict[str, Any], said: list[str]) -> None:
    text = part("afterwards", {"aftermath": None, "follow_ups": None, "hooks": [], **r})
    assert [one for one in said if one not in text] == []


@pytest.mark.parametrize(
    ("proposal", "people", "said"),
    [
        (PROPOSAL, PEOPLE, ["Nobody has voted yet", "Vote GO", "2 of lead, security"]),
        ({**PROPOSAL, "votes": [VOTE]}, PEOPLE, ["NO-GO", 'href="/rollouts/checkout/resolve?of=bob"']),
        ({**PROPOSAL, "votes": [{**VOTE, "resolved": "ann: it was fixed"}]}, PEOPLE, ["resolved by ann: it was fixed"]),
        (None, {**PEOPLE, "void": "the rules changed"}, ["The last proposal is void: the rules changed", "Propose half"]),
        (None, {**PEOPLE, "approvals": ""}, ["half asks for nobody&#39;s vote."]),
        (None, {**PEOPLE, "approvals": "", "next": None}, ["No vote is asked for at the top."]),
    ],
)
def test_votes_are_told(proposal: dict[str, Any] | None, people: dict[str, Any], said: list[str]) -> None:
    text = part("people", {"proposal": proposal}, people=people)
    assert [one for one in said if one not in text] == []


def test_checkpoints_and_rehearsals_are_told() -> None:
    made = {"name": "day-0", "asked": False, "go": False, "by": "ann", "why": NASTY, "at": AT}
    asked = {"name": "day-1", "asked": True, "go": None, "by": "", "why": "", "at": None}
    rehearsed = {"passed": False, "stage": "canary", "at": AT, "by": "ann", "why": "step 2", "seconds": 1.5}
    text = part("people", {"proposal": None}, people={**PEOPLE, "checkpoints": [made, asked], "rehearsed": rehearsed})
    for said in ("NO-GO", "not made", 'href="/rollouts/checkout/checkpoint?checkpoint=day-1"', "failed", "1.5 s, by ann: step 2"):
        assert said in text


def test_evidence_is_told_with_its_figures_and_why_it_tells_nothing() -> None:
    text = part("evidence", {"evidence": [EVIDENCE, {**EVIDENCE, "made": None, "figures": {}, "why": "it is not on record"}]})
    for said in (
        "<dt>violations</dt><dd>0</dd>",
        "older than 1d",
        "it is not on record",
        "15 were not begun",
        "soak.json, sha256 aaaaaaaaaaaa (when it was handed in",
        "no GPU here",
        "FAILING since 03:00",
    ):
        assert said in text
    assert "hidden" in part("evidence", {"evidence": []})


def test_a_trigger_is_told_with_its_budgets_and_escalation() -> None:
    text = part("triggers", {"triggers": [TRIGGER], "escalations": [ESCALATED], "evaluated_at": AT})
    for said in (
        "health: no data",
        "not armed here",
        "dry run",
        "and 3 more series",
        "spent</b> since",
        "acknowledged by ann: looking",
        "rollback to baseline at 2026-03-01 12:00:00Z",
        "the rollback was cancelled by bob",
    ):
        assert said in text
    assert "It has none" in part("triggers", {"triggers": [], "escalations": [], "evaluated_at": AT})
    assert "Nothing has been evaluated yet" in part("triggers", {"triggers": [], "escalations": [], "evaluated_at": None})


def test_gates_and_baselines_are_told() -> None:
    gate = {
        "gate": "Errors",
        "blocking": False,
        "applies": False,
        "verdict": "unknown",
        "sentence": "Errors: errors is unknown (no data), must be < 1",
    }
    bases = {"latency": [{"labels": {"pod": NASTY}, "value": 0.25}, {"labels": {}, "value": float("inf")}]}
    text = part("gates", {"gates": [gate], "baselines": bases})
    for said in ("(blocks nothing)", "(not asked for here)", "errors is unknown", "<td>0.25</td>", "<td>+Inf</td>"):
        assert said in text


def test_flags_that_cannot_be_read_are_not_said_to_be_as_they_should() -> None:
    flag = {"key": "NEW", "expected": True, "actual": True, "drifted": False, "degraded": True}
    config = [{"outcome": "fail", "sentence": f"REGION is {NASTY}, must be eu"}]
    text = part("flags", {"flags": {"place": "flags.env", "unreadable": "gone"}, "config": config}, flags=[flag])
    for said in ("They cannot be read:</b> gone", '<span class="warn">unknown</span>', "degraded", "must be eu"):
        assert said in text


def test_a_journal_that_cannot_be_read_is_said() -> None:
    empty: dict[str, Any] = {"entries": [], "older": None, "before": None, "error": "the disk is gone"}
    assert "The journal cannot be read: the disk is gone" in part("timeline", {}, history=empty)
    output = {"seq": 1, "at": AT, "event": "ran", "by": "", "what": "x", "tone": "bad", "output": [f"line\n{NASTY}"]}
    assert "<summary>Output</summary>" in part("timeline", {}, history={**empty, "error": "", "entries": [output], "before": 9})
