"""One alerting rule in a living Prometheus, in promtool, in our judge, and in `rollbackd test`: pending, firing and resolved at the same instants.

What the living one saw at each of its evaluations is what a recording rule before the alerts wrote down: a scrape that came in the middle of an
evaluation can then not be seen by one and missed by the other.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from rollback_daemon.durations import format_duration
from rollback_daemon.http_client import HTTPClient
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.history import Fetcher, Grid, Walk
from rollback_daemon.lab.remote_write import STALE
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.replay import Replay
from rollback_daemon.signals.prometheus import Prometheus
from tests.oracle.histories import History, Rule
from tests.oracle.referee import Phases, objections, rollout_of

SECOND = timedelta(seconds=1)
RULES = [
    Rule("AtOnce", "seen > 10", timedelta(), timedelta()),
    Rule("ForASecond", "seen > 10", SECOND, timedelta()),
    Rule("ForThree", "10 < seen", 3 * SECOND, timedelta()),
    Rule("Kept", "seen > 10", SECOND, 2 * SECOND),
    Rule("KeptWhole", "seen > 10 and seen < 100", SECOND, 2 * SECOND),
    Rule("Missing", "absent(seen)", SECOND, timedelta()),
]
ACTS: list[tuple[float, float | None]] = [(0, 5), (1.5, 20), (7, 5), (8.6, 20), (9.8, None), (12.5, 20), (15, 5)]
"""Seconds after the start, and what the exporter serves from then on; None: it is gone."""
LONG = 16.0


@pytest.fixture
def alive(toolset: Toolset, tmp_path: Path) -> Iterator[tuple[PrometheusServer, MetricsExporter]]:
    recorded = [{"record": "ticks", "expr": "vector(1)"}, {"record": "seen", "expr": "sum(served)"}]
    group = {"name": "live", "interval": "1s", "rules": [*recorded, *(rule.as_yaml() for rule in RULES)]}
    with (
        MetricsExporter() as exporter,
        PrometheusServer(
            toolset.prometheus, tmp_path / "live", {"app": exporter.address}, scrape_interval="200ms", rules=json.dumps({"groups": [group]})
        ) as server,
    ):
        yield server, exporter


@pytest.mark.oldest_and_newest
def test_a_living_prometheus_and_promtool_and_our_judge_agree_at_every_instant(
    alive: tuple[PrometheusServer, MetricsExporter], toolset: Toolset, tmp_path: Path
) -> None:
    server, exporter = alive
    exporter.set("served", 5)
    server.wait_for("seen", 20)
    act_out(exporter)
    samples = written_down(server)
    ticks = sorted(samples["ticks"])[:-1]  # the last evaluation may not have written all of it yet
    grid = Grid(datetime.fromtimestamp(ticks[0], UTC), SECOND, len(ticks))
    assert [round(tick - ticks[0], 3) for tick in ticks] == list(range(len(ticks)))
    living = [phases_at(samples, tick) for tick in ticks]

    assert {alert for phases in living for (alert, _), phase in phases.items() if phase is TriggerPhase.FIRING} == {rule.alert for rule in RULES}
    seen = samples["seen"]
    history = History(SECOND, SECOND, {"seen": [seen.get(tick, STALE) for tick in ticks]}, RULES)
    ours, begun = judged_over(server, history, grid, tmp_path), ticks.index(min(seen))
    assert ours[begun:] == living[begun:]  # before, a Prometheus that has just started writes no ALERTS: it may still have to restore them
    assert toolset.promtool is not None
    whole = [*ours[:begun], *living[begun:]]
    assert objections(history, whole, toolset.promtool, tmp_path) == ""
    assert ours_objects(history, whole, toolset, tmp_path) == ""


def ours_objects(history: History, phases: list[Phases], toolset: Toolset, folder: Path) -> str:
    """What `rollbackd test` has against these phases, given the same samples."""
    looks = [
        {"eval_time": format_duration(number * SECOND), "triggers": {rule.alert: str(one.get((rule.alert, ()), "inactive")) for rule in RULES}}
        for number, one in enumerate(phases)
    ]
    case = {"interval": "1s", "input_series": history.notation(), "rollout_test": looks}
    file = folder / "pasted-test.yml"
    file.write_text(json.dumps({"rule_files": ["pasted.yml"], "tests": [case]}), encoding="utf-8")
    command = [sys.executable, "-m", "rollback_daemon", "test", str(file), "--prometheus-binary", str(toolset.prometheus)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def act_out(exporter: MetricsExporter) -> None:
    """The exporter's figures change in real time."""
    began = time.monotonic()
    for at, value in ACTS:
        time.sleep(max(0.0, began + at - time.monotonic()))
        if value is None:
            exporter.drop("served")
        else:
            exporter.set("served", value)
    time.sleep(max(0.0, began + LONG - time.monotonic()))


def written_down(server: PrometheusServer) -> dict[str, dict[float, float]]:
    """What the rules left behind: the samples of each series, by their time."""
    with requests.Session() as session:
        session.trust_env = False
        query = '{__name__=~"seen|ticks|ALERTS"}[5m]'
        answer = session.get(f"{server.url}/api/v1/query", params={"query": query}, timeout=10).json()
    found: dict[str, dict[float, float]] = {}
    for one in answer["data"]["result"]:
        metric = one["metric"]
        name = metric["__name__"] if metric["__name__"] != "ALERTS" else f"{metric['alertname']} {metric['alertstate']}"
        found[name] = {at: float(value) for at, value in one["values"]}
    return found


def phases_at(samples: Mapping[str, Mapping[float, float]], at: float) -> Phases:
    """The phase of each rule after one evaluation, as Prometheus' own series ALERTS tells it."""
    told = {rule.alert: phase for rule in RULES for phase in TriggerPhase if at in samples.get(f"{rule.alert} {phase}", ())}
    return {(alert, ()): phase for alert, phase in told.items()}


def judged_over(server: PrometheusServer, history: History, grid: Grid, folder: Path) -> list[Phases]:
    """What our judge says at the same instants, of the answers of the same server."""
    rollout = rollout_of(history, folder)
    replay, phases = Replay(rollout, {"on": "yes"}), list[Phases]()
    with closing(Prometheus(server.url, HTTPClient(url=server.url).session(), timedelta(seconds=20))) as prometheus:
        for now, observations in Walk([rollout], Fetcher(prometheus)).through(grid):
            replay.cycle(observations, now)
            triggers = replay.judgement.triggers if replay.judgement else ()
            phases.append({(one.trigger.name, ()): one.state.phase for one in triggers if one.state.active})
    return phases
