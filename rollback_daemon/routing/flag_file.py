"""A flag file as an application reads it: looked at often and cheaply, read when it has changed, the last good content kept.

Lives here: when to read, and what is believed. Must not live here: formats (`flags.stores`), routes, OpenFeature. A file that was renamed into its
place, as the daemon's stores do, is believed at once; one that is being written there, as editors do, only when it has stood still for a while.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from rollback_daemon.errors import FlagError, Transient
from rollback_daemon.flags import atomic_file
from rollback_daemon.flags.settling import Settling
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.flags.stores import STORES
from rollback_daemon.flags.text_format import Format, FormatError

CHECK_EVERY = 0.1
"""Seconds between two looks at the file's status."""
SETTLE = 0.25
"""Seconds for which a file that is written in place must stand still before it is read."""
PATIENCE = 20
"""After so many times this long, a file that never stands still is read nevertheless."""
_REMEMBERED = 10_000  # keys asked for; more than an application has

_Identity = tuple[int, ...]


class Missing(Enum):
    """What stands for the value of a key that the file does not have."""

    KEY = "missing"


@dataclass(slots=True, eq=False)
class Content:
    """What a file said when it was read. `version` identifies it, as `Flags.version` does. Each key is looked up once."""

    version: str
    text: str
    text_format: Format
    _known: dict[str, FlagValue | Missing | FormatError] = field(default_factory=dict)

    def get(self, key: str) -> FlagValue | Missing | FormatError:
        """The value of `key`, or what is wrong with it where it holds what is no flag."""
        try:
            return self._known[key]
        except KeyError:
            found = self._find(key)
        if len(self._known) < _REMEMBERED:
            self._known[key] = found
        return found

    def _find(self, key: str) -> FlagValue | Missing | FormatError:
        try:
            return self.text_format.values(self.text, {key}).get(key, Missing.KEY)
        except FormatError as error:
            return error


@dataclass(frozen=True, slots=True)
class Look:
    """What is known now: the last good content, if there ever was one, and why it is not the present one, if it is not."""

    content: Content | None
    problem: str | None


def _untold(_before: Look, _after: Look) -> None:
    """Nobody wants to hear of changes."""


class FlagFile:
    """One flag file. Thread-safe; costs a look at the clock, and a `stat` every `check_every` seconds.

    `changed` is told what was known before and after, in the thread that noticed; never of the first look.
    """

    def __init__(
        self,
        path: Path,
        store: str,
        *,
        check_every: float = CHECK_EVERY,
        settle: float = SETTLE,
        now: Callable[[], float] = time.monotonic,
        changed: Callable[[Look, Look], None] = _untold,
    ) -> None:
        if store not in STORES:
            raise ValueError(f'"{store}" is no kind of flag file: use one of {", ".join(STORES)}')
        self.path = path
        self._format = STORES[store]
        self._every, self._now, self._changed = check_every, now, changed
        self._settling = Settling(settle, now)
        self._patience = PATIENCE * settle
        self._look: Look | None = None
        self._next = 0.0
        self._read: _Identity | None = None  # read when it had settled: nothing new is in it
        self._unread_since: float | None = None
        self._lock = threading.Lock()
        _open.add(self)

    def look(self) -> Look:
        """What the file says, or said last."""
        known = self._look
        if known is not None and self._now() < self._next:
            return known
        if known is not None and not self._lock.acquire(blocking=False):
            return known  # another thread is looking
        if known is None:
            self._lock.acquire()
        try:
            return self._fresh(self._now())
        finally:
            self._lock.release()

    def after_fork(self) -> None:
        """In a child process: a lock that a thread of the parent held would be held for ever."""
        self._lock = threading.Lock()

    def _fresh(self, now: float) -> Look:
        known = self._look
        if known is not None and now < self._next:
            return known
        try:
            found = self._examined(now)
        except FlagError as error:
            self._read = None
            passing = isinstance(error, Transient) and not self._for_long(now)
            found = known if known and passing else Look(known.content if known else None, str(error))
        self._next = now + self._every
        if found == known:
            return found
        self._look = found
        if known is not None:
            self._changed(known, found)
        return found

    def _examined(self, now: float) -> Look:
        with atomic_file.told(self.path, "read"):
            status = self.path.stat()
        identity = _identity(status)
        if self._look is not None and identity == self._read:
            return self._look
        settled = self._settling.settled(str(identity))
        if self._look is not None and not settled and not self._to_be_read(status, now):
            return self._look
        found = self._loaded()
        self._unread_since = None
        self._read = identity if settled else None  # else once more: two writes within one tick of the clock have the same status
        return found

    def _to_be_read(self, status: os.stat_result, now: float) -> bool:
        """Whether a file that has not settled is read all the same: nobody is writing it, or somebody does so without end."""
        if status.st_ctime_ns > status.st_mtime_ns:  # a write sets both times to one moment; only a rename, or an end, sets the second alone
            return True
        return self._for_long(now)

    def _for_long(self, now: float) -> bool:
        """Whether the last time that it could be read lies long back."""
        self._unread_since = now if self._unread_since is None else self._unread_since
        return now - self._unread_since >= self._patience

    def _loaded(self) -> Look:
        snapshot = atomic_file.load(self.path)
        known = self._look
        if known and known.content and known.content.version == snapshot.version:
            return known if known.problem is None else Look(known.content, None)
        text = snapshot.data.decode("utf-8-sig", "surrogateescape")
        try:
            self._format.values(text, ())
        except FormatError as error:
            place = f"{self.path}:{error.line}" if error.line else str(self.path)
            return Look(known.content if known else None, f"{place}: {error}")
        return Look(Content(snapshot.version, text, self._format), None)


_open: "weakref.WeakSet[FlagFile]" = weakref.WeakSet()


def _after_fork() -> None:
    for file in list(_open):
        file.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
