"""When the groups are evaluated: one APScheduler job for each interval, at multiples of it, and one look at once.

Lives here: the scheduler's life, and noticing that the clock was set back. Must not live here: what an evaluation is (`cycle`).
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from rollback_daemon.clock import Clock, aligned
from rollback_daemon.cycle import Cycle

_SET_BACK = 1.0  # seconds by which the clock must have gone back for the jobs to be laid anew


class Schedule:
    """The running jobs of some cycles. Not thread-safe: its owner starts and stops it under a lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._scheduler: BackgroundScheduler | None = None
        self._cycles: Sequence[Cycle] = ()
        self._began = clock.now()
        self._ahead = self._wall_ahead()

    def start(self, cycles: Sequence[Cycle]) -> None:
        """Run these cycles from now on."""
        self._cycles, self._began, self._ahead = cycles, self._clock.now(), self._wall_ahead()
        scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(max(1, len(cycles)))},
            # The default grace of 1 s would lose the evaluations of a busy moment; a late look is better than none.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for cycle in cycles:
            first = aligned(self._began, cycle.interval) + cycle.interval
            scheduler.add_job(cycle.run, "interval", seconds=cycle.interval.total_seconds(), start_date=first)
            scheduler.add_job(cycle.run)
        scheduler.start()
        self._scheduler = scheduler

    def stop(self) -> None:
        """Let what is being evaluated end, and start nothing more."""
        if self._scheduler is not None:
            self._scheduler.remove_all_jobs()  # first: a scheduler that is stopped while it hands out a job dies with a traceback
            self._scheduler.shutdown(wait=True)
            self._scheduler = None

    def follow_clock(self) -> None:
        """Lay the jobs anew when the clock was set back: APScheduler would wait until it has caught up, and nobody would look meanwhile."""
        ahead = self._wall_ahead()
        if self._scheduler is not None and ahead < self._ahead - _SET_BACK:
            structlog.get_logger().warning("the clock was set back; evaluating at once", seconds=round(self._ahead - ahead, 3))
            self.stop()
            self.start(self._cycles)
        self._ahead = ahead

    def lateness(self, now: datetime) -> timedelta:
        """How long the most overdue group has been without an evaluation, beyond its own interval."""
        return max((now - (cycle.last or self._began) - cycle.interval for cycle in self._cycles), default=timedelta())

    def _wall_ahead(self) -> float:
        return self._clock.now().timestamp() - time.monotonic()
