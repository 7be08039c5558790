"""What only a server can tell about rule files: whether it understands every query, and how often it scrapes."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import requests

from rollback_daemon import documents
from rollback_daemon.durations import parse_duration
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.questions import is_query

_TIMEOUT = 10


class Server:
    """A Prometheus that is asked while checking. Raises ConfigurationError when it does not answer."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.scrape_interval = self._scrape_interval()

    def check(self, rollouts: Iterable[Rollout]) -> None:
        """Raise ConfigurationError with every query that this server's own parser objects to, though ours did not."""
        found: list[Problem] = []
        for rollout in rollouts:
            queries = (one for one in rollout.questions() if is_query(one))
            for query in dict.fromkeys(queries):
                said = self._get("format_query", query=query)
                if said.get("status") != "success":
                    found.append(Problem(rollout.file, 0, 0, "", f"Prometheus at {self._url} does not understand {query}: {said.get('error')}"))
        if found:
            raise ConfigurationError(found)

    def _scrape_interval(self) -> timedelta | None:
        """The server's default; None from servers that keep their configuration to themselves."""
        text = self._get("status/config").get("data", {}).get("yaml")
        value = documents.parse(text, "prometheus.yml").value if text else None
        interval = value.get("global", {}).get("scrape_interval") if isinstance(value, dict) else None
        return parse_duration(interval) if interval else None

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        try:
            with requests.Session() as session:
                session.trust_env = False  # as the daemon, which asks the same server
                answer: dict[str, Any] = session.get(f"{self._url}/api/v1/{path}", params=query, timeout=_TIMEOUT).json()
        except (requests.RequestException, ValueError) as error:
            raise ConfigurationError(
                [Problem("--prometheus", 0, 0, "", f"{self._url} does not answer as Prometheus does ({type(error).__name__})")]
            ) from error
        return answer
