"""Where people reach the daemon: the external URL, what its paths begin with, and what links begin with, as Prometheus has it.

`--web.external-url` is what stands in a browser, `--web.route-prefix` what the daemon itself is asked for; behind a proxy that takes the path off
they differ. Inside the gate paths have no prefix. Must not live here: who is let in (`login`).
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import Scope

_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_REACH = "reach"


@dataclass(frozen=True, slots=True)
class Reach:
    """`url` has no slash at its end. `links` is what every path in a link begins with, `routes` what those begin with that are served."""

    url: str = ""
    links: str = ""
    routes: str = ""

    @property
    def origin(self) -> str:
        """As a browser writes it in its Origin header; empty where no external URL is known."""
        parts = urlsplit(self.url)
        default = {"http": 80, "https": 443}.get(parts.scheme)
        port = "" if parts.port in {None, default} else f":{parts.port}"
        host = parts.hostname or ""
        return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}" if host else ""

    @property
    def secure(self) -> bool:
        """Whether people come by https."""
        return self.url.startswith("https://")

    def inside(self, path: str) -> str | None:
        """A path that was asked for, without the prefix; None for one that is not served."""
        if not self.routes:
            return path
        if path == self.routes:
            return "/"
        return path[len(self.routes) :] if path.startswith(f"{self.routes}/") else None


NOWHERE = Reach()
"""Nothing is known: no prefix anywhere."""


def of_flags(external_url: str, route_prefix: str | None = None) -> Reach:
    """What two flags of the command line come to. Without a `route_prefix` it is the path of the URL; "/" is none at all.

    Raises ValueError with the flag and what is wrong.
    """
    parts = urlsplit(external_url)
    try:
        whole = not external_url or (parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0))
    except ValueError:  # the port is none
        whole = False
    if not whole:
        raise ValueError(f'--web.external-url: "{external_url}" is no address; write https://HOST or https://HOST/PATH')
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("--web.external-url: must have neither a user name nor a query; write https://HOST or https://HOST/PATH")
    links = _prefix("--web.external-url", parts.path)
    routes = links if route_prefix is None else _prefix("--web.route-prefix", route_prefix)
    return Reach(external_url.rstrip("/"), links, routes)


def _prefix(flag: str, path: str) -> str:
    """`/guard` of whatever slashes there are around it."""
    inner = path.strip("/")
    prefix = f"/{inner}" if inner else ""
    if not _PATH.fullmatch(prefix):
        raise ValueError(f'{flag}: the path "{path}" must be of letters, digits and - _ . ~, with single slashes, for instance /guard')
    return prefix


def put(scope: Scope, known: Reach) -> None:
    """Leave it in a request's state, and beside it what links begin with."""
    scope.setdefault("state", {}).update({_REACH: known, "link_prefix": known.links})


def reach_of(scope: Scope) -> Reach:
    """Where the daemon that is asked is reached."""
    found = scope.get("state", {}).get(_REACH)
    return found if isinstance(found, Reach) else NOWHERE


def link(scope: Scope, path: str) -> str:
    """A path of the daemon as it stands in a link."""
    return reach_of(scope).links + path
