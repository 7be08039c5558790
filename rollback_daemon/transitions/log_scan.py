"""Whether a pattern appears in what was written to a log since a mark, wherever rotation has put it.

Lives here: which files hold something new, and from where on. Must not live here: which files a log has (`log_files`), what a mark is (`log_mark`),
what a line is (`log_lines`). What was renamed is known by its inode; what was copied and emptied, or packed, by its content. Where a part of what was
written cannot be found, the answer is "could not tell". A file of any size and lines of any length take the same, small memory.
"""

import os
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import IO

import regex

from rollback_daemon.durations import format_duration
from rollback_daemon.transitions.log_files import PACKED, UNREADABLE, Candidate, NotALog, candidates, opened, unpacked
from rollback_daemon.transitions.log_lines import match, pieces, shown
from rollback_daemon.transitions.log_mark import Limit, Mark, Place, Stopped, TooLong, mark, recognised, why

__all__ = ["Mark", "Scanned", "mark", "scan"]

_Listed = dict[tuple[int, int], Candidate]
_BLOCK = 256 * 1024
LONGEST = timedelta(minutes=10)
"""What a scan may take."""
_TRIES = 5  # a rotation in the middle of a look is rare, two in a row are rarer


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan came to. `found`: the first line in which the pattern appears; `unknown`: why it could not tell. Both empty: it appears nowhere.

    `files` and `size`: how much was looked at, in files and bytes (unpacked).
    """

    found: str = ""
    unknown: str = ""
    files: int = 0
    size: int = 0


@dataclass(slots=True)
class _Part:
    """A file that holds something new: its bytes from `start` to `end` (None: all there are). `half` of the first line stood before the mark."""

    candidate: Candidate
    file: IO[bytes]
    content: IO[bytes]
    start: int = 0
    end: int | None = None
    half: bytes = b""


class _Changed(Exception):
    """Files were renamed or emptied while they were looked at."""


def scan(path: str, without: str, since: Mark, stop: threading.Event, longest: timedelta = LONGEST) -> Scanned:
    """Whether the pattern (`re`) appears in a line that was written to the log since the mark. Never raises, and waits for nothing but the disk.

    A line that was half written at the mark counts when the match reaches into its second half. The last line counts although it has no end yet.
    It is over, without an answer, within a few seconds after `stop` is set or the `longest` time is over.
    """
    if since.trouble:
        return Scanned(unknown=since.trouble)
    pattern, limit = regex.compile(without), Limit(stop, time.monotonic() + longest.total_seconds())
    for _ in range(_TRIES):
        try:
            with ExitStack() as files:
                return _Scan(path, since, limit, files).run(pattern)
        except _Changed:
            continue
        except Stopped:
            return Scanned(unknown="the scan had to give way to something more urgent")
        except TooLong:
            cure = "write a pattern that is found out sooner, or have less logged"
            return Scanned(unknown=f'"{path}" could not be read to its end within {format_duration(longest)}; {cure}')
        except NotALog as error:
            return Scanned(unknown=str(error))
        except OSError as error:
            return Scanned(unknown=f'"{error.filename or path}" cannot be read: {why(error)}')
    return Scanned(unknown=f'"{path}" was being rotated all the time')


class _Scan:
    """One look at all the files of a log."""

    def __init__(self, path: str, since: Mark, limit: Limit, files: ExitStack) -> None:
        self._path, self._mark, self._limit, self._files = path, since, limit, files
        self._known = {place.key: place for place in since.places}
        self._troubles: list[str] = []
        self._recognised: set[Place] = set()

    def run(self, pattern: regex.Pattern[str]) -> Scanned:
        listed = self._listed()
        opened_files = [*filter(None, map(self._opened, self._new(listed.values())))]
        if _names(self._listed()) != _names(listed):
            raise _Changed
        parts = [*filter(None, (self._part(one, file) for one, file in opened_files))]
        parts.sort(key=lambda part: (part.candidate.path == self._path, part.candidate.changed))
        done = Scanned()
        for part in parts:
            found, size = self._search(part, pattern)
            done = replace(done, found=found, files=done.files + bool(size), size=done.size + size)
            if found:
                return done
        self._miss(parts, listed)
        return replace(done, unknown="; ".join(self._troubles))

    def _listed(self) -> _Listed:
        paths = [self._path, os.path.realpath(self._path), *([self._mark.real] if self._mark.real else [])]
        return candidates(paths, (place.inode for place in self._mark.places))

    def _new(self, listed: Collection[Candidate]) -> list[Candidate]:
        """Those that may hold something new. A file that is being packed at this moment is passed over: what it is made from is still there."""
        paths = {one.path for one in listed}
        packed = {path for path in paths if Path(path).suffix in PACKED and path.rpartition(".")[0] in paths}
        new = [one for one in listed if one.key in self._known or (one.rotated and one.changed >= self._mark.since)]
        return [one for one in new if one.path not in packed]

    def _opened(self, one: Candidate) -> tuple[Candidate, IO[bytes]] | None:
        try:
            file = self._files.enter_context(opened(one.path))
        except FileNotFoundError:
            raise _Changed from None
        except OSError as error:
            self._troubles.append(f'"{one.path}" cannot be read: {why(error)}')
            return None
        found = os.fstat(file.fileno())
        if (found.st_dev, found.st_ino) != one.key:
            raise _Changed
        return replace(one, size=found.st_size), file

    def _part(self, one: Candidate, file: IO[bytes]) -> _Part | None:
        """What is new in the file; None where nothing is."""
        own = self._known.get(one.key)
        if own is not None and (own.size == 0 or recognised(file, [own], self._limit)):
            self._recognised.add(own)
            if own.size == one.size:
                return None
        try:
            content = self._content(file)
            place, half = self._place(content)  # of all: a copy may have been in the making at the mark
        except UNREADABLE as error:
            self._troubles.append(f'"{one.path}" cannot be read: {why(error)}')
            return None
        if place is None and not one.rotated and own not in self._recognised:
            return None  # another file that was given the inode
        start = place.size - len(half) if place else 0
        return _Part(one, file, content, start, one.size if content is file else None, half)

    def _content(self, file: IO[bytes]) -> IO[bytes]:
        content = unpacked(file)
        return content if content is file else self._files.enter_context(content)

    def _place(self, content: IO[bytes]) -> tuple[Place | None, bytes]:
        """The marked place that is in this content, with the half line before it."""
        found = recognised(content, self._known.values(), self._limit)
        if found is None:
            return None, b""
        self._recognised.add(found[0])
        return found

    def _search(self, part: _Part, pattern: regex.Pattern[str]) -> tuple[str, int]:
        """The first line in which the pattern appears, and how many bytes were looked at."""
        counter = [0]
        half = len(part.half.replace(b"\0", b"").decode(errors="replace"))
        try:
            for piece, begin in pieces(self._blocks(part, counter)):
                self._limit.check()
                text = piece.decode(errors="replace").rstrip("\r")
                found = match(pattern, text, begin, half)
                half = 0
                if found is not None:
                    return shown(text, found.start()), counter[0]
        except TimeoutError:
            self._troubles.append(f'the pattern comes to no end on a line of "{part.candidate.path}"; write a simpler one')
        except UNREADABLE as error:
            self._troubles.append(f'"{part.candidate.path}" cannot be read: {why(error)}')
        return "", counter[0]

    def _blocks(self, part: _Part, counter: list[int]) -> Iterator[bytes]:
        part.content.seek(part.start)
        left = part.end - part.start if part.end is not None else None
        while left is None or left:
            self._limit.check()
            block = part.content.read(_BLOCK if left is None else min(left, _BLOCK))
            if not block:
                break
            left = left - len(block) if left is not None else None
            counter[0] += len(block)
            # An emptied file whose writer does not append begins with a hole as long as what stood there.
            yield block.replace(b"\0", b"") if b"\0" in block else block
        if left:
            raise _Changed  # emptied while it was read

    def _miss(self, parts: list[_Part], listed: _Listed) -> None:
        """Say what should have been there and was not."""
        if not self._mark.there:
            if not listed:
                self._troubles.append(f'"{self._path}" is not there, and was not there at the transition')
            return
        log = self._mark.places[0]
        # Of an empty log nothing is left that a packed file could be known by.
        lost = not self._troubles and log not in self._recognised and (log.size > 0 or all(part.content is part.file for part in parts))
        if lost and _names(self._listed()) != _names(listed):
            raise _Changed  # it went between the look at the names and that at the content
        if lost:
            cause = "it was removed, emptied without a copy, or rotated away; keep more rotated files beside it"
            self._troubles.append(f'what followed in "{self._path}" after the transition cannot be found any more: {cause}')


def _names(listed: _Listed) -> dict[tuple[int, int], str]:
    return {key: one.path for key, one in listed.items()}
