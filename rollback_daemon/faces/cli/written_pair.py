"""Files that are written whole or not at all, and two that belong together: both or neither.

The folder is locked meanwhile, as writers of flags do it. Only a power cut between the two renames can part them; the second of the two then still is
the old one, and the first says which one it belongs to. Must not live here: what the files say.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from rollback_daemon.flags.atomic_file import locked, told

_PATIENCE = 5.0  # seconds
_READABLE = 0o644


class Different(Exception):
    """A file of that name is there already, and says something else."""


def write_both(first: Path, one: bytes, second: Path, other: bytes, *, force: bool) -> None:
    """Write two files of one folder, which is made if it is not there. What is there already and the same is left alone.

    Raises Different where one of them says something else and `force` is not given, FlagError where they cannot be written; then nothing was changed.
    """
    folder = first.parent
    with told(folder, "created"):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, _PATIENCE, lambda _step: None), told(folder, "written"):
        there = {path: path.read_bytes() for path in (first, second) if path.is_file()}
        if there == {first: one, second: other}:
            return
        changed = [path for path, data in ((first, one), (second, other)) if there.get(path, data) != data]
        if changed and not force:
            there_already = "are there already and say" if len(changed) > 1 else "is there already and says"
            raise Different(f"{' and '.join(map(str, changed))} {there_already} something else")
        _replace(first, one, second, other, there.get(first))


def write_one(path: Path, data: bytes) -> None:
    """Write one file in one step; its folder must be there. Raises FlagError where it cannot be written; then nothing was changed."""
    with told(path, "written"):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        made = _beside(path)
        try:
            _write(made, data)
            made.replace(path)
        finally:
            with suppress(OSError):
                made.unlink()


def _replace(first: Path, one: bytes, second: Path, other: bytes, before: bytes | None) -> None:
    made = [_beside(first), _beside(second)]
    try:
        _write(made[0], one)
        _write(made[1], other)
        made[0].replace(first)
        try:
            made[1].replace(second)
        except OSError:
            _put_back(first, before)
            raise
    finally:
        for path in made:
            with suppress(OSError):
                path.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _write(path: Path, data: bytes) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _READABLE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put_back(path: Path, before: bytes | None) -> None:
    if before is None:
        path.unlink()
        return
    beside = _beside(path)
    _write(beside, before)
    beside.replace(path)
