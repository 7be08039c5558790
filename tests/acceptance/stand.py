"""The SPICE + Pipelex rollout under guard: flag file, rule file on shortened times, deploy command, health, log, and the person who promotes it.

Lives here: what the daemon reads. Must not live here: asking and waiting (`ground`), what should be true; each test says that itself.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from rollback_daemon.lab.compress import compress
from rollback_daemon.lab.faults import Answer, MisbehavingServer, Request
from rollback_daemon.lab.servers import AlertmanagerServer, Server
from tests.acceptance.ground import Ground
from tests.faces.http.bench import Ran

ROLLOUT = "spice-pipelex"
SHIPPED = Path(__file__).parents[2] / "rules" / "spice-pipelex.yml"
FACTOR = 60

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


class Health(MisbehavingServer):
    """What the service says of itself at `/health`: the flags that stand in the file, or those of SPICE and Pipelex that it is `stuck` with."""

    def __init__(self, flags: Path) -> None:
        self.flags = flags
        self.stuck: tuple[bool, bool] | None = None
        super().__init__()

    def answer(self, _request: Request, /) -> Answer:
        on = {key for key, value in dotenv_values(self.flags).items() if value == "true"}
        spice, pipelex = self.stuck or ("USE_SPICE" in on, "USE_PIPELEX" in on)
        return Answer(json.dumps({"spice_enabled": spice, "pipelex_enabled": pipelex}).encode(), "application/json")


class Stand(Ground):
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
        super().__init__(folder, ROLLOUT, folder / ".env.production", prometheus, alertmanager)
        self._query_timeout = query_timeout
        self.flags.write_text(flags, encoding="utf-8")
        self.log = folder / "genesis.log"
        self.log.write_text("genesis is up\n", encoding="utf-8")
        self.health = Health(self.flags)
        self.rules.write_text(self._placed(compress(SHIPPED.read_text(encoding="utf-8"), factor)), encoding="utf-8")
        self.change_rules(changes or {})
        self.deploys()
        self.configure(self.rules.name)

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self.health.close()

    def configure(self, *rule_files: str) -> None:
        """Write the daemon's configuration."""
        self.settings(*rule_files, query_timeout=self._query_timeout)

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

    def promote(self, server: Server | None = None) -> Ran:
        """Ask for the next stage."""
        return self.rollbackd("promote", ROLLOUT, "--reason", "the checks of the day are done", server=server)

    def resume(self) -> Ran:
        """Open the way up again, after a rollback with the report of it completed."""
        if self.get()["phase"] in {"rolled_back", "frozen"}:
            self.complete_report()
        return self.rollbackd("resume", ROLLOUT, "--reason", "understood and mended")

    def complete_report(self) -> Ran:
        """Write down what only a person knows of the incident."""
        known = ["--root-cause", "a cache was too small", "--users-affected", "one in ten", "--fix-plan", "make it larger"]
        return self.rollbackd("postmortem", ROLLOUT, *known, "--complete", "--reason", "it is understood")

    def go_to_canary(self) -> None:
        """Promoted as soon as nothing blocks it, and judged there."""
        self.insist(self.promote)
        self.wait(lambda: self.explain()["evaluated_at"] > self.explain()["entered"], "an evaluation at canary")

    def _placed(self, rules: str) -> str:
        placed = {
            "/srv/genesis/.env.production": str(self.flags),
            "/srv/genesis/deploy.sh": str(self.folder / "deploy.sh"),
            "/srv/genesis/logs/genesis.log": str(self.log),
            "http://127.0.0.1:8000": self.health.url,
        }
        for shipped, here in placed.items():
            rules = rules.replace(shipped, here)
        return rules
