"""What a server says beside a good answer reaches the person who asks why."""

import json
from pathlib import Path

from rollback_daemon.lab.faults import Answer, Proxy, Request
from rollback_daemon.lab.servers import PrometheusServer
from tests.faces.http.bench import Bench

PARTIAL = "receive series from store-7: deadline exceeded"


class PartialProxy(Proxy):
    """Adds to each good answer what Thanos says when a store did not answer."""

    def answer(self, request: Request, /) -> Answer:
        good = super().answer(request)
        return Answer(json.dumps({**json.loads(good.body), "warnings": [PARTIAL]}).encode(), good.content_type, good.status)


def test_a_partial_answer_is_told_as_such(told: PrometheusServer, tmp_path: Path) -> None:
    with PartialProxy(told.url) as proxy, Bench(tmp_path, proxy.url) as bench:
        explained = bench.get("/api/v1/rollouts/checkout/explain").json()
        ran = bench.rollbackd("explain", "checkout")
    assert {"query": "errors or vector(0)", "warning": PARTIAL} in explained["warnings"]
    assert f"errors or vector(0): {PARTIAL}" in ran.out
