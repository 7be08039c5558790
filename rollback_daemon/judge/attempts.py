"""How it went the last times that evidence was to come by itself, for people, alerts and metrics. Pure; nothing is decided on it.

It belongs to the process and is on no record: what was taken or refused is, and after a start everything is tried again. Must not live here: how
evidence comes (`intake`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum


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

    def ended(self, came: Came, at: datetime, failed: str = "") -> "Attempt":
        """After an attempt that came to this."""
        counts = {**self.counts, came: self.counts.get(came, 0) + 1}
        if came in FAILURES:
            return replace(self, counts=counts, running=None, failed=failed, since=self.since or at)
        succeeded = self.succeeded if came is Came.SUPERSEDED else at
        return replace(self, counts=counts, running=None, failed="", since=None, succeeded=succeeded)

    def gone(self, why: str, at: datetime) -> "Attempt":
        """The folder cannot be looked into, or can again where `why` is empty."""
        return replace(self, away=why, away_since=(self.away_since or at) if why else None)
