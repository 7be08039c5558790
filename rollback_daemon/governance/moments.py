"""A moment in the past, as people write it.

Lives here: text to time. Must not live here: what was so then (`past`).
"""

import re
from datetime import UTC, datetime, timedelta

from rollback_daemon.durations import parse_duration
from rollback_daemon.errors import ImpossibleMoment

_UNIX = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_WAYS = "write it as 2026-11-20T03:12:05Z, 2026-11-20 03:12 (UTC), Unix seconds, or how long ago: 2h"
_FRACTION = re.compile(r"\.([0-9]+)")


def moment(text: str, now: datetime) -> datetime:
    """The moment that is meant: RFC 3339, a date and time without a zone (UTC), Unix seconds, `now`, or a duration ago (`2h`).

    What is written to the second, or to the millisecond, means its end: a time copied from a list of events covers the event. Raises
    ImpossibleMoment for text that is none of these, and for a moment that has not come.
    """
    text = text.strip()
    at, rest = _read(text, now)
    if at > now:
        raise ImpossibleMoment(f"{_shown(at)} has not come yet; it is {_shown(now)} now")
    return min(now, at + rest)


def _read(text: str, now: datetime) -> tuple[datetime, timedelta]:
    """The moment, and how much more time has the same text."""
    if text == "now":
        return now, timedelta()
    fraction = _FRACTION.search(text)
    rest = timedelta(microseconds=10 ** max(0, 6 - len(fraction[1] if fraction else "")) - 1)
    try:
        if _UNIX.fullmatch(text):
            return datetime.fromtimestamp(float(text), UTC), rest
        at = datetime.fromisoformat(text)
        return (at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)), rest
    except (ValueError, OverflowError, OSError):
        pass
    try:
        return now - parse_duration(text), timedelta()
    except (ValueError, OverflowError):
        raise ImpossibleMoment(f'"{text[:60]}" is no moment; {_WAYS}') from None


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
