"""A promotion at the terminal: each single thing that is missing is a no (exit 1) that names it and nothing else; what cannot be told is a 3."""

import hashlib
from pathlib import Path

import pytest

from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.cli.ladder import Ladder
from tests.faces.http.bench import FLAGS, Ran

RULES = """
rollout: checkout
owner: deployment-lead
interval: 200ms
flags: {store: dotenv, path: flags.env, on_drift: {raise: alert}}
baseline: {NEW_CHECKOUT: "false", SHARE: "0"}
stages:
  - {stage: canary, exposure: 10%, set: {NEW_CHECKOUT: "true", SHARE: "10"}, soak: 1s}
  - stage: half
    exposure: 25%
    set: {SHARE: "25"}
    requires:
      approvals: {roles: [lead, security]}
      checkpoints: [day-1]
      evidence: [soak-report]
      rehearsal: {within: 1h}
gates:
  - {gate: Quality, expr: vector(1), at_least: 1}
triggers:
  - {alert: ErrorRateHigh, expr: 'vector(0) > 1', severity: critical}
rehearsal:
  steps: [{command: ["true"]}]
"""
AT_CANARY = FLAGS.replace("false", "true").replace("SHARE=0", "SHARE=10")
MISSING = {
    "soak": (1, 'soaked 1s of 1h at "canary"'),
    "gate": (1, "gate Quality: Quality 0, must be >= 1"),
    "checkpoint": (1, 'checkpoint "day-1" is not on record'),
    "evidence": (1, 'evidence "soak-report" is not on record'),
    "rehearsal": (1, "no rollback has been rehearsed"),
    "vote": (1, "1 of 2 approvals; missing: security"),
    "go": (1, "NO-GO by bob (security)"),
    "hold": (1, "it is held (ann: wait)"),
    "flags": (1, "its flags are not those of the stage on record (SHARE)"),
    "sight": (3, "gate Quality: Quality is unknown"),
    "nothing": (0, ""),
}


@pytest.mark.parametrize("missing", MISSING)
def test_each_single_missing_thing_is_named_alone(missing: str, told: PrometheusServer, tmp_path: Path) -> None:
    code, sentence = MISSING[missing]
    one = Ladder(tmp_path, told.url, rules(missing))
    one.flags.write_text(AT_CANARY, encoding="utf-8")
    with one:
        one.wait_for(stage="canary", drift="none")
        prepared(one, missing)
        ran = promoted(one)
    assert ran.code == code, ran.err
    assert [line[4:].startswith(sentence.split(" 1s of ")[0]) for line in ran.err.splitlines()[1:]] == ([True] if code else []), ran.err
    assert one.flags.read_text(encoding="utf-8") == {0: AT_CANARY.replace("SHARE=10", "SHARE=25")}.get(code, flags(missing))


def rules(missing: str) -> str:
    """With what cannot be met; as time does not count that is spent blind, such a stage asks for none."""
    changes = {"soak": ("soak: 1s", "soak: 1h"), "gate": ("vector(1), at", "vector(0), at"), "sight": ("vector(1), at", "quality, at")}
    changed = RULES.replace(*changes.get(missing, ("", "")))
    return changed.replace("soak: 1s", "soak: 0s") if missing in {"gate", "sight"} else changed


def flags(missing: str) -> str:
    """What nobody but the test has set."""
    return AT_CANARY.replace("SHARE=10", "SHARE=25") if missing == "flags" else AT_CANARY


def prepared(one: Ladder, missing: str) -> None:
    """Everything that the stage asks for, but one thing."""
    if missing != "rehearsal":
        wait_until(lambda: one.rollout()["evaluated_at"] > one.rollout()["since"], "an evaluation at canary", 30)
        one.asks("ann", "rehearse")
        wait_until(lambda: any(event["event"] == "rehearsed" and event["passed"] for event in one.history()), "the rehearsal to pass", 30)
    if missing != "checkpoint":
        one.asks("ann", "checkpoint/day-1", decision="GO")
    if missing != "evidence":
        one.asks("ann", "evidence/soak-report", file="soak.json", sha256=hashlib.sha256(b"{}").hexdigest(), bytes=2)
    one.asks("pam", "propose")
    one.asks("ann", "approve")
    if missing == "go":
        one.asks("bob", "reject")
    if missing not in {"go", "vote"}:
        one.asks("cat", "approve")
    if missing not in {"soak", "gate", "sight"}:
        one.wait_for(phase="ready")
    if missing == "flags":
        one.flags.write_text(flags(missing), encoding="utf-8")
        one.wait_for(drift="higher")
    if missing == "hold":
        one.asks("ann", "hold", reason="wait")


def promoted(one: Ladder) -> Ran:
    """As a person asks for it."""
    return one.does("ann", "promote", "checkout", "--reason", "as agreed")
