"""Wrong logins on requests that would change a rollout go on its record; a flood of them does not fill the journal.

Must not live here: who is let in (`login`), what is on record for those who are (the watch).
"""

import contextlib
import time
from collections import deque

from rollback_daemon.errors import OperationRefused
from rollback_daemon.guard import Guard

_MOST, _WITHIN = 30, 3600.0  # records in so many seconds; the log has them all
_LONGEST = 100  # characters of a name that anybody may send


class TurnedAway:
    """Told of every wrong login. Thread-safe enough: a record more or less does no harm."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._told: deque[float] = deque(maxlen=_MOST)

    def __call__(self, method: str, path: str, name: str, address: str) -> None:
        """Somebody gave a wrong name or password."""
        parts = path.split("/")
        if method != "POST" or parts[:4] != ["", "api", "v1", "rollouts"] or len(parts) < 6 or not self._guard.active:
            return
        with contextlib.suppress(OperationRefused):  # no such rollout: nothing to put it on record of, and nothing that counts
            watch = self._guard.watch(parts[4])
            if not self._is_flood():
                why = f"the user name or the password is wrong (from {address})"
                watch.refused(parts[5][:_LONGEST], f"somebody as {name[:_LONGEST]!r}", "", why)

    def _is_flood(self) -> bool:
        now = time.monotonic()
        if len(self._told) == _MOST and now - self._told[0] < _WITHIN:
            return True
        self._told.append(now)
        return False
