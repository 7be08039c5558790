"""The usual story: a rollout goes wrong and is taken back.

A real Prometheus scrapes a small app once a second; the app reads its flags from `.env.production`; rollbackd guards them with the shipped
`rules/spice-pipelex.yml`, in which one minute takes one second.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from rich.markup import escape

from deploy.demo.ground import HERE, RULES, Ground, out, show, title
from rollback_daemon.lab.compress import compress
from rollback_daemon.lab.servers import Server, wait_until
from rollback_daemon.lab.toolset import Toolset

ROLLOUT = "spice-pipelex"
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
SHOWN = {"TestPassRateLow": "pass rate", "ErrorRateHigh": "errors", "LatencyHigh": "p95", "RepeatedViolations": "violations"}


def tell(folder: Path, tools: Toolset, running: ExitStack) -> None:
    """Start everything and play it. Raises LabError when a scene does not go as told."""
    flags, pid_file = folder / ".env.production", folder / "app.pid"
    flags.write_text(FLAGS)
    log = folder / "genesis.log"
    log.write_text("genesis is up\n")
    ground = Ground(ROLLOUT, folder, tools, running)
    app = ground.start_app("app.py", flags, "--pid-file", pid_file)
    rules = compress((RULES / f"{ROLLOUT}.yml").read_text(), 60).replace("/srv/genesis/.env.production", str(flags))
    rules = rules.replace("/srv/genesis/logs/genesis.log", str(log)).replace("http://127.0.0.1:8000", app.url)
    for how in ("--reload", "--restart"):
        rules = rules.replace(f"[/srv/genesis/deploy.sh, {how}]", f"[{HERE / 'reload.sh'}, {pid_file}, {app.url}]")
    rules = rules.replace("for: 1m, within: 2m", "for: 3s, within: 1m")  # an hour of recovery would take a minute even so
    ground.measure(app, "1s", "genesis_error_rate")
    ground.guard(rules, {})
    play(ground, app, flags)


def play(ground: Ground, app: Server, flags: Path) -> None:
    """The story, in six scenes."""
    title("1. The flags are at the baseline, everything is healthy. One minute of the rules takes one second here.")
    wait_until(lambda: ground.explanation()["evaluated_at"], "the first evaluation", 15)
    ground.watch(_line, lambda now: not now["blockers"], 30)
    title("2. A person promotes the rollout to its canary stage: 10 % of the traffic.")
    ground.rollbackd("promote", ROLLOUT, "--reason", "day 1: canary")
    show(["cat", flags.name], flags.read_text())
    began = time.monotonic()
    ground.watch(_line, lambda now: now["phase"] == "soaking" and time.monotonic() - began > 4, 15)
    title("3. Four minutes of rule time later SPICE starts to fail: 3.1 % errors, p95 at 0.7 s, for everybody who gets it.")
    requests.post(f"{app.url}/worse?error_rate=0.031&p95=0.7&pass_rate=0.97", timeout=5).raise_for_status()
    ground.watch(_line, lambda now: now["phase"] == "rolled_back", 60)
    title("4. Nobody had to do anything. The flags are back, the app agrees, and on-call is told.")
    show(["cat", flags.name], flags.read_text())
    out.print(escape(f"GET /health -> {requests.get(f'{app.url}/health', timeout=5).text.strip()}"))
    wait_until(lambda: ground.has_alert("RolloutRolledBack"), "RolloutRolledBack in Alertmanager", 15)
    ground.show_alerts()
    title("5. It is over when it is proven: flags, /health, the log, and figures that stay inside the gates.")
    ground.watch(_recovery, lambda now: now["aftermath"]["verification"] == "verified", 90)
    title("6. Why, for the person who looks at it in the morning.")
    ground.rollbackd("explain", ROLLOUT)
    ground.rollbackd("history", ROLLOUT)
    seconds = ground.metric("rollback_daemon_breach_to_flags_seconds_sum")
    out.print(f"\nFrom the evaluation that fired to the flags read back: [bold]{seconds * 1000:.0f} ms[/].")


def _recovery(now: Any) -> str:
    """How far the verification is, and what it waits for."""
    known = now["aftermath"]
    gates = [escape(one["sentence"]) for one in now["gates"] if one["verdict"] != "passes"]
    waits = f"; waits for {', '.join(gates)}" if gates and known["verification"] == "verifying" else ""
    return f"{now['evaluated_at'][11:19]} {known['verification']}, {known['passed']} of {known['of']} steps passed{waits}"


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
