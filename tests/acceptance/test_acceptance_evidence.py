"""A real run of tests, handed in as its JUnit file, decides at a real daemon: 99 % lets the rollout climb, 94 % takes it back. Nobody is asked."""

import os
import subprocess
import sys
from pathlib import Path

from rollback_daemon.lab.servers import wait_until
from tests.faces.http.bench import NOBODY_LISTENS, Bench, Ran

RULES = """
rollout: checkout
owner: deployment-lead
interval: 200ms
max_gap: 1m   # a breach that outlasts a rollback leads further down after so long, and a figure stays until the next file
flags: {store: dotenv, path: flags.env}
baseline: {NEW_CHECKOUT: "false", SHARE: "0"}
evidence:
  tests: {kind: junit, max_age: 1d}
stages:
  - {stage: canary, exposure: 10%, set: {NEW_CHECKOUT: "true", SHARE: "10"}}
  - {stage: half, exposure: 50%, set: {SHARE: "50"}, requires: {evidence: [{evidence: tests, within: 1h}]}}
signals:
  pass_rate: {evidence: tests, field: pass_rate}
gates:
  - {gate: PassRate, signal: pass_rate, at_least: 98%}
triggers:
  - {alert: PassRateLow, signal: pass_rate, below: 95%, severity: critical}
"""
SUITE = """
import os
import pytest

@pytest.mark.parametrize("number", range(100))
def test_it(number):
    print("x" * 1000)
    assert number >= int(os.environ["FAILING"])
"""


def suite(folder: Path, failing: int) -> Path:
    """The JUnit file of a real run of a hundred tests, of which so many fail. With what they print it is larger than any other request may be."""
    (folder / "suite.py").write_text(SUITE, encoding="utf-8")
    report = folder / f"failing-{failing}.xml"
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "-o", "junit_logging=all", f"--junitxml={report}"]
    environment = {**os.environ, "FAILING": str(failing)}
    subprocess.run([sys.executable, "-m", "pytest", *options, folder / "suite.py"], env=environment, capture_output=True, check=False, timeout=120)
    return report


def hand_in(bench: Bench, file: Path) -> Ran:
    return bench.rollbackd("evidence", "checkout", "tests", str(file), "--reason", "the run of CI")


def test_a_run_of_tests_lets_a_rollout_climb_and_takes_it_back(tmp_path: Path) -> None:
    with Bench(tmp_path / "daemon", NOBODY_LISTENS, rules=RULES) as bench:
        refused = bench.ask_for("promote", reason="day one")
        assert (refused.status_code, "not on record" in refused.text) == (409, True)

        torn = tmp_path / "torn.xml"
        torn.write_text("<testsuite>", encoding="utf-8")
        ran = hand_in(bench, torn)
        assert (ran.code, "refused" in ran.err, "torn.xml:1:12: is no XML: no element found" in ran.err) == (1, True, True), ran.err
        assert "is no XML" in str([one for one in bench.history() if one["event"] == "refused"][-1]["why"])
        assert bench.get("/api/v1/rollouts/checkout/explain").json()["evidence"][0]["handed_in"] is None

        good = suite(tmp_path, 1)
        assert good.stat().st_size > 100_000
        ran = hand_in(bench, good)
        assert (ran.code, "pass_rate 0.99 (99 %), tests 100" in ran.out) == (0, True), ran
        ran = hand_in(bench, good)
        assert (ran.code, "is on record already" in ran.out, sum(one["event"] == "evidence" for one in bench.history())) == (0, True, 1), ran
        wait_until(lambda: bench.ask_for("promote", reason="99 %").status_code == 202, "the promotion to canary to be allowed", 30)
        bench.wait_for(stage="canary", phase="ready")
        assert bench.ask_for("promote", reason="99 %").status_code == 202
        bench.wait_for(stage="half", phase="complete")
        assert 'signal_value{rollout="checkout",signal="pass_rate"} 0.99' in bench.get("/metrics").text
        ran = bench.rollbackd("simulate", "checkout", "--set", "pass_rate=94%")
        assert (ran.code, "PassRateLow" in ran.out) == (0, True), ran

        assert hand_in(bench, suite(tmp_path, 6)).code == 0
        bench.wait_for(stage="canary", phase="rolled_back")
        assert "tests  of " in bench.rollbackd("explain", "checkout").out
        assert "SHARE=10" in bench.flags.read_text(encoding="utf-8")
        ran = hand_in(bench, good)
        assert (ran.code, "and the newest counts" in ran.err) == (1, True), ran
        said = bench.history()
        assert "pass_rate 0.94 < 0.95" in str(next(one for one in said if one["event"] == "intended" and one["kind"] == "rollback"))
        assert not [one for one in said if "xxxx" in str(one)]
