"""Which run of a case counts: the first one in each role, whatever was run later, and in however many files it stands.

1. A run is the same as another one if case, role and number are the same, and either their sessions began at the same time or they themselves did.
   Copies count once; copies that say different things are a contradiction.
2. Diagnostic runs never count.
3. Of the others the one that began first counts; of those that began at the same time, the one with the lowest number. Results come later than their
   beginnings: the earliest is that of the run that was begun first.

Neither the order of the files nor how often one is given changes anything. Must not live here: what a run is worth.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.evidence.kind import few
from rollback_daemon.evidence.scoring.raw_results import RawFile, Run

_Key = Callable[[Run], Hashable]


@dataclass(frozen=True, slots=True)
class FirstRuns:
    """The runs that count, one for each case and role, by name; those that do not; and the files, each once.

    `only_diagnostic` has one run of each case of which there are diagnostic runs only. `copies` is how many further copies of a run there were.
    """

    files: tuple[RawFile, ...]
    counted: tuple[Run, ...]
    reruns: tuple[Run, ...]
    diagnostics: tuple[Run, ...]
    only_diagnostic: tuple[Run, ...]
    copies: int


def first_runs(files: Iterable[RawFile]) -> FirstRuns:
    """The first runs of all cases in these files. Raises ConfigurationError with every contradiction, each with both places."""
    once = _once(files)
    given = sorted((run for file in once for run in file.runs), key=_order)
    problems = [*_engines(once), *contradictions(given)]
    runs, copies = _distinct(given)
    problems += _out_of_order(runs)
    if problems:
        raise ConfigurationError(few(problems))
    by_role = _grouped((run for run in runs if not run.diagnostic), lambda run: (run.id, run.role))
    counted = [group[0] for group in by_role]
    judged = {run.id for run in counted}
    diagnostics = [run for run in runs if run.diagnostic]
    only = [group[0] for group in _grouped((run for run in diagnostics if run.id not in judged), lambda run: run.id)]
    reruns = [run for group in by_role for run in group[1:]]
    return FirstRuns(once, tuple(counted), tuple(reruns), tuple(diagnostics), tuple(only), copies)


def _order(run: Run) -> tuple[object, ...]:
    return run.id, run.role or "", run.started_at, run.run, run.file, run.index


def _once(files: Iterable[RawFile]) -> tuple[RawFile, ...]:
    """Each content once, under the first of its names."""
    found: dict[str, RawFile] = {}
    for file in sorted(files, key=lambda one: (one.file, one.digest)):
        found.setdefault(file.digest, file)
    return tuple(found.values())


def _grouped(runs: Iterable[Run], key: _Key) -> list[list[Run]]:
    groups: dict[Hashable, list[Run]] = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    return list(groups.values())


def _engines(files: Sequence[RawFile]) -> Iterator[Problem]:
    first = files[0] if files else None
    for file in files:
        if first and file.engine != first.engine:
            text = f'is "{file.engine}", but that of {first.file} is "{first.engine}"; results of different engines are not scored together'
            yield Problem(file.file, 0, 0, "engine", text)


def contradictions(runs: Sequence[Run]) -> Iterator[Problem]:
    """Whatever two of these runs cannot both be right about."""
    by_session = _grouped(runs, lambda run: (run.id, run.role, run.run, run.session))
    by_start = _grouped(runs, lambda run: (run.id, run.role, run.run, run.started_at))
    for group in [*by_session, *by_start]:
        for other in group[1:]:
            if other.content != group[0].content:
                yield _problem(
                    other, "", f"is run {other.run} of {other.name} once more, and says other things than {group[0].place}; which is right?"
                )
    for group in _grouped(runs, lambda run: run.id):
        for other in group[1:]:
            first = group[0]
            if other.critical != first.critical:
                told = f"is {str(other.critical).lower()}, but {str(first.critical).lower()} in {first.place}"
                yield _problem(other, "critical", f"{told}; a case is critical or not")
            if other.benchmark != first.benchmark:
                told = f'is "{other.benchmark}", but "{first.benchmark}" in {first.place}'.replace('"None"', "not said")
                yield _problem(other, "benchmark", f"{told}; a case of two benchmarks needs two ids")


def _problem(run: Run, field: str, text: str) -> Problem:
    place = f"cases[{run.index}] ({run.id})"
    return Problem(run.file, 0, 0, f"{place}.{field}" if field else place, text)


def _distinct(runs: Sequence[Run]) -> tuple[list[Run], int]:
    kept: dict[Hashable, Run] = {}
    for run in runs:
        kept.setdefault((run.id, run.role, run.run, run.started_at), run)
    return list(kept.values()), len(runs) - len(kept)


def _out_of_order(runs: Sequence[Run]) -> Iterator[Problem]:
    """In one session the numbers of runs and their times tell the same story; where they do not, nobody can say which was the first."""
    for group in _grouped(runs, lambda run: (run.id, run.role, run.session)):
        for before, after in pairwise(sorted(group, key=lambda run: (run.run, run.started_at))):
            if after.started_at < before.started_at:
                text = f"run {after.run} of {after.name} began before run {before.run} ({before.place}); which was the first?"
                yield _problem(after, "started_at", text)
