"""Ending a command when the daemon is gone: killed with SIGKILL, it can do that no more.

A small process of its own waits at a pipe for the daemon to end; the kernel closes that pipe however the daemon ends. Must not live here: running the
command (`hooks`).
"""

import contextlib
import subprocess
from types import TracebackType
from typing import Self

_WAIT = """
read -r group || exit
[ "$group" = done ] && exit
read -r done && exit
kill -s TERM -- "-$group"
sleep 2
kill -s KILL -- "-$group"
"""
"""As `hooks` ends a command: it is asked first. Where the pipe ends before the second line has come, nobody else will."""


class Leash:
    """For one command; does nothing where there is no shell to be had."""

    def __init__(self) -> None:
        """Begins before the command does, so that there is no moment in which nobody would end it."""
        self._waiting: subprocess.Popen[bytes] | None = None
        nowhere = subprocess.DEVNULL
        with contextlib.suppress(OSError):
            self._waiting = subprocess.Popen(
                ["/bin/sh", "-c", _WAIT],
                stdin=subprocess.PIPE,
                stdout=nowhere,
                stderr=nowhere,
                env={"PATH": "/usr/bin:/bin"},
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The command has ended, or could not be begun."""
        if self._waiting is not None:
            self._say("done")
            with contextlib.suppress(OSError):
                self._waiting.communicate()  # closes the pipe, and waits for a shell that has nothing more to do

    def holds(self, group: int) -> None:
        """The process group of the command, to be told as soon as it is known."""
        self._say(str(group))

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # somebody has ended it
            if self._waiting is not None and self._waiting.stdin is not None:
                self._waiting.stdin.write(f"{line}\n".encode())
