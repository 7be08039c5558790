"""The orchestrator of the Victor rollout, as Prometheus and its log of observability show it: many of them, each with metrics and a log of its own.

Lives here: what it serves. Whether that is good or bad is for the rules to say.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.faults import Answer, Request

CALLS = 200  # of tools, of providers and in all, between two scrapes
CHATS = 60
MEGABYTE = 1e6


class Victor:
    """One service that is well until it is told otherwise. Its metrics have the prefix `name` in place of `victor`."""

    def __init__(self, name: str, exporter: "VictorServices", log: Path) -> None:
        self.name, self.log, self._exporter = name, log, exporter
        self.init_ms = 200.0
        self.tool_errors = self.switch_failures = self.errors = 0.0  # shares
        self.latency = 0.2
        for counter in ("coordinator_init_failures_total", "backward_compatibility_issues_total"):
            self.increase(counter, 0)
        self.memory(300)
        self.set("test_coverage_ratio", 0.91)

    def set(self, metric: str, value: float) -> None:
        self._exporter.set(f"{self.name}_{metric}", value)

    def increase(self, metric: str, by: float = 1) -> None:
        self._exporter.increase(f"{self.name}_{metric}", by)

    def memory(self, megabytes: float) -> None:
        self.set("memory_bytes", megabytes * MEGABYTE)

    def notes(self, event: str, **facts: object) -> None:
        """A line in its log of observability."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{json.dumps({'timestamp': datetime.now(UTC).isoformat(), 'event': event, **facts})}\n")

    def works(self) -> None:
        """What happens between two scrapes."""
        for total, failed, share in (
            ("tool_calls_total", "tool_errors_total", self.tool_errors),
            ("provider_switches_total", "provider_switch_failures_total", self.switch_failures),
            ("requests_total", "errors_total", self.errors),
        ):
            self.increase(total, CALLS)
            self.increase(failed, CALLS * share)
        self._exporter.observe(f"{self.name}_chat_latency_seconds", [self.latency] * CHATS)
        self.notes("coordinator_init", duration_ms=self.init_ms)


class VictorServices(MetricsExporter):
    """Several services; every scrape finds more work done by each, and by `others` that are no Victors."""

    def __init__(self, logs: Path) -> None:
        """`logs` is the folder that they write to."""
        self._logs = logs
        self.services: dict[str, Victor] = {}
        self.others: list[Callable[[], None]] = []
        super().__init__()

    def add(self, name: str) -> Victor:
        """One more service, which is well."""
        return self.services.setdefault(name, Victor(name, self, self._logs / f"{name}.jsonl"))

    def answer(self, request: Request, /) -> Answer:
        for service in list(self.services.values()):
            service.works()
        for works in list(self.others):
            works()
        return super().answer(request)
