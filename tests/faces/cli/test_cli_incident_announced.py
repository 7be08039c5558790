"""An incident that was announced: what was done before it began stands in its report, and verifying it again changes no figure."""

from collections.abc import Iterator
from typing import Any

import pytest

from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer, wait_until
from rollback_daemon.lab.toolset import Toolset
from tests.faces.http.bench import RULES, Bench

ANNOUNCED = RULES.replace("severity: critical}", "severity: critical, action: {rollback: baseline, in: 3s}}", 1) + (
    """
verify:
  - {command: [/bin/true]}
hooks:
  - {hook: Ticket, on: [rollback_scheduled], command: [/bin/sh, -c, 'echo no such board >&2; exit 3']}
"""
)


@pytest.fixture(scope="module")
def bench(told: PrometheusServer, toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Taken back as announced, after somebody stopped the way up."""
    folder = tmp_path_factory.mktemp("announced")
    with AlertmanagerServer(toolset.alertmanager, folder / "alertmanager") as alertmanager:
        alerting = {"alerting": {"alertmanagers": [{"url": alertmanager.url}], "resend_delay": "1s"}}
        with Bench(folder / "guard", told.url, rules=ANNOUNCED, config=alerting) as bench:
            bench.set_error_rate(0)
            bench.to_canary()
            bench.set_error_rate(0.07)
            wait_until(lambda: [one for one in bench.history() if one["event"] == "scheduled"], "the announcement", 20)
            assert bench.rollbackd("hold", "checkout", "--reason", "let us look first").code == 0
            bench.wait_for(stage="baseline", phase="rolled_back")
            wait_until(lambda: bench.get("/api/v1/rollouts/checkout/incidents/last").json()["verification"] == "verified", "verification", 20)
            yield bench


def incident(bench: Bench) -> Any:
    return bench.get("/api/v1/rollouts/checkout/incidents/last").json()


def test_what_happened_while_it_was_announced_is_in_the_report(bench: Bench) -> None:
    one = incident(bench)
    lines = [line["what"] for line in one["timeline"]]
    decided = one["times"]["decided"]
    before = [line["what"] for line in one["timeline"] if line["at"] < decided]
    assert any(line.startswith("rollback to baseline announced for ") and line.endswith(" UTC") for line in before), lines
    assert any(line.startswith("the way up was stopped by ") for line in before), lines
    assert 'hook Ticket on rollback_scheduled failed: "/bin/sh" exited with 3; it is tried again' in before
    assert {told["alertname"] for told in one["told"] if told["at"] < decided} == {"ErrorRateHigh", "RolloutRollbackScheduled"}
    report = bench.rollbackd("report", "checkout", "--incident", one["incident"][-6:]).out
    assert "it was announced, and not cancelled: ErrorRateHigh" in report
    assert "Runbook: https" in report


def test_a_hook_that_fails_is_told_of_while_it_is_tried_again(bench: Bench) -> None:
    explained = bench.rollbackd("explain", "checkout").out
    assert "hook behind  Ticket  1 event waits since" in explained
    assert "no such board" in explained
    history = " ".join(bench.rollbackd("history", "checkout").out.split())
    assert "Ticket could not be told of rollback_scheduled, it is tried again" in history
    (line,) = [line for line in bench.log() if line.get("msg") == "a hook failed; it is tried again"]
    assert (line["error"], line["output"]) == ('"/bin/sh" exited with 3', "no such board")


def test_verifying_again_stands_apart_and_changes_no_figure(bench: Bench) -> None:
    before = incident(bench)["times"]
    assert bench.rollbackd("verify", "checkout", "--reason", "once more").code == 0

    def again() -> Any:
        [move] = incident(bench)["transitions"]
        return move if move["again"] and move["again"][0]["verified"] else None

    move = wait_until(again, "it to be verified again", 20)
    assert (len(move["steps"]), len(move["again"][0]["steps"])) == (2, 2)
    assert {**incident(bench)["times"], "open": 0} == {**before, "open": 0}
    assert "once more" in bench.rollbackd("report", "checkout", "--incident", "last").out
