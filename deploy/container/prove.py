"""`make container`: the compose file is read, the image built and run, shut in as it is meant to be, against the demonstration's Prometheus.

The container runs as its own user, on a root that is read-only, with no capability, as process 1 of its own; network and Prometheus are those of
this machine. Takes root, Debian's buildah and debootstrap, a network for their packages, and some minutes at the first time. Lives here: the scenes.
Must not live here: how the image is made (`image`), and how it is run (`contained`).
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import requests
from rich.markup import escape

from deploy.container.contained import Contained
from deploy.container.image import HERE, NAME, PROGRAMS, TREE, Builder
from deploy.demo.failing import FLAGS
from deploy.demo.ground import Ground, out, title
from rollback_daemon.journal.journal import Journal
from rollback_daemon.lab.servers import LabError, wait_until
from rollback_daemon.lab.toolset import MISSING, toolsets

ROLLOUT = "contained"
_RULES = """\
rollout: contained
owner: payments
interval: 1s
flags: {store: dotenv, path: /srv/.env.production}
baseline: {USE_SPICE: "false", ROLLOUT_PERCENTAGE: "0"}
stages: [{stage: canary, exposure: 50%, set: {USE_SPICE: "true", ROLLOUT_PERCENTAGE: "50"}, soak: 1h}]
signals: {error_rate: {expr: genesis_error_rate}}
triggers: [{alert: ErrorRateHigh, signal: error_rate, above: 1%, for: 2s}]
"""


def main(folder: Path) -> int:
    """Build and try; 0 when everything was as it must be."""
    found = toolsets()
    if what := _wanting(found):
        out.print(f"[red]{escape(what)}[/]")
        return 2
    place = Path(tempfile.mkdtemp(prefix="rollbackd-container-"))
    place.chmod(0o755)
    try:
        compose()
        title("The image")
        builder = Builder(folder)
        image = builder.build()
        name, root = builder.mounted()
        try:
            size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_symlink()) / 1e6
            out.print(f"{NAME}: {size:.0f} MB, user {image.user}, {shlex.join([*image.entrypoint, *image.command])}")
            with ExitStack() as running:
                prove(Contained(image, root, place / "container"), Ground(ROLLOUT, place, found[0], running))
        finally:
            builder.removed(name)
    except (LabError, requests.RequestException) as error:
        out.print(f"[red]The container does not do: {escape(str(error))}[/]")
        return 1
    finally:
        shutil.rmtree(place, ignore_errors=True)
    out.print("\n[green]Done.[/]")
    return 0


def _wanting(found: Sequence[object]) -> str:
    """What this machine would need; empty when it has it."""
    if missing := sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None}):
        return f"this needs more programs: apt-get install {' '.join(missing)}"
    if os.geteuid() != 0:
        return "this takes root: it mounts, and makes a root file system"
    return "" if found else MISSING


def compose() -> None:
    """Have the compose file read by compose itself; neither images nor a daemon are needed for that."""
    title("The compose file")
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            done = subprocess.run([*command, "--file", str(HERE / "compose.yml"), "config", "--quiet"], capture_output=True, text=True, check=False)
            if done.returncode != 0 or done.stderr:
                raise LabError(f"{shlex.join(command)} does not take compose.yml:\n{done.stderr}")
            out.print(f"{shlex.join(command)} takes it.")
            return
    raise LabError("no docker compose here to read compose.yml with; install it (docker-compose-plugin, or docker-compose)")


def prove(box: Contained, ground: Ground) -> None:
    """The scenes. Raises LabError at the first thing that is not as it must be."""
    flags = box.flags / ".env.production"
    flags.write_text(FLAGS)
    os.chown(flags, box.flags.stat().st_uid, box.flags.stat().st_gid)
    app = ground.start_app("app.py", flags)
    ground.measure(app, "1s", "genesis_error_rate")
    (box.config / f"{ROLLOUT}.yml").write_text(_RULES)
    (box.config / "rollbackd.yml").write_text(json.dumps({"prometheus": {"url": ground.prometheus.url}, "rule_files": [f"{ROLLOUT}.yml"]}))
    title("Shut in")
    with box:
        _shut_in(box)
        _done(box.inside("sh", "-c", "kill -HUP 1"))
        wait_until(lambda: '"reloaded"' in box.log.read_text(), "process 1 to hand on the signal to reload", 10)
        out.print("SIGHUP loads the configuration again")
        title("A rollout is taken back by it")
        _done(box.inside("rollbackd", "promote", ROLLOUT, "--reason", "day 1"))
        app.send(signal.SIGHUP)
        requests.post(f"{app.url}/worse?error_rate=0.05", timeout=5).raise_for_status()
        wait_until(lambda: "USE_SPICE=false" in flags.read_text(), "the flags to be taken back", 60)
        wait_until(lambda: _phase(box) == "rolled_back", "the rollback to be over", 30)
        out.print(_done(box.inside("rollbackd", "status")).rstrip())
        before = _history(box)
        title("SIGTERM")
        out.print(f"ended after {box.end():.1f} s, with 0")
        _whole(box, before)
    with box:  # on the same folders, as the next version would
        if _phase(box) != "rolled_back" or _history(box)[: len(before)] != before:
            raise LabError("the next start does not go on where the one before ended")
        out.print("the next start goes on where this one ended")
        box.end()


def _shut_in(box: Contained) -> None:
    if (user := _done(box.inside("id", "-u")).strip()) in {"", "0"}:
        raise LabError(f'it runs as the user "{user}"')
    status = Path(f"/proc/{box.first}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if int(facts["CapEff"], 16) or int(facts["CapBnd"], 16) or facts["NoNewPrivs"] != "1" or set(facts["Uid"].split()) != {user}:
        raise LabError(f"process 1 is not shut in:\n{status}")
    if box.inside("touch", "/opt/rollbackd/x").returncode == 0 or box.inside("touch", "/etc/rollbackd/x").returncode == 0:
        raise LabError("its root or its configuration can be written")
    kind, *check = box.image.health
    if kind != "CMD" or box.inside(*check).returncode != 0 or box.inside(*check, port=9).returncode == 0:
        raise LabError("the health check does not tell a daemon that answers from one that does not")
    out.print(f"user {user}, no capabilities, nothing to be gained, the root is read-only, the health check tells well from away")


def _whole(box: Contained, before: list[str]) -> None:
    """The journal is complete: its chain is whole, nothing is spilled, and it has all that the daemon told."""
    database = box.journal / "journal.db"
    journal = Journal.open(f"sqlite:///{database}")
    try:
        faults = journal.verify()
        there = sum(1 for _ in journal.records())
    finally:
        journal.close()
    spilled = [path.name for path in box.journal.iterdir() if "spill" in path.name]
    if faults or spilled or there < len(before):
        raise LabError(f"the journal is not complete: {faults or spilled or there}")
    out.print(f"the journal has {there} records, its chain is whole, nothing is spilled")


def _history(box: Contained) -> list[str]:
    found = json.loads(_done(box.inside("rollbackd", "history", ROLLOUT, "--format", "json")))
    return [json.dumps(one, sort_keys=True) for one in found]


def _phase(box: Contained) -> str:
    return str(json.loads(_done(box.inside("rollbackd", "status", ROLLOUT, "--format", "json")))["phase"])


def _done(ran: subprocess.CompletedProcess[str]) -> str:
    if ran.returncode != 0:
        raise LabError(f"{shlex.join(ran.args[-6:])} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


if __name__ == "__main__":
    sys.exit(main(TREE / (sys.argv[1] if len(sys.argv) > 1 else ".tools/container")))
