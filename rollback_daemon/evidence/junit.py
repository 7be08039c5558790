"""JUnit XML, as pytest, Maven, Gradle, Jest and others write it: suites in suites, each test an element `testcase`.

There is no standard; what is read is what all of them share. A document type declaration, in which XML bombs live, is refused, and nothing outside
the file is ever looked at. Must not live here: figures (`tally`).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn
from xml.parsers import expat

from rollback_daemon.errors import Problem
from rollback_daemon.evidence.kind import ENOUGH, NOT_YET, Kind, Result, Source
from rollback_daemon.evidence.reading import DEEPEST, bounded, instant, shown
from rollback_daemon.evidence.tally import FIGURES, How, Settings, Tests

_ENDINGS = {"failure": How.FAILED, "error": How.ERROR, "skipped": How.SKIPPED}
_WORST = (How.PASSED, How.SKIPPED, How.FAILED, How.ERROR)
_RETRIED = {"flakyFailure", "flakyError"}  # Maven Surefire: it passed when it was run again
_COUNTS = ("tests", "failures", "errors")


class _Refused(Exception):
    """Nothing more can be said after this; with the line and the column."""


@dataclass(slots=True)
class _Suite:
    """A suite that is open: what its attributes say, and what was found in it."""

    name: str
    line: int
    said: dict[str, int]
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))


@dataclass(slots=True)
class _Reader:
    """Listens to the parser."""

    source: Source
    parser: Any
    tests: Tests = field(default_factory=Tests)
    stack: list[str] = field(default_factory=list)
    suites: list[_Suite] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    made: list[datetime] = field(default_factory=list)
    no_zone: bool = False
    problems: list[Problem] = field(default_factory=list)
    case: tuple[str, How] | None = None

    def doctype(self, *_declaration: Any) -> None:
        self._refuse("has a document type declaration; no test runner writes one, take it out")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        self.stack.append(tag)
        if len(self.stack) > DEEPEST:
            self._refuse(f"is nested deeper than {DEEPEST} levels; no result needs that")
        if len(self.stack) == 1 and tag not in {"testsuites", "testsuite"}:
            self._refuse(f"is no JUnit XML: it begins with <{tag[:40]}>, not with <testsuites> or <testsuite>")
        if tag in {"testsuites", "testsuite"}:
            self._suite(tag, attributes)
        elif tag == "testcase":
            self._case(attributes)
        elif self.case and len(self.stack) > 1 and self.stack[-2] == "testcase":
            name, how = self.case
            self.case = (name, max(how, _ENDINGS.get(tag, How.PASSED), key=_WORST.index))
            if tag in _RETRIED and name not in self.tests.flaky[-1:]:
                self.tests.flaky.append(name)

    def end(self, tag: str) -> None:
        tag = tag.rpartition(":")[2]
        self.stack.pop()
        if tag == "testcase" and self.case:
            self._count(*self.case)
            self.case = None
        elif tag in {"testsuites", "testsuite"}:
            self._close(self.suites.pop())

    def _suite(self, tag: str, attributes: dict[str, str]) -> None:
        name = attributes.get("name", "")
        said = {one: self._number(tag, one, attributes[one]) for one in _COUNTS if one in attributes}
        self.suites.append(_Suite(name, self.parser.CurrentLineNumber, said))
        if tag == "testsuite":
            self.names.append(name)
        if "timestamp" in attributes:
            self._time(attributes["timestamp"])

    def _case(self, attributes: dict[str, str]) -> None:
        name, group = attributes.get("name", ""), attributes.get("classname", "")
        if not name:
            self._problem('a <testcase> has no "name"; without one it can be neither named nor excluded')
        self.case = (f"{group}::{name}" if group else name, How.PASSED)

    def _count(self, name: str, how: How) -> None:
        if how is How.ERROR and self.tests.ended[-1:] == [(name, How.FAILED)]:
            self.tests.ended.pop()  # pytest writes a test twice that failed, and could not be cleaned up after
        self.tests.ended.append((name, how))
        for suite in self.suites:
            suite.found["tests"] += 1
            suite.found["failures"] += how is How.FAILED
            suite.found["errors"] += how is How.ERROR

    def _close(self, suite: _Suite) -> None:
        """A file from which tests were taken out, or that was put together badly, says more than it has."""
        found, said = suite.found, suite.said
        pairs = [("tests", found["tests"], said.get("tests", 0))]
        pairs.append(("failures and errors", found["failures"] + found["errors"], said.get("failures", 0) + said.get("errors", 0)))
        for what, there, claimed in pairs:
            if there < claimed:
                text = f"the suite {shown(suite.name)} says {claimed} {what} and has {there}; hand in the file as the runner wrote it"
                self.problems.append(self.source.problem(text, "", suite.line, 0))

    def _number(self, tag: str, name: str, value: str) -> int:
        if value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)
        self._problem(f'"{name}" of <{tag}> must be a whole number, not {shown(value)}')
        return 0

    def _time(self, value: str) -> None:
        try:
            at = instant(value)
        except ValueError:
            self.no_zone = True  # older runners write local time, which is no time for anybody else
            return
        if self.source.in_future(at):
            self._problem(f'"timestamp" {shown(value)} {NOT_YET}')
        self.made.append(at)

    def _refuse(self, text: str) -> NoReturn:
        raise _Refused(text, self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1)

    def _problem(self, text: str) -> None:
        if len(self.problems) > ENOUGH:
            return
        self.problems.append(self.source.problem(text, "", self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1))


def read(source: Source, settings: Settings) -> Result:
    """The tests of a JUnit XML file; the time is that of its oldest suite."""
    if not bounded(source).data.strip():
        source.refuse("is empty; was it written to its end?")
    parser = expat.ParserCreate()
    reader = _Reader(source, parser)
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(source.data, True)  # noqa: FBT003 (it takes no keywords)
    except expat.ExpatError as error:
        source.refuse(f"is no XML: {expat.ErrorString(error.code)}; was it written to its end?", "", error.lineno, error.offset + 1)
    except (LookupError, ValueError):  # of the parser: for an encoding that Python does not have, or of several bytes
        source.refuse("is written in an encoding that cannot be read; write it as UTF-8", "", 1, 1)
    except _Refused as error:
        text, line, column = error.args
        source.refuse(text, "", line, column)
    source.reject_if(reader.problems)
    made_at = None if reader.no_zone or not reader.made else min(reader.made)
    notes = ["the file does not say in which time zone it was made, so not when"] if reader.no_zone else []
    return reader.tests.result(source, settings, made_at, {"suites": reader.names[:100]}, *notes)


KIND = Kind("a JUnit XML report of a test run", FIGURES, read, Settings)
