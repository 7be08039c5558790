"""One file that grows: its whole lines, forward from a place, in blocks; and whether it is still the file that was read.

Lives here: blocks, lines, half lines. Must not live here: other files of the same log (`chain`), what a line says.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rollback_daemon.following.budget import Budget
from rollback_daemon.transitions.log_files import opened, unpacked
from rollback_daemon.transitions.log_mark import WINDOW, Place, fingerprint

BLOCK = 256 * 1024
LONGEST = 2**20
"""Bytes of a line; a longer one is passed over, and told."""

Line = tuple[int, bytes | None]
"""Where a line begins, and its bytes without the end; None for one that is too long."""


class GrowingFile:
    """A file that is read forward. `whole`: it will not grow any more, as far as anybody can tell."""

    def __init__(self, path: str, *, whole: bool = False) -> None:
        """Opens it. Raises NotALog, and what opening a file raises."""
        self.path = path
        self._raw = opened(path)
        try:
            found = os.fstat(self._raw.fileno())
            self._content: IO[bytes] = unpacked(self._raw)
        except BaseException:
            self._raw.close()
            raise
        self.key = found.st_dev, found.st_ino
        self.packed = self._content is not self._raw
        self.whole = whole or self.packed
        self.offset = 0
        self.drained = False
        self.grew_at = 0.0  # when something new was found last, in the seconds of whoever looks
        self._head = self._tail = b""
        self._carry = b""
        self._begun = 0  # where the line begins whose first bytes are in `_carry`
        self._passing = False  # over the rest of a line

    @property
    def content(self) -> IO[bytes]:
        """What can be looked into for a place to begin at; reading goes on from `offset` in any case."""
        return self._content

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of it was read, and nothing stands before it."""
        return not self.offset and not self._carry

    @property
    def size(self) -> int:
        """Bytes; of a packed file, those that were read."""
        return self.offset if self.packed else os.fstat(self._raw.fileno()).st_size

    @property
    def behind(self) -> int:
        """Bytes that were not read yet; of a packed file one, where there are any."""
        return int(not self.drained) if self.packed else max(0, self.size - self.offset)

    def begin(self, offset: int, carry: bytes = b"", *, within_line: bool = False) -> None:
        """Go on from there. `carry`: what stands before it of the same line. `within_line`: the line that the place is in is none of ours."""
        width = min(offset, WINDOW)
        if offset:
            self._head, self._tail = self._piece(width, 0), self._piece(width, offset - width)
        self.offset = offset
        self._carry, self._begun, self._passing = carry, offset - len(carry), within_line

    def is_same(self) -> bool:
        """Whether what was read still stands there: the file was neither emptied nor written anew."""
        if self.packed:
            return True
        number, head, tail = self._raw.fileno(), self._head, self._tail
        if self.size < self.offset or os.pread(number, len(head), 0) != head:
            return False
        return os.pread(number, len(tail), self.offset - len(tail)) == tail

    def head(self, most: int = WINDOW) -> bytes:
        """The first bytes of what the file holds, as it is now."""
        return self._piece(most, 0)

    def place(self) -> Place:
        """Where it was read to, by which a copy of it is known."""
        width = min(self.offset, WINDOW)
        return Place(*self.key, self.offset, fingerprint(self._head[:width], self._tail[-width:] if width else b""))

    def lines(self, budget: Budget, now: float) -> Iterator[Line]:
        """Whole lines, as many as there are and as the budget allows; to be taken to the end. Raises what reading a file raises."""
        self.drained = False
        while not budget.over:
            if not self.packed and self._over_hole():
                self.drained = True
                return
            self._content.seek(self.offset)
            block = self._content.read(BLOCK)
            if not block:
                self.drained = True
                return
            budget.spend(len(block))
            self.grew_at = now
            yield from self._split(block)

    def rest(self) -> tuple[int, bytes]:
        """The half line at the end, which is let go of."""
        begun, self._begun = self._begun, self.offset
        carry, self._carry = self._carry, b""
        return begun, carry

    def close(self) -> None:
        """Let go of it."""
        self._raw.close()

    def _piece(self, most: int, offset: int) -> bytes:
        if not self.packed:
            return os.pread(self._raw.fileno(), most, offset)
        self._content.seek(offset)
        return self._content.read(most)

    def _over_hole(self) -> bool:
        """Go to where something is written: a hole of gigabytes, where a file was emptied whose writer does not append, holds nothing to be read.

        Returns whether nothing is written from here on; to what is only reserved something will be.
        """
        number, size = self._raw.fileno(), self.size
        if size - self.offset < BLOCK:
            return False
        try:
            written = os.lseek(number, self.offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # as of a file that was emptied at this moment
                return os.fstat(number).st_size >= size
            written = self.offset  # the file system cannot tell
        if written > self.offset:
            begun = self._begun if self._carry else written
            self.begin(written, self._carry and self._carry + b"\0", within_line=self._passing)  # a line with a hole in it is none
            self._begun = begun
        return False

    def _split(self, block: bytes) -> Iterator[Line]:
        position = self.offset
        self.offset += len(block)
        if len(self._head) < WINDOW:
            self._head = (self._head + block)[:WINDOW]
        self._tail = (self._tail + block)[-WINDOW:]
        *whole, half = block.split(b"\n")
        for piece in whole:
            line, begun = self._carry + piece, self._begun
            position += len(piece) + 1
            passing, self._carry, self._begun, self._passing = self._passing, b"", position, False
            if not passing:
                line = line.lstrip(b"\0")  # a hole, where a file was emptied whose writer does not append
                yield begun, (line if len(line) <= LONGEST else None)
        self._carry = b"" if self._passing else (self._carry + half).lstrip(b"\0")
        if len(self._carry) > LONGEST:
            yield self._begun, None
            self._carry, self._passing = b"", True


def exists(path: str) -> tuple[int, int] | None:
    """The device and inode of what is there; None where nothing is. Raises OSError where that cannot be told."""
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
