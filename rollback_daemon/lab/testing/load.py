"""A test file to the cases that can be run: rule files read, series expanded, every name in an expectation known. All mistakes at once.

Lives here: what needs more than one key to be told. Must not live here: the keys (`schema`), the names (`names`), running.
"""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from rollback_daemon import documents
from rollback_daemon.documents import Document, Step
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.durations import format_duration
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.lab.remote_write import Histogram
from rollback_daemon.lab.testing import names
from rollback_daemon.lab.testing.notation import NotationError, Point, labels, points
from rollback_daemon.lab.testing.samples import expected
from rollback_daemon.lab.testing.schema import CasePart, SeriesPart, TestFile
from rollback_daemon.rules.load import load as load_rules
from rollback_daemon.rules.model import Rollout

MOST_EVALUATIONS = 100_000
"""Of one case: seventeen days at 15 s."""
_OF_PROMTOOL = timedelta(minutes=1)  # how often it evaluates where nothing says so, and there is no rollout that does
_Trail = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """One series: all its labels, and its points, one each step."""

    labels: Mapping[str, str]
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Case:
    """One test that can be run. `rollout` is as it is judged (None: only expressions are tested), evaluated each `interval`; samples stand `step`
    apart. `lines` tells where each thing that is expected stands, by its trail below the case.
    """

    file: str
    name: str
    line: int
    rollout: Rollout | None
    interval: timedelta
    step: timedelta
    series: Sequence[Input]
    endpoints: Mapping[str, Sequence[Point]]
    followed: Mapping[str, Sequence[Point]]
    written: CasePart
    roles: Mapping[str, list[str]] | None
    fuzzy: bool
    lines: Mapping[_Trail, int]

    @property
    def length(self) -> timedelta:
        """The latest time that anything is expected at, or done."""
        one = self.written
        times = [test.eval_time for test in one.rollout_test] + [test.eval_time for test in one.alert_rule_test]
        times += [test.eval_time for test in one.promql_expr_test] + [act.at for act in one.people]
        return max(times, default=timedelta())

    @property
    def evaluations(self) -> int:
        """How often it is evaluated, the first time at 0."""
        return self.length // self.interval + 1


def load(file: str | Path) -> list[Case]:
    """The cases of a test file. Raises ConfigurationError with every mistake in it, and in the rule files that it names."""
    document = documents.read(file)
    written, problems = documents.validate(document, TestFile)
    problems = [*document.problems, *problems]
    if written is None:
        raise ConfigurationError(problems)
    reader = _Reader(document, written)
    cases = [reader.case(number, one) for number, one in enumerate(written.tests)]
    if problems := [*problems, *reader.problems]:
        raise ConfigurationError(problems)
    return [case for case in cases if case is not None]


class _Reader:
    """Reads one file; what is wrong is gathered in `problems`."""

    def __init__(self, document: Document, written: TestFile) -> None:
        self.problems: list[Problem] = []
        self._document, self._written = document, written
        self._rollouts = self._read_rules()

    def case(self, number: int, one: CasePart) -> Case | None:
        """One case; None where its rollout could not be read."""
        at: _Trail = ("tests", number)
        self._check_purpose(at, one)
        series = self._series((*at, "input_series"), one.input_series)
        endpoints = {part.endpoint: self._answers((*at, "endpoints", index), part.values) for index, part in enumerate(one.endpoints)}
        rollout = self._rollout(at, one)
        if rollout is None and (self._rollouts is None or names.needs_rollout(one)):
            return None
        usual = rollout.interval if rollout else _OF_PROMTOOL
        interval = self._written.evaluation_interval or usual
        found = Case(
            file=self._document.file,
            name=one.name or f"test {number + 1}",
            line=self._document.places.get(at, (0, 0))[0],
            rollout=rollout and _evaluated(rollout, interval),
            interval=interval,
            step=one.interval or interval,
            series=series,
            endpoints=endpoints,
            followed={part.signal: self._figures((*at, "followed", index), part.values) for index, part in enumerate(one.followed)},
            written=one,
            roles=self._written.roles or None,
            fuzzy=self._written.fuzzy_compare,
            lines={trail[2:]: place[0] for trail, place in self._document.places.items() if trail[:2] == at},
        )
        self._bound(at, found)
        self._check_samples(at, one)
        if rollout:
            known = names.Names(rollout, found.interval)
            self.problems += [self._document.problem((*at, *trail), text) for trail, text in known.mistakes(one)]
        return found

    def _read_rules(self) -> list[Rollout] | None:
        """The rollouts of all rule files; None where one could not be read."""
        found: dict[str, Rollout] = {}
        complete = True
        for index, pattern in enumerate(self._written.rule_files):
            at = Path(self._document.file).parent / pattern
            files = sorted(glob.glob(str(at))) if glob.has_magic(pattern) else [str(at)]  # noqa: PTH207  # Path.glob refuses absolute patterns
            if not files:
                self._complain(("rule_files", index), f'"{pattern}" names no file')
                complete = False
            for file in files:
                try:
                    rollout = load_rules(file)
                except ConfigurationError as error:
                    self.problems += error.problems
                    complete = False
                    continue
                if rollout.name in found:
                    self._complain(("rule_files", index), f'"{rollout.name}" is also the rollout of {found[rollout.name].file}; test them apart')
                found[rollout.name] = rollout
        return [*found.values()] if complete else None

    def _rollout(self, at: _Trail, one: CasePart) -> Rollout | None:
        if self._rollouts is None:
            return None
        known = {rollout.name: rollout for rollout in self._rollouts}
        if one.rollout is not None:
            if one.rollout not in known:
                nothing = "rule_files names none"
                self._complain((*at, "rollout"), f'unknown rollout "{one.rollout}"; {did_you_mean(one.rollout, known, nothing)}')
            return known.get(one.rollout)
        if len(known) == 1:
            return self._rollouts[0]
        if names.needs_rollout(one):
            which = f"say which one: rollout: {' or '.join(known)}" if known else "name its rule file under rule_files"
            self._complain(at, f"tests a rollout, and does not say which; {which}" if known else f"tests a rollout, and there is none; {which}")
        return None

    def _series(self, at: _Trail, parts: Sequence[SeriesPart]) -> list[Input]:
        """Every series once: where one stands twice, the later counts."""
        found: dict[tuple[tuple[str, str], ...], Input] = {}
        for index, part in enumerate(parts):
            try:
                own = labels(part.series)
            except NotationError as error:
                self._complain((*at, index, "series"), str(error))
                own = {}
            else:
                if not own:
                    self._complain((*at, index, "series"), "a series without any label is none; give it a name")
            found[tuple(sorted(own.items()))] = Input(own, self._points((*at, index), part.values))
        return [*found.values()]

    def _points(self, at: _Trail, text: str) -> Sequence[Point]:
        try:
            return points(text)
        except NotationError as error:
            self._complain((*at, "values"), str(error))
            return []

    def _answers(self, at: _Trail, text: str) -> Sequence[Point]:
        found = self._points(at, text)
        if odd := [point for point in found if point not in {None, 0.0, 1.0}]:
            self._complain((*at, "values"), f"an endpoint is 1 (well), 0 (not) or _ (could not be asked), not {odd[0]}")
        return found

    def _figures(self, at: _Trail, text: str) -> Sequence[Point]:
        found = self._points(at, text)
        if any(isinstance(point, Histogram) for point in found):
            self._complain((*at, "values"), "a figure is a number, _ (no data) or stale (the file cannot be read), and no histogram")
        return found

    def _check_purpose(self, at: _Trail, one: CasePart) -> None:
        """What expects nothing can never fail."""
        if not (one.rollout_test or one.alert_rule_test or one.promql_expr_test or one.people):
            self._complain(at, "expects nothing; add a rollout_test, an alert_rule_test or a promql_expr_test")
        for index, test in enumerate(one.rollout_test):
            if test.model_fields_set <= {"eval_time"}:
                self._complain((*at, "rollout_test", index), "expects nothing at that time; say for instance which stage it is at")

    def _check_samples(self, at: _Trail, one: CasePart) -> None:
        for number, test in enumerate(one.promql_expr_test):
            for index, sample in enumerate(test.exp_samples):
                try:
                    expected(sample)
                except NotationError as error:
                    self._complain((*at, "promql_expr_test", number, "exp_samples", index), str(error))

    def _bound(self, at: _Trail, case: Case) -> None:
        """No case is longer than anybody waits for."""
        longest = MOST_EVALUATIONS * case.interval
        for key in ("rollout_test", "alert_rule_test", "promql_expr_test", "people"):
            for index, one in enumerate(getattr(case.written, key)):
                name, time = ("at", one.at) if key == "people" else ("eval_time", one.eval_time)
                if time > longest:
                    most = f"{MOST_EVALUATIONS:,} evaluations each {format_duration(case.interval)}"
                    said = f"{format_duration(time)} is longer than {most} ({format_duration(longest)})"
                    self._complain((*at, key, index, name), f"{said}; write a longer evaluation_interval")

    def _complain(self, at: _Trail, text: str) -> None:
        self.problems.append(self._document.problem(at, text))


def _evaluated(rollout: Rollout, interval: timedelta) -> Rollout:
    """The rollout as it is with another interval: no gap between two evaluations is one that sight is lost in."""
    if interval == rollout.interval:
        return rollout
    return replace(rollout, interval=interval, max_gap=max(rollout.max_gap, 3 * interval))
