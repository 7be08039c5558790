"""What a command prints: the end of it, however much it is, and without the values that the rule file passes on.

It comes through a pipe that is read as long as the command runs. Nothing that it prints is ever on a disk, and none of it is kept but the last few
KiB. Must not live here: when a command is over, or ended (`hooks`).
"""

import json
import os
import re
import select
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

_KEPT = 16 * 1024  # bytes of output; the end says why it failed
_AT_ONCE = 64 * 1024  # bytes of one reading, and what a pipe holds
_LEFT = 1024 * 1024  # bytes that are taken in after the end; a flood goes on for ever
_SECRET = 8  # characters; nothing shorter can be one
_SHORT = 0.001  # seconds of the first pause where there is nothing more to wait for but the end


class Printed:
    """The two ends of the pipe, and the last of what came through it. To be used by one thread."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """`env`: what the command is given beside the daemon's own environment. Raises OSError."""
        self._secrets = dict(_forms(env))
        self._longest = max(map(len, self._secrets), default=0)
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
        kept = _KEPT + self._longest
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
        """The last of it, each value of the environment by its name. Short ones are words."""
        return _without(self._secrets, self._last, self._longest if self._cut else 0)[-_KEPT:].decode(errors="replace").strip()

    def hand_over(self) -> None:
        """Have somebody else read on for as long as anybody prints, and throw it away.

        That is a process of its own, for it must outlive the daemon: a service that cannot print any more ends.
        """
        threading.Thread(target=_empty, args=(self.source,), name="left-behind", daemon=True).start()
        self.source = -1


def without_values(env: Mapping[str, str], output: bytes) -> bytes:
    """The output with each value of the environment by its name. Short ones are words."""
    there = {secret: name for secret, name in _forms(env) if secret in output}
    return _without(there, output, 0) if there else output


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


def _forms(env: Mapping[str, str]) -> Iterable[tuple[bytes, str]]:
    """Each value as it may be printed, with its name."""
    for name, given in env.items():
        value = given.strip()
        if len(value) < _SECRET:
            continue
        for form in {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}:
            yield form.encode("utf-8", "surrogateescape"), name


def _without(secrets: Mapping[bytes, str], output: bytes, unsafe: int) -> bytes:
    """The output, which goes on record, without these. Its first bytes are left out where they may be the rest of one that was cut: `unsafe` many."""
    begin, made = unsafe, b""
    for start, end, name in _found(secrets, output):
        if end > begin:
            made += output[begin : max(begin, start)] + f"(value of {name})".encode()
            begin = end
    return made + output[begin:]


def _found(secrets: Mapping[bytes, str], output: bytes) -> list[tuple[int, int, str]]:
    """Where they stand, those that overlap as one, by the name of the one that begins first, of the longest where several do."""
    places = [(one.start(), -len(secret), name) for secret, name in secrets.items() for one in re.finditer(b"(?=%b)" % re.escape(secret), output)]
    merged: list[tuple[int, int, str]] = []
    for start, length, name in sorted(places):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], start - length), merged[-1][2])
        else:
            merged.append((start, start - length, name))
    return merged
