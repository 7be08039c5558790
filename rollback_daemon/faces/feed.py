"""What has just happened, for whoever watches live: the last events of all rollouts, numbered, in memory.

Telling costs the guard next to nothing and never waits: an event is kept as it is, and listeners are only woken. Whoever reads too slowly finds that
some are gone. Lives here: the numbered events. Must not live here: how they are sent (`http.events`), the record itself (the journal).
"""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.judge.transitions import Event
from rollback_daemon.watch import Watch

KEPT = 2000
"""Events that can still be had."""
_TOO_LONG = {Event.PLOTTED, Event.CONFIGURED}
"""Events whose facts are too many to be kept twice."""


@dataclass(frozen=True, slots=True)
class News:
    """One event. `rollout` is whom it is about; None: all of a group that was evaluated together, or of the configuration."""

    number: int
    kind: str
    at: datetime
    rollout: str | None = None
    event: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    interval: timedelta = timedelta()
    group: Sequence[Watch] = ()

    def concerns(self, rollout: str) -> bool:
        """Whether somebody who watches this rollout alone is to be told."""
        if self.rollout is not None:
            return self.rollout == rollout
        return not self.group or any(watch.rollout.name == rollout for watch in self.group)


class Feed:
    """The last events. Thread-safe."""

    def __init__(self, kept: int = KEPT) -> None:
        self.epoch = secrets.token_hex(4)
        """Tells the numbers of this process from those of another."""
        self._lock = threading.Lock()
        self._news: deque[News] = deque(maxlen=kept)
        self._number = 0
        self._listeners: tuple[Callable[[], None], ...] = ()

    @property
    def newest(self) -> int:
        """The number of the last event; 0 before the first."""
        return self._number

    def happened(self, rollout: str, event: Event, body: Mapping[str, Any], at: datetime) -> None:
        """Something of a rollout went on record."""
        self._put(lambda number: News(number, "journal", at, rollout, event, {} if event in _TOO_LONG else body))

    def evaluated(self, watches: Sequence[Watch], interval: timedelta, at: datetime) -> None:
        """These rollouts were judged."""
        self._put(lambda number: News(number, "evaluated", at, interval=interval, group=watches))

    def reloaded(self, at: datetime) -> None:
        """Another configuration is in force: there may be other rollouts."""
        self._put(lambda number: News(number, "reloaded", at))

    def after(self, number: int, most: int = 200) -> list[News] | None:
        """What came after that number, at most so many; None where some of it is gone, or it was never given out."""
        with self._lock:
            first = self._news[0].number if self._news else self._number + 1
            if number > self._number or number < first - 1:
                return None
            start = number + 1 - first
            return [self._news[index] for index in range(start, min(start + most, len(self._news)))]

    def listen(self, wake: Callable[[], None]) -> None:
        """`wake` is called after each event, from whatever thread; it must return at once."""
        with self._lock:
            self._listeners = (*self._listeners, wake)

    def leave(self, wake: Callable[[], None]) -> None:
        """It is called no more."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != wake)

    def _put(self, made: Callable[[int], News]) -> None:
        with self._lock:
            self._number += 1
            self._news.append(made(self._number))
            listeners = self._listeners
        for wake in listeners:
            wake()
