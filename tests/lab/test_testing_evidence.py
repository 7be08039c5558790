"""Tests of rules hand in evidence by its figures: what a file would come to, without the file."""

from pathlib import Path

import pytest

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.lab.testing.load import load
from rollback_daemon.lab.testing.results import Outcome
from rollback_daemon.lab.testing.running import run
from rollback_daemon.lab.toolset import Toolset

RULES = """
rollout: checkout
owner: ann
interval: 15s
flags: {store: dotenv, path: .env}
baseline: {NEW: "no"}
evidence:
  tests: {kind: junit, max_age: 10m, from: {folder: /nowhere}}
stages:
  - {stage: canary, exposure: 10%, set: {NEW: "yes"}, requires: {evidence: [soak]}}
signals:
  pass_rate: {evidence: tests, field: pass_rate}
gates:
  - {gate: PassRate, signal: pass_rate, at_least: 98%}
triggers:
  - {alert: PassRateLow, signal: pass_rate, below: 95%}
"""
TEST = """
rule_files: [checkout.yml]
tests:
  - people:
      - {at: 1m, evidence: {evidence: tests, figures: {pass_rate: 99%}}}
      - {at: 15m, evidence: {evidence: tests, figures: {pass_rate: 0.94}}}
    rollout_test:
      - {eval_time: 1m, gates: {PassRate: unknown}, values: {pass_rate: no data}}
      - {eval_time: 1m15s, gates: {PassRate: passes}, values: {pass_rate: 0.99}}
      - {eval_time: 12m, gates: {PassRate: unknown}, triggers: {PassRateLow: inactive}}
      - {eval_time: 15m15s, stage: baseline, triggers: {PassRateLow: firing}, decisions: [rollback to baseline]}
"""


def written(folder: Path, test: str) -> Path:
    (folder / "checkout.yml").write_text(RULES, encoding="utf-8")
    (folder / "test.yml").write_text(test, encoding="utf-8")
    return folder / "test.yml"


def test_figures_decide_from_the_next_evaluation_on_until_they_are_too_old(toolset: Toolset, tmp_path: Path) -> None:
    (case,) = load(written(tmp_path, TEST))
    result = run(case, toolset.prometheus, tmp_path / "server")
    assert (result.outcome, result.failures) == (Outcome.PASSED, ())


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("tests", "needs the figures that the file comes to: figures: {pass_rate: ...}, of pass_rate, tests,"),
        ("{evidence: tests, figures: {pas_rate: 1}}", 'the kind junit has no field "pas_rate"; did you mean "pass_rate"?'),
        ("{evidence: tests, figures: {pass_rate: 99s}}", '"99s" is a duration, but the signal is in "ratio"'),
        ("{evidence: soak, figures: {pass_rate: 1}}", 'the rules do not declare the evidence "soak", so nothing is read of it'),
    ],
)
def test_figures_that_there_are_not_are_mistakes_of_the_file(act: str, said: str, tmp_path: Path) -> None:
    one = "rule_files: [checkout.yml]\ntests:\n  - {people: [{at: 1m, evidence: %s}], rollout_test: [{eval_time: 2m, stage: canary}]}\n"
    with pytest.raises(ConfigurationError) as refused:
        load(written(tmp_path, one % act))
    assert said in str(refused.value)
