"""Running a command of the rule file: an argument list, no shell, a deadline, its output kept.

The command gets its own process group, so that a deadline or a more urgent transition ends all of it but what has left that group (`setsid`). Nobody
waits for what it leaves in the background, and nothing of that can grow. Must not live here: what becomes of its output (`printed`), where a value
stands in it (`hiding`).
"""

import contextlib
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
from rollback_daemon.transitions.leash import Leash
from rollback_daemon.transitions.printed import Printed

_LOOK = 0.02  # seconds
_LAST_WORDS = 0.5  # seconds for what a command left in the background to finish printing before it is killed
_KILL_AFTER = 2.0  # seconds between asking a command to end and ending it


@dataclass(frozen=True, slots=True)
class Ran:
    """How a step ended. `error` is empty when it succeeded: a command, when it exited with 0 in time. `seconds` is how long it took.

    `unknown`: the error does not say that something is wrong, but that it could not be told. `code`: what a command exited with, None where it did
    not come to its end by itself.
    """

    error: str
    output: str
    seconds: float
    unknown: bool = False
    code: int | None = None


def run(
    command: Command,
    environment: Mapping[str, str],
    stop: threading.Event,
    given: bytes = b"",
    *,
    may_leave: bool = False,
    stdout: int | None = None,
    leashed: bool = False,
) -> Ran:
    """Run the command until it ends, its timeout is over or `stop` is set. Never raises for what the command does.

    `given` is what it reads from its standard input. What it left in the background is killed when it has ended, unless it `may_leave` something
    there: that goes on, and what it prints from then on goes nowhere. `stdout` is a descriptor that its standard output goes to, apart from what
    it says to people. `leashed`: it is ended also when the daemon is killed.
    """
    started = time.monotonic()
    try:
        with Printed(command.env) as printed, _input(given) as source, Leash() if leashed else contextlib.nullcontext() as leash:
            process = _started(command, environment, printed, source, stdout, may_leave=may_leave)
            if leash is not None:
                leash.holds(process.pid)
            printed.given_away()
            failure, code = _wait(process, command, printed, started + command.timeout.total_seconds(), stop, may_leave=may_leave)
            if may_leave and not printed.over:
                printed.hand_over()
            return Ran(failure, printed.text(), time.monotonic() - started, code=code)
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


def _started(
    command: Command, environment: Mapping[str, str], printed: Printed, source: IO[bytes] | int, stdout: int | None, *, may_leave: bool
) -> subprocess.Popen[bytes]:
    surroundings = {**os.environ, **command.env, **environment}
    # A pipe that nobody reads ends whoever writes to it. One who may outlive the daemon holds it open for reading, too: killed in the middle of a
    # restart, the daemon must not leave the service stopped.
    held = (printed.source,) if may_leave else ()
    return subprocess.Popen(
        command.argv,
        stdin=source,
        stdout=printed.sink if stdout is None else stdout,
        stderr=printed.sink,
        env=surroundings,
        start_new_session=True,
        pass_fds=held,
    )


def _wait(
    process: subprocess.Popen[bytes], command: Command, printed: Printed, deadline: float, stop: threading.Event, *, may_leave: bool
) -> tuple[str, int | None]:
    """Why it failed, empty where it did not, and what it exited with."""
    name = f'"{command.argv[0]}"'
    if not _ends(process, printed, deadline, stop):
        why = "had to give way to something more urgent" if stop.is_set() else f"did not end within {format_duration(command.timeout)}"
        return f"{name} {why}{_end(process, printed)}", None
    if not may_leave:
        printed.rest(_LAST_WORDS)
        with contextlib.suppress(OSError):  # nothing is left, or it is somebody else's, which finds that nobody listens
            os.killpg(process.pid, signal.SIGKILL)
    printed.rest(0)
    code = process.wait()
    return _failure(name, code), code if code >= 0 else None


def _ends(process: subprocess.Popen[bytes], printed: Printed, deadline: float, stop: threading.Event | None = None) -> bool:
    """Whether the command ends in time; `stop` cuts it short. It is not waited for yet, so that its process group is still its own."""
    while not _has_ended(process):
        if time.monotonic() > deadline or (stop is not None and stop.is_set()):
            return False
        printed.look(_LOOK)
    return True


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody else has waited for it
        return True


def _failure(name: str, code: int) -> str:
    if code >= 0:
        return f"{name} exited with {code}" if code else ""
    known = {number.value: number.name for number in signal.Signals}
    return f"{name} was ended by {known.get(-code, f'signal {-code}')}"


def _end(process: subprocess.Popen[bytes], printed: Printed) -> str:
    """End the command and all that it started; returns what became of it."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        _ends(process, printed, time.monotonic() + _KILL_AFTER)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:  # it runs as somebody else, sudo for instance
        threading.Thread(target=process.wait, name="left-behind", daemon=True).start()
        return ", and this user may not end it"
    process.wait()
    printed.rest(0)
    return " and was killed"
