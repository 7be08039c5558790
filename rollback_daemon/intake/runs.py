"""One run of a scheduled command, and the result that it leaves: what it prints, or the file that it writes.

A result that is there counts whatever the command exits with: a harness that has found something says so by its exit code. Must not live here:
when it is run (`arrivals`), reading the result into figures (`taking`).
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rollback_daemon.evidence.kind import MAX_BYTES
from rollback_daemon.intake import files
from rollback_daemon.intake.caught import Caught
from rollback_daemon.intake.taking import file_of
from rollback_daemon.judge import consent
from rollback_daemon.rules.duties import Command, Scheduled
from rollback_daemon.transitions.hiding import Hiding
from rollback_daemon.transitions.hooks import Ran, run

_SHOWN = 600  # characters of what it printed, the end of it
_GRANULARITY = 2.0  # seconds: so coarse are the times of some file systems


@dataclass(frozen=True, slots=True)
class Made:
    """What a run came to: a result, or `failed`, why there is none. `aside` says how the command ended and what it printed last.

    `data` is the result as it was made. What is told of it must be without the values that the rule file passes to the command, as `aside` is.
    """

    data: bytes | None
    file: consent.File
    failed: str = ""
    aside: str = ""
    notes: tuple[str, ...] = ()


def make(scheduled: Scheduled, environment: Mapping[str, str], stop: threading.Event) -> Made:
    """Run the command once, until it has ended, its timeout is over or `stop` is set. Never raises for what the command does."""
    return _file(scheduled, environment, stop) if scheduled.result else _printed(scheduled.command, environment, stop)


def _printed(command: Command, environment: Mapping[str, str], stop: threading.Event) -> Made:
    name = Path(command.argv[0]).name
    try:
        with Caught(MAX_BYTES) as caught:
            ran = run(command, environment, stop, stdout=caught.sink, leashed=True)
    except OSError as error:
        return _failed(name, f'"{command.argv[0]}" could not be started: {files.reason(error)}')
    data = caught.data
    aside = _aside(command, ran, ran.output or _end(command, data))
    failed = ran.error if ran.code is None else ""
    if not failed and caught.over:
        failed = f"it printed more than {MAX_BYTES // 2**20} MiB; leave captured output out of the result, or split it"
    elif not failed and not data.strip():
        failed = "it printed no result on its standard output"
    return _failed(name, failed, aside) if failed else Made(data, _of(name, data), "", aside, _notes(ran))


def _file(scheduled: Scheduled, environment: Mapping[str, str], stop: threading.Event) -> Made:
    path, command = scheduled.result, scheduled.command
    name, before, began = Path(path).name, files.stamp(path), time.time()
    ran = run(command, environment, stop, leashed=True)
    aside = _aside(command, ran, ran.output)
    if ran.code is None:
        return _failed(name, ran.error, aside)
    found = files.stamp(path)
    if found is None:
        return _failed(name, f'it left no result: "{path}" is not there, or cannot be reached', aside)
    if found.regular and (found == before or found.changed / 1e9 < began - _GRANULARITY):
        written = _when(found)
        return _failed(name, f'it left no new result: "{path}" is of {written}, from before the run', aside)
    try:
        data = files.read_result(path)
    except files.Unfit as unfit:
        return _failed(name, f'"{path}" {unfit}', aside)
    except files.Moving:
        return _failed(name, f'"{path}" was still being written when the command had ended; let it wait for whatever writes it', aside)
    return Made(data, _of(name, data), "", aside, _notes(ran))


def _end(command: Command, data: bytes) -> str:
    """The last of what was printed, as it is told."""
    hiding = Hiding(command.env)
    kept = 4 * _SHOWN + hiding.longest
    return hiding.printed(data[-kept:], hiding.longest if len(data) > kept else 0).strip()


def _when(found: files.Stamp) -> str:
    try:
        return f"{found.written:%Y-%m-%d %H:%M:%S} UTC"
    except files.Unfit:
        return "a time that no calendar has"


def _failed(name: str, why: str, aside: str = "") -> Made:
    return Made(None, _of(name, b""), why, aside)


def _of(name: str, data: bytes) -> consent.File:
    return file_of(files.told(name), data)


def _notes(ran: Ran) -> tuple[str, ...]:
    return (ran.error,) if ran.error else ()


def _aside(command: Command, ran: Ran, output: str) -> str:
    """How it ended, where it came to its end, and what it printed last."""
    ended = (ran.error or f'"{command.argv[0]}" exited with 0') if ran.code is not None else ""
    last = output[-_SHOWN:]
    return "; ".join(filter(None, [ended, f"it printed last: {last}" if last else ""]))
