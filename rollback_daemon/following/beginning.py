"""Where in a file the lines begin that are not too old, found by looking into it here and there: of 20 GB, a few dozen blocks are read.

Lines stand about in the order of their times; by how much they may not, is for whoever says how old is too old. Must not live here: reading on.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

_STEP = 2**20  # it is found to within so many bytes
_PROBE = 64 * 1024
_LOOKS = 8  # so many into what lies before
_FARTHEST = 2**20  # beyond this, a line with a time is not looked for


class Readable(Protocol):
    """A file that one can look into anywhere."""

    def seek(self, offset: int, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


When = Callable[[bytes], float | None]
"""When a line was, in Unix seconds; None where it does not say."""


def newer_before(file: Readable, offset: int, since: float, when: When) -> bool:
    """Whether lines later than `since` stand before a place where they are older, as far as a few looks tell: then they are out of order.

    Raises what reading a file raises.
    """
    found = (_time(file, offset * part // _LOOKS, when) for part in range(_LOOKS)) if offset else ()
    return any(at is not None and at > since for at in found)


def beginning(file: Readable, size: int, since: float, when: When) -> tuple[int, bool]:
    """A place before every line later than `since`, and whether there are older lines before it. The place may be within a line.

    Raises what reading a file raises.
    """
    new, step = size, _STEP
    old = max(0, new - step)
    while old and not _is_old(file, old, since, when):
        new, step = old, step * 2
        old = max(0, new - step)
    while new - old > _STEP:
        middle = (old + new) // 2
        if _is_old(file, middle, since, when):
            old = middle
        else:
            new = middle
    return old, bool(old) or _is_old(file, 0, since, when)


def _is_old(file: Readable, offset: int, since: float, when: When) -> bool:
    """Whether the first line after the place that tells its time is too old; where none tells it, it is not."""
    found = _time(file, offset, when)
    return found is not None and found <= since


def _time(file: Readable, offset: int, when: When) -> float | None:
    """Of the first line after the place that tells it."""
    return next((found for line in _lines(file, offset) if (found := when(line)) is not None), None)


def _lines(file: Readable, offset: int) -> Iterator[bytes]:
    """The whole lines after a place, as far as it is worth looking."""
    file.seek(offset)
    carry, is_first = b"", offset > 0
    for _ in range(_FARTHEST // _PROBE + 1):
        block = file.read(_PROBE)
        if not block:
            return
        *lines, carry = (carry + block).split(b"\n")
        for line in lines:
            if not is_first:
                yield line
            is_first = False
