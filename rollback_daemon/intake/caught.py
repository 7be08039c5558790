"""What a command prints on its standard output, whole up to a limit; what is beyond goes nowhere, so that the command is never held up.

Must not live here: running it (`transitions.hooks`), what the result means (`runs`).
"""

import os
import select
import threading
import time
from types import TracebackType
from typing import Self

_AT_ONCE = 64 * 1024  # bytes of one reading, and what a pipe holds
_LOOK = 50  # milliseconds
_LAST_WORDS = 0.5  # seconds for what is left in the pipe once the command has ended; who has left its group may print for ever


class Caught:
    """A pipe with a thread that empties it. `sink` is for the command; `data` and `over`, whether there was more, for afterwards."""

    def __init__(self, limit: int) -> None:
        """Up to so many bytes are kept. Raises OSError where there is no pipe to be had."""
        self._limit, self._kept, self.over = limit, bytearray(), False
        self._source, self.sink = os.pipe()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._empty, name="caught", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self.sink)
        self._ended.set()
        self._thread.join()
        os.close(self._source)

    @property
    def data(self) -> bytes:
        """All of it, up to the limit. Only after the end."""
        return bytes(self._kept)

    def _empty(self) -> None:
        poll, until = select.poll(), None
        poll.register(self._source, select.POLLIN)
        while until is None or time.monotonic() < until:
            if self._ended.is_set() and until is None:
                until = time.monotonic() + _LAST_WORDS
            if not poll.poll(_LOOK):
                if until is not None:
                    return
                continue
            came = os.read(self._source, _AT_ONCE)
            if not came:
                return
            room = self._limit - len(self._kept)
            self._kept += came[:room]
            self.over = self.over or len(came) > room
