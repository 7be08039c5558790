"""The last values of every signal since the daemon's start, for people who look: fed by each evaluation, in memory, and bounded.

Lives here: the rings. Must not live here: drawing (`page.sparkline`), what a value means, anything that is kept (the journal, Prometheus).
"""

import math
import threading
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rollback_daemon.faces.limit_lines import Line, lines
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import look
from rollback_daemon.signals.observation import Value
from rollback_daemon.watch import Watch

POINTS = 240
"""Points of one signal, where there is room for all."""
BUDGET = 2_000_000
"""Points of all signals together: 16 MB."""
_LEAST = 30


@dataclass(slots=True)
class Trail:
    """The points of one signal, oldest first, at the times of its rollout. NaN is where nothing could be seen."""

    line: Line
    values: "array[float]" = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class _Track:
    """What is kept of one rollout. `times` are Unix seconds."""

    rollout: Rollout
    trails: list[Trail]
    times: "array[float]" = field(default_factory=lambda: array("d"))


class Trails:
    """Thread-safe; one call for each evaluation."""

    def __init__(self, points: int = POINTS, budget: int = BUDGET) -> None:
        self._points, self._budget = points, budget
        self._lock = threading.Lock()
        self._tracks: dict[str, _Track] = {}
        self._count = 0

    def evaluated(self, watches: Iterable[Watch]) -> None:
        """Take the values on which the last evaluation of each of these rests; one that was taken already is passed over."""
        with self._lock:
            for watch in watches:
                self._take(watch)

    def keep(self, names: Iterable[str]) -> None:
        """Forget every other rollout."""
        with self._lock:
            self._tracks = {name: self._tracks[name] for name in names if name in self._tracks}
            self._count = sum(len(one.trails) for one in self._tracks.values())

    def of(self, rollout: str) -> tuple[Sequence[float], list[tuple[Line, Sequence[float]]]]:
        """The times, and each signal with its values at them."""
        with self._lock:
            track = self._tracks.get(rollout)
            if track is None:
                return (), []
            most = self._most()
            return track.times[-most:], [(one.line, one.values[-most:]) for one in track.trails]

    def _take(self, watch: Watch) -> None:
        seen = watch.observations
        if seen is None:
            return
        at, observations = seen
        track = self._track(watch.rollout)
        now = at.timestamp()
        if track.times and track.times[-1] >= now:
            return
        self._put(track.times, now)
        for one in track.trails:
            found = look(one.line.signal, observations, at)
            self._put(one.values, one.line.worst(found)[1] if isinstance(found, Value) else math.nan)

    def _track(self, rollout: Rollout) -> _Track:
        """That of the rollout; of a new version of its rules with the values that are the same in both."""
        known = self._tracks.get(rollout.name)
        if known is not None and known.rollout is rollout:
            return known
        fresh = _Track(rollout, [Trail(line) for line in lines(rollout)])
        if known is not None:
            before = {one.line.signal: one.values for one in known.trails}
            fresh.times = known.times
            for one in fresh.trails:
                one.values = before.get(one.line.signal) or array("d", [math.nan]) * len(known.times)
        self._tracks[rollout.name] = fresh
        self._count += len(fresh.trails) - (len(known.trails) if known else 0)
        return fresh

    def _most(self) -> int:
        return max(_LEAST, min(self._points, self._budget // max(1, 2 * self._count)))

    def _put(self, ring: "array[float]", value: float) -> None:
        """The oldest go in one piece, when twice as many are there as are kept."""
        ring.append(value)
        if len(ring) >= 2 * self._most():
            del ring[: -self._most()]
