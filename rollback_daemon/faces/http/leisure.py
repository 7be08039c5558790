"""How readers who ask for much work are kept from slowing the guard: one at a time, and at leisure where it may take seconds.

Lives here: turns and pauses. Must not live here: the work (`simulating`, `governance.past`).
"""

import contextlib
import threading
import time
from collections.abc import Iterator

_WAIT = 3.0  # seconds for the one before to end
_AT_ONCE = 3  # that work or wait: each of them keeps a thread that other requests may need
_BREATH = 0.005  # seconds of work after which it idles for as long


class BusyError(Exception):
    """Others have the turn."""

    def __init__(self) -> None:
        super().__init__("others ask for as much work; ask again in a moment")


class Turns:
    """One at a time, few that wait."""

    def __init__(self, wait: float = _WAIT) -> None:
        self._wait = wait
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the turn. Raises BusyError where it does not come soon."""
        if not self._room.acquire(blocking=False):
            raise BusyError
        try:
            if not self._turn.acquire(timeout=self._wait):
                raise BusyError
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._room.release()


class Leisure:
    """Lets work go on until its time is over, and makes it idle for as long as it works."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._since = time.monotonic()

    def proceed(self) -> bool:
        """Whether there is time for more."""
        worked = time.monotonic() - self._since
        if worked >= _BREATH:
            time.sleep(worked)
            self._since = time.monotonic()
        return time.monotonic() < self._end
