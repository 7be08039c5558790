"""The service of the SPICE + Pipelex rollout, as Prometheus sees it: its metrics by their names, and how it does.

Lives here: what it serves. Whether that is good or bad is for the rules to say.
"""

from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.faults import Answer, Request

REQUESTS = 20  # between two scrapes


class Genesis(MetricsExporter):
    """A service that is well until it is told otherwise; every scrape finds another `REQUESTS` requests of `latency` seconds."""

    def __init__(self) -> None:
        self.latency, self.failing = 0.06, 0.0
        super().__init__()
        self.be_well()

    def be_well(self) -> None:
        """All figures far from every limit."""
        self.latency = 0.06
        self.passes(0.993)
        self.fails(0.0002)

    def passes(self, share: float) -> None:
        """The share of tests passed in the latest run."""
        self.set("genesis_test_pass_rate", share)

    def fails(self, share: float) -> None:
        """The share of requests that fail."""
        self.failing = share
        self.set("genesis_error_rate", share)

    def serves(self, requests: int, seconds: float) -> None:
        """That many more requests at once, each of them so long."""
        self.observe("genesis_request_duration_seconds", [seconds] * requests)

    def answer(self, request: Request, /) -> Answer:
        self.serves(REQUESTS, self.latency)
        self.increase("spice_tasks_generated_total")
        self.increase("pipelex_workflows_success_total")
        self.increase("pipelex_fallback_triggered_total", by=0)
        return super().answer(request)
