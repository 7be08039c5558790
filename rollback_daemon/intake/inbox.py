"""What is new in a watched folder: the memory of one folder from look to look.

A file is ready when it was seen twice, and has stood unchanged in between. At the first look into a folder only its newest file is new. Lives here:
listing, and which files are due. Must not live here: reading them (`files`), what becomes of them (`arrivals`).
"""

import hashlib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field

from rollback_daemon import __version__
from rollback_daemon.intake.files import Stamp, reason
from rollback_daemon.rules.duties import Inbox

SETTLED = 0.5
"""Seconds that a file must have stood unchanged, where two looks follow each other sooner."""

_MOST = 10_000  # files that match, in one folder
_AT_ONCE = 10  # are dealt with at once, and those that are as old as the oldest of them
_KEPT = 1000  # files that were refused, so many are kept in mind over a start
_SET = 60.0  # seconds by which a clock that was set differs; one that is only slewed needs a day for that
_UNFINISHED = ("~", ".tmp", ".part", ".swp")


class Away(Exception):
    """The folder cannot be looked into; the message says why, and what would be right."""


@dataclass(slots=True)
class Seen:
    """One folder. `before`: what identifies the files that were refused before a start. Not thread-safe: one look at a time."""

    inbox: Inbox
    settled: float = SETTLED
    before: tuple[str, ...] = ()
    _of: tuple[int, int] | None = None
    _done: dict[str, Stamp] = field(default_factory=dict)
    _since: dict[str, tuple[Stamp, float]] = field(default_factory=dict)
    _refused: dict[str, str] = field(default_factory=dict)
    _doubted: dict[str, float] = field(default_factory=dict)

    @property
    def refused(self) -> tuple[str, ...]:
        """What identifies each file that was refused and lies there as it was."""
        return tuple(self._refused.values())[-_KEPT:]

    def open(self) -> int:
        """The folder's descriptor, to be closed. Raises Away."""
        folder = self.inbox.folder
        try:
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Away(f'the folder "{folder}" is not there; make it, or mend folder in the rule file') from None
        except OSError as error:
            raise Away(f'the folder "{folder}" cannot be read: {reason(error)}') from None

    def due(self, folder: int, clock: float, but: Collection[str] = ()) -> list[tuple[str, Stamp]]:
        """The files to be dealt with now, what is none first, then the oldest; of many only the newest, for they count. `clock` in seconds; `but`
        are left for another time. Raises Away.
        """
        found = self._listed(folder)
        self._begin(folder, found)
        self._done = {name: stamp for name, stamp in self._done.items() if found.get(name) == stamp}
        self._doubted = {name: ahead for name, ahead in self._doubted.items() if name in self._done}
        self._refused = {name: mark for name, mark in self._refused.items() if name in self._done}
        fresh = {name: stamp for name, stamp in found.items() if name not in self._done}
        ready = [(name, stamp) for name, stamp in fresh.items() if self._has_settled(name, stamp, clock) and name not in but]
        self._since = {name: known for name, known in self._since.items() if name in fresh}
        ready.sort(key=lambda one: (one[1].changed, one[1].touched, one[0]))
        return [one for one in ready if one[1].changed >= ready[-_AT_ONCE:][0][1].changed]

    def deal(self, name: str, stamp: Stamp, *, refused: bool = False) -> str:
        """Nothing more is to be done about the file as it is; returns what identifies one that was refused."""
        self._done[name] = stamp
        return self._refused.setdefault(name, _mark(name, stamp)) if refused else ""

    def doubt(self, name: str, stamp: Stamp, ahead: float) -> None:
        """The file was refused for its time, so that perhaps the clock is wrong: it is dealt with until that is set, and is not remembered.

        `ahead`: of the clock before one that nobody sets, in seconds.
        """
        self._done[name], self._doubted[name] = stamp, ahead

    def hear(self, ahead: float) -> None:
        """Where the clock was set since, what was refused for it is new again."""
        for name in [name for name, before in self._doubted.items() if abs(ahead - before) > _SET]:
            del self._doubted[name]
            self._done.pop(name, None)

    def _begin(self, folder: int, found: dict[str, Stamp]) -> None:
        """At the first look, also into one that has come in its place, what lies there is old news but for the newest file."""
        at = os.fstat(folder)
        if self._of == (at.st_dev, at.st_ino):
            return
        self._of, self._since = (at.st_dev, at.st_ino), {}
        files = sorted((stamp.changed, name) for name, stamp in found.items() if stamp.regular)
        self._done = {name: found[name] for _, name in files[:-1]}
        marks = {name: _mark(name, stamp) for name, stamp in found.items()} if self.before else {}
        self._refused = {name: mark for name, mark in marks.items() if mark in self.before}
        self._done |= {name: found[name] for name in self._refused}

    def _has_settled(self, name: str, stamp: Stamp, clock: float) -> bool:
        known = self._since.get(name)
        if known is None or known[0] != stamp:
            self._since[name] = (stamp, clock)
            return False
        return clock - known[1] >= self.settled

    def _listed(self, folder: int) -> dict[str, Stamp]:
        pattern, found = _pattern(self.inbox.files), dict[str, Stamp]()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_finished(entry.name) and pattern.fullmatch(entry.name):
                        _add(found, entry)
        except OSError as error:
            raise Away(f'the folder "{self.inbox.folder}" cannot be listed: {reason(error)}') from None
        if len(found) > _MOST:
            raise Away(f'the folder "{self.inbox.folder}" has more than {_MOST} files that match "{self.inbox.files}"; take old ones away')
        return found


def _add(found: dict[str, Stamp], entry: "os.DirEntry[str]") -> None:
    if len(found) > _MOST:
        return
    try:
        found[entry.name] = Stamp.of(entry.stat(follow_symlinks=False))
    except FileNotFoundError:  # taken away meanwhile
        return


def is_finished(name: str) -> bool:
    """Whether it is no name of a file that is being written, or of one that an editor keeps."""
    return not name.startswith(".") and not name.endswith(_UNFINISHED)


def _pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` only, as elsewhere in evidence."""
    return re.compile("".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in glob), re.DOTALL)


def _mark(name: str, stamp: Stamp) -> str:
    """What identifies a file as it is, also after the machine has started anew and its disk has another number. Another version may read it."""
    text = f"{name}\0{__version__} {stamp.mode} {stamp.inode[1]} {stamp.owner} {stamp.size} {stamp.changed} {stamp.touched}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
