"""A large file of JSON lines that is followed through a rotation and a truncation, in a process of its own: how fast, and in how much memory.

As a script: `python -m tests.benches.following FOLDER MEGABYTES` prints what it came to as JSON. Lives here: the file, following it, the table.
Must not live here: how it is shown together with others (`bench.py`).
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from rollback_daemon.following.log import Log
from rollback_daemon.signals.observation import Failed, Observation, Value
from rollback_daemon.signals.questions import FollowedFigure

MEGABYTES = 200
BEGUN = datetime(2026, 11, 20, 12, tzinfo=UTC)
EACH = timedelta(milliseconds=1)  # from one line to the next: 300,000 of them in five minutes
_AT_ONCE = 1000


def following(folder: Path) -> Table:
    """The table of one run."""
    told = run(folder, MEGABYTES)
    table = Table(
        "what", "rollbackd", "remark", title=f"a JSON-lines file of {told['megabytes']:.0f} MB, followed through a rotation and a truncation"
    )
    slower = told["plain_mb_per_second"] / told["mb_per_second"]
    table.add_row(
        "reading on", f"{told['mb_per_second']:.0f} MB/s", f"json.loads of every line does {told['plain_mb_per_second']:.0f}: {slower:.1f} x"
    )
    table.add_row(
        "the first look at it",
        f"{told['first_look_seconds'] * 1000:.0f} ms",
        "until it is found where the window begins, and the first lines are read",
    )
    share = told["grown_mib"] / told["megabytes"]
    table.add_row("memory, at the most", f"{told['peak_mib']:.0f} MiB", f"{told['grown_mib']:.0f} more than before it: {share:.0%} of the file")
    return table


def run(folder: Path, megabytes: int) -> dict[str, Any]:
    """What it came to, in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.benches.following", str(folder), str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2], timeout=600)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _lines(number: int, count: int) -> str:
    """So many of them from a number on; every hundredth is an error."""
    text = '{{"timestamp": "{}", "event": "{}", "session": "s-{:07}", "duration_ms": {}, "provider": {{"name": "local", "model": "large"}}}}\n'
    return "".join(
        text.format((BEGUN + EACH * one).isoformat(), "tool_call" if one % 100 else "tool_error", one, one % 700)
        for one in range(number, number + count)
    )


def _written(path: Path, number: int, size: int) -> int:
    """Append lines until so many bytes are there; returns the number of the next one."""
    with path.open("a", encoding="utf-8") as file:
        while file.tell() < size:
            file.write(_lines(number, _AT_ONCE))
            number += _AT_ONCE
    return number


def _peak() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _looks(log: Log, questions: list[str], number: int) -> Iterator[Observation]:
    """Until it is no longer behind."""
    while True:
        answers = [*log.ask(questions, BEGUN + EACH * number, time.monotonic() + 1).values()]
        yield answers[-1]
        if not isinstance(answers[-1], Failed):
            return


def _main(folder: Path, megabytes: int) -> dict[str, float]:
    path, part = folder / "observability.jsonl", megabytes * 1_000_000 // 3
    where = {"/event": "tool_error"}
    settings: list[dict[str, Any]] = [{"field": "/duration_ms", "aggregate": "p95"}, {"field": "/session", "aggregate": "count", "where": where}]
    questions = [FollowedFigure(str(path), "value", 3600, one).question() for one in settings]
    number = _written(path, 0, 1)
    log = Log(str(path))
    before = [_peak() for _ in _looks(log, questions, number)][-1]
    seconds, size, answer = 0.0, 0, None
    for what in ("grows", "is renamed", "grows", "is copied and emptied", "grows"):
        if what == "grows":
            standing = path.stat().st_size
            number = _written(path, number, standing + part)
            size += path.stat().st_size - standing
        elif what == "is renamed":
            path.rename(f"{path}.1")
            path.touch()
        else:
            shutil.copy2(path, f"{path}.0")
            path.write_text("", encoding="utf-8")
        begun = time.process_time()
        *_, answer = _looks(log, questions, number)
        seconds += time.process_time() - begun
    peak = _peak()
    log.close()
    assert isinstance(answer, Value), answer
    shutil.move(f"{path}.1", path)
    begun = time.process_time()
    again = Log(str(path))
    next(_looks(again, [FollowedFigure(str(path), "value", 3600, {**settings[1], "window": "1s"}).question()], number // 2))
    first = time.process_time() - begun
    again.close()
    begun = time.process_time()
    with path.open(encoding="utf-8") as file:
        for line in file:
            json.loads(line)
    plain = path.stat().st_size / 1e6 / (time.process_time() - begun)
    return {
        "megabytes": size / 1e6,
        "mb_per_second": size / 1e6 / seconds,
        "plain_mb_per_second": plain,
        "first_look_seconds": first,
        "peak_mib": peak,
        "grown_mib": peak - before,
        "counted": answer.series[()],
        "expected": min(number // 100, 2999),  # the last five minutes
    }


if __name__ == "__main__":
    print(json.dumps(_main(Path(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201 (what the process is for)
