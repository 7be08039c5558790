"""What plugins of pytest write as JSON: the one document of pytest-json-report, or the lines of pytest-reportlog. Which of the two is seen by itself.

Format: the README of each of the two. Must not live here: figures (`tally`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from rollback_daemon.errors import Problem
from rollback_daemon.evidence.kind import ENOUGH, NOT_YET, Kind, Result, Source
from rollback_daemon.evidence.reading import Written, bounded, examined, formed, json_of, shown, since_epoch, strict_json, text_of
from rollback_daemon.evidence.tally import FIGURES, How, Settings, Tests

_OUTCOMES = {
    "passed": How.PASSED,
    "xpassed": How.PASSED,
    "failed": How.FAILED,
    "error": How.ERROR,
    "skipped": How.SKIPPED,
    "xfailed": How.SKIPPED,
}
_NOT_WHOLE = {2: "was interrupted", 3: "ended with an error of pytest itself", 4: "could not begin: pytest was called wrongly"}
_WORST = (How.PASSED, How.SKIPPED, How.FAILED, How.ERROR)
_LINE = "$report_type"


class _Node(Written):
    nodeid: str
    outcome: str


class _Report(Written):
    created: float
    exitcode: int
    tests: list[_Node]
    collectors: list[_Node] = Field(default=[])


class _Phase(Written):
    nodeid: str = Field(min_length=1)
    outcome: Literal["passed", "failed", "skipped", "rerun"]
    when: str
    start: float | None = None


def read(source: Source, settings: Settings) -> Result:
    """The tests of one run of pytest; an expected failure counts as skipped, as it does in JUnit XML."""
    text = text_of(bounded(source))
    return _lines(source, settings, text) if _is_log(text) else _document(source, settings)


def _is_log(text: str) -> bool:
    try:
        first = strict_json(text.lstrip().partition("\n")[0])
    except ValueError:
        return False
    return isinstance(first, dict) and _LINE in first


def _document(source: Source, settings: Settings) -> Result:
    report = formed(source, json_of(source), _Report, '{"created": 1518371686.8, "exitcode": 0, "tests": [...]}')
    problems: list[Problem] = []
    tests = Tests()
    for one in report.collectors:
        if one.outcome == "failed":
            tests.ended.append((one.nodeid, How.ERROR))
    for index, one in enumerate(report.tests):
        if one.outcome in _OUTCOMES:
            tests.ended.append((one.nodeid, _OUTCOMES[one.outcome]))
        else:
            text = f"must be {', '.join(sorted(_OUTCOMES))}, not {shown(one.outcome)}"
            problems.append(source.problem(text, f"tests[{index}] ({shown(one.nodeid)[1:-1]}).outcome"))
    total = _total(report)
    if total > len(report.tests):
        problems.append(source.problem(f"says {total} tests and has {len(report.tests)}; hand in the file as pytest wrote it", "summary.total"))
    problems += _ended(source, report.exitcode, tests, "exitcode")
    made_at = _time(source, report.created, "created", problems)
    source.reject_if(problems)
    return tests.result(source, settings, made_at, {"exitcode": report.exitcode})


def _total(report: _Report) -> int:
    summary = (report.model_extra or {}).get("summary")
    total = summary.get("total") if isinstance(summary, dict) else 0
    return total if isinstance(total, int) else 0


def _ended(source: Source, code: Any, tests: Tests, path: str, line: int = 0) -> Iterator[Problem]:
    """A run that did not come to its end says nothing about the tests that it did not reach; one that could not collect a file says which."""
    uncollected = any(how is How.ERROR for _, how in tests.ended)
    if code in _NOT_WHOLE and not (code == 2 and uncollected):
        yield source.problem(f"the run {_NOT_WHOLE[code]} (exit code {code}); run it to its end", path, line)


def _time(source: Source, seconds: float, path: str, problems: list[Problem]) -> datetime | None:
    try:
        at = since_epoch(seconds)
    except ValueError as error:
        problems.append(source.problem(str(error), path))
        return None
    if source.in_future(at):
        problems.append(source.problem(f"{at:%Y-%m-%dT%H:%M:%SZ} {NOT_YET}", path))
    return at


@dataclass(slots=True)
class _Log:
    """What the lines of a reportlog come to: a test ended as the worst of its phases."""

    source: Source
    problems: list[Problem] = field(default_factory=list)
    ended: dict[str, How] = field(default_factory=dict)
    came_through: set[str] = field(default_factory=set)
    retried: set[str] = field(default_factory=set)
    begun: list[float] = field(default_factory=list)
    finish: tuple[int, Any] | None = None

    def take(self, number: int, line: str) -> None:
        """One line; one of a kind that is not known is passed over."""
        try:
            value = strict_json(line)
        except json.JSONDecodeError as error:
            self.problems.append(self.source.problem(f"is no JSON: {error.msg.lower()}", "", number, error.colno))
            return
        except ValueError as error:
            self.problems.append(self.source.problem(str(error), "", number))
            return
        kind = value.get(_LINE) if isinstance(value, dict) else None
        if kind == "SessionFinish":
            self.finish = (number, value.get("exitstatus"))
        elif kind == "TestReport":
            self._phase(number, value)
        elif kind == "CollectReport" and value.get("outcome") == "failed":
            self._phase(number, {**value, "when": "collect"})

    def _phase(self, number: int, value: dict[str, Any]) -> None:
        phase, wrong = examined(self.source, value, _Phase, "{}")
        self.problems += [self.source.problem(one.text, one.path, number) for one in wrong]
        if phase is None:
            return
        if phase.start is not None:
            self.begun.append(phase.start)
        if phase.outcome == "rerun":
            self.retried.add(phase.nodeid)
            return
        if phase.when != "setup" or phase.outcome != "passed":
            self.came_through.add(phase.nodeid)
        self.ended[phase.nodeid] = max(self.ended.get(phase.nodeid, How.PASSED), _how(phase), key=_WORST.index)

    def tests(self) -> Tests:
        """Each test, once; one that was set up and then never heard of again is an error."""
        ended = [(name, how if name in self.came_through else How.ERROR) for name, how in self.ended.items()]
        return Tests(ended, sorted(name for name in self.retried if self.ended.get(name) is How.PASSED))


def _lines(source: Source, settings: Settings, text: str) -> Result:
    log = _Log(source)
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and len(log.problems) <= ENOUGH:
            log.take(number, line)
    tests, problems = log.tests(), log.problems
    if log.finish is None:
        problems.append(source.problem("has no line SessionFinish: the run did not come to its end, or the file was cut"))
    else:
        problems += _ended(source, log.finish[1], tests, "exitstatus", log.finish[0])
    made_at = _time(source, min(log.begun), "start", problems) if log.begun else None
    source.reject_if(problems)
    return tests.result(source, settings, made_at, {"exitcode": log.finish[1] if log.finish else None})


def _how(phase: _Phase) -> How:
    """A call that fails is a failure; what fails around it, or when collecting, is an error."""
    if phase.outcome == "failed":
        return How.FAILED if phase.when == "call" else How.ERROR
    return How.SKIPPED if phase.outcome == "skipped" else How.PASSED


KIND = Kind("a report of pytest-json-report or pytest-reportlog", FIGURES, read, Settings)
