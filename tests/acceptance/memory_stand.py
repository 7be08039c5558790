"""The memory rollout under guard: flag file, rule file on shortened times, and people who log in to say what they think of the next stage.

A minute of the rules takes 0.4 s here, and a day 1.5 s. Lives here: what the daemon reads, and people. Must not live here: asking and waiting
(`ground`), what should be true; each test says that itself.
"""

import functools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt

from rollback_daemon.lab.compress import compress
from rollback_daemon.lab.servers import AlertmanagerServer, LabError
from tests.acceptance.ground import Ground
from tests.acceptance.memory_service import AGENTS, HealthEndpoints, text
from tests.faces.http.bench import Ran

ROLLOUT = "genesis-memory"
SHIPPED = Path(__file__).parents[2] / "rules" / "genesis-memory.yml"
MINUTES, HOURS = 150, 57_600
SHORT = {
    "interval: 100ms": "interval: 250ms\nmax_gap: 1500ms",
    "max_age: 800ms": "max_age: 2s",
    "initial_delay: 6s": "initial_delay: 1s",
    "[6s]": "[2s]",
}
"""Four evaluations in a second are as many as a busy machine can keep up with; and a quarter of an hour need not take longer than it must."""

VOTERS = {
    "anna": "deployment-lead",
    "ben": "metrics-validation",
    "carla": "checkpoint-report",
    "dana": "security-review",
    "emil": "implementation-readiness",
}
PEOPLE = (*VOTERS, "frida")
"""Five people with a role each, and one with none, who proposes."""

SCRIPT = """\
import json, os, sys
path, percentage, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
flags = json.load(open(path))
for feature in flags["features"].values():
    feature["progressive_config"]["initial_percentage"] = percentage
flags["enabled_agents"] = json.loads(sys.argv[4])
text = json.dumps(flags, indent=2) + "\\n"
if how == "in place":
    open(path, "w").write(text)
else:
    open(path + ".tmp", "w").write(text)
    os.replace(path + ".tmp", path)
"""
"""What somebody lets loose on the flag file; nothing of the guard's is in it."""


class MemoryStand(Ground):
    """The memory rollout under guard. As a context manager the daemon runs inside the `with`."""

    def __init__(
        self,
        folder: Path,
        prometheus: str,
        alertmanager: AlertmanagerServer,
        *,
        percentage: int = 10,
        changes: Mapping[str, str] | None = None,
        open_reading: bool = False,
    ) -> None:
        """`prometheus` is the URL that the daemon asks; `changes` are made in the shortened rule file, text by text."""
        super().__init__(folder, ROLLOUT, folder / "feature_flags.json", prometheus, alertmanager)
        self.flags.write_text(text(percentage), encoding="utf-8")
        self.health = HealthEndpoints(self.flags)
        rules = compress(SHIPPED.read_text(encoding="utf-8"), MINUTES, HOURS).replace("/srv/genesis/feature_flags.json", str(self.flags))
        for number in range(1, 6):
            rules = rules.replace(f"http://127.0.0.1:800{number}/health", self.health.at(number))
        self.rules.write_text(rules, encoding="utf-8")
        self.change_rules(SHORT)
        self.change_rules(changes or {})
        roles = {role: [name] for name, role in VOTERS.items()}
        self.settings(self.rules.name, roles=roles, web={"open_reading": open_reading})
        (folder / "web.yml").write_text(json.dumps({"basic_auth_users": _users()}), encoding="utf-8")
        for name in PEOPLE:
            self.login(name, password_of(name))
        self.session.auth = ("anna", password_of("anna"))
        self.extra = ("--web.config.file", str(folder / "web.yml"))

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self.health.close()

    def login(self, name: str, password: str, file: str = "") -> Path:
        """The file by which the command line logs in as `name`."""
        secret = self.folder / f"{file or name}.password"
        secret.write_text(password, encoding="utf-8")
        found = self.folder / f"{file or name}.login.yml"
        found.write_text(json.dumps({"basic_auth": {"username": name, "password_file": secret.name}}), encoding="utf-8")
        return found

    # people

    def by(self, name: str, verb: str, *words: str) -> Ran:
        """Run `rollbackd VERB genesis-memory WORDS`, logged in as that person."""
        return self.rollbackd(verb, ROLLOUT, *words, "--http.config.file", str(self.folder / f"{name}.login.yml"))

    def must(self, name: str, verb: str, *words: str) -> Ran:
        """The same; LabError when it was refused."""
        ran = self.by(name, verb, *words)
        if ran.code:
            raise LabError(f"{verb} by {name} ended with {ran.code}: {ran.out}{ran.err}; {self._situation()}")
        return ran

    def ask(self, name: str, path: str, **body: Any) -> Any:
        """The API's answer to a request of that person, whatever its status; for what the command line would not send."""
        address = f"{self.daemon.url}/api/v1/rollouts/{ROLLOUT}/{path}"
        return self.session.post(address, json=body, auth=(name, password_of(name)), timeout=20)

    def say(self, name: str, path: str, **body: Any) -> None:
        """A request of that person that must be granted."""
        answer = self.ask(name, path, **body)
        if not answer.ok:
            raise LabError(f"{path} by {name} was answered with {answer.status_code}: {answer.text}; {self._situation()}")

    def prepare(self) -> None:
        """Everything that twenty-five asks for but the votes: soaked, rehearsed, its checkpoint on record, and proposed by frida."""
        self.wait_for_phase("ready")
        self.must("anna", "rehearse", "--reason", "before 25 %")
        self.wait_for_phase("ready")
        self.say("carla", "checkpoint/hour-48", decision="GO", reason="48 hours, nothing to report")
        self.say("frida", "propose", reason="48 hours at 10 % were quiet")

    def climb(self, reason: str) -> None:
        """Promoted by anna, as soon as nothing blocks it."""
        self.insist(lambda: self.by("anna", "promote", "--reason", reason))

    def approve(self, *names: str) -> None:
        """A GO of each of them."""
        for name in names:
            self.say(name, "approve", reason=f"fine as far as {VOTERS[name]} goes")

    # others

    def script(self, percentage: int, how: str = "replace") -> subprocess.CompletedProcess[str]:
        """Somebody's script sets all six flags and the agents, in a process of its own."""
        words = [str(self.flags), str(percentage), how, json.dumps(AGENTS[percentage])]
        return subprocess.run([sys.executable, "-c", SCRIPT, *words], check=True, capture_output=True, text=True, timeout=20)

    @property
    def document(self) -> Any:
        """What stands in the flag file, as a value."""
        return json.loads(self.flags_now)

    @property
    def percentages(self) -> set[int]:
        """The percentages that the six flags have now."""
        features = self.document["features"]
        return {one["progressive_config"]["initial_percentage"] for one in features.values()}


def password_of(name: str) -> str:
    return f"{name}'s secret"


@functools.cache
def _users() -> dict[str, str]:
    return {name: bcrypt.hashpw(password_of(name).encode(), bcrypt.gensalt(rounds=4)).decode() for name in PEOPLE}
