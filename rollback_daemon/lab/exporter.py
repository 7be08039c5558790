"""A tiny exporter whose figures are set by hand, for a real Prometheus to scrape.

Lives here: setting values. Its misbehaviour (HTTP 500, hanging, broken bodies) comes from `faults`.
"""

import threading
from collections.abc import Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rollback_daemon.lab.faults import Answer, MisbehavingServer, Request

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
M = TypeVar("M", Gauge, Counter, Histogram)


class MetricsExporter(MisbehavingServer):
    """Serves `/metrics` with exactly what was set: `exporter.set("genesis_error_rate", 0.031)`.

    A metric comes into being when it is first named; its label names are fixed from then on.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Gauge | Counter | Histogram] = {}
        self._lock = threading.Lock()
        super().__init__()

    def set(self, name: str, value: float, **labels: str) -> None:
        """Let the gauge `name` have `value`; NaN and infinities are served as such."""
        self._metric(Gauge, name, labels).set(value)

    def increase(self, name: str, by: float = 1, **labels: str) -> None:
        """Let the counter `name` grow; with `by=0` it is there at 0."""
        self._metric(Counter, name, labels).inc(by)

    def observe(self, name: str, values: Sequence[float], **labels: str) -> None:
        """Put values, in seconds, into the histogram `name` (without `_bucket`); its buckets are LATENCY_BUCKETS."""
        histogram = self._metric(Histogram, name, labels)
        for value in values:
            histogram.observe(value)

    def drop(self, name: str, **labels: str) -> None:
        """Stop serving `name`; with labels only that series of it."""
        with self._lock:
            if labels:
                self._metrics[name].remove(*(labels[each] for each in sorted(labels)))
            else:
                self._registry.unregister(self._metrics.pop(name))

    def answer(self, _request: Request, /) -> Answer:
        return Answer(generate_latest(self._registry), _TEXT_FORMAT)

    def _metric(self, kind: type[M], name: str, labels: dict[str, str]) -> M:
        names = sorted(labels)
        with self._lock:
            metric = self._metrics.get(name)
            if metric is None:
                metric = self._metrics[name] = self._new(kind, name, names)
        if not isinstance(metric, kind):
            raise TypeError(f'"{name}" is already a {type(metric).__name__.lower()}; drop it before it becomes something else')
        return metric.labels(*(labels[each] for each in names)) if names else metric

    def _new(self, kind: type[M], name: str, labels: list[str]) -> Gauge | Counter | Histogram:
        if issubclass(kind, Histogram):
            return Histogram(name, "Set by hand.", labels, registry=self._registry, buckets=LATENCY_BUCKETS)
        return kind(name, "Set by hand.", labels, registry=self._registry)
