"""`make bench`: start-up time, idle memory and speed, printed beside those of Prometheus and Alertmanager. It asserts nothing.

A shared machine says other figures every time: what counts are the medians, and the ratios of what ran side by side.
"""

import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script's own folder is on the path, the checkout is not

from rollback_daemon.judge import machine
from rollback_daemon.judge.state import Sight, State
from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer, Server, wait_until
from rollback_daemon.lab.toolset import MISSING, Toolset, toolsets
from rollback_daemon.rules.load import load
from rollback_daemon.signals.observation import Value
from rollback_daemon.signals.questions import distinct
from tests.benches.detection import detection
from tests.benches.figures import PREFIX, median, memory, metric, processor, starts, timed
from tests.benches.following import following
from tests.benches.looking_back import looking_back
from tests.benches.page import page
from tests.benches.routing import routing
from tests.benches.subjects import SIGNALS, TRIGGERS, as_alerting_rules, daemon, many_triggers, one_trigger, system_a

STARTS = 5
IDLE = 10.0  # seconds before memory is looked at
BREACHES = 10
CYCLES = 6


def main() -> int:
    """Exit code 0, or 2 without a Prometheus."""
    console, tools = Console(), toolsets()
    if not tools:
        console.print(MISSING)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="rollbackd-bench-"))
    try:
        console.print(_idle(tools[0], folder))
        console.print(_speed(tools[0], folder))
        console.print(detection())
        console.print(routing(folder / "routing"))
        console.print(following(folder / "following"))
        console.print(page(tools[0], folder / "page"))
        console.print(looking_back(tools[0], folder / "looking-back"))
    finally:
        shutil.rmtree(folder)
    return 0


def _idle(tools: Toolset, folder: Path) -> Table:
    """Start-up and rest, all three side by side."""
    with ExitStack() as running:
        prometheus = PrometheusServer(tools.prometheus, folder / "prometheus", {})
        alertmanager = AlertmanagerServer(tools.alertmanager, folder / "alertmanager")
        servers: dict[str, Server] = {f"prometheus {tools.version}": prometheus, "alertmanager": alertmanager}
        ready = {}
        for name, server in servers.items():
            running.callback(server.stop)
            ready[name] = median(starts(server, STARTS))
        servers["rollbackd"] = ours = daemon(folder / "idle", system_a(folder / "idle"), prometheus.url)
        running.callback(ours.stop)
        ready["rollbackd"] = median(starts(ours, STARTS))
        time.sleep(IDLE)
        held = {name: memory(server) for name, server in servers.items()}
        busy = {name: processor(server, IDLE) for name, server in servers.items()}
    title = f"start-up (median of {STARTS}), and at rest for {IDLE:.0f} s with rules/spice-pipelex.yml"
    table = Table("program", "ready after", "rollbackd takes", "memory", "rollbackd holds", "of a processor", title=title)
    for name in servers:
        longer, larger = ready["rollbackd"] / ready[name], held["rollbackd"] / held[name]
        table.add_row(name, f"{ready[name] * 1000:.0f} ms", f"{longer:.1f} x", f"{held[name]:.0f} MiB", f"{larger:.1f} x", f"{busy[name]:.2%}")
    return table


def _speed(tools: Toolset, folder: Path) -> Table:
    table = Table("what", "median", "remark", title="speed")
    with MetricsExporter() as exporter:
        for number in range(SIGNALS):
            exporter.set("load", 0.0, n=str(number))
        scrape = {"app": exporter.address}
        with PrometheusServer(tools.prometheus, folder / "busy", scrape, scrape_interval="200ms", rules=as_alerting_rules()) as prometheus:
            prometheus.wait_for("count(load)", 30)
            _add_breaches(table, folder / "breach", exporter, prometheus)
            _add_cycles(table, folder / "many", prometheus)
    _add_judge(table, folder / "many")
    return table


def _add_breaches(table: Table, folder: Path, exporter: MetricsExporter, prometheus: PrometheusServer) -> None:
    """From the first evaluation that owed a rollback to the flags read back."""
    name = f"{PREFIX}breach_to_flags_seconds"
    taken: list[float] = []
    with daemon(folder, one_trigger(folder), prometheus.url) as server:
        for number in range(BREACHES):
            before = metric(server, f"{name}_sum")
            exporter.set("load", 0.0, n="0")
            _until_asked(server, "resume" if number else "promote")
            _until_asked(server, "promote")
            exporter.set("load", 1.0, n="0")
            wait_until(lambda: metric(server, f"{name}_count") > len(taken), "the rollback", 60, every=0.1)
            taken.append(metric(server, f"{name}_sum") - before)
    exporter.set("load", 0.0, n="0")
    table.add_row(
        "breach to flags read back", f"{median(taken) * 1000:.0f} ms", f"of {len(taken)}; from {min(taken) * 1000:.0f} to {max(taken) * 1000:.0f} ms"
    )


def _until_asked(server: Server, verb: str) -> None:
    """Ask until it is granted, or there is nothing to ask for any more."""

    def granted() -> bool:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(f"{server.url}/api/v1/rollouts/bench/{verb}", json={"reason": "bench"}, timeout=10)
            at = session.get(f"{server.url}/api/v1/rollouts/bench", timeout=10).json()
        return answer.ok or (verb == "promote" and at["stage"] == "all")

    wait_until(granted, verb, 60, every=0.1)


def _add_cycles(table: Table, folder: Path, prometheus: PrometheusServer) -> None:
    """Whole cycles of a thousand triggers, beside Prometheus' own evaluation of the same thousand."""
    name, asked = f"{PREFIX}cycle_seconds", f"{PREFIX}queries_total"
    taken: list[float] = []
    theirs: list[float] = []
    with daemon(folder, many_triggers(folder), prometheus.url) as server:
        queries, first = metric(server, asked), metric(server, f"{name}_count")
        for _ in range(CYCLES):
            count, total = metric(server, f"{name}_count"), metric(server, f"{name}_sum")
            wait_until(lambda: metric(server, f"{name}_count") > count, "a cycle", 60, every=0.2)  # noqa: B023 (called at once)
            taken.append((metric(server, f"{name}_sum") - total) / (metric(server, f"{name}_count") - count))
            theirs.append(metric(prometheus, "prometheus_rule_group_last_duration_seconds"))
        each = (metric(server, asked) - queries) / (metric(server, f"{name}_count") - first)
        held = memory(server)
    remark = f"of {len(taken)} cycles; {each:.0f} queries each; {held:.0f} MiB"
    table.add_row(f"a cycle of {TRIGGERS:,} triggers on {SIGNALS} signals", f"{median(taken) * 1000:.0f} ms", remark)
    ratio = median(taken) / median(theirs) if median(theirs) else float("nan")
    table.add_row(f"the same {TRIGGERS:,} inside Prometheus", f"{median(theirs) * 1000:.0f} ms", f"the cycle takes {ratio:.1f} times as long")


def _add_judge(table: Table, folder: Path) -> None:
    """The judge alone, without asking, writing or remembering."""
    rollout = load(folder / "rules.yml")
    answers = {query: Value({(): 0.5}) for query in distinct([rollout.questions()])}
    sight = Sight(answers, dict(rollout.stages[1].flags))
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    state = State()

    def step() -> None:
        nonlocal state, now
        now += timedelta(seconds=5)
        state = machine.step(rollout, state, sight, now).state

    taken = median(timed(step, 50))
    table.add_row("the judge alone", f"{taken / TRIGGERS * 1e6:.1f} µs a trigger", f"{taken * 1000:.1f} ms a step, median of 50")


if __name__ == "__main__":
    sys.exit(main())
