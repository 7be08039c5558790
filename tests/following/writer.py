"""A program that writes JSON lines, and whoever rotates its file, in a time of their own; and what should have been seen."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.signals.questions import FollowedFigure

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW = 30.0


def asked(path: Path, aggregate: str = "sum", figure: str = "value", max_age: float = 3600, **settings: Any) -> str:
    """The question for the field `v` over half a minute."""
    written = {"field": "/v", "aggregate": aggregate, "window": f"{WINDOW:g}s", **settings}
    return FollowedFigure(str(path), figure, max_age, written).question()


class Writer:
    """Writes lines with the time that it is told, as a program does that keeps its file open."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "observability.jsonl"
        self.now = NOON
        self.written: list[tuple[datetime, int]] = []  # lines that have their end
        self.is_torn = False  # a line began in a file that was copied and emptied
        self._pending: tuple[bytes, tuple[datetime, int]] | None = None
        self._file = self.path.open("ab", buffering=0)

    def line(self, late: float = 0) -> None:
        """One line, the end of a half one before it."""
        self.finish()
        data, sample = self._made(late)
        self._put(data)
        self.written.append(sample)

    def half(self, share: float) -> None:
        """The beginning of a line, by bytes: the cut may be in a letter."""
        self.finish()
        data, sample = self._made(0)
        cut = int(share * (len(data) - 1))
        self._put(data[:cut])
        self._pending = data[cut:], sample

    def finish(self) -> None:
        """The rest of it."""
        if self._pending:
            rest, sample = self._pending
            self._pending = None
            self._put(rest)
            self.written.append(sample)

    def rename(self, *, create: bool) -> None:
        """As logrotate does; the program has not noticed yet."""
        self._shift()
        self.path.rename(f"{self.path}.1")
        if create:
            self.path.touch()
            os.utime(self.path, (self.now.timestamp(),) * 2)

    def reopen(self) -> None:
        """The program has noticed."""
        self.finish()
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def copy_and_empty(self) -> None:
        """As logrotate does with `copytruncate`. The copy is of the file that the path names."""
        self.is_torn = self.is_torn or self._pending is not None
        self._shift()
        shutil.copy2(self.path, f"{self.path}.1")
        os.truncate(self.path, 0)

    def close(self) -> None:
        self._file.close()

    def values(self, window: float = WINDOW) -> list[int]:
        """What lies in the window, by time."""
        since = self.now - timedelta(seconds=window)
        return [value for at, value in sorted(self.written, key=lambda one: one[0]) if at > since]

    def _made(self, late: float) -> tuple[bytes, tuple[datetime, int]]:
        at, value = self.now - timedelta(seconds=late), len(self.written) + 1
        text = json.dumps({"v": value, "timestamp": at.isoformat(), "what": "größer 漢字"}, ensure_ascii=False)
        return text.encode() + b"\n", (at, value)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        os.utime(self._file.fileno(), (self.now.timestamp(),) * 2)

    def _shift(self) -> None:
        for number in range(20, 0, -1):
            old = Path(f"{self.path}.{number}")
            if old.exists():
                old.rename(f"{self.path}.{number + 1}")
