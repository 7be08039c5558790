"""The Alertmanager example, by its own tool: it is accepted, alerts go to the right people, and the words are as approved, whatever labels hold."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from rollback_daemon.lab.toolset import Toolset
from tests.deploy.receiver import SHIPPED

APPROVED = Path(__file__).parent / "approved"
CONFIG, WORDS = SHIPPED / "alertmanager.yml", SHIPPED / "rollbackd.tmpl"
PAGE, RUNBOOK = "https://guard.example.com/checkout", "https://runbooks.example.com/checkout"
NASTY = "a\n* <b>owned</b>\r\n_x_ `y` <!channel> & <https://evil.example.com|here> \u202e\u2028[z](javascript:alert(1))"
Alert = Mapping[str, object]


def amtool(toolset: Toolset, *arguments: str | Path) -> str:
    """What it prints."""
    assert toolset.amtool is not None
    done = subprocess.run([toolset.amtool, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alert(name: str, summary: str, *, status: str = "firing", url: str = PAGE, annotations: Mapping[str, str] | None = None, **labels: str) -> Alert:
    """As a notification template is given it."""
    return {
        "status": status,
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": summary, "runbook_url": RUNBOOK, **(annotations or {})},
        "startsAt": "2026-03-01T12:00:00.5Z",
        "endsAt": "2026-03-01T12:30:00Z",
        "generatorURL": url,
    }


def shown(toolset: Toolset, folder: Path, what: str, *alerts: Alert) -> str:
    """What the template of that name makes of these alerts."""
    data = folder / "data.json"
    data.write_text(json.dumps({"receiver": "x", "status": "firing", "alerts": alerts, "externalURL": "http://alertmanager.example.com"}))
    kind = "html" if what.endswith("html") else "text"
    text = f'{{{{ template "rollbackd.{what}" . }}}}'
    return amtool(
        toolset, "template", "render", f"--template.glob={WORDS}", f"--template.data={data}", f"--template.text={text}", f"--template.type={kind}"
    )


ROLLED_BACK = alert(
    "RolloutRolledBack",
    'checkout was rolled back from "half" to "canary"',
    annotations={
        "value": "ErrorRateHigh: error_rate 0.02 > 0.01",
        "description": "ErrorRateHigh: error_rate 0.02 > 0.01 (by rollbackd). It is not promoted again until somebody resumes it with a reason.",
    },
    severity="critical",
    rollout="checkout",
    stage="canary",
    owner="lead",
)
TRIGGER = alert(
    "ErrorRateHigh",
    "ErrorRateHigh: error_rate 0.02 > 0.01",
    annotations={"action": "rollback to previous", "description": "Rollout checkout: ErrorRateHigh: error_rate 0.02 > 0.01. Query: errors"},
    severity="critical",
    rollout="checkout",
    stage="half",
    owner="lead",
)
READY = alert("RolloutReady", 'checkout may be promoted to "half"', severity="info", rollout="checkout", stage="canary", owner="lead")
DOWN = alert("RollbackdDown", "no rollbackd is running", url="http://prometheus.example.com/graph", severity="critical", job="rollbackd")
LATE = alert("RollbackdEvaluatesLate", "rollbackd on a looks late", url="http://prometheus.example.com/graph", severity="warning", job="rollbackd")
JOURNAL = alert("JournalUnwritable", "the journal of rollbackd cannot be written", annotations={"runbook_url": ""}, severity="critical")
BAD_ENDS = [
    alert(name, summary, severity="critical", rollout="checkout", stage="half", trigger="LatencyHigh")
    for name, summary in {
        "RolloutRollbackFailed": 'checkout could not be rolled back from "half" to "canary"',
        "RolloutUnverified": "the rollback of checkout could not be verified",
        "RolloutBlind": "checkout is not guarded: 1 of 2 triggers cannot see, for 50s",
        "RolloutEscalated": "LatencyHigh of checkout goes on firing, and nobody has taken it in hand: lead",
        "RolloutRollbackScheduled": 'checkout is to be rolled back to "canary" at 12:30:00 UTC',
    }.items()
]
OVER = alert("RolloutBlind", "checkout is not guarded: 1 of 2 triggers cannot see", status="resolved", severity="critical", rollout="checkout")
HOSTILE = alert(
    NASTY,
    NASTY,
    url="https://guard.example.com/?a=1&b=<2>",
    annotations={"description": NASTY, "action": NASTY, "value": NASTY, "runbook_url": "javascript:alert(1)"},
    severity="critical",
    rollout=NASTY,
    stage=NASTY,
    owner=NASTY,
)
MESSAGES = {
    "half-way": (TRIGGER, ROLLED_BACK),
    "ready": (READY,),
    "guard-down": (LATE, DOWN),
    "journal": (JOURNAL,),
    "bad-ends": (*BAD_ENDS,),
    "over": (OVER,),
    "firing-and-over": (TRIGGER, OVER),
    "hostile": (HOSTILE,),
}
ROUTES = {
    "alertname=RollbackdWatchdog severity=none": "dead-mans-switch",
    "alertname=RollbackdDown severity=critical job=rollbackd": "on-call,guard",
    "alertname=RollbackdEvaluatesLate severity=warning job=rollbackd": "guard",
    "alertname=JournalUnwritable severity=critical": "on-call,guard",
    "alertname=RolloutRolledBack severity=critical rollout=checkout owner=deployment-lead": "on-call,deployment-lead",
    "alertname=LatencyHigh severity=warning rollout=checkout owner=deployment-lead": "deployment-lead",
    "alertname=RolloutReady severity=info rollout=checkout owner=deployment-lead": "deployment-lead-chat",
    "alertname=RolloutDrift severity=warning rollout=search owner=search-team": "search-team",
    "alertname=LatencyHigh severity=warning rollout=cart owner=nobody-knows": "guard",
}


@pytest.mark.every_prometheus
def test_the_example_is_accepted_and_alerts_go_to_their_owners(toolset: Toolset) -> None:
    assert "SUCCESS" in amtool(toolset, "check-config", CONFIG)
    for labels, receivers in ROUTES.items():
        amtool(toolset, "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receivers}", *labels.split())


@pytest.mark.oldest_and_newest
@pytest.mark.parametrize("name", MESSAGES)
def test_the_words_are_as_approved(toolset: Toolset, name: str, tmp_path: Path) -> None:
    found = "".join(
        f"=== {what}\n{shown(toolset, tmp_path, what, *MESSAGES[name]).rstrip()}\n" for what in ("line", "text", "chat.line", "chat.text")
    )
    assert found == (APPROVED / f"words-{name}.txt").read_text(encoding="utf-8")


@pytest.mark.oldest_and_newest
def test_what_labels_hold_is_neither_markup_nor_a_line_of_its_own(toolset: Toolset, tmp_path: Path) -> None:
    benign = alert("Name", "x", annotations={"description": "x", "action": "x", "value": "x"}, severity="critical", rollout="x", stage="x", owner="x")
    for what in ("line", "text", "chat.line", "chat.text", "mail.html"):
        hostile = shown(toolset, tmp_path, what, HOSTILE)
        assert hostile.count("\n") == shown(toolset, tmp_path, what, benign).count("\n")
        assert not set("\r\u202e\u2028") & set(hostile)
        if what.startswith("chat"):
            assert not set("<>") & set(hostile)
        if what == "mail.html":
            assert ("<b>owned" in hostile, 'href="javascript:' in hostile, "&lt;b&gt;owned" in hostile) == (False, False, True)
