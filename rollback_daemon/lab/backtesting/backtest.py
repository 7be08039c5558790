"""One backtest from its order to its document: who answers, what was kept, run, compare, score.

Lives here: what belongs together. Must not live here: options (`order`), exit codes and words (the command line).
"""

from datetime import datetime
from pathlib import Path

from rollback_daemon.errors import RollbackdError
from rollback_daemon.lab.backtesting import report
from rollback_daemon.lab.backtesting.compare import compared
from rollback_daemon.lab.backtesting.ledger import Ledger
from rollback_daemon.lab.backtesting.order import Order
from rollback_daemon.lab.backtesting.report import Entry, stamp
from rollback_daemon.lab.backtesting.run import Progress, run
from rollback_daemon.lab.backtesting.scoring import scored
from rollback_daemon.lab.backtesting.server import Server, Tally
from rollback_daemon.lab.history import Kept, Walk, prune
from rollback_daemon.lab.history.walk import Fetches
from rollback_daemon.signals.questions import is_query


class NothingThere(RollbackdError):
    """No query brought anything in the whole time. One sentence for each query."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        super().__init__("\n".join(said))


def backtest(order: Order, server: Server, cache: Path | None, progress: Progress, now: datetime) -> tuple[Entry, list[Ledger]]:
    """The document, and what its plots are made of. `cache`: where answers are kept.

    Raises ConfigurationError for a query that the server does not take, Unreachable, Interrupted, NothingThere.
    """
    version = server.version()
    grids = order.grids
    queries = [query for query in Walk(order.all, server.fetcher()).queries() if is_query(query)]
    server.check(queries, max(grid.end for grid in grids.values()))
    source: Fetches = server.fetcher()
    if cache is not None:
        prune(cache, now)
        source = Kept(source, cache, server.identity(version), now)
    tally = Tally(source)
    ledgers = run(grids, order.all, tally, order.settings, progress)
    if tally.empty or not queries:
        raise NothingThere([f"{query}: {one.why or 'returned nothing'}" for query, one in tally.queries.items()] or ["it asks Prometheus nothing"])
    parts = [report.rollout(one, grids[one.rollout.interval], order.settings) for one in ledgers]
    own = parts[: len(order.rollouts)]
    document: Entry = {
        "format": report.FORMAT,
        "made_at": stamp(now),
        "prometheus": {"url": server.url, "version": version},
        "rollouts": own,
        "queries": report.queries(tally),
        "hopeless": tally.hopeless,
        "compared": compared(own[0], parts[-1]) if order.other else None,
        "other": parts[-1] if order.other else None,
        "scored": [scored(one, order.incidents, order.tolerance) for one in own] if order.incidents else None,
    }
    return document, ledgers
