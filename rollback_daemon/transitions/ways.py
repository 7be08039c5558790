"""Other ways back than setting flags, the file that was kept and a program; and what a verification begins from.

Lives here: finding what these need. Must not live here: which way is taken (the judge), the steps of a transition (`execute`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rollback_daemon.errors import FlagError, Refused
from rollback_daemon.flags.store import FlagStore, FlagValue, same
from rollback_daemon.judge.aftermath import identity
from rollback_daemon.judge.position import Open
from rollback_daemon.rules.aftercare import LogScan, Proof
from rollback_daemon.rules.duties import Command
from rollback_daemon.rules.model import Rollout
from rollback_daemon.transitions.log_mark import mark


def backup_of(store: FlagStore, expected: Mapping[str, FlagValue], opened: Open) -> str:
    """The newest backup whose flags are the `expected` ones, but none that this transition made itself; where a person named one, that one and no
    other. Raises Refused without one.
    """
    for backup in [opened.restores] if opened.restores else store.backups():
        if opened.id in backup:
            continue
        try:
            found = store.read_backup(backup, frozenset(expected)).values
        except FlagError:  # one that cannot be read is none
            continue
        if all(key in found and same(found[key], value) for key, value in expected.items()):
            return backup
    raise Refused(f"{store.describe()}: there is no backup with the flags that are to be restored")


def marks_of(steps: Iterable[Proof]) -> dict[str, Any]:
    """Where the logs of a verification end now, as plain JSON; they are scanned from there."""
    return {step.path: mark(step.path).body() for step in steps if isinstance(step, LogScan)}


def command_of(rollout: Rollout, opened: Open) -> Command:
    """The program of a way back. Raises Refused where the rule file has that way no more."""
    for way in rollout.aftercare.ways:
        if way.command is not None and identity([way]) == opened.way_told:
            return way.command
    raise Refused(f"the rule file of {rollout.name} has that way back no more")
