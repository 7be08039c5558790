"""What was fetched, kept in a folder: an interrupted backtest goes on where it was, and another limit on the same queries asks nothing again.

Only the past is kept that will not change any more. The file names are digests; what is in them are the server's own answers, never an address or a
secret. Lives here: keeping. Must not live here: asking (`fetching`).
"""

import contextlib
import gzip
import hashlib
import json
import os
import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.lab.history.answer import checked
from rollback_daemon.lab.history.fetching import Piece
from rollback_daemon.lab.history.track import Grid
from rollback_daemon.lab.history.walk import Fetches
from rollback_daemon.signals.observation import Failed, Failure

_SETTLED = timedelta(minutes=10)  # until then late samples may still come in
_FORMAT = 1
_UNUSED = timedelta(days=30)
_NAME = re.compile(r"[0-9a-f]{32}\.json\.gz(\.[0-9]+)?")  # with a number: of a process that was killed while it wrote


@dataclass(frozen=True, slots=True)
class Kept:
    """Asks `source` for what `folder` does not have. `server` tells whose answers these are; `now` is when this began."""

    source: Fetches
    folder: Path
    server: str
    now: datetime

    def fetch(self, query: str, grid: Grid) -> list[Piece]:
        """As the source. A file that cannot be read is fetched anew."""
        file = self.folder / f"{self._digest(query, grid)}.json.gz"
        known = _read(file, grid)
        if known is not None:
            return known
        found = self.source.fetch(query, grid)
        if grid.end <= self.now - _SETTLED and not any(isinstance(one, Failed) and one.reason is Failure.TIMEOUT for _, one in found):
            _write(file, found)
        return found

    def _digest(self, query: str, grid: Grid) -> str:
        asked = [_FORMAT, self.server, query, grid.start.timestamp(), grid.step.total_seconds(), grid.count]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]


def prune(folder: Path, now: datetime) -> None:
    """Remove what was kept there and not used for thirty days. Whatever else is in the folder stays."""
    for file in folder.glob("*.json.gz*"):
        with contextlib.suppress(OSError):
            if _NAME.fullmatch(file.name) and file.stat().st_mtime < (now - _UNUSED).timestamp():
                file.unlink()


def _read(file: Path, grid: Grid) -> list[Piece] | None:
    """What the file has for the whole of the grid; None where it is not there, or has anything else in it."""
    try:
        with gzip.open(file, "rt", encoding="utf-8") as opened:
            found = _pieces(json.load(opened), grid)
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None
    with contextlib.suppress(OSError):
        file.touch()
    return found


def _pieces(told: Any, grid: Grid) -> list[Piece]:
    found: list[Piece] = []
    first = 0
    for one in told:
        count = int(one["count"])
        if datetime.fromisoformat(one["start"]) != grid.at(first) or not 0 < count <= grid.count - first:
            raise ValueError("it is of other times")
        found.append(_piece(one, grid.part(first, count)))
        first += count
    if first != grid.count:
        raise ValueError("it is not all")
    return found


def _piece(one: Any, part: Grid) -> Piece:
    if "failed" in one:
        return part, Failed(Failure(one["failed"]), str(one["why"]))
    result = checked(one["result"], part)
    if isinstance(result, Failed):
        raise ValueError(result.why)
    return part, result


def _write(file: Path, pieces: list[Piece]) -> None:
    """Whole or not at all. A disk that is full costs only the keeping."""
    told = [
        {"start": grid.start.isoformat(), "count": grid.count}
        | ({"failed": found.reason.value, "why": found.why} if isinstance(found, Failed) else {"result": found})
        for grid, found in pieces
    ]
    part = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with gzip.open(part, "wt", encoding="utf-8", compresslevel=1) as opened:
            json.dump(told, opened, separators=(",", ":"))
        part.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
