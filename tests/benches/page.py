"""The page with a thousand rollouts: how large it is and how long it takes, first and when something has changed, beside what Prometheus and
Alertmanager send for a thousand alerts.

Lives here: rule files, and the measurements. Must not live here: how they are shown together with others (`bench.py`).
"""

import json
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from playwright.sync_api import sync_playwright
from rich.table import Table

from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer, Server, wait_until
from rollback_daemon.lab.toolset import Toolset
from tests.benches.figures import median, memory

CHROMIUM = Path("/usr/bin/chromium")
ROLLOUTS = 1000
TIMES = 15
_STAGES = ("canary", "tenth", "half", "most", "all")
_RULES = """\
rollout: shop-{number}
owner: team-{team}
labels: {{tier: "{tier}"}}
interval: 15s
flags: {{store: dotenv, path: {flags}, backups: 0}}
baseline: {{SHARE: "0"}}
stages:
{stages}
signals: {{load: {{expr: 'load{{n="{number}"}}'}}}}
gates: [{{gate: Load, signal: load, below: 0.8}}]
triggers:
  - {{alert: LoadHigh, signal: load, above: 0.95, for: 1m}}
  - {{alert: LoadGone, signal: load, below: -1, severity: critical}}
"""


def page(tools: Toolset, folder: Path) -> Table:
    """The table."""
    table = Table("what", "time", "size", "remark", title=f"the page with {ROLLOUTS:,} rollouts (medians of {TIMES})")
    with MetricsExporter() as exporter:
        _set(exporter, range(ROLLOUTS))
        rules = json.dumps({"groups": [{"name": "g", "interval": "5s", "rules": [{"alert": "Load", "expr": "load >= 0", "labels": {"team": "a"}}]}]})
        with PrometheusServer(tools.prometheus, folder / "prometheus", {"app": exporter.address}, scrape_interval="1s", rules=rules) as prometheus:
            prometheus.wait_for("count(load)", 30)
            with _daemon(folder / "daemon", prometheus.url) as server:
                _add_ours(table, server, exporter)
                _add_browser(table, server)
            _add_theirs(table, tools, folder, prometheus)
    return table


def _set(exporter: MetricsExporter, numbers: Iterable[int]) -> None:
    for number in numbers:
        exporter.set("load", round(random.uniform(0.1, 0.7), 4), n=str(number))


def _daemon(folder: Path, prometheus: str) -> Server:
    folder.mkdir(parents=True)
    stages = "\n".join(f'  - {{stage: {name}, exposure: {20 * at}%, soak: 24h, set: {{SHARE: "{at}"}}}}' for at, name in enumerate(_STAGES, 1))
    for number in range(ROLLOUTS):
        flags = folder / f"{number}.env"
        flags.write_text(f"SHARE={number % 6}\n", encoding="utf-8")
        facts = {"number": number, "team": number % 20, "tier": "gold" if number % 7 else "lead", "flags": flags, "stages": stages}
        (folder / f"{number}.yml").write_text(_RULES.format(**facts), encoding="utf-8")
    (folder / "rollbackd.yml").write_text(json.dumps({"prometheus": {"url": prometheus}, "rule_files": ["*[0-9].yml"]}), encoding="utf-8")

    def command(port: int) -> list[str | Path]:
        settings: list[str | Path] = ["--config.file", folder / "rollbackd.yml", "--storage.url", f"sqlite:///{folder / 'journal.db'}"]
        return [sys.executable, "-m", "rollback_daemon", "run", *settings, "--web.listen-address", f"127.0.0.1:{port}", "--log.level", "error"]

    return Server("rollbackd", folder, command, deadline=120)


def _add_ours(table: Table, server: Server, exporter: MetricsExporter) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["accept-encoding"] = "identity"

        def get(path: str) -> requests.Response:
            answer = session.get(server.url + path, timeout=60)
            answer.raise_for_status()
            return answer

        _evaluated(get)
        began = time.perf_counter()
        first = get("/")
        table.add_row("home, the very first", *_shown(time.perf_counter() - began, len(first.content)), "every line is rendered")
        _row(table, "home, from then on", lambda: get("/"), "lines are kept; those judged since then are made anew")
        _row(table, "home, as browsers ask for it", lambda: _packed(server), "gzip")
        _row(table, "home, filtered", lambda: get("/?q=team-7+tenth"), "without a script; with one nothing is asked")
        have = _have(get("/").text)
        _row(table, "update, nothing has changed", lambda: get(f"/changes?have={have}"), "what a tab asks after each event")
        for count in (10, ROLLOUTS):
            taken, sizes = [], []
            for _ in range(3):
                have = _have(get("/").text)
                _set(exporter, random.sample(range(ROLLOUTS), count))
                _evaluated(get)
                time.sleep(2)  # the group is judged in its order, and that was not the last
                began = time.perf_counter()
                answer = get(f"/changes?have={have}")
                taken.append(time.perf_counter() - began)
                sizes.append(len(answer.content))
                rows = len(answer.json()["rows"])
            table.add_row(
                f"update, {count:,} have other values", *_shown(median(taken), int(median([*map(float, sizes)]))), f"{rows:,} lines, of 3 tries"
            )
        _row(table, "one rollout", lambda: get("/rollouts/shop-1"), "")
        one = _have(get("/rollouts/shop-1").text)
        _row(
            table,
            "update of one, nothing has changed",
            lambda: get(f"/rollouts/shop-1/changes?have={one}"),
            f"the daemon holds {memory(server):.0f} MiB",
        )


def _evaluated(get: Callable[[str], requests.Response]) -> None:
    """Wait for another evaluation."""

    def at() -> str:
        return str(get("/api/v1/rollouts/shop-0").json()["evaluated_at"])

    before = at()
    wait_until(lambda: at() > before, "an evaluation", 60, every=0.5)


def _packed(server: Server) -> bytes:
    """The page as it crosses the network."""
    with requests.get(f"{server.url}/", headers={"accept-encoding": "gzip"}, stream=True, timeout=60) as answer:
        return answer.raw.read(decode_content=False)


def _add_browser(table: Table, server: Server) -> None:
    """The same in a real Chromium, where there is one."""
    if not CHROMIUM.exists():
        return
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        began = time.perf_counter()
        page.goto(f"{server.url}/")
        page.wait_for_selector("#live.on")
        table.add_row("Chromium: until it is live", f"{time.perf_counter() - began:.2f} s", "", "with the process of the tab")
        sift = """(text) => { const began = performance.now(), q = document.getElementById("q"); q.value = text;
            q.dispatchEvent(new Event("input", {bubbles: true})); document.body.offsetHeight; return performance.now() - began; }"""
        taken = [float(page.evaluate(sift, text)) for text in ("s", "sh", "team-7 tenth", "nothing like it", "")]
        table.add_row("Chromium: a letter in the filter", f"{median(taken):.1f} ms", "", f"of {len(taken)}; the layout with it")


def _have(text: str) -> str:
    found = re.search(r'data-have="([^"]*)"', text)
    return found[1] if found else ""


def _row(table: Table, name: str, ask: Callable[[], requests.Response | bytes], remark: str) -> None:
    taken, size = [], 0
    for _ in range(TIMES):
        began = time.perf_counter()
        found = ask()
        size = len(found if isinstance(found, bytes) else found.content)
        taken.append(time.perf_counter() - began)
    table.add_row(name, *_shown(median(taken), size), remark)


def _shown(seconds: float, size: int) -> tuple[str, str]:
    return f"{seconds * 1000:.1f} ms", f"{size / 1000:,.1f} kB"


def _add_theirs(table: Table, tools: Toolset, folder: Path, prometheus: PrometheusServer) -> None:
    """What their pages of alerts ask for, each time that they are looked at; both have a page of script on top of it."""
    with requests.Session() as session, AlertmanagerServer(tools.alertmanager, folder / "alertmanager") as alertmanager:
        session.trust_env = False
        prometheus.wait_for("count(ALERTS)", 60)
        _row(table, "Prometheus, /api/v1/rules for /alerts", lambda: session.get(f"{prometheus.url}/api/v1/rules?type=alert", timeout=60), "")
        now = datetime.now(UTC)
        alerts = [
            {
                "labels": {"alertname": "LoadHigh", "rollout": f"shop-{number}", "owner": f"team-{number % 20}", "severity": "critical"},
                "annotations": {"summary": f"load 0.97 > 0.95 for 1m (held 1m15s) of shop-{number}"},
                "endsAt": (now + timedelta(hours=1)).isoformat(),
            }
            for number in range(ROLLOUTS)
        ]
        session.post(f"{alertmanager.url}/api/v2/alerts", json=alerts, timeout=60).raise_for_status()
        wait_until(lambda: len(session.get(f"{alertmanager.url}/api/v2/alerts", timeout=60).json()) == ROLLOUTS, "its alerts", 60, every=0.5)
        _row(table, "Alertmanager, /api/v2/alerts/groups", lambda: session.get(f"{alertmanager.url}/api/v2/alerts/groups", timeout=60), "")
