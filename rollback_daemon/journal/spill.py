"""What the database would not take, kept beside it in `<db>.spill.jsonl` until it will; in memory when even that is not possible.

Lives here: appending lines safely, taking them over for absorption, and forgetting them.
Must not live here: the database, the chain.

There is no lock, since a rollback must not wait for anybody. Instead each line has an id, absorption first moves the
file to a name that is never used again, and a writer that finds its file moved away writes its line once more: a line
may then be in two files, but it gets into the journal once.
"""

import contextlib
import json
import os
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rollback_daemon.journal.canonical import canonical, stamp

_ATTEMPTS = 5
KEPT = 10_000
"""How many lines are kept in memory at most. Of more, the oldest are given up: a restart needs the latest position most."""


@dataclass(frozen=True, slots=True)
class Line:
    """One spilled record. `at` is ISO 8601 in UTC; `id` is unique for all time."""

    id: str
    at: str
    rollout: str
    kind: str
    body: Mapping[str, Any]


class Spill:
    """The spill file of one database, and those under which earlier spills wait to be absorbed.

    Every method may raise OSError. For one thread at a time; any number of processes.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}.spill.jsonl")
        self._kept: deque[Line] = deque(maxlen=KEPT)
        self._left_over = True  # whether there may be taken files: at first, and when one was written that others may take

    @property
    def kept(self) -> tuple[Line, ...]:
        """The lines that could not be written, oldest first: all of them later than any in a file."""
        return tuple(self._kept)

    def write(self, *lines: Line) -> None:
        """Append what is kept in memory, and then these lines; all are on the disk when this returns.

        Those that are not when it raises are kept in memory.
        """
        todo = [*self._kept, *lines]
        try:
            if self._kept:  # one line finds out whether the disk is still full; all of them, each time, would be slow
                self._write(todo[:1])
                del todo[0]
            if todo:
                self._write(todo)
        except OSError:
            self._kept = deque(todo, maxlen=KEPT)
            raise
        self._kept.clear()

    def release(self) -> None:
        """Let go of the lines in memory: they are all in the database."""
        self._kept.clear()

    def waiting(self) -> bool:
        """Whether there is a file to absorb; not where the whole folder is gone. Lists the folder only when it has to."""
        if self.path.exists():
            return True
        if self._left_over:
            with contextlib.suppress(FileNotFoundError):
                self._left_over = bool(self._taken())
                return self._left_over
        return False

    def take(self) -> list[Path]:
        """The files to be absorbed next, oldest first: those taken before and left over, or else the present spill.

        The present spill is thereby moved out of the writers' way. Call again until nothing is waiting.
        """
        if left_over := self._taken():
            return left_over
        self._left_over = True
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(self.path.with_name(f"{self.path.name}.{time.time_ns():020d}-{uuid.uuid4().hex}"))
        return self._taken()

    def read(self, taken: Path) -> tuple[list[Line], int]:
        """The lines of a taken file in their order, and how many others could not be read.

        Nothing when another process has absorbed the file meanwhile.
        """
        try:
            rows = taken.read_bytes().split(b"\n")
        except FileNotFoundError:
            return [], 0
        found = [_parse(row) for row in rows if row]
        lines = [line for line in found if line is not None]
        return lines, len(found) - len(lines)

    def forget(self, taken: Path) -> None:
        """Remove a file whose lines are all in the database."""
        taken.unlink(missing_ok=True)
        self._sync_folder()

    def set_aside(self, taken: Path) -> Path:
        """Keep a file with unreadable lines for people, where it is not absorbed again; returns its new place."""
        place = taken.with_name(taken.name.replace(".spill.jsonl.", ".unreadable-spill."))
        with contextlib.suppress(FileNotFoundError):
            taken.rename(place)
        self._sync_folder()
        return place

    def _write(self, lines: Iterable[Line]) -> None:
        # the first newline ends a line that a killed writer left half done
        content = b"\n" + b"".join(_encoded(line) + b"\n" for line in lines)
        for _ in range(_ATTEMPTS):
            if self._append(content):
                return
        raise OSError(f'"{self.path}" was moved away {_ATTEMPTS} times while it was written')

    def _append(self, content: bytes) -> bool:
        self._left_over = True
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(f'"{self.path}" took only a part of the line; is the disk full?')
            os.fsync(descriptor)
            self._sync_folder()
            return self._is_in_place(os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def _is_in_place(self, written: os.stat_result) -> bool:
        try:
            return os.path.samestat(written, self.path.stat())
        except FileNotFoundError:
            return False

    def _taken(self) -> list[Path]:
        return sorted(path for path in self._files() if path != self.path)

    def _files(self) -> Iterator[Path]:
        return (path for path in self.path.parent.iterdir() if path.name.startswith(self.path.name))

    def _sync_folder(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _encoded(line: Line) -> bytes:
    return json.dumps([line.id, line.at, line.rollout, line.kind, dict(line.body)]).encode()


def _parse(row: bytes) -> Line | None:
    with contextlib.suppress(Exception):  # whatever a line does to the parser, it must not block those after it
        line = Line(*json.loads(row))
        for part in (line.id, line.rollout, line.kind):
            part.encode()  # raises for what is no text, and for a text that no database takes
        return replace(line, at=stamp(datetime.fromisoformat(line.at)), body={**json.loads(canonical(line.body))})
    return None
