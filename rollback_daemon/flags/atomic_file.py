"""Reading a whole file, and replacing it in one step, so that a reader sees the old content or the new, never a part.

Lives here: links, locks, temporary files, and what each failure of the system means. Must not live here: who may open
a file (`file_access`), what a file says.
"""

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rollback_daemon.errors import Conflict, FlagError, Refused, Transient, UnknownOutcome
from rollback_daemon.flags import file_access

Steps = Callable[[str], None]
STEPS = ("locked", "created", "permitted", "written", "synced", "renamed", "folder synced")
"""The steps of a replacement, in their order: a `Steps` is told each of them when it has just been done."""

_REMEDIES = {
    errno.ENOENT: "create it, or correct the path",
    errno.ENOTDIR: "correct the path",
    errno.EISDIR: "name a file",
    errno.ELOOP: "untangle its symbolic links",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EACCES: "let this user read it and write to its folder",
    errno.EPERM: "let this user change it, and see that it is not immutable",
    errno.EROFS: "mount its file system for writing",
    errno.EBUSY: "it is a mount point of its own; mount the folder, not the file",
    errno.EXDEV: "it is a mount point of its own; mount the folder, not the file",
}
_UNCERTAIN = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT}  # a rename over a network may have been done when it fails so
# a file system that cannot lock a folder (NFS) must not stop a rollback
_NO_LOCKS = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file as it was at one moment: its place with all links followed, its bytes, and who may do what with it."""

    path: Path
    data: bytes
    status: os.stat_result
    attributes: dict[str, bytes]

    @property
    def version(self) -> str:
        """Identifies the content: equal for equal bytes."""
        return hashlib.sha256(self.data).hexdigest()


def load(path: Path) -> Snapshot:
    """Read the file that `path` leads to.

    Raises Refused for anything but a readable regular file, Transient while somebody writes it.
    """
    with told(path, "read"):
        target = resolved(path)
        # O_NONBLOCK: a pipe must not keep us waiting
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            return _snapshot(path, target, descriptor)
        finally:
            os.close(descriptor)


def _snapshot(path: Path, target: Path, descriptor: int) -> Snapshot:
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        raise Refused(f"{path}: not a regular file: name a file that holds flags")
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        data = file.read()
    after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Transient(f"{path}: somebody is writing it: ask again")
    return Snapshot(target, data, after, file_access.attributes(descriptor))


def resolved(path: Path) -> Path:
    """Where `path` leads, every symbolic link followed."""
    with told(path, "found"):
        return Path(os.path.realpath(path, strict=True))


@contextmanager
def locked(folder: Path, patience: float, steps: Steps) -> Iterator[int]:
    """Hold the advisory lock of a folder, which all writers of flags in it share; gives its descriptor.

    Raises Transient after `patience` seconds.
    """
    with told(folder, "locked"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with told(folder, "locked"):
            _lock(descriptor, folder, patience)
            steps("locked")
        yield descriptor
    finally:
        os.close(descriptor)


def replace(path: Path, data: bytes, like: Snapshot, *, temporary: Path, folder: int, steps: Steps) -> None:
    """Make `data` the content of `path` in one step, open to nobody who could not open `like`.

    `temporary` is a name in the same folder, free to use; `folder` is the folder's descriptor. Raises Refused or
    Transient while the old content stands, also when that is no longer the one of `like` (where `path` is its place);
    UnknownOutcome when the new one may stand, or stands but may not survive a power cut.
    """
    with _removed_on_failure(temporary):
        with told(path, "written"):
            _write(temporary, data, like, steps)
            if path == like.path:
                _require_unchanged(like)  # last of all: whatever a stranger writes from here to the rename is lost
        _rename(temporary, path)
    try:
        steps("renamed")
        _sync_folder(folder)
        steps("folder synced")
    except OSError as error:
        raise UnknownOutcome(f"{path}: replaced, but its folder could not be synced ({_reason(error)}): read it back") from error


@contextmanager
def told(path: Path, done: str) -> Iterator[None]:
    """Turn an error of the system into one that says what could not be `done` to `path`, why, and what would help."""
    try:
        yield
    except OSError as error:
        raise _explained(error, path, done) from error


def _explained(error: OSError, path: Path, done: str) -> FlagError:
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy:
        return Refused(f"{path}: cannot be {done}: {_reason(error)}: {remedy}")
    return Transient(f"{path}: cannot be {done} now: {_reason(error)}")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _lock(descriptor: int, folder: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Transient(f"{folder}: another writer of flags has held its lock for {patience:g}s: ask again") from None
            time.sleep(0.01)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return None
            raise


@contextmanager
def _removed_on_failure(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _write(temporary: Path, data: bytes, like: Snapshot, steps: Steps) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600 & stat.S_IMODE(like.status.st_mode)), "wb") as file:
        steps("created")
        file_access.carry_over(like.path, like.status, like.attributes, file.fileno())
        steps("permitted")
        file.write(data)
        file.flush()
        steps("written")
        os.fsync(file.fileno())
    steps("synced")


def _require_unchanged(known: Snapshot) -> None:
    try:
        found = known.path.stat()
    except FileNotFoundError:  # between a stranger's unlink and its rename
        raise Transient(f"{known.path}: it was removed while it was being changed: read it again") from None
    if _identity(found) != _identity(known.status):
        raise Conflict(f"{known.path}: somebody else wrote it while it was being changed: read it again")


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _rename(temporary: Path, path: Path) -> None:
    try:
        temporary.rename(path)
    except OSError as error:
        if error.errno in _UNCERTAIN:
            raise UnknownOutcome(f"{path}: may or may not have been replaced ({_reason(error)}): read it back") from error
        raise _explained(error, path, "written") from error


def _sync_folder(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what a file system says that has nothing to sync
            raise
