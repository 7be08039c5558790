"""JUnit XML: what pytest and others write, what is left out by name, and what is refused."""

import pytest

from rollback_daemon.errors import ConfigurationError
from tests.evidence.raw import BEGIN, read
from tests.evidence.samples import JUNIT

BOMB = """<?xml version="1.0"?>
<!DOCTYPE testsuites [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<testsuites><testsuite name="&b;"/></testsuites>
"""
SUREFIRE = """<testsuite name="outer" tests="4" failures="1">
  <testsuite name="inner" tests="2"><testcase classname="a.B" name="one"/><testcase classname="a.B" name="two"/></testsuite>
  <testcase classname="a.C" name="three"><flakyFailure message="once"/></testcase>
  <testcase classname="a.C" name="four"><failure/><rerunFailure/></testcase>
</testsuite>"""


def refused(text: str, **settings: object) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        read("junit", text, **settings)
    return [str(one) for one in error.value.problems]


def test_what_pytest_writes_is_counted_as_pytest_counts() -> None:
    result = read("junit", JUNIT)
    assert result.figures == {
        "pass_rate": 3 / 6,
        "tests": 8,
        "passed": 3,
        "failures": 1,
        "errors": 2,
        "skipped": 2,
        "skipped_rate": 2 / 8,
        "excluded": 0,
        "flaky": 0,
    }
    assert result.made_at == BEGIN
    assert result.facts["not_passed"] == ["t.test_b (error)", "t.test_a::test_p[c::d] (failed)", "t.test_a::test_td (error)"]


@pytest.mark.parametrize("name", ["t.test_b", "t/test_b.py", "t/test_b.py*", "*test_b", "t.test_?"])
def test_a_file_that_cannot_be_collected_is_left_out_by_name_with_its_reason(name: str) -> None:
    result = read("junit", JUNIT, exclude=[{"name": name, "reason": "needs a module that is not there"}])
    assert (result.figures["errors"], result.figures["excluded"], result.figures["pass_rate"]) == (1, 1, 3 / 5)
    (left_out,) = result.excluded
    assert (left_out.name, left_out.reason, left_out.outcome) == ("t.test_b", "needs a module that is not there", "error")


def test_brackets_in_a_name_are_no_glob() -> None:
    result = read("junit", JUNIT, exclude=[{"name": "t/test_a.py::test_p[c::d]", "reason": "known"}])
    assert [one.name for one in result.excluded] == ["t.test_a::test_p[c::d]"]
    assert read("junit", JUNIT, exclude=[{"name": "t/test_a.py::test_p[?::d]", "reason": "known"}]).figures["excluded"] == 1


def test_an_exclusion_that_is_not_needed_any_more_is_told() -> None:
    result = read("junit", JUNIT, exclude=[{"name": "t/test_gone.py", "reason": "old"}])
    assert result.notes == ('the exclusion "t/test_gone.py" holds for nothing in the file; take it out',)


def test_suites_stand_in_suites_and_a_test_that_passed_when_it_was_run_again_is_flaky() -> None:
    result = read("junit", SUREFIRE)
    assert (result.figures["tests"], result.figures["passed"], result.figures["failures"], result.figures["flaky"]) == (4, 3, 1, 1)
    assert (result.facts["suites"], result.facts["flaky"], result.made_at) == (["outer", "inner"], ["a.C::three"], None)


def test_without_a_test_that_ran_there_is_no_pass_rate() -> None:
    result = read("junit", '<testsuite tests="1"><testcase name="a"><skipped/></testcase></testsuite>')
    assert "pass_rate" not in result.figures
    assert "no test ran: there is no pass rate" in result.notes


def test_a_time_without_a_zone_is_no_time() -> None:
    result = read("junit", JUNIT.replace("+00:00", ""))
    assert result.made_at is None
    assert result.notes == ("the file does not say in which time zone it was made, so not when",)


def test_an_xml_bomb_is_refused_where_it_begins() -> None:
    assert refused(BOMB) == ["evidence:2:22: has a document type declaration; no test runner writes one, take it out"]


def test_a_file_from_which_tests_were_taken_out_is_refused() -> None:
    problems = refused(
        JUNIT.replace('<testcase classname="t.test_a" name="test_p[c::d]"><failure message="no">x = \'c::d\'</failure></testcase>', "")
    )
    assert problems == [
        'evidence:3:0: the suite "pytest" says 4 failures and errors and has 3; hand in the file as the runner wrote it',
        'evidence:3:0: the suite "pytest" says 9 tests and has 8; hand in the file as the runner wrote it',
    ]


def test_all_mistakes_are_told_at_once_each_with_its_place() -> None:
    text = '<testsuites>\n<testsuite tests="many">\n<testcase/>\n</testsuite>\n<testsuite timestamp="2062-01-01T00:00:00Z"/>\n</testsuites>'
    assert refused(text) == [
        'evidence:2:1: "tests" of <testsuite> must be a whole number, not "many"',
        'evidence:3:1: a <testcase> has no "name"; without one it can be neither named nor excluded',
        'evidence:5:1: "timestamp" "2062-01-01T00:00:00Z" has not come yet; look at the clock of the runner and at this one',
    ]


def test_another_xml_is_said_to_be_another() -> None:
    assert refused("<html/>") == ["evidence:1:1: is no JUnit XML: it begins with <html>, not with <testsuites> or <testsuite>"]
