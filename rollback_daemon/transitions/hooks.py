"""Running a command of the rule file: an argument list, no shell, a deadline, its output kept.

The command gets its own process group, so that a deadline or a more urgent transition ends all of it. Its output goes through a file, not a
pipe: a grandchild that stays alive cannot hold anybody up.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from rollback_daemon.durations import format_duration
from rollback_daemon.rules.duties import Command

_KEPT = 16 * 1024  # bytes of output; the end says why it failed
_LARGEST = 1024 * 1024  # bytes that the file of the output may have between two looks
_SECRET = 8  # characters; nothing shorter can be one
_LOOK = 0.02  # seconds
_KILL_AFTER = 2.0  # seconds between asking a command to end and ending it


@dataclass(frozen=True, slots=True)
class Ran:
    """How a step ended. `error` is empty when it succeeded: a command, when it exited with 0 in time. `seconds` is how long it took.

    `unknown`: the error does not say that something is wrong, but that it could not be told.
    """

    error: str
    output: str
    seconds: float
    unknown: bool = False


def run(command: Command, environment: Mapping[str, str], stop: threading.Event, given: bytes = b"") -> Ran:
    """Run the command until it ends, its timeout is over or `stop` is set. Never raises for what the command does.

    `given` is what it reads from its standard input.
    """
    started = time.monotonic()
    try:
        with tempfile.TemporaryFile(buffering=0) as file, _input(given) as source:
            output = _Output(file)
            process = _started(command, environment, file, source)
            failure = _wait(process, command, output, started + command.timeout.total_seconds(), stop)
            return Ran(failure, _without(command.env, output.text()), time.monotonic() - started)
    except (OSError, ValueError) as error:  # ValueError: a NUL, or what is no Unicode, in an argument or in the environment
        reason = (error.strerror or "no reason given").lower() if isinstance(error, OSError) else "its arguments or its environment are no text"
        return Ran(f'"{command.argv[0]}" could not be started: {reason}', "", time.monotonic() - started)


@contextlib.contextmanager
def _input(given: bytes) -> Iterator[IO[bytes] | int]:
    """A file, not a pipe: a command that never reads must not hold anybody up."""
    if not given:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(given)
        file.seek(0)
        yield file


def _started(command: Command, environment: Mapping[str, str], output: IO[bytes], source: IO[bytes] | int) -> subprocess.Popen[bytes]:
    both = subprocess.STDOUT
    surroundings = {**os.environ, **command.env, **environment}
    return subprocess.Popen(command.argv, stdin=source, stdout=output, stderr=both, env=surroundings, start_new_session=True)


def _without(env: Mapping[str, str], output: str) -> str:
    """The output, which goes on record, without the values that the rule file passes on: any may be a secret. Short ones are words."""
    for name, value in sorted(env.items(), key=lambda item: -len(item[1])):
        if len(value) >= _SECRET:
            output = output.replace(value, f"(value of {name})")
    return output


class _Output:
    """What a command prints: the end of it, however much it is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._descriptor = file.fileno()
        self._before = b""
        # Appending, so that what is printed after the file was emptied does not leave a hole before it.
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, fcntl.fcntl(self._descriptor, fcntl.F_GETFL) | os.O_APPEND)

    def bound(self) -> None:
        """Keep a flood from filling the disk."""
        if os.fstat(self._descriptor).st_size > _LARGEST:
            self._before = self._end()
            os.ftruncate(self._descriptor, 0)

    def text(self) -> str:
        """The last of it."""
        return (self._before + self._end())[-_KEPT:].decode(errors="replace").strip()

    def _end(self) -> bytes:
        size = os.fstat(self._descriptor).st_size
        return os.pread(self._descriptor, _KEPT, max(0, size - _KEPT))


def _wait(process: subprocess.Popen[bytes], command: Command, output: _Output, deadline: float, stop: threading.Event) -> str:
    name = f'"{command.argv[0]}"'
    while True:
        try:
            return _failure(name, process.wait(timeout=_LOOK))
        except subprocess.TimeoutExpired:
            output.bound()
        if stop.is_set():
            return f"{name} had to give way to something more urgent{_end(process)}"
        if time.monotonic() > deadline:
            return f"{name} did not end within {format_duration(command.timeout)}{_end(process)}"


def _failure(name: str, code: int) -> str:
    if code >= 0:
        return f"{name} exited with {code}" if code else ""
    known = {number.value: number.name for number in signal.Signals}
    return f"{name} was ended by {known.get(-code, f'signal {-code}')}"


def _end(process: subprocess.Popen[bytes]) -> str:
    """End the command and all that it started; returns what became of it."""
    for number, patience in ((signal.SIGTERM, _KILL_AFTER), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=patience)
        except ProcessLookupError:
            break
        except PermissionError:  # it runs as somebody else, sudo for instance
            threading.Thread(target=process.wait, name="left-behind", daemon=True).start()
            return ", and this user may not end it"
        except subprocess.TimeoutExpired:
            continue
    return " and was killed"
