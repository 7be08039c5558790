"""Whether a flag file has stood as it is for a while: an editor that writes in place may be in the middle of it.

Lives here: how long. Must not live here: reading a file, what its flags mean.
"""

import time
from collections.abc import Callable

SECONDS = 1.0
"""As long as this a file must have stood before what it lacks is believed."""


class Settling:
    """Remembers since when the content has been what it is. Not thread-safe."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        """With 0 `seconds` everything has settled as soon as it is seen."""
        self._seconds, self._now = seconds, now
        self._version: str | None = None
        self._since = 0.0

    def settled(self, version: str) -> bool:
        """Whether the content that has this `version` was there at each look for so many seconds."""
        now = self._now()
        if version != self._version:
            self._version, self._since = version, now
        return now - self._since >= self._seconds
