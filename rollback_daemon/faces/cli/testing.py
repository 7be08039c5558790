"""The verb `test`: unit tests of rule files, on a real Prometheus and the daemon's own judge."""
# ruff: noqa: PT028  # what is called `test` here is a verb, and no test of pytest's

import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rollback_daemon.faces.cli.client import FORMAT, NO, UNKNOWN, USAGE, Format, fail, print_json

if TYPE_CHECKING:
    from rollback_daemon.lab.testing.load import Case
    from rollback_daemon.lab.testing.results import Result

_HANG = re.compile(r" *(\S+ {2,})?")  # what stands before the words of a line: a label, or a time


def test(
    paths: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Test files; `rollbackd schema tests` prints how they are written.")],
    output: FORMAT = Format.TABLE,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write the results there, as JUnit XML.")] = None,
    only: Annotated[str, typer.Option("--run", metavar="REGEX", help='Run only cases whose "FILE: NAME" has a match.')] = "",
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Begin no further case after one that did not pass.")] = False,
    prometheus_binary: Annotated[Path | None, typer.Option("--prometheus-binary", metavar="PATH", help="The Prometheus to try them on.")] = None,
) -> None:
    """Run unit tests of rule files. Series in promtool's notation meet the daemon's own judge, with what people do in between."""
    from rollback_daemon.lab.testing.suite import run_all

    pattern = _pattern(only)
    cases = _cases(paths)
    if pattern and not any(pattern.search(f"{one.file}: {one.name}") for one in cases):
        fail(f'no case is called like "{only}"; there are {", ".join(sorted({one.name for one in cases})[:10])}', USAGE)
    program, version = _program(prometheus_binary)
    for ending in (signal.SIGTERM, signal.SIGHUP):  # else its folders would outlive it
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    began, table = time.monotonic(), _Table(version) if output is Format.TABLE else None
    results = run_all(cases, program, only=pattern, fail_fast=fail_fast, told=table.told if table else lambda _: None)
    if junit:
        _write(junit, results, version)
    if table:
        table.total(results, time.monotonic() - began)
    else:
        from rollback_daemon.lab.testing.telling import as_json

        count = Counter(str(one.outcome) for one in results)
        print_json({"prometheus": version, "outcomes": dict(count), "cases": [as_json(one) for one in results]})
    raise typer.Exit(_code(results))


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        fail(f'"{text}" is no regular expression: {error}', USAGE)


def _cases(paths: list[Path]) -> "list[Case]":
    """The cases of all files. Ends the program (2) with every mistake in them."""
    from rollback_daemon.errors import ConfigurationError, Problem
    from rollback_daemon.lab.testing.load import load

    cases: list[Case] = []
    problems: list[Problem] = []
    for path in dict.fromkeys(paths):
        try:
            cases += load(path)
        except ConfigurationError as error:
            problems += error.problems
    for problem in sorted(set(problems)):
        typer.echo(str(problem), err=True)
    if problems:
        typer.echo(f"{len(set(problems))} problem{'s' if len(set(problems)) > 1 else ''}", err=True)
        raise typer.Exit(USAGE)
    return cases


def _program(named: Path | None) -> tuple[Path, str]:
    from rollback_daemon.lab.toolset import NO_SERVER, server_program, version_of

    if named is not None:
        version = version_of(named.absolute())
        if version is None:
            fail(f'"{named}" is no Prometheus that runs here; give the path of its program', USAGE)
        return named.absolute(), version
    found = server_program()
    return found or fail(NO_SERVER, USAGE)


def _write(file: Path, results: "list[Result]", version: str) -> None:
    from rollback_daemon import __version__
    from rollback_daemon.lab.testing.junit import document

    try:
        file.write_bytes(document(results, {"prometheus": version, "rollbackd": __version__}))
    except OSError as error:
        fail(f"{file} cannot be written: {(error.strerror or type(error).__name__).lower()}", USAGE)


def _code(results: "list[Result]") -> int:
    from rollback_daemon.lab.testing.results import Outcome

    outcomes = {one.outcome for one in results}
    return NO if Outcome.FAILED in outcomes else UNKNOWN if Outcome.UNTOLD in outcomes else 0


class _Table:
    """Results for people, as they come."""

    def __init__(self, version: str) -> None:
        from rollback_daemon.faces.cli.terminal import console

        self._out, self._file = console(), ""
        self._version = version

    def told(self, one: "Result") -> None:
        """One line, and below it all that is to say of a case that did not pass."""
        from rollback_daemon.faces.cli.terminal import clean, escape, tell
        from rollback_daemon.lab.testing.results import Outcome

        if one.outcome is Outcome.SKIPPED:
            return
        if one.case.file != self._file:
            self._file = one.case.file
            tell(self._out, f"[bold]{escape(clean(self._file))}[/]")
        colour = "green" if one.outcome is Outcome.PASSED else "bold red"
        shown = str(one.outcome) if one.outcome is Outcome.PASSED else str(one.outcome).upper()
        tell(self._out, f"  [{colour}]{shown}[/]  {escape(clean(one.case.name))}  ({one.seconds:.1f}s)")
        if one.outcome is not Outcome.PASSED:
            from rollback_daemon.lab.testing.telling import report

            for line in report(one):
                start = _HANG.match(line)
                tell(self._out, f"    {escape(clean(line))}", 4 + (start.end() if start else 0))

    def total(self, results: "list[Result]", seconds: float) -> None:
        """The last line."""
        from rollback_daemon.faces.cli.terminal import tell

        count = Counter(str(one.outcome) for one in results)
        told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(count.items()))
        tell(self._out, f"{told} in {seconds:.1f}s on Prometheus {self._version}")


VERBS = (test,)
