"""Every address that the page links to, in one place: behind whatever prefix a proxy puts before it.

Must not live here: which routes there are (`routes`, `confirm`).
"""

from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request

from rollback_daemon.faces.page.assets import Assets


@dataclass(frozen=True, slots=True)
class Urls:
    """`prefix` is what every link begins with: nothing, or `/guard`."""

    prefix: str
    assets: Assets

    def to(self, path: str, /, **query: object) -> str:
        """A path of ours; what is None or "" is left out of the query."""
        asked = urlencode({name.rstrip("_"): value for name, value in query.items() if value not in {None, ""}})
        return f"{self.prefix}{path}{'?' if asked else ''}{asked}"

    def home(self, **query: object) -> str:
        """Every rollout."""
        return self.to("/", **query)

    def rollout(self, called: str, /, *rest: str, **query: object) -> str:
        """One rollout, or what lies below it: its `rollback`, an incident."""
        return self.to("/".join(["/rollouts", *(quote(part, safe="") for part in (called, *rest))]), **query)

    def static(self, name: str) -> str:
        """A file that never changes under its address."""
        return self.to(f"/static/{self.assets.digest(name)}/{name}")


def urls(request: Request, assets: Assets) -> Urls:
    """Those for whoever asks."""
    return Urls(request.scope.get("state", {}).get("link_prefix", ""), assets)


def outside(url: str) -> str:
    """An address that somebody wrote into a rule file, if it may be a link; else ""."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.netloc else ""
