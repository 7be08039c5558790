"""The patient of the story `bypass`: a small service with the flags and metrics of the memory rollout, under made-up traffic.

    memory_app.py --flags feature_flags.json --port 8000

`GET /metrics`; `GET /health`, also as /1/health to /5/health: five parts of it, the first of which reads the flag file each time. It is always
well: in this story the service is not what goes wrong. SIGTERM ends it. Must not live here: anything of rollback_daemon; this stands for somebody
else's service.
"""

import argparse
import json
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REQUESTS_PER_SECOND = 200
COST_PER_REQUEST = 0.0002  # dollars
FIGURES = {
    "genesis_test_pass_rate": 0.993,
    "genesis_error_rate": 0.0002,
    "genesis_memory_cache_hit_rate": 0.84,
    "genesis_memory_retrieval_precision": 0.83,
    "genesis_memory_usage_ratio": 0.41,
    "redis_up": 1.0,
}


class Metrics:
    """The metrics by the names that the rollout's rules know."""

    def __init__(self) -> None:
        self.registry = of = CollectorRegistry()
        for name, value in FIGURES.items():
            Gauge(name, "As in production on a good day.", registry=of).set(value)
        self.seconds = Histogram("genesis_request_duration_seconds", "Of requests.", registry=of)
        self.cost = Counter("genesis_cost_usd_total", "Spent on models.", registry=of)
        self.refused = Counter("mongodb_authentication_failures_total", "Logins that the database refused.", registry=of)

    def serve(self, ended: threading.Event) -> None:
        """Traffic, twenty times a second, until `ended`."""
        while not ended.wait(0.05):
            for _ in range(REQUESTS_PER_SECOND // 20):
                self.seconds.observe(0.06)
                self.cost.inc(COST_PER_REQUEST)


def health(flags: Path) -> dict[str, Any]:
    """What the flag file says, as the health document tells it. Raises OSError or ValueError when it cannot be read."""
    document = json.loads(flags.read_text(encoding="utf-8"))
    percentages = [feature["progressive_config"]["initial_percentage"] for feature in document["features"].values()]
    return {"memory_percentage": max(percentages), "agents": len(document["enabled_agents"])}


def handler(metrics: Metrics, flags: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            part = re.fullmatch(r"(?:/([1-5]))?/health", self.path)
            if self.path == "/metrics":
                self._answer(200, generate_latest(metrics.registry), "text/plain; version=0.0.4")
            elif part is None:
                self._answer(404, b"there are /metrics and /health\n", "text/plain")
            elif part[1] in {None, "1"}:
                self._answer(200, json.dumps(health(flags)).encode() + b"\n", "application/json")
            else:
                self._answer(200, b"{}\n", "application/json")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any, **__: Any) -> None:
            """Say nothing of single requests."""

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description="A small service whose flags somebody raises.")
    parser.add_argument("--flags", type=Path, required=True, help="the JSON file to read the flags from")
    parser.add_argument("--port", type=int, default=8000, help="on 127.0.0.1")
    options = parser.parse_args()
    wanted = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)  # before any thread starts: the line below takes them
    metrics, ended = Metrics(), threading.Event()
    health(options.flags)  # a service without its flags does not start
    with ThreadingHTTPServer(("127.0.0.1", options.port), handler(metrics, options.flags)) as server:
        threads = [threading.Thread(target=server.serve_forever), threading.Thread(target=metrics.serve, args=(ended,))]
        for thread in threads:
            thread.start()
        signal.sigwait(wanted)
        ended.set()
        server.shutdown()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
