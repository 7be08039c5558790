"""Results for other tools: an exit code, and XML whatever stands in names, files and answers."""

from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rollback_daemon.faces.cli import testing
from rollback_daemon.faces.cli.client import NO, UNKNOWN
from rollback_daemon.lab.testing.junit import document
from rollback_daemon.lab.testing.load import Case, load
from rollback_daemon.lab.testing.results import Failure, Outcome, Result
from tests.lab.desk import desk


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    [found] = load(desk(tmp_path_factory.mktemp("junit"), "  - {name: one, rollout_test: [{eval_time: 1m, stage: canary}]}\n"))
    return found


@given(st.text(st.characters(), max_size=20))
@example("]]><!-- & \" ' \x00\x07\x1b[31m\ud800\udfff\ufffe\U0001f600")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_breaks_the_document(case: Case, odd: str) -> None:
    named = replace(case, name=f"<{odd}>", file=f"{odd}.yml")
    failure = Failure(1, timedelta(minutes=1), f"what {odd}", f"expected {odd}", f"actual {odd}")
    results = [
        Result(named, Outcome.PASSED),
        Result(named, Outcome.SKIPPED),
        Result(named, Outcome.FAILED, 1.0, (failure,)),
        Result(named, Outcome.UNTOLD, 1.0, why=f"because {odd}"),
    ]
    [suite] = ET.fromstring(document(results, {"prometheus": odd}))  # noqa: S314  # we wrote it
    assert [one.tag for each in suite.findall("testcase") for one in each] == ["skipped", "failure", "error"]
    readable = "".join(one for one in odd if one in "\t\n\r" or one.isprintable())
    told = suite.findall("testcase")[3].find("error")
    assert told is not None
    assert set(readable) <= set(told.get("message", ""))


def test_a_failure_is_told_by_the_exit_code_also_beside_what_could_not_be_told(case: Case) -> None:
    passed, failed, untold = (Result(case, outcome) for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.UNTOLD))
    codes = [testing._code(results) for results in ([passed], [passed, untold], [untold, failed])]
    assert codes == [0, UNKNOWN, NO]
