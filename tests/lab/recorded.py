"""Recorded history without a server: what each query brings at each time, told by a function. No clock, no I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback_daemon.lab.backtesting import report
from rollback_daemon.lab.backtesting.ledger import Ledger
from rollback_daemon.lab.backtesting.report import Entry
from rollback_daemon.lab.backtesting.run import Progress, Settings, run
from rollback_daemon.lab.history import Grid
from rollback_daemon.lab.history.fetching import Piece
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Failed

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERY = timedelta(seconds=15)

Sample = float | None | Failed | Mapping[str, float]
"""At one time: a value, nothing, a failed query, or a value for each value of the label `s`."""


def at(text: str) -> datetime:
    """A time of that day: `12:30`, `12:30:15`."""
    return datetime.fromisoformat(f"2026-03-01 {text}").replace(tzinfo=UTC)


def between(first: str, last: str, value: Sample, otherwise: Sample = 1.0) -> Callable[[datetime], Sample]:
    """One value from the one time to before the other, and another value elsewhere."""
    return lambda now: value if at(first) <= now < at(last) else otherwise


def _one(_now: datetime) -> Sample:
    return 1.0


@dataclass(slots=True)
class Recorded:
    """Answers from `queries`; a query that is not among them is always 1. `asked` has every fetch."""

    queries: Mapping[str, Callable[[datetime], Sample]]
    asked: list[tuple[str, Grid]] = field(default_factory=list)

    def fetch(self, query: str, grid: Grid) -> list[Piece]:
        """As a server would."""
        self.asked.append((query, grid))
        tell = self.queries.get(query, _one)
        pieces: list[Piece] = []
        series: dict[str, list[tuple[float, str]]] = {}
        for number in range(grid.count):
            now = grid.at(number)
            told = tell(now)
            if isinstance(told, Failed):
                pieces.append((grid.part(number, 1), told))
                continue
            each = told if isinstance(told, Mapping) else {} if told is None else {"": told}
            for label, value in each.items():
                series.setdefault(label, []).append((now.timestamp(), repr(value)))
        return [*pieces, (grid, result(series))]


def result(series: Mapping[str, Sequence[tuple[float, str]]]) -> list[dict[str, Any]]:
    """The result of a range query, one series for each value of the label `s`."""
    return [{"metric": {"__name__": "m", **({"s": label} if label else {})}, "values": values} for label, values in series.items()]


def hours(count: float) -> Grid:
    """So many hours of evaluations."""
    return Grid(START, EVERY, int(count * 240) + 1)


def ledger(rollout: Rollout, grid: Grid, queries: Mapping[str, Callable[[datetime], Sample]], settings: Settings | None = None) -> Ledger:
    """What the rollout comes to over that history."""
    (found,) = run({grid.step: grid}, [rollout], Recorded(queries), settings or Settings(), Progress())
    return found


def backtested(rollout: Rollout, grid: Grid, queries: Mapping[str, Callable[[datetime], Sample]], settings: Settings | None = None) -> Entry:
    """The rollout's part of the document."""
    return report.rollout(ledger(rollout, grid, queries, settings), grid, settings or Settings())


def moves(part: Entry) -> list[tuple[str, str]]:
    """When (`12:30:15`) and what was decided."""
    return [(one["at"][11:19], f"{one['kind']} {one['from']} > {one['to']}" if one["to"] else one["kind"]) for one in part["decisions"]]
