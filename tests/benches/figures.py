"""Small numbers about programs: how long a start takes, how much memory is held, what a metric says.

Lives here: taking measurements. Must not live here: what is measured, and how it is shown (`bench.py`).
"""

import statistics
import time
from collections.abc import Callable

import psutil
import requests
from prometheus_client.parser import text_string_to_metric_families

from rollback_daemon.lab.servers import Server

PREFIX = "rollback_daemon_"


def starts(server: Server, times: int) -> list[float]:
    """Seconds from the start of the process until it says that it is ready, to about 20 ms. Leaves the server running."""
    taken = []
    for _ in range(times):
        server.stop()
        began = time.perf_counter()
        server.start()
        taken.append(time.perf_counter() - began)
    return taken


def memory(server: Server) -> float:
    """Resident memory in MiB."""
    return float(psutil.Process(server.pid).memory_info().rss) / 2**20


def processor(server: Server, seconds: float) -> float:
    """Share of one processor that it takes, in the next `seconds`."""
    process = psutil.Process(server.pid)
    before = process.cpu_times()
    time.sleep(seconds)
    after = process.cpu_times()
    return (after.user - before.user + after.system - before.system) / seconds


def metric(server: Server, name: str) -> float:
    """The sum of all samples of that name at `/metrics`, NaN left out."""
    with requests.Session() as session:
        session.trust_env = False
        text = session.get(f"{server.url}/metrics", timeout=10).text
    found = [sample.value for family in text_string_to_metric_families(text) for sample in family.samples if sample.name == name]
    return sum(value for value in found if value == value)  # noqa: PLR0124 (only NaN differs from itself)


def timed(work: Callable[[], object], times: int) -> list[float]:
    """Seconds that each call takes."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return taken


def median(values: list[float]) -> float:
    """The one in the middle; 0 of none."""
    return statistics.median(values) if values else 0.0
