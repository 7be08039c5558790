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
from rollback_daemon.rules.duties import Command, Declared, Followed, Inbox, Scheduled
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
    for one in rollout.evidence:
        if why := why_away(one):
            yield ("evidence", one.name, "from", "folder" if isinstance(one.comes, Inbox) else "follow"), why


def why_away(declared: Declared) -> str:
    """Why nothing can come from the folder or the file that the evidence comes from; empty where it can, and where it comes otherwise."""
    match declared.comes:
        case Inbox(folder=folder):
            return _inbox(Path(folder))
        case Followed(path=path):
            return _followed(Path(path))
        case _:
            return ""


def findings(rollout: Rollout) -> Iterator[Finding]:
    """One check for all of them but the places that evidence comes from, which have their own; none where the rule file names nothing."""
    if not any(isinstance(thing, (Command, LogScan, Path)) for _, thing in _named(rollout)):
        return
    wrong = list(dict.fromkeys(text for trail, text in missing(rollout) if trail[-1] not in {"folder", "follow"}))
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
    yield from ((("evidence", one.name, "from"), one.comes.command) for one in rollout.evidence if isinstance(one.comes, Scheduled))
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


def _followed(file: Path) -> str:
    """Other than of a log that is scanned after something was done, nothing can be told as long as it is not there."""
    wrong = [text for _, text in _log((), file)]
    return wrong[0] if wrong else "" if file.exists() else f'the log "{file}", which is followed, is not there; does its writer run, and write there?'


def _inbox(folder: Path) -> str:
    if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
        return ""
    return f'the folder "{folder}", which evidence is laid into, is not there, or cannot be read on this machine'
