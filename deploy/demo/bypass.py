"""The story `bypass`: a script raises six flags from 10 % to 25 % past everybody. It is undone and explained, and then done the proper way.

A real Prometheus scrapes a small service; its six flags are in `feature_flags.json`; rollbackd guards them with the shipped
`rules/genesis-memory.yml`, in which an hour takes a quarter of a second. People log in with passwords, and vote.
"""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bcrypt

from deploy.demo.ground import HERE, RULES, Ground, out, show, title
from rollback_daemon.lab.compress import compress
from rollback_daemon.lab.servers import LabError, Server, wait_until
from rollback_daemon.lab.toolset import Toolset

ROLLOUT = "genesis-memory"
MINUTES, HOURS = 150, 14_400
TICK = {"interval: 100ms": "interval: 500ms", "max_age: 800ms": "max_age: 2s", "initial_delay: 6s": "initial_delay: 2s"}
"""Evaluated twice a second, which a busy machine keeps up with."""
ROLES = {
    "deployment-lead": ["anna"],
    "metrics-validation": ["ben", "gina"],
    "checkpoint-report": ["carla"],
    "security-review": ["dana"],
    "implementation-readiness": ["emil"],
}
PEOPLE = [*dict.fromkeys(name for names in ROLES.values() for name in names), "frida"]
FEATURES = ("memory_store", "memory_retrieval", "memory_routing", "memory_compression", "memory_sharing", "memory_analytics")
AGENTS = ["analyst", "content", "marketing", "seo", "support"]


def tell(folder: Path, tools: Toolset, running: ExitStack) -> None:
    """Start everything and play it. Raises LabError when a scene does not go as told."""
    flags = folder / "feature_flags.json"
    flags.write_text(_flags())
    ground = Ground(ROLLOUT, folder, tools, running)
    app = ground.start_app("memory_app.py", flags)
    users = {}
    for name in PEOPLE:
        ground.log_in(name, f"{name}'s secret")
        users[name] = bcrypt.hashpw(f"{name}'s secret".encode(), bcrypt.gensalt(rounds=4)).decode()  # few rounds: nobody attacks a demonstration
    web = folder / "web.yml"
    web.write_text(json.dumps({"basic_auth_users": users}))
    ground.measure(app, "250ms", "count_over_time(genesis_cost_usd_total[6s]) >= 20")  # the cost needs a past to be held against
    ground.guard(_rules(flags, app), {"roles": ROLES, "web": {"open_reading": True}}, "--web.config.file", web)
    play(ground, flags)


def play(ground: Ground, flags: Path) -> None:
    """The story, in six scenes."""
    title("1. Six flags are at 10 %, for five agents. 48 hours were agreed; an hour of the rules takes a quarter of a second here.")
    wait_until(lambda: ground.explanation()["soaked"] != "0s", "some time at 10 %", 20)
    ground.rollbackd("status", ROLLOUT)
    undone(ground, flags)
    explained(ground)
    earned(ground)
    voted(ground)
    title("6. Five roles have said GO, one dissent is on record. Now it goes up, and what happened can be read for ever.")
    ground.rollbackd("promote", ROLLOUT, "--reason", "48 quiet hours, rehearsed, five GO", by="anna")
    show(["grep", "-h", "initial_percentage", flags.name], _percentages(flags))
    ground.rollbackd("report", ROLLOUT, shown=_head)


def undone(ground: Ground, flags: Path) -> None:
    """Raised by a script, and taken back."""
    title("2. Hour 1:42: a script raises all six to 25 %, for thirteen agents. Nobody was asked.")
    show(["python", "raise_flags.py", flags.name, "25"], "")
    subprocess.run([sys.executable, HERE / "raise_flags.py", flags, "25"], check=True, timeout=20)
    raised = time.monotonic()
    wait_until(lambda: '"initial_percentage": 25' not in flags.read_text(), "the flags to be back", 15, every=0.005)
    out.print(f"The guard has taken them back [bold]{(time.monotonic() - raised) * 1000:.0f} ms[/] after the script ended:")
    show(["grep", "-h", "initial_percentage", flags.name], _percentages(flags))
    wait_until(lambda: ground.has_alert("RolloutDrift"), "RolloutDrift in Alertmanager", 15)
    ground.show_alerts()


def explained(ground: Ground) -> None:
    """Who, what, when, and what a promotion would have needed."""
    title("3. Who was it, what, when, and what had been missing? One command.")
    ground.rollbackd("report", ROLLOUT, shown=lambda text: _section(text, "Who raised it"))
    title("4. It goes no further up until a person has looked at it; and then there is a lot to earn first.")
    ground.rollbackd("promote", ROLLOUT, "--reason", "it was nearly there", by="anna", refused=True)
    ground.rollbackd("resume", ROLLOUT, "--reason", "the script is gone, and so are its rights", by="anna")


def earned(ground: Ground) -> None:
    """48 hours, a rehearsed rollback, and a checkpoint."""
    ground.watch(_line, lambda now: now["phase"] == "ready", 60)
    ground.rollbackd("rehearse", ROLLOUT, "--reason", "can we get down if we must?", by="anna")
    report = ground.folder / "hour-48.md"
    report.write_text("# Hour 48\n\nNothing to report.\n")
    words = ["--decision", "GO", "--report", str(report), "--reason", "48 hours without a finding"]
    ground.rollbackd("checkpoint", ROLLOUT, "hour-48", *words, by="carla")


def voted(ground: Ground) -> None:
    """Each in a role that the daemon's configuration gives them, by their own login."""
    title("5. The vote: frida proposes; five roles must say GO, and one NO-GO stops it.")
    out.print("\n".join(f"{role}: {', '.join(names)}" for role, names in ROLES.items()))
    ground.rollbackd("propose", ROLLOUT, "--reason", "48 quiet hours at 10 %", by="frida")
    ground.rollbackd("approve", ROLLOUT, "--reason", "staffed for the night", by="anna")
    ground.rollbackd("reject", ROLLOUT, "--reason", "precision was measured on 40 queries only", by="ben")
    ground.rollbackd("approve", ROLLOUT, "--reason", "the report is complete", by="carla")
    ground.rollbackd("approve", ROLLOUT, "--reason", "no new access", by="dana")
    ground.rollbackd("approve", ROLLOUT, "--reason", "caches and workers are sized for it", by="emil")
    ground.rollbackd("promote", ROLLOUT, "--reason", "four of five", by="anna", refused=True)
    ground.rollbackd("approve", ROLLOUT, "--reason", "measured again, on 4000 queries: 83 %", "--condition", "again after a day", by="gina")
    ground.rollbackd("resolve", ROLLOUT, "--of", "ben", "--reason", "gina measured again, on 4000 queries", by="dana")


def _flags() -> str:
    config = {"initial_percentage": 10, "end_percentage": 100, "start_date": "2025-11-04", "end_date": "2025-11-11"}
    features = {name: {"progressive_config": config} for name in FEATURES}
    return json.dumps({"features": features, "enabled_agents": AGENTS, "memory_backend": {"use_redis": True}}, indent=2) + "\n"


def _rules(flags: Path, app: Server) -> str:
    """The shipped rule file, with its time running faster, at the places of this demonstration."""
    rules = compress((RULES / f"{ROLLOUT}.yml").read_text(), MINUTES, HOURS).replace("/srv/genesis/feature_flags.json", str(flags))
    for number in range(1, 6):
        rules = rules.replace(f"http://127.0.0.1:800{number}/health", f"{app.url}/{number}/health")
    for old, new in TICK.items():
        if old not in rules:
            raise LabError(f'"{old}" is not in the shortened rules of {ROLLOUT}')
        rules = rules.replace(old, new)
    return rules


def _percentages(flags: Path) -> str:
    return "\n".join(line for line in flags.read_text().splitlines() if "initial_percentage" in line)


def _line(now: Any) -> str:
    gates = ", ".join(f"{gate['gate']} {gate['verdict']}" for gate in now["gates"] if gate["applies"] and gate["blocking"])
    return f"{now['evaluated_at'][11:19]} {now['phase']} at {now['stage']} {now['exposure'] * 100:g} %, soaked {now['soaked']} | {gates}"


def _section(report: str, name: str) -> str:
    """One section of the report."""
    return f"## {name}\n" + report.split(f"\n## {name}\n", 1)[-1].split("\n## ", 1)[0].rstrip()


def _head(report: str) -> str:
    """The report up to its votes."""
    kept = report.split("\n## Checkpoints", 1)[0].rstrip()
    return f"{kept}\n\n(and so on: {len(report.splitlines())} lines)"
