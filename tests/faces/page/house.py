"""A daemon that people log in to on its page: users with roles, a ladder with votes and checkpoints, and visitors who speak HTTP by hand."""

import json
import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

import requests

from tests.faces.http.bench import RULES
from tests.faces.http.door import Door, users

HTML = {"Accept": "text/html,application/xhtml+xml"}
PEOPLE = {name: f"{name}'s secret" for name in ("ann", "bob", "eve")}
ROLES = {"lead": ["ann"], "security": ["bob"]}
VOTED = RULES.replace(
    'set: {SHARE: "50"}', 'set: {SHARE: "50"}, requires: {checkpoints: [day-0], approvals: {roles: [lead, security], quorum: 1 of 2}}'
)
ROLLOUT = "/rollouts/checkout"


class House(Door):
    """The daemon; `prefix` is what its paths begin with, `tls` its section of the web configuration."""

    def __init__(
        self, folder: Path, prometheus: str, *, arguments: tuple[str, ...] = (), prefix: str = "", tls: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        more.setdefault("rules", VOTED)
        web = {"basic_auth_users": users(**PEOPLE), **({"tls_server_config": tls} if tls else {})}
        super().__init__(folder, prometheus, web, **more)
        self._arguments = [*self._arguments, *arguments]
        self.prefix = prefix
        file = folder / "rollbackd.yml"
        file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), "roles": ROLES}), encoding="utf-8")
        self.session = self.as_user("eve", PEOPLE["eve"])

    @property
    def url(self) -> str:
        """Where its pages begin."""
        return self.daemon.url + self.prefix

    def visitor(self, name: str | None = None) -> "Visitor":
        """Somebody with a browser's cookies, logged in if a name is given."""
        one = Visitor(self.url)
        if name is not None:
            assert one.log_in(name, PEOPLE[name]).status_code == 303
        return one


class Visitor:
    """What a browser without a script would send; redirects are not followed."""

    def __init__(self, url: str) -> None:
        self.url, self.session = url, requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.session.get(self.url + path, headers={**HTML, **headers}, allow_redirects=False, timeout=20)

    def post(self, path: str, form: Mapping[str, str], **headers: str) -> requests.Response:
        """A form as a browser sends it, with the origin of the page that it is on."""
        origin = {"Origin": "/".join(self.url.split("/")[:3]), "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
        return self.session.post(self.url + path, data=form, headers={**HTML, **origin, **headers}, allow_redirects=False, timeout=20)

    def log_in(self, name: str, password: str, to: str = "/") -> requests.Response:
        form = hidden(self.get(f"/login?next={to}"))
        return self.post("/login", {**form, "name": name, "password": password})

    def send(self, path: str, reason: str = "as agreed", **filled: str) -> requests.Response:
        """Open a form, fill it in, send it off."""
        return self.post(path.partition("?")[0], {**hidden(self.get(path)), "reason": reason, **filled})


def hidden(answer: requests.Response) -> dict[str, str]:
    """The hidden fields of the last form on a page."""
    form = answer.text.rpartition('class="ask"')[2]
    return {unescape(name): unescape(value) for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form)}


def shown(answer: requests.Response) -> str:
    """What stands on a page, without its tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2])))
