"""What every stand of the acceptance tests has: a daemon with its journal and rule file, a person at a terminal, and ways to ask and to wait.

Lives here: starting and asking. Must not live here: what is guarded (`stand`, `memory_stand`), what should be true; each test says that itself.
"""

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import requests
from prometheus_client.parser import text_string_to_metric_families

from rollback_daemon.lab.servers import AlertmanagerServer, LabError, Server, wait_until
from tests.faces.http.bench import Ran, rollbackd

PATIENCE = 30.0  # seconds; how long something may take that should come soon, on a busy machine


class _Daemon(Server):
    """A daemon that may ask for a login before it says that it is ready."""

    def __init__(self, session: requests.Session, name: str, folder: Path, command: Callable[[int], list[str | Path]], *, ready: str) -> None:
        super().__init__(name, folder, command, ready=ready)
        self._session = session

    def answers(self, url: str) -> bool:
        try:
            return self._session.get(url, timeout=2).ok
        except requests.RequestException:
            return False


class Ground:
    """One rollout under guard. As a context manager the daemon runs inside the `with`.

    A subclass writes what the daemon reads (`flags`, `rules`, `configure`) before it is started, and may say more on the command line (`extra`).
    """

    def __init__(self, folder: Path, rollout: str, flags: Path, prometheus: str, alertmanager: AlertmanagerServer) -> None:
        """`prometheus` is the URL that the daemon asks."""
        self.folder, self.rollout, self.flags, self.alertmanager, self._prometheus = folder, rollout, flags, alertmanager, prometheus
        self.journal = folder / "journal" / "journal.db"
        self.journal.parent.mkdir()
        self.rules = folder / f"{rollout}.yml"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Connection"] = "close"  # a daemon that was killed meanwhile must not matter
        self.extra: tuple[str, ...] = ()
        self.daemon = self.another("rollbackd")

    def __enter__(self) -> Self:
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()
        self.session.close()

    # what it is made of

    def another(self, name: str, ready: str = "/-/ready") -> Server:
        """One more daemon with the same configuration on the same journal; it is not started yet."""
        command = [sys.executable, "-m", "rollback_daemon", "run", "--config.file", self.folder / "rollbackd.yml"]
        command += ["--storage.url", f"sqlite:///{self.journal}", "--log.format", "json"]

        def line(port: int) -> list[str | Path]:
            return [*map(str, command), *self.extra, "--web.listen-address", f"127.0.0.1:{port}"]

        return _Daemon(self.session, name, self.folder / name, line, ready=ready)

    def settings(self, *rule_files: str, query_timeout: str = "1s", **more: Any) -> None:
        """Write the daemon's configuration; `more` are further parts of it."""
        settings = {
            "global": {"external_labels": {"site": str(self.folder)}},
            "prometheus": {"url": self._prometheus, "timeout": query_timeout},
            "alerting": {"alertmanagers": [{"url": self.alertmanager.url}], "resend_delay": "1s"},
            "rule_files": list(rule_files),
            **more,
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

    # a person at a terminal

    def rollbackd(self, *words: str, server: Server | None = None) -> Ran:
        """Run `rollbackd WORDS` against the daemon, or another one."""
        return rollbackd(*words, env={"ROLLBACKD_URL": (server or self.daemon).url})

    def insist(self, ask: Callable[[], Ran]) -> None:
        """Ask for a promotion once nothing blocks it, and again as long as that cannot be told: a busy machine scrapes late now and then."""
        self.wait_for_nothing_to_block()
        ran = self.wait(lambda: found if (found := ask()).code != 3 else None, "an answer that is not unknown")
        if ran.code:
            raise LabError(f"refused: {ran.err}; {self._situation()}")

    # what a program is told

    def get(self, path: str = "", rollout: str = "") -> Any:
        """The API's answer about the rollout."""
        answer = self.session.get(f"{self.daemon.url}/api/v1/rollouts/{rollout or self.rollout}{path}", timeout=20)
        answer.raise_for_status()
        return answer.json()

    def explain(self, rollout: str = "") -> Any:
        return self.get("/explain", rollout)

    def trigger(self, name: str) -> Any:
        """What `explain` says of one trigger. Right after a reload that is nothing until the first evaluation, which is waited for."""
        return self.wait(lambda: next((one for one in self.explain()["triggers"] if one["alert"] == name), None), f"{name} to be judged")

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
        text = self.session.get(f"{(server or self.daemon).url}/metrics", timeout=20).text
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
        self.wait(lambda: self.get()["phase"] == phase, f"{self.rollout} to be {phase}", seconds)

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

    def wait_for_evaluations(self, count: int) -> None:
        """So many evaluations from now on."""
        for _ in range(count):
            before = self.get()["evaluated_at"]
            self.wait(lambda before=before: self.get()["evaluated_at"] not in {before, None}, "an evaluation")  # type: ignore[misc]  # bound early

    def wait_for_sight(self) -> None:
        self.wait(lambda: self.metric("blind", rollout=self.rollout) == 0, "sight")

    def wait_for_nothing_to_block(self) -> None:
        self.wait(lambda: not self.explain()["blockers"], "nothing to block a promotion")

    def _situation(self) -> str:
        if not self.daemon.running:
            return f"the daemon does not run; its last lines:\n{self.daemon.log_tail()}"
        return f"the rollout: {json.dumps(self.get())}; the daemon's last lines:\n{self.daemon.log_tail()}"
