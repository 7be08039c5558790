"""What kinds of trigger have in common that lay one limit on one signal: `threshold` and `increase`.

Lives here: their words and their reading. Must not live here: how either is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollback_daemon.rules.measures import Condition, Signal
from rollback_daemon.rules.reading import Assessment, Memory, Observations, compare, look
from rollback_daemon.rules.relative import in_promql


@dataclass(frozen=True, slots=True)
class LimitOnSignal:
    """Breached where `condition` holds; where there is no condition, by every series of the answer."""

    signal: Signal
    condition: Condition | None

    @property
    def subject(self) -> str:
        return self.signal.subject

    @property
    def limit(self) -> str:
        return str(self.condition) if self.condition else ""

    @property
    def expr(self) -> str:
        return self.signal.expr

    @property
    def alert_expr(self) -> str:
        expr = in_promql(self.signal)
        return self.condition.in_promql(expr) if expr and self.condition else expr

    def signals(self) -> Iterator[Signal]:
        yield self.signal

    def plotted(self) -> Iterator[tuple[Signal, Condition | None]]:
        yield self.signal, self.condition

    def questions(self) -> Iterator[str]:
        return self.signal.questions()

    def assess(self, observations: Observations, _memory: Memory, now: datetime, _max_gap: timedelta) -> tuple[Assessment, Memory]:
        return compare(look(self.signal, observations, now), self.condition, self.signal.no_data), {}
