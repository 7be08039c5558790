"""How much of the files may be read in one look, so that a rollback elsewhere does not wait for it. Must not live here: reading."""

import time

MOST_BYTES = 64 * 2**20


class Budget:
    """So many bytes, until a deadline (monotonic seconds); one block may be read in any case, so that every look gets on."""

    def __init__(self, deadline: float, size: int = MOST_BYTES) -> None:
        self.deadline = deadline
        self._left, self._begun = size, False

    @property
    def over(self) -> bool:
        """Whether no more may be read."""
        return self._begun and (self._left <= 0 or time.monotonic() > self.deadline)

    def spend(self, size: int) -> None:
        """So much was read."""
        self._begun = True
        self._left -= size
