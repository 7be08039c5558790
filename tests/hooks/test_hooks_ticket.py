"""The shipped hook that opens a ticket for each failed gate, as a process, against a real HTTP server that keeps issues."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.lab.faults import Fault
from tests.hooks.receiver import TICKET, Issues

FAILED = {
    "id": "msg_1",
    "event": "gate_failed",
    "rollout": "checkout",
    "owner": "lead",
    "at": "2026-03-01T12:00:00+00:00",
    "stage": "half",
    "sentence": "checkout fails the gate Errors: errors 0.9, must be < 0.5",
    "facts": {"gate": "Errors", "value": 0.9, "limit": "< 0.5"},
    "runbook_url": "https://runbooks.example.com/x",
    "url": "http://localhost:9811/api/v1/rollouts/checkout/explain",
}


@pytest.fixture
def issues() -> Iterator[Issues]:
    with Issues() as server:
        yield server


def opens(server: Issues, event: Mapping[str, Any] = FAILED, **settings: str) -> tuple[int, str]:
    """How the hook ends, and what it says."""
    environment = {"TICKET_URL": f"{server.url}/issues", **settings}
    done = subprocess.run([sys.executable, TICKET], input=json.dumps(event), env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def test_a_failed_gate_opens_a_ticket_that_says_what_and_where(issues: Issues, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("geheim\n")
    assert opens(issues, TICKET_TOKEN_FILE=str(token)) == (0, "opened: https://example.com/issues/1")
    (ticket,) = issues.kept
    assert ticket["title"] == "checkout: gate Errors fails at half"
    assert ticket["labels"] == ["rollbackd"]
    for part in ("errors 0.9, must be < 0.5", "- limit: < 0.5", "https://runbooks.example.com/x", "/rollouts/checkout/explain", "<!-- msg_1 -->"):
        assert part in ticket["body"]
    assert [one.headers["Authorization"] for one in issues.requests] == ["Bearer geheim"] * 2


def test_the_same_event_opens_no_second_ticket_even_after_the_first_was_closed(issues: Issues) -> None:
    opens(issues)
    issues.kept[0]["state"] = "closed"
    assert opens(issues) == (0, "there is a ticket: https://example.com/issues/1")


def test_a_gate_that_fails_again_has_a_new_ticket_once_the_one_before_is_closed(issues: Issues) -> None:
    opens(issues)
    opens(issues, {**FAILED, "id": "msg_2"})
    assert len(issues.kept) == 1
    issues.kept[0]["state"] = "closed"
    opens(issues, {**FAILED, "id": "msg_3"})
    assert len(issues.kept) == 2


def test_another_gate_has_its_own_ticket(issues: Issues) -> None:
    opens(issues)
    opens(issues, {**FAILED, "id": "msg_2", "facts": {"gate": "Latency"}})
    assert [one["title"] for one in issues.kept] == ["checkout: gate Errors fails at half", "checkout: gate Latency fails at half"]


def test_each_check_that_failed_has_its_own_ticket_with_label_and_digest(issues: Issues) -> None:
    facts = {"check": "latency_p95", "label": "build-512", "evidence": "release-gate", "file": "gate.json", "sha256": "a" * 64}
    failed = {**FAILED, "event": "check_failed", "facts": facts}
    opens(issues, failed)
    opens(issues, {**failed, "id": "msg_2", "facts": {**facts, "check": "write_safety"}})
    opens(issues, {**failed, "id": "msg_3"})
    assert [one["title"] for one in issues.kept] == ["checkout: check latency_p95 fails at half", "checkout: check write_safety fails at half"]
    assert [part in issues.kept[0]["body"] for part in ("- label: build-512", f"- sha256: {'a' * 64}")] == [True, True]


def test_gitlab_is_spoken_to_in_its_own_words(issues: Issues) -> None:
    opens(issues, TICKET_STYLE="gitlab", TICKET_LABEL="gates")
    (ticket,) = issues.kept
    assert ticket["labels"] == "gates"
    assert "<!-- msg_1 -->" in ticket["description"]
    assert opens(issues, TICKET_STYLE="gitlab", TICKET_LABEL="gates")[1].startswith("there is a ticket")


def test_a_dry_run_prints_the_ticket_and_asks_nobody(issues: Issues) -> None:
    code, said = opens(issues, TICKET_DRY_RUN="1")
    assert (code, json.loads(said)["title"], issues.requests) == (0, "checkout: gate Errors fails at half", [])


def test_a_server_in_trouble_is_an_error_so_that_it_is_tried_again(issues: Issues) -> None:
    issues.fault = Fault.HTTP_500
    code, said = opens(issues)
    assert code == 1
    assert said.startswith("no ticket could be opened: HTTP Error 500")


def test_without_an_address_it_says_what_to_set(issues: Issues) -> None:
    assert opens(issues, TICKET_URL="") == (2, "set TICKET_URL to where issues are opened, and TICKET_STYLE to github or gitlab")
