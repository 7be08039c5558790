"""The files that a log is made of: the present one, and those that it was rotated into.

Lives here: which names belong to a log, listing and opening them, unpacking. Must not live here: what is new in them (`log_mark`, `log_scan`).
Nothing here waits: a FIFO or a device is never opened.
"""

import bz2
import gzip
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a file that is broken, or not there, raises."""
PACKED = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".Z"})
"""How the names of packed files end."""

# A number, a date, or a word at once after the name: app.log.wf and app-errors.log are logs of their own.
_ROTATED = re.compile(r"[._-]{1,2}(\d|(old|bak|prev|previous|orig|last)\b)|~$", re.IGNORECASE)
_DATED = 6  # digits of a date; fewer after a dash are the number of another process: worker-2.log
_UNPACK: dict[bytes, Callable[[IO[bytes], str], object]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_NOT_UNPACKED = {b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"\x1f\x9d": "compress", b"\x04\x22\x4d\x18": "lz4"}
_KINDS: list[tuple[Callable[[int], bool], str]] = [
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
]


class NotALog(OSError):
    """Not a regular file; the message says what it is."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A regular file that may be part of the log. `rotated`: by its name, and not only because it lies beside it."""

    path: str
    device: int
    inode: int
    size: int
    changed: int  # nanoseconds, as the file system has it
    rotated: bool = True

    @property
    def key(self) -> tuple[int, int]:
        """What stays when it is renamed."""
        return self.device, self.inode


def candidates(paths: Iterable[str], inodes: Iterable[int] = ()) -> dict[tuple[int, int], Candidate]:
    """The logs themselves, the files that they were rotated into, and whatever in the same folders has one of the inodes.

    A file with several names is there once. Raises NotALog for a log that is no regular file; OSError for one, or a folder, that may not be read.
    """
    found: dict[tuple[int, int], Candidate] = {}
    for path in dict.fromkeys(paths):
        log = _looked_at(path)
        if log is not None:
            found.setdefault(log.key, log)
        for one in _beside(path, frozenset(inodes)):
            known = found.get(one.key)
            if known is None or (one.rotated and not known.rotated):
                found[one.key] = one
    return found


def is_rotated(name: str, log: str) -> bool:
    """Whether a file of that name is what a log of the other name was rotated into: `app.log.1`, `app.log-20240501.gz`, `app-20240501.log`."""
    if name.startswith(log):
        return bool(_ROTATED.match(name[len(log) :]))
    stem, dot, suffix = log.rpartition(".")
    if not stem or not name.startswith(stem):
        return False
    middle, found, _ = name[len(stem) :].partition(dot + suffix)
    dated = sum(map(str.isdigit, middle)) >= _DATED
    return bool(found) and bool(_ROTATED.match(middle)) and (dated or (middle[0] == "." and middle[1:].isdigit()))


def opened(path: str) -> IO[bytes]:
    """The file, to be read. Raises NotALog, or OSError."""
    _regular(path, Path(path).stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb", buffering=0)
    try:
        _regular(path, os.fstat(descriptor))  # it may have been replaced since the look
    except NotALog:
        file.close()
        raise
    return file


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """What the file holds: itself, or what was packed into it. Raises NotALog for a packing that is not known."""
    head = os.pread(file.fileno(), 8, 0)
    for magic, name in _NOT_UNPACKED.items():
        if head.startswith(magic):
            raise NotALog(f"is packed with {name}, which cannot be read; gzip, bzip2 and xz can")
    for magic, unpack in _UNPACK.items():
        if head.startswith(magic):
            file.seek(0)
            return cast("IO[bytes]", unpack(file, "rb"))
    return file


def _beside(path: str, inodes: frozenset[int]) -> Iterator[Candidate]:
    folder, log = os.path.split(path)
    try:
        entries = os.scandir(folder or ".")
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            rotated = is_rotated(entry.name, log)
            if entry.name != log and (rotated or entry.inode() in inodes):
                with suppress(FileNotFoundError, NotALog):  # renamed meanwhile, which shows in the next listing; or a folder of that name
                    if (one := _looked_at(entry.path, rotated=rotated)) is not None:
                        yield one


def _looked_at(path: str, *, rotated: bool = True) -> Candidate | None:
    """None where nothing is."""
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    _regular(path, found)
    return Candidate(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, rotated)


def _regular(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "something else")
        raise NotALog(f'"{path}" is {kind}; a log is a regular file')
