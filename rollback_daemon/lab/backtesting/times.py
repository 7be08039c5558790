"""Moments as people write them on the command line, and the evaluations between two of them.

Lives here: text to time, time to grid. Must not live here: what happens at these times.
"""

import re
from datetime import UTC, datetime, timedelta

from rollback_daemon.clock import aligned
from rollback_daemon.durations import format_duration, parse_duration
from rollback_daemon.lab.history import Grid

MOST_EVALUATIONS = 3_000_000
"""Of one rollout: a year at 15 s is 2.1 million."""
_UNIX = re.compile(r"[0-9]{8,11}(\.[0-9]+)?")
_HOW = "write a time (2026-11-20T03:12:00Z, 2026-11-20 03:12, 2026-11-20), Unix seconds, how long ago (30d, 2h), or now"


def moment(text: str, now: datetime) -> datetime:
    """The time that is meant; without a zone it is UTC. Raises ValueError, with the remedy, for anything else."""
    text = text.strip()
    if text == "now":
        return now
    if _UNIX.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    try:
        return now - parse_duration(text)
    except (ValueError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'"{text}" is no time; {_HOW}') from None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError(f'"{text}" is no time that can be counted in UTC') from None


def grid(start: datetime, end: datetime, interval: timedelta, now: datetime) -> Grid:
    """The evaluations of the daemon from `start` to `end`: at multiples of the interval. Raises ValueError where there are none, or too many."""
    if start >= end:
        raise ValueError(f"the begin ({start:%Y-%m-%d %H:%M:%S} UTC) must be before the end ({end:%Y-%m-%d %H:%M:%S} UTC)")
    if end > now + timedelta(seconds=1):
        raise ValueError(f"the end ({end:%Y-%m-%d %H:%M:%S} UTC) is in the future; it is {now:%Y-%m-%d %H:%M:%S} UTC")
    if interval < timedelta(milliseconds=1):
        raise ValueError("an interval must be at least 1ms")
    last = aligned(end, interval)
    first = aligned(start, interval)
    first += interval if first < start else timedelta()
    count = (last - first) // interval + 1
    if count < 1:
        raise ValueError(f"there is no evaluation between them: one comes every {format_duration(interval)}")
    if count > MOST_EVALUATIONS:
        enough = format_duration(timedelta(seconds=-(-(end - start).total_seconds() // MOST_EVALUATIONS)))
        raise ValueError(f"that is {count:,} evaluations, at most {MOST_EVALUATIONS:,}; a shorter time, or --interval {enough}, is fewer")
    return Grid(first, interval, count)
