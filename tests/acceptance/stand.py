"""A daemon with everything around it: flag file, rule file on shortened times, deploy command, journal, and a person at a terminal.

Lives here: starting and asking. Must not live here: what should be true; each test says that itself.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import requests
from prometheus_client.parser import text_string_to_metric_families

from rollback_daemon.lab.compress import compress
from rollback_daemon.lab.servers import AlertmanagerServer, LabError, Server, wait_until

ROLLOUT = "spice-pipelex"
SHIPPED = Path(__file__).parents[2] / "rules" / "spice-pipelex.yml"
FACTOR = 60
PATIENCE = 30.0  # seconds; how long something may take that should come soon, on a busy machine

BASELINE = """\
# Genesis, production. Reloaded by deploy.sh.
APP_NAME="genesis # one"
export ENABLE_OTEL_TRACING=true
ENABLE_HTDAG_PLANNER='true'   # since v2.1

USE_SPICE=false
USE_PIPELEX="false"  # the other one
  PIPELEX_FALLBACK_MODE = true
ENABLE_HALO_ROUTER=true
ROLLOUT_PERCENTAGE=0
# USE_SPICE=true is what canary means
SECRET='s3cr=t#1'"""
"""A flag file as people keep them: comments, quotes, spaces, an `export`, a key in a comment, no newline at the end."""


def flags_of(spice: str, fallback: str, percentage: str) -> str:
    """BASELINE with these values in place of its own, and not another byte changed."""
    lines = BASELINE.replace("\nUSE_SPICE=false", f"\nUSE_SPICE={spice}").replace('USE_PIPELEX="false"', f'USE_PIPELEX="{spice}"')
    return lines.replace("MODE = true", f"MODE = {fallback}").replace("PERCENTAGE=0", f"PERCENTAGE={percentage}")


CANARY = flags_of("true", "false", "10")
HALF = flags_of("true", "false", "50")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command at the terminal came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Stand:
    """One rollout under guard. As a context manager the daemon runs inside the `with`."""

    def __init__(
        self,
        folder: Path,
        prometheus: str,
        alertmanager: AlertmanagerServer,
        *,
        factor: int = FACTOR,
        flags: str = BASELINE,
        changes: Mapping[str, str] | None = None,
        query_timeout: str = "1s",
    ) -> None:
        """`prometheus` is the URL that the daemon asks; `changes` are made in the shortened rule file, text by text."""
        self.folder, self.alertmanager, self._query_timeout, self._prometheus = folder, alertmanager, query_timeout, prometheus
        self.flags = folder / ".env.production"
        self.journal = folder / "journal" / "journal.db"
        self.journal.parent.mkdir()
        self.flags.write_text(flags, encoding="utf-8")
        self.rules = folder / f"{ROLLOUT}.yml"
        self.rules.write_text(self._placed(compress(SHIPPED.read_text(encoding="utf-8"), factor)), encoding="utf-8")
        self.change_rules(changes or {})
        self.deploys()
        self.configure(self.rules.name)
        self.daemon = self.another("rollbackd")

    def __enter__(self) -> Self:
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()

    # what it is made of

    def another(self, name: str, ready: str = "/-/ready") -> Server:
        """One more daemon with the same configuration on the same journal; it is not started yet."""
        command = [sys.executable, "-m", "rollback_daemon", "run", "--config.file", self.folder / "rollbackd.yml"]
        command += ["--storage.url", f"sqlite:///{self.journal}", "--log.format", "json"]
        return Server(name, self.folder / name, lambda port: [*map(str, command), "--web.listen-address", f"127.0.0.1:{port}"], ready=ready)

    def configure(self, *rule_files: str) -> None:
        """Write the daemon's configuration."""
        settings = {
            "global": {"external_labels": {"site": str(self.folder)}},
            "prometheus": {"url": self._prometheus, "timeout": self._query_timeout},
            "alerting": {"alertmanagers": [{"url": self.alertmanager.url}], "resend_delay": "1s"},
            "rule_files": list(rule_files),
        }
        (self.folder / "rollbackd.yml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML, too

    def change_rules(self, changes: Mapping[str, str]) -> None:
        """Replace parts of the rule file; each must be there."""
        text = self.rules.read_text(encoding="utf-8")
        for old, new in changes.items():
            if old not in text:
                raise LabError(f'"{old}" is not in {self.rules}')
            text = text.replace(old, new)
        self.rules.write_text(text, encoding="utf-8")

    def deploys(self, how: str = "true") -> None:
        """What the deploy command does from now on, as shell; what it did is in `deployments`."""
        script = self.folder / "deploy.sh"
        fresh = script.with_suffix(".new")
        log = '>> "$(dirname "$0")/deployments"'
        begun, ended = f'echo "begun $ROLLBACKD_KIND $ROLLBACKD_TO $*" {log}', f'echo "ended $ROLLBACKD_KIND $ROLLBACKD_TO" {log}'
        fresh.write_text(f"#!/bin/sh\nset -e\n{begun}\n{how}\n{ended}\n", encoding="utf-8")
        fresh.chmod(0o755)
        fresh.replace(script)

    @property
    def deployments(self) -> list[str]:
        """A line for each begin and end of the deploy command."""
        log = self.folder / "deployments"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def _placed(self, rules: str) -> str:
        return rules.replace("/srv/genesis/.env.production", str(self.flags)).replace("/srv/genesis/deploy.sh", str(self.folder / "deploy.sh"))

    # a person at a terminal

    def rollbackd(self, *words: str, server: Server | None = None) -> Ran:
        """Run `rollbackd WORDS` against the daemon, or another one."""
        environment = {**os.environ, "ROLLBACKD_URL": (server or self.daemon).url}
        command = [sys.executable, "-m", "rollback_daemon", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=environment)
        return Ran(done.returncode, done.stdout, done.stderr)

    def promote(self, server: Server | None = None) -> Ran:
        """Ask for the next stage."""
        return self.rollbackd("promote", ROLLOUT, "--reason", "the checks of the day are done", server=server)

    def resume(self) -> Ran:
        """Open the way up again."""
        return self.rollbackd("resume", ROLLOUT, "--reason", "understood and mended")

    def go_to_canary(self) -> None:
        """Promoted as soon as nothing blocks it, and judged there."""
        self.wait_for_nothing_to_block()
        ran = self.promote()
        if ran.code:
            raise LabError(f"the promotion was refused: {ran.err}")
        self.wait(lambda: self.explain()["evaluated_at"] > self.explain()["entered"], "an evaluation at canary")

    # what a program is told

    def get(self, path: str = "", rollout: str = ROLLOUT) -> Any:
        """The API's answer about the rollout."""
        answer = requests.get(f"{self.daemon.url}/api/v1/rollouts/{rollout}{path}", timeout=20)
        answer.raise_for_status()
        return answer.json()

    def explain(self, rollout: str = ROLLOUT) -> Any:
        return self.get("/explain", rollout)

    def trigger(self, name: str) -> Any:
        """What `explain` says of one trigger."""
        return next(one for one in self.explain()["triggers"] if one["alert"] == name)

    def history(self, event: str, **facts: Any) -> list[Any]:
        """The events of one kind with these facts, oldest first."""
        found = self.get("/history?limit=10000")
        return [one for one in found if one["event"] == event and all(one.get(name) == value for name, value in facts.items())]

    def alerts(self) -> list[Any]:
        """The active alerts of this stand, as Alertmanager lists them; others may use the same one."""
        return [one for one in self.alertmanager.alerts() if one["labels"]["site"] == str(self.folder)]

    def alert(self, name: str) -> Any:
        """The alert of that name; None when it is not active."""
        found = [one for one in self.alerts() if one["labels"]["alertname"] == name]
        if len(found) > 1:
            raise LabError(f'"{name}" is in Alertmanager {len(found)} times: {[one["labels"] for one in found]}')
        return found[0] if found else None

    def metric(self, name: str, server: Server | None = None, **labels: str) -> float | None:
        """The value of one of the daemon's own metrics, without its prefix; None when there is no such series."""
        text = requests.get(f"{(server or self.daemon).url}/metrics", timeout=20).text
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        values = [sample.value for sample in samples if sample.name == f"rollback_daemon_{name}" and labels.items() <= sample.labels.items()]
        return values[0] if len(values) == 1 else None

    @property
    def flags_now(self) -> str:
        return self.flags.read_text(encoding="utf-8")

    # time

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """The first true answer; LabError names `what` and where the rollout is."""
        try:
            return wait_until(condition, what, seconds, every=0.05)
        except LabError as error:
            raise LabError(f"{error}; {self._situation()}") from None

    def wait_for_phase(self, phase: str, seconds: float = PATIENCE) -> None:
        self.wait(lambda: self.get()["phase"] == phase, f"{ROLLOUT} to be {phase}", seconds)

    def wait_for_alert(self, name: str) -> Any:
        return self.wait(lambda: self.alert(name), f"{name} in Alertmanager")

    def pending_for(self, name: str) -> timedelta:
        """How long a trigger with one series has been pending; zero when it is not."""
        since = self.since(name)
        return datetime.now(UTC) - since if since else timedelta()

    def since(self, name: str) -> datetime | None:
        """Since when a trigger with one series is pending; None when it is not."""
        pending = [one["since"] for one in self.trigger(name)["series"] if one["phase"] == "pending"]
        return datetime.fromisoformat(pending[0]) if pending else None

    def wait_for_pending(self, name: str, seconds: float = 0) -> None:
        """Until the trigger has been pending for so long."""
        self.wait(lambda: self.pending_for(name) > timedelta(seconds=seconds), f"{name} to be pending for {seconds:g}s")

    def wait_for_resolved(self, name: str) -> None:
        """Until the alert is in Alertmanager no longer."""
        self.wait(lambda: self.alert(name) is None, f"{name} to be resolved")

    def wait_for_sight(self) -> None:
        self.wait(lambda: self.metric("blind", rollout=ROLLOUT) == 0, "sight")

    def wait_for_nothing_to_block(self) -> None:
        self.wait(lambda: not self.explain()["blockers"], "nothing to block a promotion")

    def _situation(self) -> str:
        if not self.daemon.running:
            return f"the daemon does not run; its last lines:\n{self.daemon.log_tail()}"
        return f"the rollout: {json.dumps(self.get())}; the daemon's last lines:\n{self.daemon.log_tail()}"
