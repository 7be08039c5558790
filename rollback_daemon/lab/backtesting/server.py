"""Whose history it is: the server that is asked, which version it is, what was asked of it, and what it said to queries that it does not take.

Lives here: everything about the server but the fetching itself (`lab.history`). Must not live here: what is done with the answers.
"""

import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

import requests

from rollback_daemon.errors import ConfigurationError, Problem, RollbackdError
from rollback_daemon.http_client import HTTPClient
from rollback_daemon.lab.history import Fetcher, Grid, Patience
from rollback_daemon.lab.history.fetching import Piece
from rollback_daemon.lab.history.walk import Fetches
from rollback_daemon.signals.observation import Failed, Failure
from rollback_daemon.signals.prometheus import Prometheus

MOST_PARALLEL = 8
_LONGEST = timedelta(minutes=2)  # of one range query: Prometheus' own limit
_AT_ONCE, _GREETING = timedelta(seconds=30), timedelta(seconds=10)
_UNDERSTANDABLE = ("HTTP 400", "HTTP 401", "HTTP 403", "HTTP 404", "HTTP 405", "the server redirects")


class Unreachable(RollbackdError):
    """The server did not answer at all."""


class Server:
    """A Prometheus-compatible API. As a context manager it ends what is under way when it is left, however that happens."""

    def __init__(self, client: HTTPClient, patience: Patience = Patience()) -> None:  # noqa: B008 (it is frozen)
        """`patience`: for how long it may be away."""
        self.url = client.url
        self._patience = patience
        self._client = client
        self._session = client.session()
        self._prometheus = Prometheus(client.url, self._session, _LONGEST)
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._prometheus.close()

    def version(self) -> str:
        """What it says that it is, "" where it does not say. Raises Unreachable, or ConfigurationError for a secret that cannot be read."""
        try:  # reads its secrets, and asks nobody
            self._session.prepare_request(requests.Request("GET", self.url))
        except requests.RequestException as error:
            raise ConfigurationError([Problem("--prometheus", 0, 0, "", str(error))]) from None
        said = self._prometheus.version(_GREETING)
        if not isinstance(said, Failed):
            return said
        if said.reason in {Failure.UNREACHABLE, Failure.TIMEOUT}:
            raise Unreachable(said.why if self.url in said.why else f"{self.url}: {said.why}")
        return ""

    def identity(self, version: str) -> str:
        """What tells its answers from those of another server, tenant or version. Holds no secret."""
        return hashlib.sha256(f"{version} {self._client.model_dump_json()}".encode()).hexdigest()

    def fetcher(self) -> Fetcher:
        """Asks it; a wait between two tries ends when the server is left."""
        return Fetcher(self._prometheus, self._patience, sleep=self._wait)

    def _wait(self, seconds: float) -> None:
        self._ended.wait(seconds)

    def check(self, queries: Iterable[str], at: datetime) -> None:
        """Raise ConfigurationError with every query that it does not understand, or Unreachable. What fails for another reason may not, elsewhere."""
        failed = {query: said for query, said in self._prometheus.ask(queries, at, _AT_ONCE).items() if isinstance(said, Failed)}
        wrong = {query: said.why for query, said in failed.items() if said.why.startswith(_UNDERSTANDABLE)}
        if wrong:
            raise ConfigurationError([Problem("--prometheus", 0, 0, "", f"{self.url} does not take {query}: {why}") for query, why in wrong.items()])
        away = [said.why for said in failed.values() if said.reason is Failure.UNREACHABLE]
        if away:
            raise Unreachable(away[0])


@dataclass(slots=True)
class Asked:
    """What came of one query: samples, evaluations that failed of how many, and the server's words of the first failure."""

    samples: int = 0
    evaluations: int = 0
    failed: int = 0
    why: str = ""


@dataclass(slots=True)
class Tally:
    """Stands before a source, and counts what comes of each query."""

    source: Fetches
    queries: dict[str, Asked] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, query: str, grid: Grid) -> list[Piece]:
        """As the source."""
        found = self.source.fetch(query, grid)
        with self._lock:
            asked = self.queries.setdefault(query, Asked())
            for part, result in found:
                asked.evaluations += part.count
                if isinstance(result, Failed):
                    asked.failed += part.count
                    asked.why = asked.why or result.why
                else:
                    asked.samples += sum(len(one.get("values", ())) + len(one.get("histograms", ())) for one in result)
        return found

    @property
    def empty(self) -> bool:
        """Whether no query brought anything at all."""
        return bool(self.queries) and not any(one.samples for one in self.queries.values())

    @property
    def hopeless(self) -> list[str]:
        """The queries that failed every time."""
        return [query for query, one in self.queries.items() if one.failed and one.failed == one.evaluations]
