"""All that a cycle can ask: Prometheus for queries, the HTTP endpoints that signals name, and files that are followed. All at the same time.

Lives here: telling them apart. Must not live here: how any of them is asked (`prometheus`, `probes`, `following`).
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property
from typing import Protocol

from rollback_daemon.signals.observation import Observation
from rollback_daemon.signals.probes import Probes
from rollback_daemon.signals.prometheus import Prometheus
from rollback_daemon.signals.questions import is_endpoint, is_followed, is_query


class Follows(Protocol):
    """Something that follows files; `following.asking.Following` is the one. It waits for no disk longer than `within`."""

    def ask(self, questions: Sequence[str], at: datetime, within: timedelta) -> Mapping[str, Observation]: ...

    def close(self) -> None: ...


class Sources:
    """Answers the questions of a cycle."""

    def __init__(self, prometheus: Prometheus, probes: Probes, files: Follows) -> None:
        self.prometheus, self.probes, self.files = prometheus, probes, files

    def ask(self, questions: Sequence[str], at: datetime, within: timedelta) -> Mapping[str, Observation]:
        """An observation for each question. Queries are evaluated at `at`, where windows of files end, too; endpoints can only be asked now."""
        endpoints = [question for question in questions if is_endpoint(question)]
        followed = [question for question in questions if is_followed(question)]
        queries = [question for question in questions if is_query(question)]
        beside: list[Future[Mapping[str, Observation]]] = []
        if endpoints:
            beside.append(self._beside.submit(self.probes.ask, endpoints, within))
        if followed:
            beside.append(self._beside.submit(self.files.ask, followed, at, within))
        answers = dict(self.prometheus.ask(queries, at, within))
        for one in beside:
            answers |= one.result()
        return answers

    def close(self) -> None:
        """Let go of every connection and every file."""
        self.prometheus.close()
        self.probes.close()
        self.files.close()
        if "_beside" in self.__dict__:
            self._beside.shutdown(wait=False)

    @cached_property
    def _beside(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(8, thread_name_prefix="beside")
