"""A walk through the past: the observations of each evaluation, one after the other, fetched ahead in pieces and forgotten behind.

What is in memory at a time are two pieces of each query, however long the history is. Pieces begin at the same times whatever the history's own
ends are, so that what was kept of one walk serves the next. Lives here: which pieces, when, and putting them together.
Must not live here: asking (`fetching`), the judge.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from rollback_daemon.clock import EPOCH
from rollback_daemon.lab.history.fetching import Piece
from rollback_daemon.lab.history.track import Grid, Track
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Observations
from rollback_daemon.signals.observation import Failed, Failure, Observation
from rollback_daemon.signals.questions import is_endpoint, is_query

_TIMES = 60  # a baseline is measured so often in its window, as the daemon does
NO_HISTORY = Failed(Failure.REFUSED, "an HTTP endpoint has no history; only the daemon can ask it")
NOT_FOLLOWED = Failed(Failure.REFUSED, "a file that is followed has no history; only the daemon reads it")


class Fetches(Protocol):
    """Something that brings the answers to a query on a grid: `fetching.Fetcher`, or one that keeps them."""

    def fetch(self, query: str, grid: Grid) -> list[Piece]: ...


@dataclass(frozen=True, slots=True)
class Walk:
    """The history of all that `rollouts` ask, on one grid. `piece`: how many times are fetched at once; `workers`: how many queries at once.

    `fetched` is told after each piece how many queries of how many are there.
    """

    rollouts: Sequence[Rollout]
    source: Fetches
    piece: int = 2880
    workers: int = 8
    fetched: Callable[[int, int], None] = field(default=lambda *_: None)

    def through(self, grid: Grid) -> Iterator[tuple[datetime, Observations]]:
        """Each time of the grid, with the answer to every question at that time. Raises HistoryGone."""
        asked = self._asked(grid)
        total = sum(len(part) for part in asked)
        done = 0
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="history")
        try:
            coming = self._order(pool, asked[0])
            for number, part in enumerate(_pieces(grid, self.piece)):
                tracks = {query: future.result() for query, future in coming.items()}
                done += len(coming)
                self.fetched(done, total)
                coming = self._order(pool, asked[number + 1]) if number + 1 < len(asked) else {}
                yield from self._observations(part, tracks)
        finally:  # nobody waits for what is under way: whoever owns the client closes it
            pool.shutdown(wait=False, cancel_futures=True)

    def queries(self) -> dict[str, timedelta | None]:
        """Every query, with how often it is asked; None: at each time."""
        found: dict[str, timedelta | None] = {}
        for rollout in self.rollouts:
            for signal in rollout.relative_signals():
                every = signal.baseline.window / _TIMES if signal.baseline else None
                found |= dict.fromkeys(signal.baseline_questions() or (), every)
        return found | {query: None for rollout in self.rollouts for query in rollout.questions()}

    def _asked(self, grid: Grid) -> list[dict[str, Grid]]:
        """For each piece the queries, and at which times."""
        queries = {query: every for query, every in self.queries().items() if is_query(query)}
        return [{query: own for query, every in queries.items() if (own := _own(grid, part, every))} for part in _pieces(grid, self.piece)]

    def _order(self, pool: ThreadPoolExecutor, asked: Mapping[str, Grid]) -> dict[str, Future[Track]]:
        def fetch(query: str, grid: Grid) -> Track:
            return _track(grid, self.source.fetch(query, grid))  # an answer takes twenty times the room of its columns

        return {query: pool.submit(fetch, query, grid) for query, grid in asked.items()}

    def _observations(self, part: Grid, tracks: Mapping[str, Track]) -> Iterator[tuple[datetime, Observations]]:
        now_only: dict[str, Observation] = {one: NO_HISTORY if is_endpoint(one) else NOT_FOLLOWED for one in self.queries() if not is_query(one)}
        for index in range(part.count):
            at = part.at(index)
            seen = dict(now_only)
            for query, track in tracks.items():
                own = index if track.grid.step == part.step else _exactly(track.grid, at)
                if own is not None:
                    seen[query] = track.observation(own)
            yield at, seen


def _own(grid: Grid, part: Grid, every: timedelta | None) -> Grid | None:
    """The times of `part` at which something is asked `every` so often, counted from the start of the whole grid; None where there are none."""
    if every is None or every <= grid.step:
        return part
    step = grid.step * -(-every // grid.step)
    skipped = -(-(part.start - grid.start) // step)
    first = grid.start + skipped * step
    return Grid(first, step, (part.end - first) // step + 1) if first <= part.end else None


def _exactly(grid: Grid, at: datetime) -> int | None:
    """Which of the times this one is; None where it is none of them."""
    passed = at - grid.start
    return passed // grid.step if passed >= timedelta() and not passed % grid.step and passed // grid.step < grid.count else None


def _pieces(grid: Grid, most: int) -> Iterator[Grid]:
    """The same times in pieces of at most `most`; but for the first one each begins at a multiple of its own length since the epoch."""
    length = grid.step * most
    first = min(grid.count, (EPOCH - grid.start) % length // grid.step or most)
    yield grid.part(0, first)
    for begin in range(first, grid.count, most):
        yield grid.part(begin, min(most, grid.count - begin))


def _track(grid: Grid, pieces: Sequence[Piece]) -> Track:
    track = Track(grid)
    for part, found in pieces:
        if isinstance(found, Failed):
            track.fail(part, found)
        else:
            track.take(found)
    return track
