"""All that a cycle can ask: Prometheus for queries, and the HTTP endpoints that signals name. Both at the same time.

Lives here: telling one from the other. Must not live here: how either is asked (`prometheus`, `probes`).
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property

from rollback_daemon.signals.observation import Observation
from rollback_daemon.signals.probes import Probes
from rollback_daemon.signals.prometheus import Prometheus
from rollback_daemon.signals.questions import is_endpoint


class Sources:
    """Answers the questions of a cycle."""

    def __init__(self, prometheus: Prometheus, probes: Probes) -> None:
        self.prometheus, self.probes = prometheus, probes

    def ask(self, questions: Sequence[str], at: datetime, within: timedelta) -> Mapping[str, Observation]:
        """An observation for each question. Queries are evaluated at `at`; endpoints can only be asked now."""
        endpoints = [question for question in questions if is_endpoint(question)]
        queries = [question for question in questions if not is_endpoint(question)]
        if not endpoints:
            return self.prometheus.ask(queries, at, within)
        probing = self._beside.submit(self.probes.ask, endpoints, within)
        return {**self.prometheus.ask(queries, at, within), **probing.result()}

    def close(self) -> None:
        """Let go of every connection."""
        self.prometheus.close()
        self.probes.close()
        if "_beside" in self.__dict__:
            self._beside.shutdown(wait=False)

    @cached_property
    def _beside(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(4, thread_name_prefix="probing")
