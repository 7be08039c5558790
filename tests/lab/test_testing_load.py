"""What is wrong with a test file is said before anything runs: all of it, each at its place, with what would be right."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from rollback_daemon import documents
from rollback_daemon.errors import ConfigurationError
from rollback_daemon.faces.cli import app
from rollback_daemon.lab.testing.load import load
from tests.lab.desk import HEAD, RULES, desk

SERIES = "    input_series: [{series: errors_ratio, values: 0.001x40}]\n"


def problems(file: Path) -> list[str]:
    """Every mistake: `line: path: text`, without the column."""
    with pytest.raises(ConfigurationError) as refused:
        load(file)
    return [f"{one.line}: {one.path}: {one.text}" for one in refused.value.problems if "expects nothing" not in one.text]


MISTAKES = {
    "{eval_time: 1m, stage: canari}": 'rollout_test[0].stage: unknown stage "canari"; did you mean "canary"?',
    "{eval_time: 1m, triggers: {ErorsHigh: firing}}": 'rollout_test[0].triggers.ErorsHigh: unknown trigger "ErorsHigh"; did you mean "ErrorsHigh"?',
    "{eval_time: 1m, triggers: {ErrorsHigh: fired}}": 'must be "inactive", "pending" or "firing", not "fired"',
    "{eval_time: 1m, values: {eror: 1}}": 'rollout_test[0].values.eror: unknown signal "eror"; did you mean "errors"?',
    "{eval_time: 1m, values: {errors: nothing}}": 'must be a number, "no data" or "failed"',
    "{eval_time: 1m, gates: {Error: passes}}": 'rollout_test[0].gates.Error: unknown gate "Error"; did you mean "Errors"?',
    "{eval_time: 1m, gates: {Errors: pass}}": "rollout_test[0].gates.Errors: must be",
    "{eval_time: 1m, flags: {OLD: x}}": 'rollout_test[0].flags.OLD: unknown flag "OLD"',
    "{eval_time: 1m, decisions: [rollback to ful]}": 'decisions[0]: unknown decision "rollback to ful"; did you mean "rollback to full"?',
    "{eval_time: 20s, decisions: []}": "rollout_test[0].eval_time: lies between two evaluations (each 15s)",
    "{eval_time: 1m, blocked_by: [soaking]}": 'rollout_test[0].blocked_by[0]: unknown reason "soaking"; did you mean "soak"?',
    "{eval_time: 1m, alerts: [RolloutRolledBak]}": 'rollout_test[0].alerts[0]: unknown alert "RolloutRolledBak"; did you mean "RolloutRolledBack"?',
    "{eval_time: -1m, stage: canary}": 'rollout_test[0].eval_time: "-1m" is no duration; it cannot be negative',
    "{eval_time: 60d, stage: canary}": "rollout_test[0].eval_time: 60d is longer than 100,000 evaluations each 15s",
    "{stage: canary}": 'rollout_test[0].eval_time: "eval_time" is missing',
    "{eval_time: 1m, stages: canary}": 'rollout_test[0].stages: unknown key "stages"; did you mean "stage"?',
}


@pytest.mark.parametrize("expected", MISTAKES)
def test_a_mistake_in_what_is_expected_is_one_of_the_file(expected: str, tmp_path: Path) -> None:
    [found] = problems(desk(tmp_path, f"  - rollout_test: [{expected}]\n"))
    assert found.startswith("3: tests[0]")
    assert MISTAKES[expected] in found


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("input_series: [{series: errors_ratio, values: 1 stalex3}]", '"stalex3" is no part of a series (character 3)'),
        ("input_series: [{series: '{}', values: 1}]", "a series without any label is none; give it a name"),
        ("input_series: [{series: 'errors_ratio{a!=\"b\"}', values: 1}]", 'the label "a"'),
        ("promql_expr_test: [{expr: x, eval_time: 0, exp_samples: [{labels: 'm[5m]', value: 1}]}]", '"m[5m]" is no series'),
        ("promql_expr_test: [{expr: x, eval_time: 0, exp_samples: [{histogram: '{{som:1}}'}]}]", 'did you mean "sum"?'),
        ("alert_rule_test: [{eval_time: 1m, alertname: ErrorHigh}]", 'unknown alert "ErrorHigh"; did you mean "ErrorsHigh"?'),
        ("stage: top", 'unknown stage "top"'),
        ("rollout: chekout", 'unknown rollout "chekout"; did you mean "checkout"?'),
        ("baselines: {errors: 1}", 'unknown baseline "errors"; checkout has none'),
        ("endpoints: [{endpoint: 'http://127.0.0.1/', values: 1}]", "unknown endpoint"),
        ("people: [{at: 1m, withdraw: ''}]", "must not be empty"),
        ("people: [{at: 1m}]", "does nothing; give one of promote, rollback"),
        ("people: [{at: 1m, hold: x, resume: x}]", "does hold and resume at once"),
        ("people: [{at: 1m, rollback: {to: bottom}}]", 'unknown stage "bottom"'),
        ("people: [{at: 1m, promote: x, refused: [sock]}]", 'unknown reason "sock"; did you mean "soak"?'),
        ("people: [{at: 1m, flags: {OLD: x}}]", 'unknown flag "OLD"'),
        ("people: [{at: 1m, acknowledge: {reason: x}}]", '"acknowledge" needs the alert'),
        ("people: [{at: 1m, cancel: {alert: Errors}}]", 'unknown trigger "Errors"; did you mean "ErrorsHigh"?'),
    ],
)
def test_a_mistake_in_a_case_is_said_at_its_place(entry: str, said: str, tmp_path: Path) -> None:
    [found] = problems(desk(tmp_path, f"  - name: a case\n    {entry}\n"))
    assert found.startswith("4: tests[0]")
    assert said in found


def test_all_mistakes_are_said_at_once_those_of_the_rule_file_among_them(tmp_path: Path) -> None:
    tests = "  - rollout_test: [{eval_time: x}]\n  - input_series: [{series: up, values: 1.x}]\n"
    assert problems(desk(tmp_path, tests, head="rule_files: [checkout.yml, none.yml]\ntests:\n"))[0].startswith("3: ")
    file = desk(tmp_path, "  - input_series: [{series: up, values: 1 x}]\n", rules=RULES.replace("above: 5%", "abov: 5%"))
    mine, *others = sorted(problems(file), key=lambda one: "values" not in one)
    assert "write repetitions without spaces" in mine
    assert any('unknown key "abov"' in one for one in others)


def test_a_rule_file_of_prometheus_is_told_what_to_do_with_it(tmp_path: Path) -> None:
    found = problems(desk(tmp_path, "  - {name: x}\n", rules="groups: []\n"))
    assert any("is a rule file of Prometheus" in one and "`rollbackd import`" in one for one in found)


def test_an_endpoint_is_well_or_not_and_nothing_between(tmp_path: Path) -> None:
    rules = RULES.replace("signals:\n", "signals:\n  up: {http: [http://127.0.0.1:1/health]}\n")
    tests = "  - {endpoints: [{endpoint: 'http://127.0.0.1:1/health', values: 1 0 _ 0.5}], rollout_test: [{eval_time: 0, stage: canary}]}\n"
    assert ["an endpoint is 1" in one for one in problems(desk(tmp_path, tests, rules=rules))] == [True]


def test_of_several_rollouts_a_case_says_which(tmp_path: Path) -> None:
    other = RULES.replace("rollout: checkout", "rollout: search").replace("/srv/checkout", "/srv/search")
    (tmp_path / "search.yml").write_text(other, encoding="utf-8")
    head = "rule_files: ['*ch*.yml']\ntests:\n"
    [found] = problems(desk(tmp_path, "  - rollout_test: [{eval_time: 1m, stage: canary}]\n", head=head))
    assert "does not say which; say which one: rollout: checkout or search" in found
    [case] = load(desk(tmp_path, "  - {rollout: search, rollout_test: [{eval_time: 1m, stage: canary}]}\n", head=head))
    assert case.rollout
    assert case.rollout.name == "search"


def test_what_expects_nothing_can_never_fail_and_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(desk(tmp_path, "  - {name: x}\n  - rollout_test: [{eval_time: 1m}]\n"))
    assert [(one.line, one.path) for one in refused.value.problems] == [(3, "tests[0]"), (4, "tests[1].rollout_test[0]")]


def test_a_pattern_that_names_no_file_is_a_mistake(tmp_path: Path) -> None:
    assert problems(desk(tmp_path, "  - {name: x}\n", head="rule_files: [nothing*.yml]\ntests:\n")) == [
        '1: rule_files[0]: "nothing*.yml" names no file'
    ]


def test_the_interval_is_the_rule_files_own_and_the_step_is_the_interval(tmp_path: Path) -> None:
    [case] = load(desk(tmp_path, f"  - rollout_test: [{{eval_time: 50s, stage: canary}}]\n{SERIES}"))
    assert (case.interval, case.step, case.evaluations) == (timedelta(seconds=15), timedelta(seconds=15), 4)


def test_another_interval_is_no_gap_in_sight(tmp_path: Path) -> None:
    [case] = load(desk(tmp_path, "  - rollout_test: [{eval_time: 5m, stage: canary}]\n", head=f"evaluation_interval: 5m\n{HEAD}"))
    assert case.rollout
    assert (case.rollout.interval, case.rollout.max_gap) == (timedelta(minutes=5), timedelta(minutes=15))


def test_the_same_series_twice_is_the_later_one(tmp_path: Path) -> None:
    series = '[{series: \'m{a="1", b="2"}\', values: 1}, {series: \'m{b="2", a="1"}\', values: 2}, {series: m, values: 3}]'
    [case] = load(desk(tmp_path, f"  - input_series: {series}\n    rollout_test: [{{eval_time: 5m, stage: canary}}]\n"))
    assert [list(one.points) for one in case.series] == [[2.0], [3.0]]


def test_the_printed_schema_takes_every_shipped_test_file_and_no_misspelt_key() -> None:
    printed = CliRunner().invoke(app, ["schema", "tests"])
    validator = Draft202012Validator(json.loads(printed.stdout))
    for file in (Path(__file__).parents[2] / "rules" / "tests").glob("*.yml"):
        assert list(validator.iter_errors(documents.read(file).value)) == []
    assert not validator.is_valid({"tests": [{"nam": "x"}]})


def test_a_test_file_can_be_checked_without_being_run(tmp_path: Path) -> None:
    fine = CliRunner().invoke(app, ["check", str(desk(tmp_path, "  - rollout_test: [{eval_time: 1m, stage: canary}]\n"))])
    assert (fine.exit_code, fine.stdout) == (0, f"{tmp_path / 'test.yml'}: ok\n")
    wrong = CliRunner().invoke(app, ["check", str(desk(tmp_path, "  - rollout_test: [{eval_time: 1m, stage: canari}]\n"))])
    assert wrong.exit_code == 2
    assert 'did you mean "canary"?' in wrong.stderr
