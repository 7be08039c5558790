"""A backtest of thirty days at 15 s of twenty signals, beside the bare range queries that it rests on.

Lives here: making the history and taking the measurements. Must not live here: how they are shown together with others (`bench.py`).
"""

import json
import os
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests
from rich.table import Table

from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.lab.toolset import Toolset

SIGNALS = 20
EVERY = 15  # seconds
PARALLEL = 4
PIECE = 2880
_DAY = 86_400
_RULES = """
rollout: bench
owner: nobody
interval: 15s
flags: {store: dotenv, path: flags.env}
baseline: {NEW: "false"}
stages: [{stage: all, exposure: 100%, set: {NEW: "true"}, soak: 1h}]
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one backtest took: seconds on the wall, of the processor, of the judge; and MiB at the most."""

    wall: float
    processor: float
    judge: float
    memory: float
    evaluations: int


def looking_back(tools: Toolset, folder: Path, days: int = 30) -> Table:
    """The table; one that says so where there is no promtool to make blocks with."""
    table = Table("what", "time", "remark", title=f"backtest of {days} days at {EVERY} s, {SIGNALS} signals with a trigger each")
    if tools.promtool is None:
        table.add_row("no promtool beside this Prometheus", "", "")
        return table
    end = int(time.time()) // _DAY * _DAY
    begin = end - days * _DAY
    _blocks(tools.promtool, folder, begin, end)
    rules = _rules(folder)
    with PrometheusServer(tools.prometheus, folder / "history", {}, flags=["--storage.tsdb.retention.time=1y"]) as server:
        bare = _bare(server.url, begin, end)
        short = _backtest(server.url, rules, folder, end - 3 * _DAY, end)
        whole = _backtest(server.url, rules, folder, begin, end)
        kept = _backtest(server.url, rules, folder, begin, end, cache=True)
        kept = _backtest(server.url, rules, folder, begin, end, cache=True)
    told = (
        f"{whole.evaluations:,} evaluations; {whole.wall / bare:.1f} times as long; {whole.memory:.0f} MiB at most (3 days: {short.memory:.0f} MiB)"
    )
    table.add_row("the bare range queries, 4 at once", f"{bare:.1f} s", f"{SIGNALS * days * _DAY // EVERY:,} samples, read and thrown away")
    table.add_row("the backtest", f"{whole.wall:.1f} s", told)
    each = whole.judge / whole.evaluations / SIGNALS * 1e6
    table.add_row("of it the judge", f"{whole.judge:.1f} s", f"{whole.judge / whole.processor:.0%} of its processor time; {each:.1f} µs a trigger")
    table.add_row("once more, from what was kept", f"{kept.wall:.1f} s", "")
    return table


def _blocks(promtool: Path, folder: Path, begin: int, end: int) -> None:
    """Random walks that stay below their limits but for a spike each."""
    chance, text = random.Random(5), folder / "history.txt"
    folder.mkdir(parents=True, exist_ok=True)
    with text.open("w", encoding="utf-8") as out:
        out.write("# TYPE load gauge\n")
        for number in range(SIGNALS):
            spike = begin + chance.randrange(end - begin)
            for at in range(begin, end + 1, EVERY):
                value = 2.0 if spike <= at < spike + 600 else chance.random()
                out.write(f'load{{n="{number}"}} {value:.4f} {at}\n')
        out.write("# EOF\n")
    blocks: list[str | Path] = ["tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics", text, folder / "history" / "data"]
    subprocess.run([promtool, *blocks], check=True, capture_output=True)
    text.unlink()


def _rules(folder: Path) -> Path:
    signals = "\n".join(f"  load_{number}: {{expr: 'load{{n=\"{number}\"}}'}}" for number in range(SIGNALS))
    triggers = "\n".join(f"  - {{alert: High{number}, signal: load_{number}, above: 1, for: 5m}}" for number in range(SIGNALS))
    file = folder / "rules.yml"
    file.write_text(f"{_RULES}signals:\n{signals}\ntriggers:\n{triggers}\n", encoding="utf-8")
    return file


def _bare(url: str, begin: int, end: int) -> float:
    """Seconds for the same queries in the same pieces, as many at once, without reading what is in the answers."""
    pieces = [(first, min(end, first + (PIECE - 1) * EVERY)) for first in range(begin, end + 1, PIECE * EVERY)]
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Accept-Encoding"] = "identity"

        def ask(number: int, first: int, last: int) -> int:
            params = {"query": f'load{{n="{number}"}}', "start": str(first), "end": str(last), "step": str(EVERY)}
            return len(session.get(f"{url}/api/v1/query_range", params=params, timeout=60).content)

        began = time.perf_counter()
        with ThreadPoolExecutor(PARALLEL) as pool:
            done = [pool.submit(ask, number, *piece) for piece in pieces for number in range(SIGNALS)]
        total = sum(one.result() for one in done)
    assert total
    return time.perf_counter() - began


def _backtest(url: str, rules: Path, folder: Path, begin: int, end: int, *, cache: bool = False) -> Taken:
    """The command line in a process of its own, so that its memory is its own."""
    keep = ["--cache", str(folder / "cache")] if cache else ["--no-cache"]
    words = [
        "backtest",
        str(rules),
        "--prometheus",
        url,
        "--from",
        str(begin),
        "--to",
        str(end),
        "--parallel",
        str(PARALLEL),
        "--format",
        "json",
        *keep,
    ]
    out = folder / "backtest.json"
    began = time.perf_counter()
    memory = 0.0
    with out.open("wb") as printed, subprocess.Popen([sys.executable, "-m", "rollback_daemon", *words], stdout=printed) as running:
        while not _has_ended(running.pid):
            memory = max(memory, _peak(running.pid))
            time.sleep(0.05)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    (found,) = json.loads(out.read_text(encoding="utf-8"))["rollouts"]
    assert found["evaluations"] == (end - begin) // EVERY + 1
    return Taken(wall, used.ru_utime + used.ru_stime, found["judge_seconds"], memory, found["evaluations"])


def _has_ended(pid: int) -> bool:
    """Whether the process is over, and only waits to be asked about."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _peak(pid: int) -> float:
    """The most memory (MiB) that the process had. Not `ru_maxrss`: that begins with what the process had that started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return int(found[1]) / 1024 if found else 0.0
