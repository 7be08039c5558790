"""Evidence comes by itself to a real daemon: files that are laid into a folder, well and badly, and a command that is run on a schedule."""

import os
from pathlib import Path
from typing import Any

from rollback_daemon.lab.servers import wait_until
from tests.faces.http.bench import NOBODY_LISTENS, Bench

RULES = """
rollout: checkout
owner: deployment-lead
interval: 200ms
flags: {store: dotenv, path: flags.env}
baseline: {NEW_CHECKOUT: "false", SHARE: "0"}
evidence:
  tests: {kind: junit, max_age: 1d, from: {folder: inbox, files: "*.xml"}}
stages:
  - {stage: canary, exposure: 10%, set: {NEW_CHECKOUT: "true", SHARE: "10"}}
  - {stage: half, exposure: 50%, set: {SHARE: "50"}}
signals:
  pass_rate: {evidence: tests, field: pass_rate}
gates:
  - {gate: PassRate, signal: pass_rate, at_least: 98%}
triggers:
  - {alert: PassRateLow, signal: pass_rate, below: 95%, severity: critical}
"""
SOAK = """
rollout: checkout
owner: deployment-lead
interval: 200ms
flags: {store: dotenv, path: flags.env}
baseline: {NEW_CHECKOUT: "false", SHARE: "0"}
evidence:
  soak: {kind: soak, max_age: 1d, from: {command: [./soak.sh], every: 1s, timeout: 1s, env: {LICENCE: abcd-efgh-ijkl}}}
  overlay: {kind: number, max_age: 1d, from: {command: [./overlay.sh], every: 1h, timeout: 30s}}
stages:
  - {stage: canary, exposure: 10%, set: {NEW_CHECKOUT: "true", SHARE: "10"}}
signals:
  violations: {evidence: soak, field: invariant_violations}
gates:
  - {gate: Invariants, signal: violations, at_most: 0}
triggers:
  - {alert: InvariantViolated, signal: violations, above: 0, severity: critical}
"""
REPORT = """
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
cat <<END
{"timestamp": "$now", "config": {"boardTypes": ["square8"], "gamesPerBoard": 3},
 "overall": {"totalGames": 3, "completedGames": 3, "maxTurnsGames": 0, "invariantViolations": $1},
 "buckets": [{"boardType": "square8", "totalGames": 3, "completedGames": 3, "maxTurnsGames": 0, "invariantViolations": $1}], "violations": []}
END
"""


def junit(failing: int) -> str:
    """A run of a hundred tests."""
    cases = [f'<testcase name="t{number}">{"<failure/>" if number < failing else ""}</testcase>' for number in range(100)]
    return f'<testsuite tests="100" failures="{failing}">{"".join(cases)}</testsuite>'


class Arrivals(Bench):
    """A daemon whose evidence comes by itself."""

    def evidence(self, name: str) -> Any:
        """What `explain` says of it."""
        found = self.get("/api/v1/rollouts/checkout/explain").json()["evidence"]
        return next(one for one in found if one["evidence"] == name)

    def told(self, event: str, text: str = "") -> list[Any]:
        """The records of a kind about evidence that have the text in them."""
        return [one for one in self.history() if one["event"] == event and text in str(one) and "evidence" in {event, one.get("request")}]

    def wait_until_told(self, event: str, text: str) -> None:
        wait_until(lambda: self.told(event, text), f'"{text}" on record as {event}', 30)

    def program(self, name: str, text: str) -> None:
        """Exchange a program, in one step."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        fresh.chmod(0o755)
        fresh.replace(self.folder / name)


def test_files_that_are_laid_into_a_folder_decide_and_bad_ones_are_refused(tmp_path: Path) -> None:
    bench = Arrivals(tmp_path / "daemon", NOBODY_LISTENS, rules=RULES)
    inbox, outside = bench.folder / "inbox", tmp_path / "outside.xml"
    inbox.mkdir()
    outside.write_text(junit(0), encoding="utf-8")
    for name, failing, at in (("yesterday.xml", 50, 100), ("today.xml", 1, 0)):
        (inbox / name).write_text(junit(failing), encoding="utf-8")
        when = (inbox / name).stat().st_mtime - at
        os.utime(inbox / name, (when, when))
    with bench:
        wait_until(lambda: bench.evidence("tests")["figures"].get("pass_rate") == 0.99, "the newest file to be taken", 30)
        wait_until(lambda: bench.ask_for("promote", reason="99 %").status_code == 202, "the promotion to be allowed", 30)
        bench.wait_for(stage="canary", phase="ready")

        torn = inbox / "torn.xml"
        torn.write_text(junit(2)[:500], encoding="utf-8")
        (inbox / "outside.xml").symlink_to(outside)
        bench.wait_until_told("refused", "torn.xml:1:495: is no XML: unclosed token; was it written to its end?")
        bench.wait_until_told("refused", '"outside.xml" is a symbolic link')
        assert (len(bench.told("refused")), len(bench.told("evidence"))) == (2, 1)
        ran = bench.rollbackd("explain", "checkout")
        assert "FAILING since" in ran.out, ran
        assert "EVIDENCE tests: " in bench.rollbackd("status").out
        assert 'evidence_runs_total{evidence="tests",outcome="refused",rollout="checkout"} 2.0' in bench.get("/metrics").text
        torn.write_text(junit(2), encoding="utf-8")
        bench.wait_until_told("evidence", "torn.xml")
        wait_until(lambda: bench.evidence("tests")["coming"]["failed"] == "", "the failure to be over", 30)

        inbox.rename(bench.folder / "aside")
        wait_until(lambda: "is not there" in bench.evidence("tests")["coming"]["failed"], "the folder to be missed", 30)
        assert bench.rollout()["phase"] == "ready"
        inbox.mkdir()
        (inbox / "late.xml.part").write_text(junit(6), encoding="utf-8")
        (inbox / "late.xml.part").rename(inbox / "late.xml")
        bench.wait_for(stage="baseline", phase="rolled_back")
        taken = bench.told("evidence", "late.xml")[0]
        assert (taken["why"], taken["figures"]["pass_rate"]) == (f"late.xml was found in {inbox}", 0.94)
        assert len(bench.told("refused")) == 2


def test_a_command_is_run_on_its_schedule_through_failures_and_a_kill(tmp_path: Path) -> None:
    bench = Arrivals(tmp_path / "daemon", NOBODY_LISTENS, rules=SOAK)
    pid = bench.folder / "pid"
    bench.program("soak.sh", f"set 0\n{REPORT}")
    bench.program("overlay.sh", f"echo $$ > {pid}; exec sleep 30")
    with bench:
        wait_until(pid.exists, "the overlay to be run", 30)
        bench.wait_until_told("evidence", "soak.sh")
        first = int(pid.read_text(encoding="utf-8"))
        bench.daemon.kill()
        wait_until(lambda: not Path(f"/proc/{first}").exists(), "the overlay to end with the daemon", 20)
        pid.unlink()
        bench.daemon.start()
        wait_until(pid.exists, "the overlay to be run again", 30)
        assert bench.evidence("overlay")["coming"]["running_since"]
        bench.program("overlay.sh", "echo 1480")
        os.kill(int(pid.read_text(encoding="utf-8")), 9)
        bench.wait_until_told("refused", "was ended by SIGKILL")

        wait_until(lambda: bench.ask_for("promote", reason="soaked").status_code == 202, "the promotion to be allowed", 30)
        bench.wait_for(stage="canary", phase="complete")
        bench.program("soak.sh", 'echo "no board, licence $LICENCE" >&2; exit 3')
        bench.wait_until_told("refused", "exited with 3; it printed last: no board, licence (value of LICENCE)")
        bench.program("soak.sh", "exec sleep 30")
        bench.wait_until_told("refused", "did not end within 1s and was killed")
        assert bench.rollout()["stage"] == "canary", "what failed says nothing about the rollout"
        bench.program("soak.sh", f"set 2\n{REPORT}\nexit 1")
        bench.wait_for(stage="baseline", phase="rolled_back")
        assert "exited with 1" in str(bench.told("evidence", "soak.sh")[-1]["notes"])

        bench.program("soak.sh", f"echo $$ > {pid}.last; exec sleep 30")
        wait_until(lambda: Path(f"{pid}.last").exists(), "another run", 30)
    assert not Path(f"/proc/{Path(f'{pid}.last').read_text(encoding='utf-8').strip()}").exists()
