"""Whether the programs, secret files, logs and folders that a rule file names are there, for whoever looks on this machine.

Lives here: looking, without running or changing anything. Must not live here: flag files, disks and backups (`file_checks`), running a program.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rollback_daemon.governance.finding import Finding
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.rules.aftercare import LogScan
from rollback_daemon.rules.duties import Command, Followed, Inbox, Scheduled
from rollback_daemon.rules.model import Rollout

Trail = tuple[str | int, ...]
_Named = Iterator[tuple[Trail, object]]


def missing(rollout: Rollout) -> Iterator[tuple[Trail, str]]:
    """The place in the rule file of each thing that is not there, or that this user cannot use, and what is wrong with it."""
    for trail, thing in _named(rollout):
        match thing:
            case Command():
                yield from _program((*trail, "command"), thing)
            case LogScan():
                yield from _log((*trail, "log"), Path(thing.path))
            case Path():
                yield from _secret(trail, thing)
            case Followed():
                yield from _log((*trail, "follow"), Path(thing.path))
            case Inbox():
                yield from _inbox((*trail, "folder"), Path(thing.folder))


def findings(rollout: Rollout) -> Iterator[Finding]:
    """One check for all of them; none where the rule file names nothing."""
    if not any(isinstance(thing, (Command, LogScan, Path, Inbox, Followed)) for _, thing in _named(rollout)):
        return
    wrong = list(dict.fromkeys(text for _, text in missing(rollout)))
    evidence = "; ".join(wrong) or "all that the rule file names are there"
    yield Finding("programs, secret files and logs", Outcome.FAIL if wrong else Outcome.PASS, evidence)


def _named(rollout: Rollout) -> _Named:
    care = rollout.aftercare
    yield ("flags", "after_change"), rollout.flags.after_change
    yield from ((("rehearsal", "steps", index), step) for index, step in enumerate(rollout.rehearsal.steps if rollout.rehearsal else ()))
    yield from ((("verify", index), step) for index, step in enumerate(care.verify))
    yield from ((("ways_back", index), way.command) for index, way in enumerate(care.ways))
    for index, hook in enumerate(care.hooks):
        yield ("hooks", index), hook.command
        yield ("hooks", index, "secret_file"), Path(hook.secret_file) if hook.secret_file else None
    yield from ((("evidence", one.name, "from"), one.comes.command if isinstance(one.comes, Scheduled) else one.comes) for one in rollout.evidence)
    checks = care.follow_ups.checks if care.follow_ups else ()
    yield from ((("follow_up", "checks", index), step) for index, step in enumerate(checks))


def _program(trail: Trail, command: Command) -> Iterator[tuple[Trail, str]]:
    """A program without a folder is looked for on the PATH that it is started with."""
    if shutil.which(command.argv[0], path=command.env.get("PATH")) is None:
        yield trail, f'"{command.argv[0]}" is no program that can be run on this machine'


def _secret(trail: Trail, file: Path) -> Iterator[tuple[Trail, str]]:
    if not os.access(file, os.R_OK) or not file.is_file():
        yield trail, f'the secret file "{file}" cannot be read on this machine'


def _log(trail: Trail, file: Path) -> Iterator[tuple[Trail, str]]:
    """The log itself may be written later; where its folder is missing, most likely the path is wrong."""
    if not os.access(file.parent, os.R_OK | os.X_OK):  # the folder is listed for what was rotated
        yield trail, f'the folder of the log "{file}" is not there, or cannot be read on this machine'
    elif file.exists() and not (file.is_file() and os.access(file, os.R_OK)):
        yield trail, f'the log "{file}" cannot be read on this machine'


def _inbox(trail: Trail, folder: Path) -> Iterator[tuple[Trail, str]]:
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        yield trail, f'the folder "{folder}", which evidence is laid into, is not there, or cannot be read on this machine'
