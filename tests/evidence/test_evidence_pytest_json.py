"""What plugins of pytest write as JSON: the same run, in both formats, comes to the same figures as its JUnit XML."""

import json
from typing import Any

import pytest

from rollback_daemon.errors import ConfigurationError
from tests.evidence.raw import BEGIN, read
from tests.evidence.samples import JUNIT, PASSED, PYTEST, REPORTLOG, lines, phases

FINISH = {"exitstatus": 0, "$report_type": "SessionFinish"}


def refused(data: str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        read("pytest_json", data)
    return [str(one) for one in error.value.problems]


@pytest.mark.parametrize("data", [json.dumps(PYTEST), json.dumps(PYTEST, indent=4), lines(REPORTLOG)])
def test_the_formats_of_one_run_come_to_the_same_figures(data: str) -> None:
    exclude = [{"name": "t/test_b.py", "reason": "needs a module"}]
    result, same = read("pytest_json", data, exclude=exclude), read("junit", JUNIT, exclude=exclude)
    assert (result.figures, result.made_at) == (same.figures, BEGIN)
    assert [(one.reason, one.outcome) for one in result.excluded] == [("needs a module", "error")]


@pytest.mark.parametrize(("code", "why"), [(2, "was interrupted"), (3, "ended with an error of pytest itself"), (4, "could not begin")])
def test_a_run_that_did_not_come_to_its_end_is_refused(code: int, why: str) -> None:
    passed = [{"nodeid": "a", "outcome": "passed"}]
    for data in (json.dumps({"created": 0, "exitcode": code, "tests": passed}), lines([*phases("a", *PASSED), {**FINISH, "exitstatus": code}])):
        (problem,) = refused(data)
        assert why in problem
        assert problem.endswith("run it to its end")


def test_a_run_that_was_stopped_by_files_it_could_not_collect_has_figures() -> None:
    said: dict[str, Any] = {"created": 0, "exitcode": 2, "tests": [], "collectors": [{"nodeid": "t/test_b.py", "outcome": "failed"}]}
    assert read("pytest_json", json.dumps(said)).figures["pass_rate"] == 0
    excluded = read("pytest_json", json.dumps(said), exclude=[{"name": "t/test_b.py", "reason": "known"}])
    assert "pass_rate" not in excluded.figures


def test_tests_that_were_taken_out_are_missed() -> None:
    assert refused(json.dumps({**PYTEST, "tests": PYTEST["tests"][:3]})) == [
        "evidence: summary.total: says 7 tests and has 3; hand in the file as pytest wrote it"
    ]


def test_a_log_without_its_last_line_is_refused() -> None:
    assert refused(lines(REPORTLOG[:-1])) == ["evidence: has no line SessionFinish: the run did not come to its end, or the file was cut"]


def test_a_test_that_was_begun_and_never_ended_is_an_error() -> None:
    result = read("pytest_json", lines([*phases("a", *PASSED), *phases("b", ("setup", "passed")), FINISH]))
    assert (result.figures["passed"], result.figures["errors"]) == (1, 1)


def test_a_test_that_was_rerun_and_passed_is_flaky() -> None:
    rerun = phases("a", ("setup", "passed"), ("call", "rerun"), ("teardown", "passed"))
    result = read("pytest_json", lines([*rerun, *phases("a", *PASSED), FINISH]))
    assert (result.figures["passed"], result.figures["flaky"], result.facts["flaky"]) == (1, 1, ["a"])


def test_all_mistakes_are_told_at_once_each_with_its_place() -> None:
    log = lines([*phases("a", ("setup", "burned")), FINISH]) + '{"nodeid": \n'
    assert refused(log) == [
        'evidence:1:0: outcome: must be "passed", "failed", "skipped" or "rerun", not "burned"',
        "evidence:3:12: is no JSON: expecting value",
    ]
    report = {"created": "yesterday", "exitcode": 0, "tests": [{"nodeid": "a"}]}
    assert refused(json.dumps(report)) == [
        'evidence: created: must be a number, not "yesterday"',
        'evidence: tests[0].outcome: "outcome" is missing; it must be given',
    ]
