"""What only this machine can tell about a rule file: whether its flags can be read, and whether its programs, secret files and logs are there.

Warnings, not mistakes: a file is often checked on another machine than the one it is for.
"""

from collections.abc import Iterator
from pathlib import Path

from rollback_daemon.errors import FlagError, Problem
from rollback_daemon.flags.stores import open_store
from rollback_daemon.governance import program_checks
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.places import problem_at


def warnings(rollout: Rollout) -> Iterator[Problem]:
    """What the daemon would stumble over if it ran the rollout here."""
    yield from _of_flags(rollout)
    yield from (problem_at(rollout, trail, text) for trail, text in program_checks.missing(rollout))


def _of_flags(rollout: Rollout) -> Iterator[Problem]:
    store = open_store(rollout.flags.store, Path(rollout.flags.path), rollout.flags.backups)
    try:
        values = store.read(rollout.keys | rollout.config_keys).values
    except FlagError as error:
        yield problem_at(rollout, ("flags", "path"), f"the flags cannot be read on this machine: {error}")
        return
    for key in sorted(rollout.keys - values.keys()):
        yield problem_at(rollout, ("baseline", key), f'"{key}" is not in {store.describe()} yet; the first change adds it')
    for stage in rollout.stages[1:]:
        place = ("stages", stage.number - 1, "requires", "config")
        for key in sorted(stage.requires.config.keys() - values.keys()):
            if (*place, key) in rollout.places:  # where it is said, and not where it still holds
                yield problem_at(rollout, (*place, key), f'"{key}" is not in {store.describe()}; "{stage.name}" waits for somebody to add it')
