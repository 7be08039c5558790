"""Several Victor rollouts under one guard, each a copy of the shipped rule file with metrics, flags, log and programs of its own.

A minute of the rules takes 0.4 s here, and a day 1.5 s. Lives here: what the daemon reads. Must not live here: asking and waiting (`ground`), what
should be true; each test says that itself.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rollback_daemon.lab.compress import compress
from rollback_daemon.lab.servers import AlertmanagerServer, LabError
from tests.acceptance.ground import Ground
from tests.acceptance.victor_service import Victor

SHIPPED = Path(__file__).parents[2] / "rules" / "victor-coordinators.yml"
MINUTES, HOURS = 150, 57_600
SHORT = {
    "interval: 100ms": "interval: 250ms\nmax_gap: 1500ms",
    "max_age: 800ms": "max_age: 2s",
    "max_age: 4s": "max_age: 20s",
    "[2s]": "[1s]",
    "[6s]": "[1s]",
    "for: 6s": "for: 2s",
    "in: 12s": "in: 1s",
    "escalate_after: 100ms": "escalate_after: 1h",
    "for: 12s, within: 24s": "for: 1s, within: 20s",
    "at_least: 375ms": "at_least: 300ms",
}
"""Four evaluations in a second are as many as a busy machine can keep up with; nobody waits for what a test does not look at."""

FLAGS = """\
# Victor's profiles. Edited by people, and by rollbackd.
default:
    model: "large"     # quoted, and indented by four
    tools: [search, 'shell']

# The switch.
use_coordinator_orchestrator: {value}   # see the runbook
theme: dark
"""


def flags_of(value: str) -> str:
    """The flag file as people keep it, with the switch at this value."""
    return FLAGS.replace("{value}", value)


class VictorStand(Ground):
    """Copies of the rollout, by the names of their services. As a context manager the daemon runs inside the `with`."""

    def __init__(self, folder: Path, services: Iterable[Victor], prometheus: str, alertmanager: AlertmanagerServer) -> None:
        """One copy for each of the services. `prometheus` is the URL that the daemon asks."""
        followed = {one.name: one.log for one in services}
        names = [*followed]
        super().__init__(folder, names[0], self._flags_of(folder, names[0]), prometheus, alertmanager)
        for name in names:
            self._lay_out(name, followed[name])
        self.settings(*(f"{name}.yml" for name in names))

    def flags_at(self, name: str) -> str:
        """What stands in the flag file of that copy."""
        return self._flags_of(self.folder, name).read_text(encoding="utf-8")

    def _flags_of(self, folder: Path, name: str) -> Path:
        return folder / name / "profiles.yaml"

    def _lay_out(self, name: str, followed: Path) -> None:
        home = self.folder / name
        home.mkdir()
        self._flags_of(self.folder, name).write_text(flags_of("true"), encoding="utf-8")
        (home / "victor.log").write_text("victor is up\n", encoding="utf-8")
        (home / "does").write_text(f'#!/bin/sh\necho "$ROLLBACKD_KIND $*" >> {home}/done\n', encoding="utf-8")
        (home / "does").chmod(0o755)
        rules = _replaced(compress(SHIPPED.read_text(encoding="utf-8"), MINUTES, HOURS), SHORT)
        places = {
            "rollout: victor-coordinators": f"rollout: {name}",
            "/srv/victor/profiles.yaml": str(self._flags_of(self.folder, name)),
            "/var/log/victor/victor.log": str(home / "victor.log"),
            "/var/log/victor/observability.jsonl": str(followed),
            "[/srv/victor/bin/restart]": f"[{home}/does, restart]",
            "/srv/victor/bin/smoke": f"{home}/does, smoke",
            "/srv/victor/bin/install": f"{home}/does, install",
            "/srv/victor/.venv/bin/python": f"{home}/does",
            "/etc/rollbackd/hooks/ticket.py": f"{home}/does",
            "http: https://chat.example.com/hooks/victor\n    secret_file: victor-hook.key": f"command: [{home}/does, tell]",
            "victor_": f"{name}_",
        }
        (self.folder / f"{name}.yml").write_text(_replaced(rules, places), encoding="utf-8")


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        if old not in text:
            raise LabError(f'"{old}" is not in the rule file')
        text = text.replace(old, new)
    return text
