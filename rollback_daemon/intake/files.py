"""Looking at files and reading them, without ever waiting for one or leaving the folder that it lies in.

Lives here: what a file is like, whose it is, its bytes up to a limit. Must not live here: which files are looked at (`inbox`), what is in them.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rollback_daemon.evidence.kind import MAX_BYTES
from rollback_daemon.evidence.reading import since_epoch

_SORTS = {
    stat.S_IFLNK: "a symbolic link, which may lead out of the folder; lay the file itself there",
    stat.S_IFDIR: "a folder; what lies in it is never looked at",
    stat.S_IFIFO: "a FIFO; only regular files are read",
    stat.S_IFSOCK: "a socket; only regular files are read",
}
_LONGEST = 120


class Unfit(Exception):
    """A file that is not read; the message says why, and what would be right."""


class Moving(Exception):
    """A file that was changed while it was read: it is not complete yet."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file is like, so that a change shows. `changed` and `touched` in nanoseconds, the latter as the inode has it; 0 for what is no file."""

    mode: int
    inode: tuple[int, int]
    owner: int
    size: int = 0
    changed: int = 0
    touched: int = 0

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        """Of what is no regular file, only that it is there: a folder changes with all that is done in it."""
        inode = (found.st_dev, found.st_ino)
        if not stat.S_ISREG(found.st_mode):
            return cls(found.st_mode, inode, found.st_uid)
        return cls(found.st_mode, inode, found.st_uid, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    @property
    def regular(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def written(self) -> datetime:
        """When the file was written last. Raises Unfit where its time is none."""
        try:
            return since_epoch(self.changed / 1e9)
        except ValueError:
            raise Unfit("was changed last at a time that no calendar has; touch it") from None

    @property
    def person(self) -> str:
        """The name of the owner, or their number where they have none."""
        try:
            return pwd.getpwuid(self.owner).pw_name
        except KeyError:
            return f"uid {self.owner}"


def read(name: str, expected: Stamp, folder: int) -> bytes:
    """The file of that name in the folder, if it still is as `expected`. Raises Unfit and Moving."""
    if not expected.regular:
        raise Unfit(f"is {_SORTS.get(stat.S_IFMT(expected.mode), 'no regular file; only those are read')}")
    _refuse_large(expected.size)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise Moving from None
    except OSError as error:
        raise Unfit(f"cannot be read: {reason(error)}") from None
    return _content(descriptor, expected)


def read_result(path: str) -> bytes:
    """The file at the path, which may be a symbolic link: the rule file names it. Raises Unfit and Moving."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise Unfit(f"cannot be read: {reason(error)}") from None
    return _content(descriptor, Stamp.of(os.fstat(descriptor)))


def stamp(path: str) -> Stamp | None:
    """What the file at the path is like now; None where nothing is."""
    try:
        return Stamp.of(Path(path).stat())
    except OSError:
        return None


def reason(error: OSError) -> str:
    """Why the system says no, in its words."""
    return (error.strerror or type(error).__name__).lower()


def told(name: str) -> str:
    """A file's name as it can be told: printable, and not too long."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = text if text.isprintable() else text.encode("unicode_escape").decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _content(descriptor: int, expected: Stamp) -> bytes:
    if not expected.regular:
        os.close(descriptor)
        raise Unfit("is no regular file; only those are read")
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        _refuse_large(expected.size)
        data = bytearray()
        try:
            while len(data) <= expected.size and (piece := file.read(expected.size + 1 - len(data))):
                data += piece
        except OSError as error:
            raise Unfit(f"cannot be read: {reason(error)}") from None
        if len(data) != expected.size or Stamp.of(os.fstat(file.fileno())) != expected:
            raise Moving
    return bytes(data)


def _refuse_large(size: int) -> None:
    if size > MAX_BYTES:
        raise Unfit(f"has {size} bytes, and may have {MAX_BYTES} at most; leave captured output out of it, or split it")
