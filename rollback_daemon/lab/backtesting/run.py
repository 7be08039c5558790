"""The backtest itself: each rollout through its history, evaluation by evaluation, on the daemon's judge.

Lives here: the order of things. Must not live here: decisions (judge), what people do (`people`), what is counted (`ledger`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollback_daemon.lab.backtesting.ledger import Ledger
from rollback_daemon.lab.backtesting.people import People, granted
from rollback_daemon.lab.history import Grid, HistoryGone, Walk
from rollback_daemon.lab.history.walk import Fetches
from rollback_daemon.replay import Replay
from rollback_daemon.rules.model import Rollout

_TOLD_EACH = 256  # evaluations


@dataclass(frozen=True, slots=True)
class Settings:
    """`stage`: where it stands at the begin (None: the highest one); `climb`: at the baseline, and people promote it.

    `resume_after`: how long after a rollback people resume it (None: never). `piece`: evaluations that are fetched at once.
    """

    stage: str | None = None
    climb: bool = False
    resume_after: timedelta | None = timedelta(hours=1)
    parallel: int = 4
    piece: int = 2880
    plotted: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Told how many evaluations are done, and how many queries of how many have been fetched."""

    evaluated: Callable[[int], None] = lambda _: None
    fetched: Callable[[int, int], None] = lambda *_: None


class Interrupted(HistoryGone):
    """The server stayed away; everything until `at` had been judged."""

    def __init__(self, why: str, at: datetime | None) -> None:
        self.at = at
        super().__init__(why)


@dataclass(slots=True)
class _Lane:
    replay: Replay
    people: People
    ledger: Ledger


def run(grids: Mapping[timedelta, Grid], rollouts: Sequence[Rollout], source: Fetches, settings: Settings, progress: Progress) -> list[Ledger]:
    """What each rollout came to, in their order; those with the same interval (a key of `grids`) share their queries. Raises Interrupted."""
    found: dict[int, Ledger] = {}
    for interval, grid in grids.items():
        group = [(number, one) for number, one in enumerate(rollouts) if one.interval == interval]
        ledgers = _together(grid, [one for _, one in group], source, settings, progress)
        found |= {number: ledger for (number, _), ledger in zip(group, ledgers, strict=True)}
    return [found[number] for number in range(len(rollouts))]


def _together(grid: Grid, rollouts: Sequence[Rollout], source: Fetches, settings: Settings, progress: Progress) -> list[Ledger]:
    lanes = [_lane(one, grid, settings) for one in rollouts]
    walk = Walk(rollouts, source, piece=settings.piece, workers=settings.parallel, fetched=progress.fetched)
    at: datetime | None = None
    try:
        for number, (now, observations) in enumerate(walk.through(grid)):
            at = now
            for lane in lanes:
                began = time.thread_time()
                happened = lane.replay.cycle(observations, now)
                lane.ledger.seconds += time.thread_time() - began
                lane.ledger.take(lane.replay, [*happened, *lane.people.act(lane.replay, now)], now)
            if not (number + 1) % _TOLD_EACH:
                progress.evaluated(_TOLD_EACH)
        progress.evaluated(grid.count % _TOLD_EACH)
    except HistoryGone as error:
        raise Interrupted(str(error), at) from None
    for lane in lanes:
        lane.ledger.end(lane.replay)
    return [lane.ledger for lane in lanes]


def _lane(rollout: Rollout, grid: Grid, settings: Settings) -> _Lane:
    judged = granted(rollout)
    top = judged.stages[0] if settings.climb else judged.stages[-1]
    begun = (judged.stage(settings.stage) if settings.stage else None) or top
    people = People(None if settings.climb else begun.name, settings.resume_after)
    return _Lane(Replay(judged, dict(begun.flags)), people, Ledger.of(rollout, begun.name, grid.count, plotted=settings.plotted))
