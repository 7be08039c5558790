"""`rollbackd test` on a real Prometheus: what is as expected passes, anything else fails with both sides and the reason."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from rollback_daemon.faces.cli import app
from rollback_daemon.lab.toolset import Toolset
from tests.lab.desk import RULES, desk

YES, NO, USAGE, UNKNOWN = 0, 1, 2, 3
SERIES = "    input_series: [{series: 'errors_ratio{pod=\"a\"}', values: 0.001x39 0.06x40}]\n"
STORY = f"""\
  - name: the whole vocabulary
{SERIES}    people:
      - {{at: 1m, promote: too early, refused: [soak]}}
      - {{at: 2m, hold: a meeting}}
      - {{at: 3m, resume: it is over}}
      - {{at: 4m, resume: again, refused: []}}
      - {{at: 9m, break_glass: now, by: boss}}
    rollout_test:
      - eval_time: 5m
        stage: canary
        phase: soaking
        exposure: 10%
        blind: false
        triggers: {{ErrorsHigh: {{phase: inactive, value: 0.001, health: ok, armed: true, labels: {{pod: a}}}}}}
        values: {{errors: [{{labels: {{pod: a}}, value: 0.001}}]}}
        gates: {{Errors: passes}}
        flags: {{NEW: "true"}}
        decisions: []
        blocked_by: [soak]
        alerts: []
      - {{eval_time: 9m, stage: full, decisions: [promote to full], alerts: [RolloutBreakGlass]}}
      - {{eval_time: 10m45s, triggers: {{ErrorsHigh: pending}}}}
      - {{eval_time: 11m, stage: canary, triggers: {{ErrorsHigh: firing}}, decisions: [rollback to canary], flags: {{NEW: "true"}}}}
      - {{eval_time: 11m10s, alerts: [ErrorsHigh, RolloutRolledBack]}}
    alert_rule_test:
      - {{eval_time: 10m45s, alertname: ErrorsHigh}}
      - {{eval_time: 11m, alertname: ErrorsHigh, exp_alerts: [{{exp_labels: {{pod: a}}}}]}}
      - {{eval_time: 11m, alertname: RolloutRolledBack, exp_alerts: [{{exp_labels: {{severity: critical}}}}]}}
    promql_expr_test:
      - {{expr: errors_ratio * 2, eval_time: 1m7s, exp_samples: [{{labels: '{{pod="a"}}', value: 0.002}}]}}
"""


@pytest.fixture
def ran(toolset: Toolset, tmp_path: Path) -> "Runs":
    return Runs(toolset, tmp_path)


def rollbackd(*words: str | Path, env: dict[str, str] | None = None) -> Result:
    """Run the command line to its end, without a process of its own."""
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": None, **(env or {})})


class Runs:
    """Runs the verb on tests that are written to a file."""

    def __init__(self, toolset: Toolset, folder: Path) -> None:
        self.toolset, self.folder = toolset, folder

    def __call__(self, tests: str, *words: str | Path) -> Result:
        return rollbackd("test", desk(self.folder, tests), "--prometheus-binary", self.toolset.prometheus, *words)


def test_what_is_as_expected_passes(ran: Runs) -> None:
    done = ran(STORY)
    assert (done.exit_code, done.stderr) == (YES, ""), done.stdout
    assert "passed  the whole vocabulary" in done.stdout
    assert "1 passed in" in done.stdout
    assert done.stdout.strip().endswith(f"on Prometheus {ran.toolset.version}")


WRONG = {
    "{eval_time: 11m, stage: full}": "stage: expected full, but it is canary",
    "{eval_time: 11m, phase: soaking}": "phase: expected soaking, but it is rolled_back",
    "{eval_time: 11m, exposure: 100%}": "exposure: expected 100%, but it is 10%",
    "{eval_time: 11m, blind: true}": "blind: expected true, but it is false",
    "{eval_time: 11m, triggers: {ErrorsHigh: pending}}": "trigger ErrorsHigh: expected pending, but it is firing",
    "{eval_time: 11m, triggers: {ErrorsHigh: {value: 0.05}}}": "value of trigger ErrorsHigh: expected 0.05, but it is 0.06",
    "{eval_time: 11m, triggers: {ErrorsHigh: {health: no_data}}}": "health of trigger ErrorsHigh: expected no_data, but it is ok",
    "{eval_time: 11m, triggers: {ErrorsHigh: {armed: false}}}": "trigger ErrorsHigh: expected not armed, but it is armed",
    "{eval_time: 11m, triggers: {ErrorsHigh: {labels: {pod: b}, phase: firing}}}": 'trigger ErrorsHigh{pod="b"}: expected firing, but it is inactive',
    "{eval_time: 11m, values: {errors: 0.05}}": "signal errors: expected 0.05, but it is 0.06",
    "{eval_time: 11m, values: {errors: [{labels: {pod: a}, value: 0.060001}]}}": 'signal errors{pod="a"}: expected 0.060001, but it is 0.06',
    "{eval_time: 11m, values: {errors: no data}}": "signal errors: expected no data, but it is 0.06",
    "{eval_time: 30m, values: {errors: 0.06}}": "signal errors: expected 0.06, but it is no data (the query returned nothing)",
    "{eval_time: 11m, gates: {Errors: passes}}": 'gate Errors: expected passes, but it is violated (Errors: errors{pod="a"} 0.06, must be < 0.01)',
    "{eval_time: 11m, flags: {NEW: all}}": "flag NEW: expected all, but it is true",
    "{eval_time: 11m, decisions: []}": "decisions: expected [], but it is [rollback to canary]",
    "{eval_time: 11m, blocked_by: [soak]}": "blocked_by: expected [soak], but it is [gate_violated, latched, soak, trigger_firing]",
    "{eval_time: 11m, alerts: []}": "alerts: expected [], but it is [ErrorsHigh, RolloutRolledBack]",
}


def test_each_wrong_expectation_fails_with_both_sides(ran: Runs) -> None:
    people = "    people: [{at: 9m, break_glass: now, by: boss}]\n"
    done = ran(f"  - name: all of it wrong\n{SERIES}{people}    rollout_test: [{', '.join(WRONG)}]\n", "--format", "json")
    assert done.exit_code == NO
    [case] = json.loads(done.stdout)["cases"]
    told = [f"{one['what']}: expected {one['expected']}, but it is {one['actual']}" for one in case["failures"]]
    assert sorted(told) == sorted(WRONG.values())


def test_a_failure_is_explained_by_the_trigger_and_by_what_had_happened(ran: Runs) -> None:
    done = ran(f"  - name: too slow\n{SERIES}    rollout_test:\n      - {{eval_time: 10m30s, triggers: {{ErrorsHigh: firing}}}}\n")
    assert done.exit_code == NO
    for line in (
        f"{ran.folder / 'test.yml'}:6: at 10m30s: trigger ErrorsHigh",
        "expected  firing",
        "actual    pending",
        'errors{pod="a"} 0.06 > 0.05 for 1m (held 30s), since 10m, fires in 30s',
        "what would change it: fires in 30s unless a clear evaluation comes first",
        '10m  ErrorsHigh is pending: {pod="a"} 0.06 (limit: > 0.05)',
    ):
        assert line in done.stdout


def test_people_alerts_and_expressions_fail_as_well(ran: Runs) -> None:
    wrong = f"""\
  - name: people
{SERIES}    people:
      - {{at: 1m, promote: too early}}
      - {{at: 1m, hold: a meeting, refused: [held]}}
      - {{at: 2m, rollback: {{to: full}}, refused: [soak]}}
    alert_rule_test:
      - {{eval_time: 11m, alertname: ErrorsHigh}}
      - {{eval_time: 11m, alertname: ErrorsHigh, exp_alerts: [{{}}]}}
      - {{eval_time: 11m, alertname: ErrorsHigh, exp_alerts: [{{exp_labels: {{pod: a, severity: warning}}}}]}}
      - {{eval_time: 5m, alertname: ErrorsHigh, exp_alerts: [{{exp_labels: {{pod: a}}}}]}}
    promql_expr_test:
      - {{expr: errors_ratio, eval_time: 1m, exp_samples: [{{labels: 'errors_ratio{{pod="a"}}', value: 0.0010000000000000002}}]}}
      - {{expr: errors_ratio, eval_time: 1m}}
      - {{expr: sum(, eval_time: 1m}}
"""
    done = ran(wrong, "--format", "json")
    assert done.exit_code == NO
    [case] = json.loads(done.stdout)["cases"]
    assert [one["line"] for one in case["failures"]] == [6, 7, 15, 16, 17, 8, 13, 10, 11, 12]
    by_line = {one["line"]: one for one in case["failures"]}
    assert by_line[6]["actual"].startswith("refused: [soak] (checkout stays at canary: soaked 1m of 10m")
    assert (by_line[7]["expected"], by_line[7]["actual"]) == ("refused: [held]", "done")
    assert "[not_lower]" in by_line[8]["actual"]
    assert "pod='a'" in by_line[10]["actual"]
    assert by_line[13]["actual"] == "none"
    assert "parse error" in by_line[17]["actual"]


def test_results_can_be_written_for_other_tools(ran: Runs) -> None:
    bad = f'  - name: "wrong \\u0007"\n{SERIES}    rollout_test: [{{eval_time: 1m, stage: full}}]\n'
    other = "  - {name: never run, rollout_test: [{eval_time: 1m, stage: canary}]}\n"
    done = ran(STORY + bad + other, "--junit", ran.folder / "junit.xml", "--run", "vocabulary|wrong")
    assert done.exit_code == NO
    root = ET.parse(ran.folder / "junit.xml").getroot()  # noqa: S314  # we wrote it
    [suite] = root
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    assert suite.find("properties/property[@name='prometheus']").get("value") == ran.toolset.version  # type: ignore[union-attr]
    passed, failed, skipped = suite.findall("testcase")
    assert (passed.get("name"), len(passed)) == ("the whole vocabulary", 0)
    assert failed.get("name") == "wrong "
    assert failed.find("failure").get("message") == "at 1m: stage: expected full, but it is canary"  # type: ignore[union-attr]
    assert skipped.find("skipped") is not None


def test_after_a_failure_nothing_more_needs_to_begin(ran: Runs) -> None:
    wrong = f"  - name: wrong\n{SERIES}    rollout_test: [{{eval_time: 1m, stage: full}}]\n"
    done = ran(wrong * 12, "--fail-fast")
    assert done.exit_code == NO
    assert "skipped" in done.stdout


def test_a_server_that_does_not_start_is_not_a_failure_of_the_rules(tmp_path: Path) -> None:
    sham = tmp_path / "prometheus"
    sham.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "prometheus, version 9.9.9" && exit 0\necho no room left >&2; exit 1\n', encoding="utf-8"
    )
    sham.chmod(0o755)
    done = rollbackd("test", desk(tmp_path, STORY), "--prometheus-binary", sham)
    assert done.exit_code == UNKNOWN
    assert "COULD NOT TELL" in done.stdout
    assert "no room left" in done.stdout


def test_mistakes_end_it_before_anything_runs(tmp_path: Path) -> None:
    file = desk(tmp_path, "  - {nam: x}\n")
    done = rollbackd("test", file, "--prometheus-binary", tmp_path / "none")
    assert (done.exit_code, done.stdout) == (USAGE, "")
    assert f'{file}:3:6: tests[0].nam: unknown key "nam"; did you mean "name"?' in done.stderr
    fine = desk(tmp_path, "  - {name: x, rollout_test: [{eval_time: 1m, stage: canary}]}\n", rules=RULES)
    for words, said in (
        (("--prometheus-binary", tmp_path / "none"), "is no Prometheus that runs here"),
        (("--run", "("), "is no regular expression"),
        (("--run", "zzz"), 'no case is called like "zzz"; there are x'),
    ):
        done = rollbackd("test", fine, *words)
        assert done.exit_code == USAGE
        assert said in done.stderr
