"""A daemon behind `--web.config.file`: logins, certificates of a throwaway authority, and the files of both."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt
import psutil
import pytest
import requests
import trustme

from rollback_daemon.lab.servers import Server
from tests.faces.http.bench import Bench

PASSWORDS = {"anna": "correct horse", "ben": "bätterie: staple"}
HOLD = "/api/v1/rollouts/checkout/hold"
RESUME = "/api/v1/rollouts/checkout/resume"
WHY = {"reason": "x"}


def hashed(password: str, cost: int = 4) -> str:
    """As htpasswd writes it; the lowest cost unless told, as tests log in often."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode().replace("$2b$", "$2y$", 1)


def users(**passwords: str) -> dict[str, str]:
    """The section of the web configuration."""
    return {name: hashed(password) for name, password in passwords.items()}


def another_address() -> str:
    """An address of this machine that is not the loopback one; the test is skipped where there is none."""
    every = [one.address for addresses in psutil.net_if_addrs().values() for one in addresses if one.family.name == "AF_INET"]
    found = [one for one in every if not one.startswith("127.")]
    if not found:
        pytest.skip("this machine has no address but the loopback one")
    return found[0]


class Papers:
    """An authority, and what it signs, as files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.authority = folder, trustme.CA()
        self.ca = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca)
        self.serve()

    def serve(self, *names: str) -> None:
        """A new certificate of the server."""
        made = self.authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
        made.private_key_pem.write_to_path(self.folder / "server.key")
        (self.folder / "server.pem").write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))

    def person(self, *names: str, common_name: str | None = None) -> str:
        """A client's certificate with its key, in one file."""
        made = self.authority.issue_cert(*(names or ("nobody.example.com",)), common_name=common_name)
        file = self.folder / f"{common_name or names[0]}.pem"
        made.private_key_and_cert_chain_pem.write_to_path(file)
        return str(file)

    def tls(self, kind: str = "NoClientCert", **more: Any) -> dict[str, Any]:
        """The section of the web configuration."""
        ca = {} if kind == "NoClientCert" else {"client_ca_file": self.ca}
        return {"cert_file": str(self.folder / "server.pem"), "key_file": str(self.folder / "server.key"), "client_auth_type": kind, **ca, **more}


class GuardedServer(Server):
    """A daemon that says of itself in its log that it has started, whoever may ask it."""

    def answers(self, url: str) -> bool:
        """Whether it has said that it is in charge; its health pages may want a login."""
        return '"msg": "in charge"' in self.log.read_text(encoding="utf-8")


class Door(Bench):
    """The daemon of `Bench`, with a web configuration; its session has the login and trust that are set on it."""

    def __init__(self, folder: Path, prometheus: str, web: Mapping[str, Any], *, open_reading: bool | None = None, **more: Any) -> None:
        self.web_file = folder / "web.yml"
        config = {} if open_reading is None else {"web": {"open_reading": open_reading}}
        super().__init__(folder, prometheus, config=config, arguments=["--web.config.file", str(self.web_file)], **more)
        self.write_web(web)
        self.daemon = GuardedServer("rollbackd", folder, self.command)
        self.daemon.scheme = "https" if "tls_server_config" in web else "http"

    def write_web(self, web: Mapping[str, Any]) -> None:
        """Another web configuration, as a whole (JSON is YAML, too)."""
        fresh = self.web_file.with_suffix(".new")
        fresh.write_text(json.dumps(web, indent=1), encoding="utf-8")
        fresh.replace(self.web_file)

    def as_user(self, name: str, password: str | None = None) -> requests.Session:
        """A session of somebody's own."""
        session = requests.Session()
        session.trust_env, session.verify = False, self.session.verify
        session.auth = (name.encode(), (PASSWORDS[name] if password is None else password).encode())  # type: ignore[assignment]  # as UTF-8
        return session

    def status(self, name: str, password: str | None = None) -> int:
        """What a GET is answered with."""
        with self.as_user(name, password) as session:
            return session.get(f"{self.daemon.url}/api/v1/rollouts", timeout=20).status_code

    def login_file(self, **settings: Any) -> Path:
        """A file for `--http.config.file`."""
        file = self.folder / "login.yml"
        file.write_text(json.dumps(settings), encoding="utf-8")
        return file

    def login_of(self, name: str, password: str | None = None, **more: Any) -> Path:
        """The same for a user with a password."""
        (self.folder / "password").write_text((PASSWORDS[name] if password is None else password) + "\n", encoding="utf-8")
        return self.login_file(basic_auth={"username": name, "password_file": "password"}, **more)
