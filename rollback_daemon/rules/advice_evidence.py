"""Evidence that comes by itself, in words: how it is understood, and what tends to go wrong with it.

Must not live here: other advice (`advice`), mistakes (`build_evidence`), whether anything is there on this machine (`governance.program_checks`).
"""

import shlex
from collections.abc import Iterator

from rollback_daemon.documents import Step
from rollback_daemon.durations import format_duration
from rollback_daemon.errors import Problem
from rollback_daemon.evidence import KINDS
from rollback_daemon.rules.conditions import OPS
from rollback_daemon.rules.duties import Declared, Followed, Inbox, Scheduled
from rollback_daemon.rules.measures import Condition
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.places import problem_at
from rollback_daemon.rules.triggers import Threshold

_KEYS = {op: key for key, op in OPS.items()}
_PERCENT = 100


def coming(rollout: Rollout) -> Iterator[str]:
    """One line for each."""
    for one in rollout.evidence:
        match one.comes:
            case Inbox(folder=folder, files=files):
                yield f'evidence {one.name}: files "{files}" that are laid into {folder}, read as {one.kind}; the newest counts for {_counts(one)}'
            case Scheduled(command=command, every=every, result=result):
                what = f"what it writes to {result}" if result else "what it prints"
                how = f"{shlex.join(command.argv)} is run every {format_duration(every)}, within {format_duration(command.timeout)}"
                yield f"evidence {one.name}: {how}, and {what} is read as {one.kind}; it counts for {_counts(one)}"
            case Followed(path=path):
                quiet = f"no data where none is younger than {format_duration(one.max_age)}"
                yield f"evidence {one.name}: the last lines of {path} at each evaluation, over {format_duration(one.settings.window)}; {quiet}"


def warnings(rollout: Rollout) -> Iterator[Problem]:
    """What tends to go wrong."""
    yield from (problem_at(rollout, trail, text) for trail, text in (*_gaps(rollout), *_shared(rollout), *_in_percent(rollout)))


def _counts(one: Declared) -> str:
    return format_duration(one.max_age) + (" at its stage" if one.per_stage else "")


def _gaps(rollout: Rollout) -> Iterator[tuple[tuple[Step, ...], str]]:
    for one in rollout.evidence:
        comes = one.comes
        if isinstance(comes, Scheduled) and one.max_age < comes.every + comes.command.timeout:
            longest = f"every and timeout together ({format_duration(comes.every + comes.command.timeout)})"
            yield ("evidence", one.name, "max_age"), f"is shorter than {longest}: a slow run leaves a gap in which nothing is known"


def _shared(rollout: Rollout) -> Iterator[tuple[tuple[Step, ...], str]]:
    first: dict[Inbox, str] = {}
    for one in rollout.evidence:
        if isinstance(one.comes, Inbox):
            other = first.setdefault(one.comes, one.name)
            if other != one.name:
                text = f'is that of "{other}", with the same files, and each file is read as both; give them other names'
                yield ("evidence", one.name, "from", "folder"), text


def _in_percent(rollout: Rollout) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Limits of ratios that were most likely meant in percent: with these, the condition never holds, or always."""
    for trail, name, figure, condition in _limits(rollout):
        declared = rollout.declared(name)
        if declared and KINDS[declared.kind].figures[figure].unit == "ratio" and condition.limit > 1:
            when = "always" if condition.holds(0.0) else "never"
            meant = min(condition.limit, _PERCENT)
            yield trail, f"{figure} is a ratio, from 0 to 1, and {when} {condition}; for percent write {meant:g}%"


def _limits(rollout: Rollout) -> Iterator[tuple[tuple[Step, ...], str, str, Condition]]:
    """Every limit on a figure of evidence: its place, the evidence, the figure."""
    for index, gate in enumerate(rollout.gates):
        if gate.condition and gate.signal.figure and not gate.signal.relative:
            yield ("gates", index, _KEYS.get(gate.condition.op, "signal")), gate.signal.evidence, gate.signal.figure, gate.condition
    for index, trigger in enumerate(rollout.triggers):
        test = trigger.test
        if isinstance(test, Threshold) and test.condition and test.signal.figure and not test.signal.relative:
            yield ("triggers", index, _KEYS.get(test.condition.op, "signal")), test.signal.evidence, test.signal.figure, test.condition
    for stage in rollout.stages[1:]:
        for index, fresh in enumerate(stage.requires.evidence):
            for figure, condition in fresh.good.items():
                yield ("stages", stage.number - 1, "requires", "evidence", index, "figures", figure), fresh.name, figure, condition
