"""One question, one query: a thousand triggers on 250 signals cost one cycle 250 requests, counted before a real Prometheus."""

from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from rollback_daemon.lab.faults import Proxy
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import Bench

SIGNALS, TRIGGERS = 250, 1000
INTERVAL = 5


def rules() -> str:
    """Four triggers on each signal: two of them name it, one is a pasted rule on the same expression, one counts violations of it."""
    signals = [f"  s{number}: {{expr: vector({number})}}" for number in range(SIGNALS)]
    triggers: list[str] = []
    for number in range(SIGNALS):
        triggers += [
            f"  - {{alert: High{number}, signal: s{number}, above: 1000}}",
            f"  - {{alert: Low{number}, signal: s{number}, below: -1, for: 1m}}",
            f"  - {{alert: Pasted{number}, expr: vector({number}) > 2000}}",
            f"  - {{alert: Often{number}, violations: {{signal: s{number}, above: 3000, at_least: 3}}}}",
        ]
    head = f"rollout: checkout\nowner: deployment-lead\ninterval: {INTERVAL}s\nflags: {{store: dotenv, path: flags.env}}\n"
    ladder = 'baseline: {NEW_CHECKOUT: "false", SHARE: "0"}\nstages: [{stage: canary, exposure: 10%, set: {SHARE: "10"}, soak: 1h}]\n'
    return head + ladder + "signals:\n" + "\n".join(signals) + "\ntriggers:\n" + "\n".join(triggers) + "\n"


def test_a_thousand_triggers_on_250_signals_are_250_queries_a_cycle(told: PrometheusServer, tmp_path: Path) -> None:
    with Proxy(told.url) as proxy:
        with Bench(tmp_path, proxy.url, rules=rules()) as bench:
            explained = bench.get("/api/v1/rollouts/checkout/explain").json()
            assert len(explained["triggers"]) == TRIGGERS
            assert {one["health"] for one in explained["triggers"]} == {"ok"}
            wait_until(lambda: len({time for time, _ in asked(proxy)}) >= 3, "a third cycle", 60)
            metrics = bench.get("/metrics").text
        cycles = Counter(time for time, _ in asked(proxy))
        whole = sorted(cycles)[:2]  # the last one may not have been over
        assert [cycles[time] for time in whole] == [SIGNALS, SIGNALS]
        assert all(len({query for time, query in asked(proxy) if time == one}) == SIGNALS for one in whole)
        assert all(float(time) % INTERVAL == 0 for time in cycles)
        assert 'rollback_daemon_queries_total{outcome="timeout"} 0.0' in metrics


def asked(proxy: Proxy) -> list[tuple[str, str]]:
    """The aligned time and the query of every request so far."""
    found = [parse_qs(urlsplit(request.path).query) for request in list(proxy.requests)]
    return [(one["time"][0], one["query"][0]) for one in found]
