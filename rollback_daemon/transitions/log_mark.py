"""Where a log ended at a certain moment, so that what was written later can be told from what stood there, whatever was renamed since.

Lives here: the mark, taking one, finding a marked place again. Must not live here: patterns, reading what is new (`log_scan`).
A place is known again by its inode, or, where the file was copied or packed, by its content; in both cases the content before it must be the same,
for an inode is given to the next file as soon as it is free.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

from rollback_daemon.transitions.log_files import Candidate, NotALog, candidates, opened

_PLACES = 8  # rotated files that are worth a place; what is older is told by when it was changed
_TRIES = 5
WINDOW = 4096  # bytes at either end of what was written that tell one log from another
_STRIDE = 16 * 1024 * 1024  # bytes of a packed file that are passed over at once


class Stopped(Exception):
    """Something more urgent came."""


class TooLong(Exception):
    """The time is over."""


@dataclass(frozen=True, slots=True)
class Limit:
    """When to go no further: as soon as `stop` is set, or at `deadline` (monotonic seconds)."""

    stop: threading.Event
    deadline: float

    def check(self) -> None:
        """Raises Stopped or TooLong."""
        if self.stop.is_set():
            raise Stopped
        if time.monotonic() > self.deadline:
            raise TooLong


@dataclass(frozen=True, slots=True)
class Place:
    """The end of one file: which file, how many bytes it had, and what they were (a fingerprint)."""

    device: int
    inode: int
    size: int
    content: str

    @property
    def key(self) -> tuple[int, int]:
        """What stays when it is renamed."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a log ended. `there`: the log itself was there, and is the first of the places; the others are files that it was rotated into.

    `since`: a file that was last changed before this (nanoseconds, as the file system has it) holds nothing new. `real` is the log without symbolic
    links. `trouble` says why the log could not be marked, "" where it could.
    """

    since: int = 0
    there: bool = False
    places: tuple[Place, ...] = ()
    real: str = ""
    trouble: str = ""

    def body(self) -> dict[str, Any]:
        """The mark for a journal: plain JSON, below 2 KiB."""
        return {**asdict(self), "places": [asdict(place) for place in self.places]}

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Mark":
        """The mark again. One that cannot be read is a mark with `trouble`."""
        try:
            return cls(**{**body, "places": tuple(Place(**place) for place in body.get("places", ()))})
        except (TypeError, AttributeError):
            return cls(trouble="the mark on record is of another version of this program")


def mark(path: str) -> Mark:
    """Where the log ends now. It need not be there yet. Never raises and never waits; reads no more than the ends of a few files."""
    try:
        for _ in range(_TRIES):
            if (taken := _mark(path)) is not None:
                return taken
    except NotALog as error:
        return Mark(trouble=str(error))
    except OSError as error:
        return Mark(trouble=f'"{error.filename or path}" could not be read at the transition: {why(error)}')
    return Mark(trouble=f'"{path}" was being rotated at the transition all the time')


def recognised(file: IO[bytes], places: Iterable[Place], limit: Limit) -> tuple[Place, bytes] | None:
    """The last of the places that is in the file, with the half line that stood before it; None where none is. An empty place is in no file.

    Raises Stopped, TooLong, and what reading a broken file raises.
    """
    file.seek(0)
    head, found = _exactly(file, WINDOW), None
    for place in sorted(places, key=lambda one: one.size):
        width = min(place.size, WINDOW)
        if not width or not _reach(file, place.size - width, limit):
            continue
        tail = _exactly(file, width)
        if len(tail) == width and fingerprint(head[:width], tail) == place.content:
            found = place, tail.rpartition(b"\n")[2]
    return found


def why(error: Exception) -> str:
    """What went wrong with a file, in a few words."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _mark(path: str) -> Mark | None:
    """None when files were renamed meanwhile."""
    now, real = time.time_ns(), os.path.realpath(path)
    listed = candidates([path, real])
    log = next((one for one in listed.values() if one.path == path), None)
    others = sorted((one for one in listed.values() if one is not log), key=lambda one: one.changed, reverse=True)
    places: list[Place] = []
    for one in [*([log] if log else []), *others[:_PLACES]]:
        try:
            place = _end(one)
        except FileNotFoundError:
            return None
        except OSError:
            if one is log:
                raise
            continue  # an old file that may not be read; if anything is written to it, that shows in the scan
        if place is None:
            return None
        places.append(place)
    newest = log.changed if log else others[0].changed if others else 0
    # A time in the future, and what follows in the present would look old.
    return Mark(min(newest, now), log is not None, tuple(places), os.fsencode(real).decode(errors="replace"))


def _end(candidate: Candidate) -> Place | None:
    """None when another file has that name by now."""
    with opened(candidate.path) as file:
        found = os.fstat(file.fileno())
        width = min(found.st_size, WINDOW)
        head = os.pread(file.fileno(), width, 0)
        tail = os.pread(file.fileno(), width, found.st_size - width)
    if (found.st_dev, found.st_ino) != candidate.key or len(tail) < width:
        return None
    return Place(found.st_dev, found.st_ino, found.st_size, fingerprint(head, tail))


def fingerprint(head: bytes, tail: bytes) -> str:
    """What a place is known by: the first bytes of its file, and those before it."""
    return hashlib.sha256(head + b"\0" + tail).hexdigest()[:32]


def _reach(file: IO[bytes], to: int, limit: Limit) -> bool:
    """Whether a packed file holds that much; any other is moved there in any case."""
    while (at := file.tell()) < to:
        limit.check()
        if file.seek(min(at + _STRIDE, to)) == at:
            return False
    return file.seek(to) == to


def _exactly(file: IO[bytes], count: int) -> bytes:
    """So many bytes, fewer only at the end."""
    read = b""
    while len(read) < count and (more := file.read(count - len(read))):
        read += more
    return read
