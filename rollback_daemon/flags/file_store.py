"""A flag store in one text file: what all formats share.

Lives here: reading and writing under a lock, the check before anything is written, backups. Must not live here: a
grammar (`stores/`), system calls on the file itself (`atomic_file`).
"""

import codecs
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path

from rollback_daemon.errors import Conflict, Refused, Transient
from rollback_daemon.flags import atomic_file
from rollback_daemon.flags.atomic_file import Snapshot, Steps
from rollback_daemon.flags.change_trace import trace_of
from rollback_daemon.flags.store import Flags, FlagValue, same
from rollback_daemon.flags.text_format import Format, FormatError

_BACKUP_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def _unobserved(step: str) -> None:
    """The `Steps` of everyday: nobody looks on."""


class FileStore:
    """The flags in one file. Symbolic links are followed: the link stays, what it leads to is replaced.

    Writers in one folder, threads and processes alike, take turns; one that waits longer than `patience` (seconds) is
    told `Transient`. `steps` is told each step of a write when it is done (`atomic_file.STEPS`), so that a test can
    stop there.
    """

    def __init__(self, path: Path, text_format: Format, backups: int = 10, *, patience: float = 2.0, steps: Steps = _unobserved) -> None:
        self._path = path
        self._format = text_format
        self._backups = max(backups, 1)  # the copy just made is about to be needed
        self._patience = patience
        self._steps = steps

    def describe(self) -> str:
        """The path, as it was configured."""
        return str(self._path)

    def read(self, keys: frozenset[str]) -> Flags:
        """The values of `keys` as they are now.

        Raises Refused for a file that cannot be read or parsed, with its line.
        """
        return self._flags(atomic_file.load(self._path), self._path, keys)

    def write(self, changes: Mapping[str, FlagValue], *, if_version: str) -> None:
        """Set all of `changes`, or none of them; what is so already is not written.

        Raises Conflict if the content is no longer `if_version`.
        """
        self._check(changes)
        with self._alone() as (snapshot, folder):
            self._require_version(snapshot, if_version)
            self._put(snapshot, folder, self._edited(snapshot.data, changes))

    def backup(self, name: str, *, sparing: str = "") -> str:
        """Keep the present content in `<file>.rollbackd-<name>.bak`, beside the file itself; of such copies only the
        newest are kept, and the one at `sparing`.
        """
        if not _BACKUP_NAME.fullmatch(name) or ".rollbackd-" in name:
            raise Refused(f'{self._path}: "{name}" cannot name a backup: use letters, digits, "_", "-" and ".", at most 100')
        with self._alone() as (snapshot, folder):
            path = snapshot.path.with_name(f"{snapshot.path.name}.rollbackd-{name}.bak")
            if path.is_symlink() or path.exists():
                self._require_backup(str(path), snapshot.path)
                return str(path)
            atomic_file.replace(path, snapshot.data, snapshot, temporary=_temporary(snapshot.path), folder=folder, steps=self._steps)
            self._prune(snapshot.path, keep={path, Path(sparing)})
            return str(path)

    def restore(self, backup: str, *, if_version: str | None = None) -> None:
        """Put back the content that `backup` returned. Raises Refused for any other path, Conflict if the content is no longer `if_version`."""
        with self._alone() as (snapshot, folder):
            self._require_version(snapshot, if_version)
            self._put(snapshot, folder, self._require_backup(backup, snapshot.path).data)

    def backups(self) -> Sequence[str]:
        """The paths of the copies beside the file, the newest first. Raises Refused where the file or its folder cannot be read."""
        target = atomic_file.resolved(self._path)
        with atomic_file.told(target.parent, "listed"):
            return [str(path) for path in _backups_of(target)]

    def read_backup(self, backup: str, keys: frozenset[str]) -> Flags:
        """The values of `keys` in a copy. Raises Refused for a path that is none, and for a copy that cannot be read or parsed."""
        snapshot = self._require_backup(backup, atomic_file.resolved(self._path))
        return self._flags(snapshot, snapshot.path, keys)

    def _flags(self, snapshot: Snapshot, place: Path, keys: frozenset[str]) -> Flags:
        with _placed(place):
            values = self._format.values(_split(snapshot.data)[1], keys)
        return Flags(values, snapshot.version, trace_of(snapshot.status))

    def _require_version(self, snapshot: Snapshot, version: str | None) -> None:
        if version is not None and snapshot.version != version:
            raise Conflict(f"{self._path}: it was changed since it was read: read it again")

    def _check(self, changes: Mapping[str, FlagValue]) -> None:
        for key, value in changes.items():
            if problem := self._format.check(key, value):
                raise Refused(f'{self._path}: "{key}" cannot be set: {problem}')

    def _edited(self, data: bytes, changes: Mapping[str, FlagValue]) -> bytes:
        """The new content, read back before anybody else sees it."""
        mark, text = _split(data)
        with _placed(self._path):
            edited = self._format.edit(text, changes)
            found = self._format.values(edited, changes.keys())
        if not all(key in found and same(found[key], value) for key, value in changes.items()):
            raise Refused(f"{self._path}: the flags cannot be set safely in a file of this layout: edit it by hand")
        return mark + edited.encode("utf-8", "surrogateescape")

    def _put(self, snapshot: Snapshot, folder: int, data: bytes) -> None:
        if data != snapshot.data:
            atomic_file.replace(snapshot.path, data, snapshot, temporary=_temporary(snapshot.path), folder=folder, steps=self._steps)

    @contextmanager
    def _alone(self) -> Iterator[tuple[Snapshot, int]]:
        """The file as it is while no other writer is at work, and its folder's descriptor.

        What a killed writer left behind is removed.
        """
        target = atomic_file.resolved(self._path)
        with atomic_file.locked(target.parent, self._patience, self._steps) as folder:
            snapshot = atomic_file.load(self._path)
            if snapshot.path != target:
                raise Transient(f"{self._path}: the link has just been pointed elsewhere: ask again")
            with atomic_file.told(target, "written"):
                _temporary(target).unlink(missing_ok=True)
            yield snapshot, folder

    def _require_backup(self, backup: str, target: Path) -> Snapshot:
        """The content of a backup, if this store could have made it: beside the file, under its name, and a file
        itself, no link.
        """
        path = Path(backup)
        if path.parent != target.parent or not _is_backup(path, target) or path.is_symlink():
            raise Refused(f'{self._path}: "{backup}" is no backup of it: name one that stands beside it')
        return atomic_file.load(path)

    def _prune(self, target: Path, keep: AbstractSet[Path]) -> None:
        with suppress(OSError):  # a backup too many is better than a rollback too few
            others = [path for path in _backups_of(target) if path not in keep]
            for path in others[self._backups - 1 :]:
                path.unlink()


@contextmanager
def _placed(path: Path) -> Iterator[None]:
    """Give an error of the format the place that it belongs to."""
    try:
        yield
    except FormatError as error:
        place = f"{path}:{error.line}" if error.line else str(path)
        raise Refused(f"{place}: {error}") from error


def _backups_of(target: Path) -> list[Path]:
    """The copies of a file, the newest first."""
    found: list[tuple[int, str, Path]] = []
    for path in target.parent.iterdir():
        with suppress(FileNotFoundError):  # another writer has just pruned it
            if _is_backup(path, target) and stat.S_ISREG((status := path.lstat()).st_mode):
                found.append((status.st_mtime_ns, path.name, path))
    return [path for *_, path in sorted(found, reverse=True)]


def _is_backup(path: Path, target: Path) -> bool:
    start, end = f"{target.name}.rollbackd-", ".bak"
    name = path.name.removeprefix(start).removesuffix(end)
    return path.name == start + name + end and bool(_BACKUP_NAME.fullmatch(name)) and ".rollbackd-" not in name


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.rollbackd.tmp")


def _split(data: bytes) -> tuple[bytes, str]:
    """A byte order mark, if there is one, and the text; bytes that are no UTF-8 come back unharmed when the text is
    encoded likewise.
    """
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    return mark, data[len(mark) :].decode("utf-8", "surrogateescape")
