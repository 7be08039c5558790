"""What a command prints: the end of it, however much it is, and without the values that the rule file passes on.

It comes through a pipe that is read as long as the command runs. Nothing that it prints is ever on a disk, and none of it is kept but the last few
KiB. Must not live here: when a command is over, or ended (`hooks`), where a value stands in a text (`hiding`).
"""

import os
import select
import subprocess
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rollback_daemon.transitions.hiding import Hiding

_KEPT = 16 * 1024  # bytes of output; the end says why it failed
_AT_ONCE = 64 * 1024  # bytes of one reading, and what a pipe holds
_LEFT = 1024 * 1024  # bytes that are taken in after the end; a flood goes on for ever
_SHORT = 0.001  # seconds of the first pause where there is nothing more to wait for but the end


class Printed:
    """The two ends of the pipe, and the last of what came through it. To be used by one thread."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """`env`: what the command is given beside the daemon's own environment. Raises OSError."""
        self._hiding = Hiding(env)
        self._last, self._cut = b"", False
        self._pause = _SHORT
        self.over = False  # nobody can print anything any more
        self.source, self.sink = os.pipe()
        self._poll = select.poll()
        self._poll.register(self.source, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for descriptor in (self.source, self.sink):
            if descriptor >= 0:
                os.close(descriptor)

    def given_away(self) -> None:
        """The command has its own copy of the sink now."""
        os.close(self.sink)
        self.sink = -1

    def look(self, seconds: float) -> int:
        """Take in what is there, after waiting for at most so long for anything; returns how many bytes came."""
        if self.over:
            time.sleep(min(self._pause, seconds))
            self._pause *= 2
            return 0
        if not self._poll.poll(seconds * 1000):
            return 0
        came = os.read(self.source, _AT_ONCE)
        self.over = not came
        kept = _KEPT + self._hiding.longest
        self._last += came
        if len(self._last) > kept:
            self._last, self._cut = self._last[-kept:], True
        return len(came)

    def rest(self, seconds: float) -> None:
        """Take in what is left, and for so long what is still to come; over at once when nobody can print any more."""
        until, left = time.monotonic() + seconds, _LEFT
        while not self.over and left > 0:
            came = self.look(max(0.0, until - time.monotonic()))
            if not came and time.monotonic() >= until:
                break
            left -= came

    def text(self) -> str:
        """The last of it, each value of the environment by its name. Its first bytes are left out where they may be the rest of one that was cut."""
        return self._hiding.printed(self._last, self._hiding.longest if self._cut else 0)[-_KEPT:].strip()

    def hand_over(self) -> None:
        """Have somebody else read on for as long as anybody prints, and throw it away.

        That is a process of its own, for it must outlive the daemon: a service that cannot print any more ends.
        """
        threading.Thread(target=_empty, args=(self.source,), name="left-behind", daemon=True).start()
        self.source = -1


def _empty(source: int) -> None:
    try:
        nowhere = subprocess.DEVNULL
        with subprocess.Popen(["cat"], stdin=source, stdout=nowhere, stderr=nowhere, cwd="/", start_new_session=True) as cat:  # noqa: S607 (wherever it is)
            cat.wait()
    except OSError:  # there is no such program, or no room for it: as long as this process lives
        while os.read(source, _AT_ONCE):
            pass
    finally:
        os.close(source)
