"""One evaluation of one interval group: ask everything once, judge every rollout, remember, tell.

Lives here: the order of these steps. Must not live here: any decision, any answer's meaning, any wiring.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from rollback_daemon.clock import Clock, aligned
from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.journal import Journal
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Failed, Observation
from rollback_daemon.signals.questions import distinct
from rollback_daemon.watch import Watch

PATIENCE = timedelta(seconds=2)  # a cycle must not outlast its interval, but a server may take this long in any case


class Asks(Protocol):
    """Something that answers questions; `signals.sources.Sources` is the one."""

    def ask(self, queries: Sequence[str], at: datetime, within: timedelta) -> Mapping[str, Observation]: ...


class CycleWitness(Protocol):
    """Who is told how a cycle went, for metrics."""

    def cycle(self, interval: timedelta, lag: float, seconds: float, missed: int) -> None: ...

    def failed(self, rollout: Rollout) -> None: ...


@dataclass(slots=True)
class Cycle:
    """The rollouts that share an interval. `after` is told when they have all been judged."""

    interval: timedelta
    watches: Sequence[Watch]
    sources: Asks
    journal: Journal
    clock: Clock
    witness: CycleWitness
    after: Callable[[Sequence[Watch], timedelta], None]
    last: datetime | None = None
    _dark: bool = False
    _kept: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Evaluate once, at the last multiple of the interval; the time that was evaluated last is passed over."""
        woken = self.clock.now()
        now = aligned(woken, self.interval)
        if now == self.last:
            return
        missed = max(0, (now - self.last) // self.interval - 1) if self.last else 0
        if self.last is not None and now < self.last:  # Prometheus' clock has most likely gone back, too: waiting would be blindness
            structlog.get_logger().warning("the clock went back; going on from there", at=now.isoformat(), was=self.last.isoformat())
        self.last = now
        started = time.monotonic()
        observations = self.sources.ask(distinct(watch.questions(now) for watch in self.watches), now, max(self.interval, PATIENCE))
        self._tell_sight(observations)
        outcomes = {watch.rollout.name: self._judge(watch, observations, now) for watch in self.watches}
        self._guarded("memory could not be kept; a restart now would lose pending time", lambda: self._remember(now))
        self._guarded("the Alertmanagers could not be told", lambda: self.after(self.watches, self.interval))
        seconds = time.monotonic() - started
        self.witness.cycle(self.interval, (woken - now).total_seconds(), seconds, missed)
        structlog.get_logger().debug("cycle", at=now.isoformat(), queries=len(observations), seconds=round(seconds, 4), missed=missed, **outcomes)

    def _guarded(self, what: str, step: Callable[[], None]) -> None:
        """A step that fails must not keep the next from being taken."""
        try:
            step()
        except JournalUnavailable as error:
            structlog.get_logger().error(what, error=str(error))
        except Exception:  # noqa: BLE001 (a defect in one step must not keep the next from being taken; it is logged with its place)
            structlog.get_logger().exception(what)

    def _tell_sight(self, observations: Mapping[str, Observation]) -> None:
        """A word in the log when no query is answered any more, and when they are again; between the two the metrics count."""
        failed = [one for one in observations.values() if isinstance(one, Failed)]
        dark = bool(failed) and len(failed) == len(observations)
        if dark and not self._dark:
            structlog.get_logger().warning("no query is answered", why=failed[0].why, queries=len(failed))
        elif self._dark and not dark:
            structlog.get_logger().info("queries are answered again", queries=len(observations))
        self._dark = dark

    def _judge(self, watch: Watch, observations: Mapping[str, Observation], now: datetime) -> str:
        """One rollout that cannot be judged must not keep the others from being judged."""
        try:
            return watch.evaluate(observations, now)
        except Exception:  # noqa: BLE001 (a defect in one rollout's path must not blind the guard of the others; it is logged and counted)
            self.witness.failed(watch.rollout)
            structlog.get_logger().exception("a rollout could not be judged; the others are", rollout=watch.rollout.name)
            return "error"

    def _remember(self, now: datetime) -> None:
        texts = {watch.rollout.name: watch.remembered() for watch in self.watches}
        changed = {name: text for name, text in texts.items() if self._kept.get(name) != text}
        self.journal.save_memory(changed, now)
        self._kept |= changed
