"""What every story of `make demo` stands on: real servers on free ports, a folder that is gone at the end, and a screen.

Lives here: starting, asking, showing. Must not live here: what happens in a story (`failing`, `bypass`).
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.markup import escape

from rollback_daemon.lab.servers import AlertmanagerServer, LabError, PrometheusServer, Server
from rollback_daemon.lab.toolset import Toolset

HERE = Path(__file__).resolve().parent
RULES = HERE.parent.parent / "rules"
_WIDTH = 200  # characters
_PATIENCE = 30  # seconds for a command, and for Prometheus to see something

out = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=200, soft_wrap=True)


class Ground:
    """The servers of a demonstration, all real. A story starts its app, then has it measured, then guarded."""

    def __init__(self, rollout: str, folder: Path, tools: Toolset, running: ExitStack) -> None:
        self.rollout, self.folder = rollout, folder
        self._tools, self._running = tools, running
        self._logins: dict[str, Path] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def start_app(self, program: str, flags: Path, *more: str | Path) -> Server:
        """Start an app of this folder that reads the file `flags`."""
        command: list[str | Path] = [sys.executable, HERE / program, "--flags", flags, *more]
        return self._running.enter_context(Server("app", self.folder / "app", lambda port: [*command, "--port", str(port)], ready="/health"))

    def measure(self, app: Server, scrape_interval: str, enough: str) -> None:
        """Start Prometheus, which scrapes the app, and Alertmanager; wait until the query `enough` has a result."""
        job = {"genesis": app.address}
        folder = self.folder / "prometheus"
        self.prometheus = self._running.enter_context(PrometheusServer(self._tools.prometheus, folder, job, scrape_interval=scrape_interval))
        self.alertmanager = self._running.enter_context(AlertmanagerServer(self._tools.alertmanager, self.folder / "alertmanager"))
        self.prometheus.wait_for(enough, _PATIENCE)

    def guard(self, rules: str, settings: Mapping[str, Any], *options: str | Path) -> None:
        """Start rollbackd with these `rules`, more `settings` of its configuration, and options of `run`."""
        (self.folder / f"{self.rollout}.yml").write_text(rules)
        written = {
            "prometheus": {"url": self.prometheus.url},
            "alerting": {"alertmanagers": [{"url": self.alertmanager.url}]},
            "rule_files": [f"{self.rollout}.yml"],
            **settings,
        }
        config = self.folder / "rollbackd.yml"
        config.write_text(json.dumps(written))  # JSON is YAML, too
        command: list[str | Path] = [sys.executable, "-m", "rollback_daemon", "run", *options]
        command += ["--config.file", config, "--storage.url", f"sqlite:///{self.folder}/journal.db"]
        daemon = Server("rollbackd", self.folder / "rollbackd", lambda port: [*command, "--web.listen-address", f"127.0.0.1:{port}"])
        self.daemon = self._running.enter_context(daemon)
        out.print(f"Prometheus {self._tools.version} at {self.prometheus.url}, Alertmanager at {self.alertmanager.url},")
        out.print(f"rollbackd at {self.daemon.url}; all in {self.folder}, until the end of this.")

    def log_in(self, name: str, password: str) -> None:
        """From now on `name` can be the one at the terminal."""
        login, secret = self.folder / f"{name}.yml", self.folder / f"{name}.password"
        secret.write_text(password)
        login.write_text(json.dumps({"basic_auth": {"username": name, "password_file": secret.name}}))
        self._logins[name] = login

    def explanation(self) -> Any:
        """What the daemon says of the rollout."""
        answer = self._session.get(f"{self.daemon.url}/api/v1/rollouts/{self.rollout}/explain", timeout=5)
        answer.raise_for_status()
        return answer.json()

    def rollbackd(self, *arguments: str, by: str = "", refused: bool = False, shown: Callable[[str], str] = str.rstrip) -> None:
        """Run the command as a person would, and show both. Raises LabError when it does not end as it should (`refused`: with 1)."""
        out.print(f"\n[bold]{escape(by)}$ rollbackd {escape(shlex.join(arguments))}[/]")
        environment = {**os.environ, "ROLLBACKD_URL": self.daemon.url}
        if by:
            environment["ROLLBACKD_HTTP_CONFIG_FILE"] = str(self._logins[by])
        command = [sys.executable, "-m", "rollback_daemon", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False, env=environment)
        out.print(escape(_cropped(shown(done.stdout + done.stderr))))
        if done.returncode != int(refused):
            raise LabError(f"rollbackd {arguments[0]} exited with {done.returncode}")

    def watch(self, line: Callable[[Any], str], until: Callable[[Any], bool], seconds: float) -> Any:
        """One line a second until something is true."""
        deadline = time.monotonic() + seconds
        while True:
            now = self.explanation()
            out.print(line(now))
            if until(now):
                return now
            if time.monotonic() > deadline:
                raise LabError(f"the demonstration waited {seconds:g} s in vain; the rollout is {now['phase']} at {now['stage']}")
            time.sleep(1)

    def has_alert(self, name: str) -> bool:
        """Whether Alertmanager has it."""
        return any(one["labels"]["alertname"] == name for one in self.alertmanager.alerts())

    def show_alerts(self) -> None:
        """What Alertmanager has."""
        out.print("\n[bold]Alertmanager has:[/]")
        for one in self.alertmanager.alerts():
            labels = one["labels"]
            said = f"severity={labels['severity']} owner={labels['owner']}  {escape(one['annotations']['summary'])}"
            out.print(f"  [red]{labels['alertname']}[/]  {said}")

    def metric(self, name: str) -> float:
        """The sum of all series of one of the daemon's own metrics."""
        lines = self._session.get(f"{self.daemon.url}/metrics", timeout=5).text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


def _cropped(text: str) -> str:
    """No line longer than a screen is wide; the command itself shows all of it."""
    return "\n".join(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in text.splitlines())


def title(text: str) -> None:
    """A scene begins."""
    out.print(f"\n[bold cyan]== {escape(text)}[/]")


def show(command: Sequence[str], text: str) -> None:
    """Something that was typed, and what came of it."""
    out.print(f"\n[bold]$ {escape(shlex.join(command))}[/]")
    out.print(escape(text.rstrip()))
