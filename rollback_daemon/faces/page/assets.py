"""The files that a page needs, in memory, under addresses that change with them, so that browsers may keep them for ever.

The style is that of the reports (`governance/templates/style.css.j2`) with the page's own behind it. Must not live here: templates.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Self

TYPES = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Assets:
    """Every file by its name."""

    content: Mapping[str, bytes]

    @classmethod
    def load(cls) -> Self:
        """As they come with the package."""
        folder = files("rollback_daemon.faces.page") / "static"
        found = {name: (folder / name).read_bytes() for name in TYPES}
        shared = files("rollback_daemon.governance") / "templates" / "style.css.j2"
        return cls({**found, "page.css": shared.read_bytes() + found["page.css"] + (folder / "forms.css").read_bytes()})

    def digest(self, name: str) -> str:
        """What the address of the file has in it."""
        return hashlib.blake2b(self.content[name], digest_size=6).hexdigest()

    @property
    def build(self) -> str:
        """Tells one version of all of them from another."""
        return hashlib.blake2b("".join(map(self.digest, self.content)).encode(), digest_size=6).hexdigest()
