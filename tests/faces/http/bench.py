"""A real daemon process over one rollout, "checkout", whose error rate the test sets in a real Prometheus."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests

from rollback_daemon.lab.remote_write import Series, write
from rollback_daemon.lab.servers import Server, wait_until

NOBODY_LISTENS = "http://127.0.0.1:9"
RULES = """
rollout: checkout
owner: deployment-lead
runbook_url: https://runbooks.example.com/checkout
interval: 200ms
flags: {store: dotenv, path: flags.env}
baseline: {NEW_CHECKOUT: "false", SHARE: "0"}
stages:
  - {stage: canary, exposure: 10%, set: {NEW_CHECKOUT: "true", SHARE: "10"}, soak: 0s}
  - {stage: half, exposure: 50%, set: {SHARE: "50"}, soak: 1h}
signals:
  error_rate: {expr: errors or vector(0)}
gates:
  - {gate: Errors, signal: error_rate, below: 0.1%}
triggers:
  - {alert: ErrorRateHigh, signal: error_rate, above: 1%, severity: critical}
  - {alert: Warned, expr: 'quantile(7, errors or vector(0)) > 1', for: 5m, action: alert, dry_run: true}
"""
FLAGS = "# flags of the shop\nNEW_CHECKOUT=false\nSHARE=0\nOTHER=stays\n"


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Bench:
    """The daemon, its files and its clients. As a context manager it runs inside the `with`."""

    def __init__(
        self,
        folder: Path,
        prometheus: str,
        *,
        rules: str = RULES,
        config: Mapping[str, Any] | None = None,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        ready: str = "/-/ready",
    ) -> None:
        """`config` overlays the configuration; `arguments` join the command line of `run`."""
        self.folder, self._prometheus = folder, prometheus
        folder.mkdir(parents=True, exist_ok=True)
        self.flags = folder / "flags.env"
        self.flags.write_text(FLAGS, encoding="utf-8")
        self.write_rules(rules)
        settings = {"prometheus": {"url": prometheus, "timeout": "5s"}, "rule_files": ["rules.yml"], **(config or {})}
        (folder / "rollbackd.yml").write_text(json.dumps(settings), encoding="utf-8")
        self._host, self._arguments = host, arguments
        self.daemon = Server("rollbackd", folder, self.command, env=env, ready=ready)
        self.session = requests.Session()
        self.session.trust_env = False

    def __enter__(self) -> Self:
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self.daemon.stop(20)

    def write_rules(self, text: str) -> None:
        """Other rules, from the next reload on."""
        (self.folder / "rules.yml").write_text(text.replace("path: flags.env", f"path: {self.flags}"), encoding="utf-8")

    def get(self, path: str, **headers: str) -> requests.Response:
        """A GET of a path below the daemon's address."""
        return self.session.get(self.daemon.url + path, headers=headers, timeout=20)

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        """A POST of a JSON body."""
        return self.session.post(
            self.daemon.url + path, json=body, headers={name.replace("_", "-"): one for name, one in headers.items()}, timeout=20
        )

    def rollout(self) -> Any:
        """The rollout in a line."""
        return self.get("/api/v1/rollouts/checkout").json()

    def history(self) -> Any:
        """All that happened to it."""
        return self.get("/api/v1/rollouts/checkout/history?limit=1000").json()

    def wait_for(self, **facts: Any) -> Any:
        """The rollout in a line once it has these facts."""

        def has() -> Any:
            now = self.rollout()
            return now if facts.items() <= now.items() else None

        return wait_until(has, f"checkout to be {facts}", 30)

    def ask_for(self, verb: str, **body: Any) -> requests.Response:
        """One of the changing calls."""
        return self.post(f"/api/v1/rollouts/checkout/{verb}", body)

    def to_canary(self) -> None:
        """Promote it from the baseline, and wait until it may go on."""
        wait_until(lambda: self.ask_for("promote", reason="day one").status_code == 202, "the promotion to be allowed", 30)
        self.wait_for(stage="canary", phase="ready")

    def set_error_rate(self, value: float) -> None:
        """The newest sample of `errors`."""
        write(self._prometheus, [Series({"__name__": "errors"}, [(time.time(), value)])])

    def rollbackd(self, *words: str, env: Mapping[str, str] | None = None) -> Ran:
        """The command line, off a terminal, asking this daemon."""
        return rollbackd(*words, "--url", self.daemon.url, env=env)

    def log(self) -> list[dict[str, Any]]:
        """Every line that the daemon has logged."""
        return [json.loads(line) for line in self.daemon.log.read_text(encoding="utf-8").splitlines()]

    def command(self, port: int) -> list[str | Path]:
        """How the daemon is started on that port."""
        listen = f"{self._host}:{port}"
        more: list[str | Path] = ["--config.file", self.folder / "rollbackd.yml", "--storage.url", f"sqlite:///{self.folder}/journal.db"]
        return [sys.executable, "-m", "rollback_daemon", "run", "--web.listen-address", listen, *more, *self._arguments]


def rollbackd(*words: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Ran:
    """Run the command line to its end."""
    ours = {"ROLLBACKD_URL", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    clean["PYTHONPATH"] = os.pathsep.join([str(Path.cwd()), *filter(None, [clean.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "rollback_daemon", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**clean, **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
