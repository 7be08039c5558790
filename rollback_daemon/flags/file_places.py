"""Where a change of a file shows: in which folders, and under which names, links followed.

Lives here: looking at names. Must not live here: opening a file, waiting for changes (`notice`).
"""

import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

_MOST_LINKS = 40  # on one way; the kernel gives up after as many


@dataclass(frozen=True, slots=True)
class Places:
    """The `files` that a change at each place concerns, and the `folders` of these places, each with what tells it from another one
    that takes its name. `unwatchable` are folders whose changes cannot be followed, with the reason and the remedy.
    """

    files: Mapping[str, frozenset[str]]
    folders: Mapping[str, tuple[int, int]]
    unwatchable: Mapping[str, str]


def places_of(paths: Collection[str]) -> Places:
    """The places of all of `paths` as they are now; two answers are equal as long as the same folders must be watched for the same names."""
    concerned: dict[Path, set[str]] = {}
    for path in paths:
        for place in _on_the_way(path):
            concerned.setdefault(place, set()).add(path)
    folders: dict[str, tuple[int, int]] = {}
    unwatchable: dict[str, str] = {}
    for folder in sorted({place.parent for place in concerned}):
        found = _folder(folder)
        if isinstance(found, str):
            unwatchable[str(folder)] = found
        else:
            folders[str(folder)] = found
    return Places({str(place): frozenset(files) for place, files in concerned.items()}, folders, unwatchable)


def _on_the_way(path: str) -> list[Path]:
    """The names that decide what `path` leads to: every link on the way, of folders too, and the file at its end.

    No part in front of the last is a link: as the kernel will name it.
    """
    found: list[Path] = []
    here, ahead = Path("/"), [*(Path.cwd() / path).parts[1:]]
    while ahead and len(found) < _MOST_LINKS:
        part = ahead.pop(0)
        target = None if part == ".." else _target(here / part)
        if target is not None:
            found.append(here / part)
            here, ahead = (Path("/") if target.is_absolute() else here), [*target.parts[target.is_absolute() :], *ahead]
        else:
            here = here.parent if part == ".." else here / part
    return [*found, here]


def _target(place: Path) -> Path | None:
    try:
        return place.readlink()
    except OSError:  # no link, or not there
        return None


def _folder(folder: Path) -> tuple[int, int] | str:
    try:
        status = folder.stat()
    except OSError as error:
        return f"{(error.strerror or type(error).__name__).lower()}: create it, or correct the path"
    if not stat.S_ISDIR(status.st_mode):
        return "not a folder: correct the path"
    if not os.access(folder, os.R_OK):
        return "permission denied: let this user read it"
    return status.st_dev, status.st_ino
