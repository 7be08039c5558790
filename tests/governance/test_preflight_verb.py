"""`rollbackd preflight`: the table, JSON as it came, and the exit codes, against a server that answers as the API does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from rollback_daemon.faces.cli import before
from rollback_daemon.lab.faults import Answer, MisbehavingServer, Request
from rollback_daemon.lab.servers import free_port

CHECKS = [
    {"check": "prometheus", "outcome": "pass", "evidence": "http://127.0.0.1:9090 answers"},
    {"check": "query rate(x[5m])", "outcome": "fail", "evidence": "the query returned nothing"},
    {"check": "alert rule [red]High", "outcome": "unknown", "evidence": "the rules cannot be listed: \x1b[2J"},
]


class Api(MisbehavingServer):
    """Answers a preflight of what it was given."""

    document: Any = None

    def answer(self, request: Request, /) -> Answer:
        known = request.path == "/api/v1/rollouts/checkout/preflight"
        return Answer(json.dumps(self.document if known else {"error": "there is no rollout"}).encode(), "application/json", 200 if known else 404)


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        yield server


def preflight(url: str, *words: str) -> Result:
    app = typer.Typer()
    app.command()(before.preflight)
    return CliRunner().invoke(app, [*(words or ["checkout"]), "--url", url])


def said(outcome: str) -> dict[str, Any]:
    return {"rollout": "checkout", "at": "2026-03-01T12:00:00.000Z", "outcome": outcome, "checks": CHECKS}


@pytest.mark.parametrize(("outcome", "code"), [("pass", 0), ("fail", 1), ("unknown", 3)])
def test_the_exit_code_says_how_it_ended(api: Api, outcome: str, code: int) -> None:
    api.document = said(outcome)
    assert preflight(api.url).exit_code == code
    assert preflight(api.url, "checkout", "--format", "json").exit_code == code


def test_every_check_is_a_line(api: Api) -> None:
    api.document = said("fail")
    head, *lines = preflight(api.url).output.splitlines()
    assert head.split() == ["OUTCOME", "CHECK", "EVIDENCE"]
    assert [line.split()[0] for line in lines] == ["pass", "fail", "unknown"]
    assert "query rate(x[5m])" in lines[1]
    assert "alert rule [red]High" in lines[2]
    assert "\x1b" not in "".join(lines)


def test_json_is_what_the_api_says(api: Api) -> None:
    api.document = said("unknown")
    assert json.loads(preflight(api.url, "checkout", "--format", "json").output) == api.document


def test_without_a_daemon_it_could_not_tell() -> None:
    assert preflight(f"http://127.0.0.1:{free_port()}").exit_code == 3


def test_a_rollout_that_is_none_is_a_mistake_of_usage(api: Api) -> None:
    assert preflight(api.url, "nothing").exit_code == 2
