"""A daemon that asks for logins, with people who have roles, for the tests of the way up at the terminal."""

import json
from pathlib import Path

from tests.faces.http.bench import Ran
from tests.faces.http.door import Door, users

PEOPLE = {"ann": ["lead"], "bob": ["security"], "cat": ["security"], "pam": ["lead"]}


class Ladder(Door):
    """The daemon with people who have roles."""

    def __init__(self, folder: Path, prometheus: str, rules: str) -> None:
        super().__init__(folder, prometheus, {"basic_auth_users": users(**dict.fromkeys(PEOPLE, "secret"))}, open_reading=True, rules=rules)
        file = folder / "rollbackd.yml"
        roles = {role: [name for name, has in PEOPLE.items() if role in has] for role in ("lead", "security")}
        file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), "roles": roles}), encoding="utf-8")

    def does(self, name: str, *words: str) -> Ran:
        """A verb under the login of somebody."""
        return self.rollbackd(*words, "--http.config.file", str(self.login_of(name, "secret")))

    def asks(self, name: str, verb: str, **body: object) -> None:
        """The same over HTTP, which is quicker; it must be granted."""
        with self.as_user(name, "secret") as session:
            answer = session.post(f"{self.daemon.url}/api/v1/rollouts/checkout/{verb}", json={"reason": "as agreed", **body}, timeout=20)
        assert answer.ok, answer.text
