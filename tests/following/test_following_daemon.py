"""A daemon without any Prometheus that follows a file: what it says while lines are missing, and the rollback when there are too many errors."""

import json
from datetime import UTC, datetime
from pathlib import Path

from rollback_daemon.lab.servers import wait_until
from tests.faces.http.bench import NOBODY_LISTENS, Bench

RULES = """
rollout: checkout
owner: deployment-lead
interval: 200ms
flags: {store: dotenv, path: flags.env}
baseline: {NEW_CHECKOUT: "false", SHARE: "0"}
evidence:
  errors: {kind: jsonl, max_age: 1m, from: {follow: LOG}, field: /code, aggregate: count, window: 2s, where: {/level: error}}
stages:
  - {stage: canary, exposure: 10%, set: {NEW_CHECKOUT: "true", SHARE: "10"}}
signals:
  errors: {evidence: errors, field: value}
gates:
  - {gate: NoErrors, signal: errors, at_most: 0}
triggers:
  - {alert: Errors, signal: errors, above: 2, severity: critical}
"""


def note(log: Path, **facts: object) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"timestamp": datetime.now(UTC).isoformat(), **facts}) + "\n")


def test_a_daemon_acts_on_a_file_that_it_follows(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with Bench(tmp_path / "daemon", NOBODY_LISTENS, rules=RULES.replace("LOG", str(log))) as bench:

        def said() -> str:
            return str(bench.get("/api/v1/rollouts/checkout/explain").json()["evidence"][0]["why"])

        wait_until(lambda: "is not there" in said(), "it to be missed", 20)
        assert bench.ask_for("promote", reason="blind").status_code == 409
        note(log, level="info")
        wait_until(lambda: said() == "", "it to be seen", 20)
        with log.open("a", encoding="utf-8") as file:
            file.write("Traceback (most recent call last):\n")
        wait_until(lambda: "cannot be read; the last one, at byte" in said(), "the broken line to be told", 20)
        refused = bench.ask_for("promote", reason="half blind")
        assert (refused.status_code, "cannot be read" in refused.text) == (409, True)
        wait_until(lambda: bench.ask_for("promote", reason="it has left the window").status_code == 202, "the promotion to be allowed", 20)
        bench.wait_for(stage="canary", phase="complete")

        ran = bench.rollbackd("evidence", "checkout", "errors", str(log), "--reason", "by hand")
        assert (ran.code, f"is read from {log} as it grows; it is not handed in" in ran.err) == (1, True), ran
        ran = bench.rollbackd("explain", "checkout")
        assert (f"the last lines of {log}" in ran.out.replace("\n", ""), "value 0" in ran.out) == (True, True), ran.out

        for code in (500, 502, 500):
            note(log, level="error", code=code)
        bench.wait_for(stage="baseline", phase="rolled_back")
        assert "errors 3 > 2" in str(next(one for one in bench.history() if one["event"] == "intended" and one["kind"] == "rollback"))
        assert "SHARE=0" in bench.flags.read_text(encoding="utf-8")
