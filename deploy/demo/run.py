"""`make demo`: a rollout goes wrong and is taken back, on real servers, explained on screen. Works with and without a terminal.

A real Prometheus scrapes a small app once a second; the app reads its flags from `.env.production`; rollbackd guards them with the shipped
`rules/spice-pipelex.yml`, in which one minute takes one second. Everything runs on free ports, in a temporary folder, and is gone at the end.
"""

import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.markup import escape

from rollback_daemon.lab.compress import compress
from rollback_daemon.lab.servers import AlertmanagerServer, LabError, PrometheusServer, Server, wait_until
from rollback_daemon.lab.toolset import MISSING, Toolset, toolsets

HERE = Path(__file__).resolve().parent
RULES = HERE.parent.parent / "rules" / "spice-pipelex.yml"
FLAGS = """\
# Genesis, production. Edited by people and by rollbackd.
USE_SPICE=false
USE_PIPELEX=false          # the runtime
PIPELEX_FALLBACK_MODE=true
ENABLE_OTEL_TRACING=true
ENABLE_HTDAG_PLANNER=true
ENABLE_HALO_ROUTER=true
ROLLOUT_PERCENTAGE=0
"""

out = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=200, soft_wrap=True)


class Stand:
    """The servers of the demonstration, all real."""

    def __init__(self, folder: Path, tools: Toolset, running: ExitStack) -> None:
        self.flags = folder / ".env.production"
        self.flags.write_text(FLAGS)
        pid_file = folder / "app.pid"
        app_command: list[str | Path] = [sys.executable, HERE / "app.py", "--flags", self.flags, "--pid-file", pid_file]
        self.app = running.enter_context(Server("app", folder / "app", lambda port: [*app_command, "--port", str(port)], ready="/health"))
        self.prometheus = running.enter_context(PrometheusServer(tools.prometheus, folder / "prometheus", {"genesis": self.app.address}))
        self.alertmanager = running.enter_context(AlertmanagerServer(tools.alertmanager, folder / "alertmanager"))
        rules = compress(RULES.read_text(), 60).replace("/srv/genesis/.env.production", str(self.flags))
        rules = rules.replace("[/srv/genesis/deploy.sh, --reload]", f"[{HERE / 'reload.sh'}, {pid_file}, {self.app.url}]")
        (folder / "spice-pipelex.yml").write_text(rules)
        config = folder / "rollbackd.yml"
        config.write_text(
            f"prometheus: {{url: {self.prometheus.url}}}\n"
            f"alerting: {{alertmanagers: [{{url: {self.alertmanager.url}}}]}}\n"
            "rule_files: [spice-pipelex.yml]\n"
        )
        command: list[str | Path] = [sys.executable, "-m", "rollback_daemon", "run"]
        command += ["--config.file", config, "--storage.url", f"sqlite:///{folder}/journal.db"]
        self.prometheus.wait_for("genesis_error_rate", 30)
        self.daemon = running.enter_context(
            Server("rollbackd", folder / "rollbackd", lambda port: [*command, "--web.listen-address", f"127.0.0.1:{port}"])
        )

    def explanation(self) -> Any:
        """What the daemon says of the rollout."""
        return requests.get(f"{self.daemon.url}/api/v1/rollouts/spice-pipelex/explain", timeout=5).json()

    def rollbackd(self, *arguments: str) -> None:
        """Run the command as a person would, and show both."""
        out.print(f"\n[bold]$ rollbackd {escape(shlex.join(arguments))}[/]")
        done = subprocess.run(
            [sys.executable, "-m", "rollback_daemon", *arguments, "--url", self.daemon.url], capture_output=True, text=True, timeout=30, check=False
        )
        out.print(escape((done.stdout + done.stderr).rstrip()))
        if done.returncode:
            raise LabError(f"rollbackd {arguments[0]} exited with {done.returncode}")

    def watch(self, until: Callable[[Any], bool], seconds: float) -> Any:
        """One line a second until something is true."""
        deadline = time.monotonic() + seconds
        while True:
            now = self.explanation()
            out.print(_line(now))
            if until(now):
                return now
            if time.monotonic() > deadline:
                raise LabError(f"the demonstration waited {seconds:g} s in vain; the rollout is {now['phase']} at {now['stage']}")
            time.sleep(1)


SHOWN = {"TestPassRateLow": "pass rate", "ErrorRateHigh": "errors", "LatencyHigh": "p95", "RepeatedViolations": "violations"}


def _line(now: Any) -> str:
    """`14:02:11  soaking at canary 10 %  errors 0.031 > 0.01 pending  ...`: every value beside its limit, and when it fires."""
    parts = [f"{now['evaluated_at'][11:19]} {now['phase']} at {now['stage']} {now['exposure'] * 100:g} %".ljust(36)]
    for trigger in now["triggers"]:
        if trigger["alert"] in SHOWN and trigger["series"]:
            one = trigger["series"][0]
            colour = {"firing": "bold red", "pending": "yellow"}.get(trigger["phase"], "green")
            state = {"firing": " FIRING", "pending": f" pending, {one['fires_in']} to go"}.get(trigger["phase"], "")
            value = "unknown" if one["value"] is None else f"{one['value']:.3f}".rstrip("0").rstrip(".")
            parts.append(f"{SHOWN[trigger['alert']]} [{colour}]{value}[/] (limit {escape(trigger['limit'])}){state}")
    return " | ".join(parts)


def _title(text: str) -> None:
    out.print(f"\n[bold cyan]== {escape(text)}[/]")


def play(stand: Stand) -> None:
    """The story, in five scenes."""
    _title("1. The flags are at the baseline, everything is healthy. One minute of the rules takes one second here.")
    wait_until(lambda: stand.explanation()["evaluated_at"], "the first evaluation", 15)
    stand.watch(lambda now: not now["blockers"], 30)
    _title("2. A person promotes the rollout to its canary stage: 10 % of the traffic.")
    stand.rollbackd("promote", "spice-pipelex", "--reason", "day 1: canary")
    _show_flags(stand)
    began = time.monotonic()
    stand.watch(lambda now: now["phase"] == "soaking" and time.monotonic() - began > 4, 15)
    _title("3. Four minutes of rule time later SPICE starts to fail: 3.1 % errors, p95 at 0.7 s, for everybody who gets it.")
    requests.post(f"{stand.app.url}/worse?error_rate=0.031&p95=0.7&pass_rate=0.97", timeout=5).raise_for_status()
    stand.watch(lambda now: now["phase"] == "rolled_back", 60)
    _title("4. Nobody had to do anything. The flags are back, the app agrees, and on-call is told.")
    _show_flags(stand)
    out.print(escape(f"GET /health -> {requests.get(f'{stand.app.url}/health', timeout=5).text.strip()}"))
    wait_until(lambda: _alert(stand), "RolloutRolledBack in Alertmanager", 15)
    _show_alerts(stand)
    _title("5. Why, for the person who looks at it in the morning.")
    stand.rollbackd("explain", "spice-pipelex")
    stand.rollbackd("history", "spice-pipelex")
    seconds = _metric(stand, "rollback_daemon_breach_to_flags_seconds_sum")
    out.print(f"\nFrom the evaluation that fired to the flags read back: [bold]{seconds * 1000:.0f} ms[/].")


def _show_flags(stand: Stand) -> None:
    out.print(f"\n[bold]$ cat {stand.flags.name}[/]")
    out.print(escape(stand.flags.read_text().rstrip()))


def _alert(stand: Stand) -> bool:
    return any(one["labels"]["alertname"] == "RolloutRolledBack" for one in stand.alertmanager.alerts())


def _show_alerts(stand: Stand) -> None:
    out.print("\n[bold]Alertmanager has:[/]")
    for one in stand.alertmanager.alerts():
        labels = one["labels"]
        out.print(f"  [red]{labels['alertname']}[/]  severity={labels['severity']} owner={labels['owner']}  {escape(one['annotations']['summary'])}")


def _metric(stand: Stand, name: str) -> float:
    lines = requests.get(f"{stand.daemon.url}/metrics", timeout=5).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


def main() -> int:
    """Run the demonstration; 0 when every scene went as told."""
    found = toolsets()
    if not found:
        out.print(f"[red]{escape(MISSING)}[/]")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="rollbackd-demo-"))
    try:
        with ExitStack() as running:
            stand = Stand(folder, found[0], running)
            out.print(f"Prometheus {found[0].version} at {stand.prometheus.url}, Alertmanager at {stand.alertmanager.url}, app at {stand.app.url},")
            out.print(f"rollbackd at {stand.daemon.url}; all in {folder}, until the end of this.")
            play(stand)
    except (LabError, requests.RequestException) as error:
        out.print(f"[red]The demonstration failed: {escape(str(error))}[/]")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    out.print("\n[green]Done; everything is stopped and cleaned up.[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
