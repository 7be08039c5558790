"""Rule files on disk to rollouts, all mistakes of all files at once.

Lives here: reading, the order of the checks, uniqueness across files. Must not live here: what a key means.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rollback_daemon import documents
from rollback_daemon.documents import Document, Step
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.rules.aftercare import WayKind
from rollback_daemon.rules.build import Builder
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.places import problem_at
from rollback_daemon.rules.salvage import Salvaged, salvage, whole
from rollback_daemon.rules.schema import RuleFile

DEFAULT_INTERVAL = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One file: what could be made of it (`lost` says which top-level keys are not as written), and what is wrong with it."""

    document: Document
    problems: list[Problem]
    rollout: Rollout | None = None
    lost: frozenset[str] = frozenset()


def load(file: str | Path, default_interval: timedelta = DEFAULT_INTERVAL) -> Rollout:
    """The rollout of one rule file. Raises ConfigurationError with every mistake in it."""
    loaded = _load(file, default_interval)
    if loaded.problems or loaded.rollout is None:
        raise ConfigurationError(loaded.problems)
    return loaded.rollout


def load_all(files: Iterable[str | Path], default_interval: timedelta = DEFAULT_INTERVAL) -> list[Rollout]:
    """The rollouts of several files, in their order. Raises ConfigurationError with the mistakes of all of them."""
    loaded: list[_Loaded] = []
    problems: list[Problem] = []
    for file in files:
        try:
            loaded.append(_load(file, default_interval))
        except ConfigurationError as error:
            problems += error.problems
    problems += [problem for one in loaded for problem in one.problems]
    problems += _shared_names(loaded)
    problems += _shared_flags(loaded)
    problems += _shared_backups(loaded)
    if problems:
        raise ConfigurationError(problems)
    return [one.rollout for one in loaded if one.rollout]


def undefined_roles(rollouts: Iterable[Rollout], roles: Collection[str]) -> Iterator[Problem]:
    """Each role that a rollout asks for and that is not among the `roles` of the daemon's configuration, at its place in the rule file."""
    for rollout in rollouts:
        for trail, role in _asked_roles(rollout):
            if role not in roles:
                hint = did_you_mean(role, roles)
                meant = hint if hint.startswith("did you mean") else "add it under roles"
                yield problem_at(rollout, trail, f'no role "{role}" in the daemon\'s configuration; {meant}')


def _asked_roles(rollout: Rollout) -> Iterator[tuple[tuple[Step, ...], str]]:
    for stage in rollout.stages:
        if stage.requires.approvals is not None:
            for index, role in enumerate(stage.requires.approvals.roles):
                yield ("stages", stage.number - 1, "requires", "approvals", "roles", index), role
    for index, role in enumerate(rollout.break_glass):
        yield ("break_glass", index), role


def _load(file: str | Path, default_interval: timedelta) -> _Loaded:
    document = documents.read(file)
    if other := _of_another_kind(document.value):
        raise ConfigurationError([document.problem((), other)])
    written, complaints = documents.examine(document, RuleFile)
    problems = [*document.problems, *(document.problem(one.trail, one.text, key=one.at_key) for one in complaints)]
    usable: Salvaged | None = whole(written) if written else salvage(document.value, [one.trail for one in complaints] + sorted(document.broken))
    if usable is None:
        return _Loaded(document, problems)
    builder = Builder(document, usable.file, default_interval, usable)
    rollout = builder.rollout(document.digest)
    return _Loaded(document, problems + builder.problems, rollout, usable.lost)


def _of_another_kind(value: object) -> str:
    """What a file is that was never meant as a rule file: its unknown keys would hide that."""
    if not isinstance(value, dict) or "rollout" in value:
        return ""
    known = {"groups": "a rule file of Prometheus", "apiVersion": "an object of Kubernetes"}
    return next((f"is {what}, and no rollout; `rollbackd import` makes one of it" for key, what in known.items() if key in value), "")


def _shared_names(loaded: list[_Loaded]) -> Iterator[Problem]:
    names: dict[str, str] = {}
    for one in loaded:
        if one.rollout is None or "rollout" in one.lost:
            continue
        if (other := names.setdefault(one.rollout.name, one.document.file)) != one.document.file:
            yield one.document.problem(("rollout",), f'"{one.rollout.name}" is also the rollout of {other}; rename one')


def _shared_backups(loaded: list[_Loaded]) -> Iterator[Problem]:
    """A file that is put back as a whole would take the flags of another rollout with it."""
    for one in loaded:
        ways = one.rollout.aftercare.ways if one.rollout and not {"flags", "ways_back"} & one.lost else ()
        for index, way in enumerate(ways):
            others = [other for other in loaded if other is not one and _path(other) == _path(one)] if way.kind is WayKind.BACKUP else []
            for other in others[:1]:
                name = other.rollout.name if other.rollout else ""
                text = f'puts the whole file back, and the rollout "{name}" of {other.document.file} has flags in it, too; leave it out'
                yield one.document.problem(("ways_back", index), text)


def _path(one: _Loaded) -> str:
    return str(Path(one.rollout.flags.path).resolve()) if one.rollout and "flags" not in one.lost else ""


def _shared_flags(loaded: list[_Loaded]) -> Iterator[Problem]:
    """A flag that two rollouts set: each would take the other's change for drift."""
    owners: dict[tuple[str, str], _Loaded] = {}
    for one in loaded:
        if one.rollout is None or {"flags", "baseline"} & one.lost:
            continue
        path = one.rollout.flags.path
        for key in one.rollout.stages[0].flags:
            other = owners.setdefault((str(Path(path).resolve()), key), one)
            if other is not one and other.rollout is not None:
                text = f'"{key}" in {path} belongs to the rollout "{other.rollout.name}" of {other.document.file}; a flag belongs to one rollout'
                yield one.document.problem(("baseline", key), text, key=True)
