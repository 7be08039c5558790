"""A whole campaign: one Prometheus, an exporter whose figures flip several times a second, and some lanes beside each other.

Lives here: what the lanes share, and their sum. Must not live here: how one daemon is killed (`lane`).
"""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.servers import PrometheusServer
from tests.crashes.ladder import Files
from tests.crashes.lane import Lane, Outcome

LANES = 3


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all kills."""

    kills: int
    left_open: int
    taken_up: int
    finished: int
    records: int
    steps: Counter[str]
    transitions: Counter[str]
    faults: list[str]


def campaign(kills: int, seed: int, folder: Path, prometheus: Path) -> Report:
    """Kill daemons `kills` times in all. The seed decides when and at what; what they hit also depends on the machine."""
    shares = [kills // LANES + (number < kills % LANES) for number in range(min(LANES, kills))]
    stop = threading.Event()
    with (
        MetricsExporter() as exporter,
        PrometheusServer(prometheus, folder / "prometheus", {"app": exporter.address}, scrape_interval="100ms") as server,
    ):
        weather = threading.Thread(target=_weather, args=(exporter, random.Random(seed), stop), name="weather")
        weather.start()
        try:
            server.wait_for("max(errors) >= 0", 30)
            lanes = [Lane(Files(folder / f"lane-{number}", server.url), random.Random(f"{seed}-{number}")) for number in range(len(shares))]
            with ThreadPoolExecutor(len(lanes)) as pool:
                outcomes = list(pool.map(lambda lane, share: lane.run(share), lanes, shares))
        finally:
            stop.set()
            weather.join()
    return _sum(outcomes)


def _weather(exporter: MetricsExporter, rng: random.Random, stop: threading.Event) -> None:
    """Good for a while, bad for a moment; each figure for itself."""
    while True:
        errors, latency = rng.random() < 0.3, rng.random() < 0.2
        exporter.set("errors", float(errors))
        exporter.set("latency", float(latency))
        if stop.wait(rng.uniform(0.1, 0.5) if errors or latency else rng.uniform(0.3, 1.2)):
            return


def _sum(outcomes: list[Outcome]) -> Report:
    taken_up, finished = sum(one.taken_up for one in outcomes), sum(one.finished for one in outcomes)
    few = f"only {finished} of {taken_up} transitions left open were finished by the next start, the others were overtaken"
    return Report(
        kills=sum(one.kills for one in outcomes),
        left_open=sum(one.left_open for one in outcomes),
        taken_up=taken_up,
        finished=finished,
        records=sum(one.records for one in outcomes),
        steps=sum((one.steps for one in outcomes), Counter()),
        transitions=sum((one.transitions for one in outcomes), Counter()),
        faults=[*(fault for one in outcomes for fault in one.faults), *([few] if finished * 2 < taken_up else [])],
    )
