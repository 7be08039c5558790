"""How the answers to one query over a long time are fetched: in pieces that the server takes, again when it was away for a moment.

Lives here: splitting and trying again. Must not live here: what is done with an answer (`track`), what is kept (`cache`), which queries (`walk`).
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, wait_exponential, wait_random

from rollback_daemon.errors import RollbackdError
from rollback_daemon.lab.history.answer import Result, checked
from rollback_daemon.lab.history.track import Grid
from rollback_daemon.signals.observation import Failed, Failure

Piece = tuple[Grid, Result | Failed]
"""A part of a grid, and what the query brought there."""

_BY_ITSELF = re.compile(r"@\s*(start|end)\s*\(\)")  # means the evaluated time in a rule, and the ends of the range in a range query
_TOO_MANY = re.compile(r"exceeded maximum resolution|larger than \d+ bytes|HTTP 413")
_AGAIN = {Failure.UNREACHABLE, Failure.SERVER, Failure.MALFORMED}  # a server that dies in the middle of an answer leaves half of one
_COST_OF_A_TIMEOUT = 32  # splits: each part may take as long again


class HistoryGone(RollbackdError):
    """The server could not be asked any more. What was fetched until then may have been kept."""


class Ranges(Protocol):
    """Something that answers range queries; `signals.prometheus.Prometheus` is the one."""

    def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> Result | Failed: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a server that is away is asked, and how long is waited between (seconds, growing from `first` to at most `longest`)."""

    attempts: int = 5
    first: float = 0.5
    longest: float = 10.0


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Asks `source`. `most_splits` bounds how often one call cuts a part in halves: a query that fails everywhere is not asked for each time.

    `sleep` waits so many seconds between two tries; whoever may have to end early gives one that can be woken.
    """

    source: Ranges
    patience: Patience = Patience()
    most_splits: int = 256
    sleep: Callable[[float], None] = time.sleep

    def fetch(self, query: str, grid: Grid) -> list[Piece]:
        """What the query brings at each time of the grid, in order. Raises HistoryGone when the server stays away."""
        if _BY_ITSELF.search(query):
            return [(part, self._ask(query, part)) for part in grid.parts(1)]
        return list(self._fetch(query, grid, [self.most_splits]))

    def _fetch(self, query: str, grid: Grid, left: list[int]) -> Iterator[Piece]:
        found = self._ask(query, grid)
        if not isinstance(found, Failed) or grid.count == 1 or left[0] <= 0 or not _is_divisible(found):
            yield grid, found
            return
        left[0] -= _COST_OF_A_TIMEOUT if found.reason is Failure.TIMEOUT else 1
        half = grid.count // 2
        yield from self._fetch(query, grid.part(0, half), left)
        yield from self._fetch(query, grid.part(half, grid.count - half), left)

    def _ask(self, query: str, grid: Grid) -> Result | Failed:
        wait = wait_exponential(self.patience.first, self.patience.longest) + wait_random(0, self.patience.first)
        stop = stop_after_attempt(self.patience.attempts)
        asking = Retrying(retry=retry_if_result(_is_away), stop=stop, wait=wait, sleep=self.sleep, retry_error_callback=_give_up)
        return asking(self._ask_once, query, grid)

    def _ask_once(self, query: str, grid: Grid) -> Result | Failed:
        found = self.source.range(query, grid.start, grid.end, grid.step)
        return found if isinstance(found, Failed) else checked(found, grid)


def _is_away(found: Result | Failed) -> bool:
    return isinstance(found, Failed) and (found.reason in _AGAIN or found.why.startswith("HTTP 429"))


def _is_divisible(failed: Failed) -> bool:
    """Whether a shorter part may be answered: there was too much of it, or it fails at some of its times only."""
    if failed.reason is Failure.TIMEOUT or _TOO_MANY.search(failed.why):
        return True
    return failed.reason is Failure.REFUSED and failed.why.startswith("HTTP 422")


def _give_up(state: RetryCallState) -> Result | Failed:
    failed = state.outcome.result() if state.outcome else None
    raise HistoryGone(failed.why if isinstance(failed, Failed) else "no answer")
