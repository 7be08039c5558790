"""What is kept of the lines of one file for the figures that are asked of it: samples, when the last line was, and which lines cannot be read.

Lives here: lines to samples. Must not live here: files, what is missing for an answer (`log`).
"""

import json
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from rollback_daemon.evidence.kind import CLOCK_SKEW, NOT_YET
from rollback_daemon.evidence.lines import Settings, measured, said, when
from rollback_daemon.evidence.reading import since_epoch
from rollback_daemon.evidence.samples import Aggregate, Samples

SLACK = 60.0
"""Seconds by which lines may stand out of order, and evaluations, too."""
MOST_BAD = 1000
"""Lines that cannot be read are kept in mind, so many of them."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that cannot be read: when it was, as far as anybody can tell, where it begins, and what is wrong with it.

    `number`: the how-manieth line it was that was read, for which one of several stands last can be told neither by time nor by place.
    """

    at: float
    path: str
    begun: int
    number: int
    why: str


class BadLines:
    """The lines of a file that cannot be read, as long as they are in the window: a limited number of them."""

    def __init__(self) -> None:
        self._found: deque[Bad] = deque(maxlen=MOST_BAD)

    def add(self, one: Bad) -> None:
        """One more."""
        self._found.append(one)

    def forget(self, until: float) -> None:
        """Everything up to that time."""
        while self._found and self._found[0].at <= until:
            self._found.popleft()

    def later(self, since: float) -> list[Bad]:
        """Those that are later than that."""
        return [one for one in self._found if one.at > since]


def key_of(settings: Settings) -> str:
    """What identifies a track: figures that differ only in how far they look back, and in what many values become, share one."""
    counts = settings.aggregate is Aggregate.COUNT
    return json.dumps([settings.field, settings.time, sorted(settings.where.items()), counts])


class Track:
    """The samples of one field, back to the longest window that is asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.window = settings.window.total_seconds()
        self.samples, self.bad = Samples(), BadLines()
        self.forgotten = -math.inf  # what was up to then is not kept
        self.newest: float | None = None  # of all lines that tell their time, ours or not: as long as there are new ones, somebody writes

    def take(self, line: dict[str, Any], at: float | str, where: tuple[str, int, int], now: float) -> None:
        """One line, `at` as `time_of` tells it, and where it begins: path, byte, and the number of the line. What is wrong with it is kept."""
        if not isinstance(at, str) and (self.newest is None or at > self.newest):
            self.newest = at
        try:
            value = measured(line, self.settings)
        except ValueError as error:
            self.bad.add(Bad(now if isinstance(at, str) else at, *where, said(error)))
            return
        if value is None:
            return
        if isinstance(at, str):
            self.bad.add(Bad(now, *where, at))
        elif at > now - self.window - SLACK:
            self.samples.add(at, value)

    def forget(self, now: float) -> None:
        """Everything that is out of the window by now."""
        self.forgotten = max(self.forgotten, now - self.window - SLACK)
        self.samples.forget(self.forgotten)
        self.bad.forget(self.forgotten)


def time_of(line: dict[str, Any], pointer: str, now: float) -> float | str:
    """When a line was, in Unix seconds; or why that cannot be told, or not be believed."""
    try:
        at = when(line, pointer)
    except ValueError as error:
        return str(error)
    if at > now + CLOCK_SKEW.total_seconds():
        moment = since_epoch(at).isoformat(timespec="seconds").replace("+00:00", "Z")
        return f"{moment} at {pointer} {NOT_YET}"
    return at
