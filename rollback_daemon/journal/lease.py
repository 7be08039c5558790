"""Which daemon may act. Two daemons on one journal: the second says so and stays passive.

Lives here: the contract, and the lease for a journal on one machine.
Must not live here: what a passive daemon leaves undone.
"""

import contextlib
import fcntl
import json
import os
import socket
from pathlib import Path
from typing import Protocol

from rollback_daemon.clock import Clock, SystemClock
from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.database import file_of

_ATTEMPTS = 10
_SYSTEM_CLOCK = SystemClock()


class Lease(Protocol):
    """The right to act, for one process at a time. Ask in every cycle: it can be lost, and it can become free."""

    def try_acquire(self) -> bool:
        """Take or keep the lease; false when somebody else has it. Never waits.

        Raises JournalUnavailable when it cannot be found out.
        """

    def holder(self) -> str | None:
        """Who has the lease, for people; None when nobody has. Raises JournalUnavailable."""

    def release(self) -> None:
        """Give the lease back; nothing happens when it is not held."""


class FileLease:
    """A lock of the kernel on a file: gone the moment its process dies, so nothing expires and nothing is renewed.

    The file's content (host, pid, since when) is for people; the lock alone decides. The file is never removed, since
    another process might just have opened it. A lock on NFS is only as good as its server. For one thread at a time.
    """

    def __init__(self, path: Path, clock: Clock = _SYSTEM_CLOCK) -> None:
        self._path = path
        self._clock = clock
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take or keep the lock. One whose file was deleted or replaced counts as lost, and is tried for anew."""
        for _ in range(_ATTEMPTS):
            if self._descriptor is None:
                self._descriptor = self._locked(fcntl.LOCK_EX)
                if self._descriptor is None:
                    return False
                self._sign(self._descriptor)
            if self._is_in_place(self._descriptor):
                return True
            self.release()  # a lock on a file that nobody else can find excludes nobody
        raise JournalUnavailable(f'lock file "{self._path}" is replaced again and again; find out by whom')

    def holder(self) -> str | None:
        """Host, pid and time of whoever has the lock.

        The question itself locks for an instant, which may make another process's attempt fail once.
        """
        if self._descriptor is None:
            if not self._path.exists():
                return None
            free = self._locked(fcntl.LOCK_SH)
            if free is not None:
                os.close(free)
                return None
        return self._signature()

    def release(self) -> None:
        """Let go of the lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):  # closing unlocks too, but not while a child is between fork and exec
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _locked(self, how: int) -> int | None:
        try:  # O_CLOEXEC: a hook that outlives the daemon must not keep its lock
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            remedy = "let the daemon's user write there"
            raise JournalUnavailable(f'lock file "{self._path}" cannot be opened ({error.strerror}); {remedy}') from error
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            remedy = "keep the journal on a local disk"
            raise JournalUnavailable(f'"{self._path}" cannot be locked ({error.strerror}); {remedy}') from error
        return descriptor

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except OSError:
            return False

    def _sign(self, descriptor: int) -> None:
        since = self._clock.now().isoformat(timespec="seconds")
        signature = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
        with contextlib.suppress(OSError):  # a full disk does not weaken the lock
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(signature).encode() + b"\n", 0)

    def _signature(self) -> str:
        try:
            signature = json.loads(self._path.read_bytes())
            return f"{signature['host']}, pid {signature['pid']}, since {signature['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return f'an unknown process (see: fuser "{self._path}")'


def lease_for(url: str) -> Lease:
    """The lease of the journal at this storage URL. Raises JournalUnavailable for a URL that names none."""
    database = file_of(url)
    return FileLease(database.with_name(f"{database.name}.lock"))
