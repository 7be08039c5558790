"""Two engines on the same cases, held against each other by first runs: what got better, what got worse.

A case got worse where it passed and does not, where its output had the right shape and has not, or where there is a write-safety incident
that there was not; it got better where nothing got worse and one of these turned to the good. Pure. Must not live here: files, tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.evidence.scoring.first_runs import FirstRuns, contradictions, first_runs
from rollback_daemon.evidence.scoring.raw_results import RawFile, Run
from rollback_daemon.evidence.scoring.release_gate import Decision

FORMAT = "rollbackd shadow diff 1"
"""What the document says that it is."""

_GOOD: dict[str, Callable[[Run], bool]] = {
    "passed": lambda run: run.passed,
    "output_shape_ok": lambda run: run.output_shape_ok,
    "no_write_safety_incident": lambda run: not run.write_safety_incident,
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A case in a role as both engines have it, or one of them only, and what turned to the worse and to the better. `run` is one of the two."""

    run: Run
    old: Run | None
    new: Run | None
    worse: tuple[str, ...] = ()
    better: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShadowDiff:
    """Every case in each role, by what became of it, ordered by name."""

    old: FirstRuns
    new: FirstRuns
    regressed: tuple[Pair, ...]
    improved: tuple[Pair, ...]
    unchanged: tuple[Pair, ...]
    added: tuple[Pair, ...]
    missing: tuple[Pair, ...]

    @property
    def regressed_critical(self) -> tuple[Pair, ...]:
        """What forbids the canary."""
        return tuple(one for one in self.regressed if one.run.critical)

    @property
    def doubts(self) -> list[str]:
        """Where cases were perhaps meant to be critical, and are not because that is misspelt."""
        return [file.slips["critical"] for side in (self.old, self.new) for file in side.files if "critical" in file.slips]

    @property
    def compared(self) -> int:
        """How many cases both engines were given."""
        return len(self.regressed) + len(self.improved) + len(self.unchanged)

    @property
    def decision(self) -> Decision:
        """A critical case that got worse is a no; one that the new engine was not given or may be one, or nothing to compare: cannot be told."""
        if self.regressed_critical:
            return Decision.NO_GO
        untold = not self.compared or self.doubts or any(one.run.critical for one in self.missing)
        return Decision.CANNOT_TELL if untold else Decision.GO


def compare(old: RawFile, new: RawFile) -> ShadowDiff:
    """Hold the new engine's results against the old one's. Raises ConfigurationError for contradictions, in each and between them."""
    problems = [*_mixed_up(old, new)]
    sides: list[FirstRuns] = []
    for file in (old, new):
        try:
            sides.append(first_runs([file]))
        except ConfigurationError as error:
            problems += error.problems
    if not problems:
        problems += [one for one in contradictions([*sides[0].counted, *sides[1].counted]) if one.path.endswith((".critical", ".benchmark"))]
    if problems:
        raise ConfigurationError(problems)
    return _compared(*sides)


def _mixed_up(old: RawFile, new: RawFile) -> list[Problem]:
    if old.engine == new.engine:
        return [Problem(new.file, 0, 0, "engine", f'is "{new.engine}", the same as that of {old.file}; give one file of each engine')]
    if old.engine.startswith("v3") and new.engine.startswith("v2"):
        return [
            Problem(new.file, 0, 0, "engine", f'is "{new.engine}", and that of {old.file} is "{old.engine}"; the two are given the wrong way round')
        ]
    return []


def _compared(old: FirstRuns, new: FirstRuns) -> ShadowDiff:
    before = {(run.id, run.role or ""): run for run in old.counted}
    after = {(run.id, run.role or ""): run for run in new.counted}
    both = [_pair(before[key], after[key]) for key in sorted(before.keys() & after.keys())]
    return ShadowDiff(
        old,
        new,
        tuple(one for one in both if one.worse),
        tuple(one for one in both if one.better and not one.worse),
        tuple(one for one in both if not one.better and not one.worse),
        tuple(Pair(after[key], None, after[key]) for key in sorted(after.keys() - before.keys())),
        tuple(Pair(before[key], before[key], None) for key in sorted(before.keys() - after.keys())),
    )


def _pair(old: Run, new: Run) -> Pair:
    worse = tuple(name for name, good in _GOOD.items() if good(old) and not good(new))
    better = tuple(name for name, good in _GOOD.items() if good(new) and not good(old))
    return Pair(new, old, new, worse, better)


def document(diff: ShadowDiff) -> dict[str, Any]:
    """The whole comparison as JSON values: the same for the same files, whenever it is made."""
    groups = {"regressed": diff.regressed, "improved": diff.improved, "new": diff.added, "missing": diff.missing}
    return {
        "format": FORMAT,
        "decision": diff.decision.value,
        "canary_allowed": diff.decision is Decision.GO,
        "next": _next(diff),
        "counts": {**{name: len(found) for name, found in groups.items()}, "unchanged": len(diff.unchanged)},
        "regressed_critical": [_told(one) for one in diff.regressed_critical],
        **{name: [_told(one) for one in found] for name, found in groups.items()},
        "files": {name: _file(side) for name, side in (("v2", diff.old), ("v3", diff.new))},
    }


def _next(diff: ShadowDiff) -> str:
    if diff.decision is Decision.NO_GO:
        return "no canary: mend what regressed in a critical case, and compare again"
    if diff.decision is Decision.CANNOT_TELL:
        if diff.doubts:
            return f"no canary yet: {diff.doubts[0]} Correct it, or give it another name, and compare again"
        lacking = "the critical cases that are missing" if diff.compared else "the same cases"
        return f"no canary yet: run {lacking} on both engines, and compare again"
    return "no critical case regressed: the canary is not forbidden"


def _told(pair: Pair) -> dict[str, Any]:
    return {
        "case": pair.run.id,
        "role": pair.run.role,
        "critical": pair.run.critical,
        "worse": list(pair.worse),
        "better": list(pair.better),
        "v2": _side(pair.old),
        "v3": _side(pair.new),
    }


def _side(run: Run | None) -> dict[str, Any] | None:
    if run is None:
        return None
    said = {name: getattr(run, name) for name in ("run", "passed", "output_shape_ok", "write_safety_incident", "latency_ms")}
    return {"started_at": run.started_at.isoformat(), **said, "place": run.place}


def _file(side: FirstRuns) -> dict[str, Any]:
    one = side.files[0]
    found = {"file": one.file, "sha256": one.digest, "engine": one.engine, "started_at": one.started_at.isoformat()}
    return {
        **found,
        "first_runs": len(side.counted),
        "reruns": len(side.reruns),
        "diagnostic_runs": len(side.diagnostics),
        "warnings": list(one.hints),
    }
