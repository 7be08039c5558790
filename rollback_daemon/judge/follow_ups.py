"""What was looked at after completion, and the decision at its end, as a fold over the journal. Pure.

Begins with the completion. A hold does not end it, nor does a rehearsal that comes back; whatever else takes the rollout from its highest stage
does. Lives here: what is on record of each follow-up. Must not live here: when one is due (`following_up`), running its checks (`errands`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.transitions import Event, Kind


class Outcome(StrEnum):
    """What a follow-up came to."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"  # it could not be told, which is not passing
    MISSED = "missed"  # nobody looked until the next one was due


class Decision(StrEnum):
    """What a person may say after the last follow-up."""

    KEEP = "keep"  # it stays as it is
    CLEAN_UP = "clean-up"  # the flag and the old path go
    TUNE = "tune"  # limits or stages are to change


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One of them, `after` so long since completion: its number (from 1) in the rule file of then, and what the last of its `tries` came to, `at`
    which time. `since`: when it was first looked at.
    """

    number: int
    after: timedelta
    outcome: Outcome
    at: datetime
    since: datetime
    tries: int = 1
    why: str = ""

    @property
    def failing(self) -> bool:
        """Whether it is to be tried again."""
        return self.outcome in {Outcome.FAILED, Outcome.UNKNOWN}


@dataclass(frozen=True, slots=True)
class FollowedUp:
    """What is on record since the rollout was `completed` (None: it is not): each follow-up that had its time, in that order, and what a person
    decided at the end ("": nothing yet), who it was, and why.
    """

    completed: datetime | None = None
    looks: tuple[FollowUp, ...] = ()
    decision: str = ""
    by: str = ""
    why: str = ""

    @property
    def last(self) -> FollowUp | None:
        """The one that was looked at last."""
        return self.looks[-1] if self.looks else None


def fold(known: FollowedUp, event: Event, body: Mapping[str, Any], at: datetime) -> FollowedUp:
    """What is on record after one more."""
    match event:
        case Event.COMPLETED:
            return known if known.completed else FollowedUp(completed=at)
        case Event.ADOPTED | Event.UNREADY:
            return FollowedUp()
        case Event.INTENDED if body["kind"] in {Kind.PROMOTE, Kind.ROLLBACK} and body.get("code") != Code.REHEARSAL:
            return FollowedUp()
        case Event.REHEARSED if not body["passed"]:
            return FollowedUp()
        case Event.FOLLOWED_UP if known.completed:
            return _followed_up(known, body, at)
        case Event.DECIDED if known.completed:
            return replace(known, decision=body["decision"], by=body["by"], why=body["why"])
    return known


def _followed_up(known: FollowedUp, body: Mapping[str, Any], at: datetime) -> FollowedUp:
    """One more look: the first at this follow-up, with those before it that were missed, or another at the same."""
    after, last = timedelta(seconds=body["after"]), known.last
    look = FollowUp(body["number"], after, Outcome(body["outcome"]), at, at, why=body["why"])
    if last and last.after == after:
        return replace(known, looks=(*known.looks[:-1], replace(look, since=last.since, tries=last.tries + 1)))
    missed = (FollowUp(one["number"], timedelta(seconds=one["after"]), Outcome.MISSED, at, at) for one in body.get("missed", ()))
    return replace(known, looks=(*known.looks, *missed, look))
