"""The service of the memory rollout, as Prometheus and the guard see it: its metrics by their names, its five health endpoints, its flag file.

Lives here: what it serves, and what stands in the file. Whether that is good or bad is for the rules to say.
"""

import json
from pathlib import Path
from typing import Any

from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.faults import Answer, MisbehavingServer, Request

REQUESTS = 40  # between two scrapes
COST = 0.2  # dollars between two scrapes
FEATURES = ("memory_store", "memory_retrieval", "memory_routing", "memory_compression", "memory_sharing", "memory_analytics")
AGENTS = {
    0: [],
    10: ["analyst", "content", "marketing", "seo", "support"],
    25: ["analyst", "builder", "content", "deploy", "designer", "email", "legal", "marketing", "onboarding", "qa", "seo", "spec", "support"],
}


def document(percentage: int, *, agents: int | None = None, redis: bool = True) -> dict[str, Any]:
    """The flag file as a value: six flags at `percentage`, and the agents of that stage or of another one."""
    config = {"initial_percentage": percentage, "end_percentage": 100, "start_date": "2025-11-04", "end_date": "2025-11-11"}
    return {
        "version": "2.4.1",
        "features": {name: {"enabled": True, "progressive_config": dict(config)} for name in FEATURES},
        "enabled_agents": AGENTS[percentage if agents is None else agents],
        "memory_backend": {"use_redis": redis, "fallback": "mongo"},
        "note": "raised by hand only after the checkpoint",
    }


def text(percentage: int, *, agents: int | None = None, redis: bool = True) -> str:
    """The flag file as people and scripts write it."""
    return json.dumps(document(percentage, agents=agents, redis=redis), indent=2) + "\n"


class MemoryService(MetricsExporter):
    """A service that is well until it is told otherwise; every scrape finds another `REQUESTS` requests of `latency` seconds, and `cost` spent."""

    def __init__(self) -> None:
        self.latency, self.cost = 0.06, COST
        super().__init__()
        self.be_well()

    def be_well(self) -> None:
        """All figures far from every limit."""
        self.latency, self.cost = 0.06, COST
        self.set("genesis_test_pass_rate", 0.993)
        self.set("genesis_error_rate", 0.0002)
        self.set("genesis_memory_cache_hit_rate", 0.84)
        self.set("genesis_memory_retrieval_precision", 0.83)
        self.set("genesis_memory_usage_ratio", 0.4)
        self.set("redis_up", 1)

    def answer(self, request: Request, /) -> Answer:
        self.observe("genesis_request_duration_seconds", [self.latency] * REQUESTS)
        self.increase("genesis_cost_usd_total", by=self.cost)
        self.increase("mongodb_authentication_failures_total", by=0)
        return super().answer(request)


class HealthEndpoints(MisbehavingServer):
    """Five health endpoints in one server; the first tells the percentage that stands in the flag file.

    Those in `down` answer 503. With `stuck` the first goes on telling that percentage, as an application does that did not take its flags up.
    """

    def __init__(self, flags: Path) -> None:
        self.flags, self.down = flags, set[int]()
        self.stuck: int | None = None
        super().__init__()

    def at(self, number: int) -> str:
        """The address of the endpoint `number`, from 1 to 5."""
        return f"{self.url}/{number}/health"

    def answer(self, request: Request, /) -> Answer:
        number = int(request.path.split("/")[1])
        if number in self.down:
            return Answer(b'{"status": "down"}', "application/json", 503)
        said: dict[str, Any] = {"status": "ok"}
        if number == 1:
            features = json.loads(self.flags.read_text(encoding="utf-8"))["features"]
            percentage = max(one["progressive_config"]["initial_percentage"] for one in features.values())
            said["memory_percentage"] = percentage if self.stuck is None else self.stuck
        return Answer(json.dumps(said).encode(), "application/json")
