"""A test file that has nothing but promtool's keys: promtool and `rollbackd test` come to the same, on the same rules."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rollback_daemon.faces.cli import app
from rollback_daemon.lab.toolset import Toolset, server_program

RULE: dict[str, Any] = {
    "alert": "HighErrorRate",
    "expr": 'sum by (job) (rate(requests_total{code="500"}[5m])) / sum by (job) (rate(requests_total[5m])) > 0.05',
    "for": "5m",
    "keep_firing_for": "3m",
    "labels": {"severity": "page", "team": "{{ $labels.job }}-team"},
    "annotations": {"summary": "{{ $labels.job }} fails", "share": "{{ $value | humanizePercentage }}"},
}
ROLLOUT = {
    "rollout": "pasted",
    "owner": "nobody",
    "flags": {"store": "json", "path": "flags.json"},
    "baseline": {"on": False},
    "stages": [{"stage": "canary", "exposure": "10%", "set": {"on": True}, "soak": "1h"}],
    "triggers": [{**RULE, "action": "alert"}],
}
TEST = """\
rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [pasted]
tests:
  - name: one job fails
    interval: 1m
    input_series:
      - {series: 'requests_total{job="api", code="200"}', values: 0+90x60}
      - {series: 'requests_total{job="api", code="500"}', values: 0x10 10+10x15 160x30}
      - {series: 'requests_total{job="web", code="200"}', values: 0+100x20 _x5 stale}
      - {series: 'requests_total{job="web", code="500"}', values: 0+4x20}
    external_labels: {cluster: test}
    alert_rule_test:
      - {eval_time: 10m, alertname: HighErrorRate, exp_alerts: []}
      - {eval_time: 15m, alertname: HighErrorRate}
      - eval_time: 25m30s
        alertname: HighErrorRate
        exp_alerts:
          - exp_labels: {severity: page, team: api-team, job: api}
            exp_annotations: {summary: api fails, share: 10%}
      - {eval_time: 50m, alertname: HighErrorRate, exp_alerts: []}
    promql_expr_test:
      - expr: sum by (job) (requests_total)
        eval_time: 5m
        exp_samples: [{labels: '{job="api"}', value: 450}, {labels: '{job="web"}', value: 520}]
      - {expr: 'requests_total{job="web", code="200"}', eval_time: 26m, exp_samples: []}
"""
WRONG = {
    "a label that is not there": ("job: api}", "job: api, pod: a}"),
    "a label that is missing": ("team: api-team, job: api", "job: api"),
    "another annotation": ("share: 10%", "share: 11%"),
    "an annotation that is missing": ("summary: api fails, ", ""),
    "an alert that is missing": ("eval_time: 25m30s", "eval_time: 12m"),
    "an alert too many": ("{eval_time: 15m, alertname", "{eval_time: 24m, alertname"),
    "another value": ("value: 450", "value: 451"),
    "a series too many": (", {labels: '{job=\"web\"}', value: 520}", ""),
}


def promtool(toolset: Toolset, folder: Path, text: str) -> int:
    """What promtool ends with, on Prometheus' own form of the rule."""
    assert toolset.promtool
    folder.mkdir(exist_ok=True)
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "pasted", "rules": [RULE]}]}), encoding="utf-8")
    (folder / "test.yml").write_text(text, encoding="utf-8")
    return subprocess.run([toolset.promtool, "test", "rules", "test.yml"], cwd=folder, capture_output=True, timeout=60, check=False).returncode


def ours(toolset: Toolset, folder: Path, text: str) -> tuple[int, str]:
    """What `rollbackd test` ends with, on the same rule as a trigger, and what it says."""
    folder.mkdir(exist_ok=True)
    (folder / "rules.yml").write_text(json.dumps(ROLLOUT), encoding="utf-8")
    (folder / "test.yml").write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["test", str(folder / "test.yml"), "--prometheus-binary", str(toolset.prometheus)])
    return done.exit_code, done.stdout


@pytest.mark.oldest_and_newest
def test_promtool_and_we_accept_the_same_file(toolset: Toolset, tmp_path: Path) -> None:
    assert promtool(toolset, tmp_path / "its", TEST) == 0
    code, said = ours(toolset, tmp_path / "ours", TEST)
    assert code == 0, said


@pytest.mark.parametrize("what", WRONG)
def test_promtool_and_we_refuse_the_same_expectation(what: str, toolset: Toolset, tmp_path: Path) -> None:
    text = TEST.replace(*WRONG[what])
    assert text != TEST
    assert promtool(toolset, tmp_path / "its", text) == 1
    assert ours(toolset, tmp_path / "ours", text)[0] == 1


def test_what_rollbackd_adds_to_an_alert_can_be_expected_and_need_not_be(toolset: Toolset, tmp_path: Path) -> None:
    more = TEST.replace("job: api}", "job: api, rollout: pasted, stage: canary, owner: nobody, cluster: test}").replace(
        "share: 10%", "share: 10%, action: alert"
    )
    assert ours(toolset, tmp_path, more)[0] == 0
    assert ours(toolset, tmp_path, more.replace("stage: canary", "stage: baseline"))[0] == 1


def test_without_a_prometheus_none_is_found(tmp_path: Path) -> None:
    assert server_program({"PATH": str(tmp_path)}, tmp_path) is None
    assert server_program({"PATH": str(tmp_path), "PROMETHEUS_DIR": str(tmp_path)}, tmp_path) is None
