"""The stream of events: what it says, how a reader goes on where he was, and that he costs the guard nothing."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests

from rollback_daemon.faces.http.limits import connection_cap
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import Bench

Event = tuple[str, str, dict[str, Any]]


@contextmanager
def events(bench: Bench, query: str = "", last: str = "") -> Iterator[Iterator[Event]]:
    """Kind, id and facts of each event, as they come."""
    headers = {"last-event-id": last} if last else {}
    with requests.Session() as session:
        session.trust_env = False
        with session.get(f"{bench.daemon.url}/api/v1/events{query}", headers=headers, stream=True, timeout=20) as answer:
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            yield read(answer)


def read(answer: requests.Response) -> Iterator[Event]:
    found: dict[str, str] = {}
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        elif found:
            yield found["event"], found["id"], json.loads(found["data"])
            found = {}


def until(heard: Iterator[Event], kind: str, **facts: Any) -> Event:
    """The first such event, whatever comes before it."""
    return next(one for one in heard if one[0] == kind and facts.items() <= one[2].items())


def test_whatever_happens_is_told_as_it_happens(bench: Bench) -> None:
    with events(bench, "?rollout=checkout") as heard:
        kind, _, facts = next(heard)
        assert (kind, facts["late"], facts["beat"]) == ("hello", 0, 5.0)
        evaluated = until(heard, "evaluated")[2]
        assert (evaluated["interval"], evaluated["rollouts"]) == (0.2, 1)
        bench.to_canary()
        _, number, facts = until(heard, "journal", event="done")
        assert (facts["rollout"], facts["what"].partition(" [")[0]) == ("checkout", "promote baseline -> canary")
        bench.ask_for("hold", reason="<b>look</b>")
        held = until(heard, "journal", event="held")[2]
        assert held["what"].endswith("<b>look</b>")
        bench.post("/-/reload")
        until(heard, "reloaded")
    with events(bench, last=number) as heard:  # where the first one was
        assert next(heard)[0] == "hello"
        assert until(heard, "journal")[2]["event"] in {"trigger", "gate", "ready", "held"}
        until(heard, "journal", event="held")
    with events(bench, last=f"{number.partition('-')[0]}-999999") as heard:
        assert [next(heard)[0], next(heard)[0]] == ["hello", "reset"]
    assert bench.get("/api/v1/events?rollout=nobody").status_code == 404


def test_streams_are_few_and_their_places_are_given_back(bench: Bench) -> None:
    most = max(1, connection_cap() // 5)
    host, port = "127.0.0.1", bench.daemon.port
    request = b"GET /api/v1/events HTTP/1.1\r\nhost: x\r\n\r\n"
    opened = [socket.create_connection((host, port), 10) for _ in range(most)]
    try:
        for one in opened:
            one.sendall(request)
            assert one.recv(15).startswith(b"HTTP/1.1 200")
        refused = bench.get("/api/v1/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert bench.get("/").status_code == 200, "everybody else is answered"
        opened.pop().close()
        wait_until(lambda: _is_taken(bench), "a place to be given back", 10, every=0.1)
        before = bench.rollout()["evaluated_at"]  # those that read nothing keep nobody waiting
        wait_until(lambda: bench.rollout()["evaluated_at"] > before, "an evaluation", 10)
    finally:
        for one in opened:
            one.close()


def _is_taken(bench: Bench) -> bool:
    with closing(requests.get(f"{bench.daemon.url}/api/v1/events", stream=True, timeout=10)) as answer:
        return answer.status_code == 200


def test_open_streams_end_with_the_daemon_and_do_not_keep_it(told: PrometheusServer, tmp_path: Path) -> None:
    with Bench(tmp_path, told.url) as bench, events(bench) as heard:
        next(heard)
        bench.daemon.stop(10)
        assert {kind for kind, _, _ in heard} <= {"journal", "evaluated", "beat", "reloaded"}  # one that is cut off raises


def test_the_document_of_the_api_has_the_stream(reading: Bench) -> None:
    described = reading.get("/api/v1/openapi.json").json()["paths"]["/api/v1/events"]["get"]
    assert "text/event-stream" in described["responses"]["200"]["content"]
    assert "`journal`" in described["responses"]["200"]["description"]
