"""How it went the last times that evidence was to come by itself, for people, alerts and metrics. Pure; nothing is decided on it.

It is on no record: what was taken or refused is, and after a start everything is tried again. What fails is remembered, so that a start makes it no
younger. Must not live here: how evidence comes (`intake`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from rollback_daemon.rules.duties import Declared


class Came(StrEnum):
    """What an attempt came to."""

    TAKEN = "taken"
    UNCHANGED = "unchanged"  # it is on record already
    SUPERSEDED = "superseded"  # what is on record was made later
    REFUSED = "refused"  # there was a result, and it was not taken
    FAILED = "failed"  # there was none


FAILURES = frozenset({Came.REFUSED, Came.FAILED})


@dataclass(frozen=True, slots=True)
class Attempt:
    """`tried`: the last look into a folder, the last start of a run. `failed`: why the last attempt failed, `since`: since when they have; empty and
    None where it did not. `away`: why the folder cannot be looked into now. `running`: since when a run goes on; `next`: when the next one is due.

    `of` identifies the declaration, `refused` the files that a folder was refused, each as it is, `blamed` the one of them that `failed` is about.
    """

    tried: datetime | None = None
    failed: str = ""
    since: datetime | None = None
    away: str = ""
    away_since: datetime | None = None
    running: datetime | None = None
    next: datetime | None = None
    succeeded: datetime | None = None
    counts: Mapping[Came, int] = field(default_factory=dict)
    of: str = ""
    refused: tuple[str, ...] = ()
    blamed: str = ""

    @property
    def lasting(self) -> "Attempt | None":
        """What a start must not make younger; None where there is nothing of that."""
        if not (self.since or self.away_since or self.refused):
            return None
        return Attempt(None, self.failed, self.since, self.away, self.away_since, of=self.of, refused=self.refused, blamed=self.blamed)

    def ended(self, came: Came, at: datetime, failed: str = "", blamed: str = "") -> "Attempt":
        """After an attempt that came to this."""
        counts = {**self.counts, came: self.counts.get(came, 0) + 1}
        if came in FAILURES:
            return replace(self, counts=counts, running=None, failed=failed, since=self.since or at, blamed=blamed)
        succeeded = self.succeeded if came is Came.SUPERSEDED else at
        return replace(self, counts=counts, running=None, succeeded=succeeded).settled()

    def settled(self) -> "Attempt":
        """What failed before needs nobody any more."""
        return replace(self, failed="", since=None, blamed="")

    def beside(self, refused: tuple[str, ...]) -> "Attempt":
        """With the files that are refused as they lie there now. That the one was taken away which failed mends nothing, but is said."""
        if not self.blamed or self.blamed in refused:
            return replace(self, refused=refused)
        return replace(self, refused=refused, failed=f"{self.failed}; that file was taken away or changed since", blamed="")

    def gone(self, why: str, at: datetime) -> "Attempt":
        """The folder cannot be looked into, or can again where `why` is empty."""
        return replace(self, away=why, away_since=(self.away_since or at) if why else None)


def known(attempts: Mapping[str, Attempt], declared: Declared) -> Attempt:
    """How it went with evidence that is declared so; nothing yet where it was declared otherwise before."""
    of = hashlib.sha256(f"{declared.read_as}\n{declared.comes}".encode()).hexdigest()[:16]  # the environment of a command is in it
    found = attempts.get(declared.name)
    return found if found is not None and found.of == of else Attempt(of=of)
