"""What one Alertmanager was told of each alert, and what it must be told next. Pure: it is given the time, and sends nothing.

Lives here: first, again, resolved once. Must not live here: HTTP, threads, retries (`alertmanager`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback_daemon.faces.alerts import Alert

MOST_RESOLVED = 10_000
"""How many undelivered ends of alerts are kept for one Alertmanager; beyond that the oldest are left to their `endsAt`."""

Identity = frozenset[tuple[str, str]]
"""What makes two alerts the same one: their labels."""


def identity(alert: Alert) -> Identity:
    """The alert's labels, as a key."""
    return frozenset(alert.labels.items())


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert in one message. `ended` is when it was over; None while it is active."""

    alert: Alert
    ended: datetime | None

    def body(self, lasts_until: datetime) -> dict[str, Any]:
        """What the API v2 takes. An active alert ends by itself at `lasts_until` unless it is sent again. It never ends before it starts."""
        ends = self.ended or lasts_until
        body: dict[str, Any] = {
            "labels": dict(self.alert.labels),
            "annotations": dict(self.alert.annotations),
            "startsAt": _rfc3339(min(self.alert.starts_at, ends)),
            "endsAt": _rfc3339(ends),
        }
        return {**body, "generatorURL": self.alert.generator_url} if self.alert.generator_url else body


@dataclass(slots=True)
class _Entry:
    """`told`: when it last took it, or refused it for good. `heard`: it may know of the alert, even if it never said so."""

    alert: Alert
    told: datetime | None = None
    heard: bool = False
    ended: datetime | None = None


class Notices:
    """The memory of what one Alertmanager was told. Not thread-safe."""

    def __init__(self, resend_delay: timedelta) -> None:
        self._resend_delay = resend_delay
        self._entries: dict[Identity, _Entry] = {}

    def take(self, active: Mapping[Identity, Alert], now: datetime) -> None:
        """Take over what is active now. What is there no longer has ended; if it cannot have been heard of, it is forgotten."""
        for key, alert in active.items():
            entry = self._entries.setdefault(key, _Entry(alert))
            entry.alert = alert
            if entry.ended:
                entry.ended = entry.told = None
        for key in self._entries.keys() - active.keys():
            if not self._entries[key].heard:
                del self._entries[key]
            else:
                self._entries[key].ended = self._entries[key].ended or now
        self._forget_oldest()

    def due(self, now: datetime) -> list[Notice]:
        """What must be said now: what is new or over first, then what is only repeated."""
        due = [entry for entry in self._entries.values() if self._left(entry, now) <= timedelta()]
        return [Notice(entry.alert, entry.ended) for entry in sorted(due, key=lambda entry: entry.told is not None and entry.ended is None)]

    def left(self, now: datetime) -> timedelta | None:
        """How long until something is due; None when nothing will be."""
        return min((self._left(entry, now) for entry in self._entries.values()), default=None)

    def answered(self, notices: Iterable[Notice], now: datetime, *, heard: bool) -> None:
        """It has taken the notices, or (not `heard`) refused them for good: the next word is due after the resend delay, and none on what is over."""
        for notice in notices:
            if notice.ended:
                del self._entries[identity(notice.alert)]
            else:
                entry = self._entries[identity(notice.alert)]
                entry.told, entry.heard = now, entry.heard or heard

    def unanswered(self, notices: Iterable[Notice]) -> None:
        """It may have heard the notices, and did not say so: they stay due, and their end must be told."""
        for notice in notices:
            self._entries[identity(notice.alert)].heard = True

    def _left(self, entry: _Entry, now: datetime) -> timedelta:
        if entry.told is None or entry.ended or now < entry.told:  # a clock that was set back would keep it silent for long
            return timedelta()
        return entry.told + self._resend_delay - now

    def _forget_oldest(self) -> None:
        ended = sorted((entry.ended, key) for key, entry in self._entries.items() if entry.ended) if len(self._entries) > MOST_RESOLVED else []
        for _, key in ended[:-MOST_RESOLVED]:
            del self._entries[key]


def by_identity(alerts: Collection[Alert], before: Mapping[Identity, Alert]) -> dict[Identity, Alert]:
    """The alerts by their labels. One that was active `before` keeps the start that it had then, if that is earlier."""
    active: dict[Identity, Alert] = {}
    for alert in alerts:
        key = identity(alert)
        start = min(alert.starts_at, before[key].starts_at) if key in before else alert.starts_at
        active[key] = Alert(alert.labels, alert.annotations, start, alert.generator_url)
    return active


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
