"""What time it is, as an argument.

Lives here: the `Clock` protocol and the system's clock. The judge never sees a clock; it is told `now`.
"""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time of the wall, timezone-aware, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def aligned(now: datetime, interval: timedelta) -> datetime:
    """The last multiple of `interval` since the epoch, at or before `now`."""
    step = interval // timedelta(milliseconds=1)
    millis = (now - EPOCH) // timedelta(milliseconds=1)
    return EPOCH + timedelta(milliseconds=millis - millis % step)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
