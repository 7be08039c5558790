"""Whatever a server does, a question ends as a Failed with a reason, before the deadline of its cycle, and nothing raises."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.http_client import HTTPClient
from rollback_daemon.lab.servers import free_port, wait_until
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from rollback_daemon.signals.prometheus import Prometheus, read
from tests.signals.tcp import ENDLESS, ONE, Script, TCPServer, drip, http, read_request, silence, success

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = timedelta(seconds=1)
PATIENT = timedelta(seconds=20)
GENEROUS = 8.0  # seconds that a cycle of SOON may take on a busy machine


@contextmanager
def asking(url: str, timeout: timedelta = PATIENT) -> Iterator[Prometheus]:
    with closing(Prometheus(url, HTTPClient(url=url).session(), timeout)) as prometheus:
        yield prometheus


def ask(script: Script, timeout: timedelta = PATIENT) -> Observation:
    with TCPServer(script) as server, asking(server.url, timeout) as prometheus:
        return prometheus.ask(["x"], NOW)["x"]


def sends(answer: bytes) -> Script:
    return lambda connection, _: connection.sendall(answer)


def in_good_time(script: Script, *, questions: int = 20) -> None:
    """Twenty questions, more than are asked at once, are all given up at the deadline."""
    with TCPServer(script) as server, asking(server.url, SOON) as prometheus:
        started = time.monotonic()
        answers = prometheus.ask([f"x{number}" for number in range(questions)], NOW)
        took = time.monotonic() - started
    assert {type(answer) for answer in answers.values()} == {Failed}
    assert {answer.reason for answer in answers.values() if isinstance(answer, Failed)} == {Failure.TIMEOUT}
    assert all("within 1s" in answer.why for answer in answers.values() if isinstance(answer, Failed))
    assert took < GENEROUS


@pytest.mark.parametrize("script", [*ENDLESS.values()], ids=[*ENDLESS])
def test_an_answer_that_never_ends_costs_no_more_than_the_deadline(script: Script) -> None:
    in_good_time(script)


def test_a_body_that_stops_in_the_middle_costs_no_more_than_the_deadline() -> None:
    def script(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(http(b'{"st', length=1000))
        closing.wait()

    in_good_time(script)


def test_after_threads_were_held_up_the_next_questions_are_answered() -> None:
    """The connection stays open and goes on dripping its head; the threads that waited for it are free nevertheless."""
    dripping = threading.Event()

    def script(connection: socket.socket, closing: threading.Event) -> None:
        if dripping.is_set():
            connection.sendall(http(success(ONE)))
            return
        drip(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x")(connection, closing)

    with TCPServer(script) as server, asking(server.url, SOON) as prometheus:
        held_up = prometheus.ask([f"x{number}" for number in range(20)], NOW)
        dripping.set()
        answers = [prometheus.ask(["x"], NOW)["x"] for _ in range(10)]
    assert {type(answer) for answer in held_up.values()} == {Failed}
    assert Value({(): 1.0}) in answers


def test_each_question_is_counted_once_also_when_it_was_given_up() -> None:
    outcomes: list[str] = []
    with TCPServer(silence) as server:
        session = HTTPClient(url=server.url).session()
        with closing(Prometheus(server.url, session, SOON, lambda outcome, _: outcomes.append(outcome))) as prometheus:
            prometheus.ask([f"x{number}" for number in range(20)], NOW)
    assert outcomes == ["timeout"] * 20


def test_nobody_listening_is_unreachable() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with asking(url) as prometheus:
        assert prometheus.ask(["x"], NOW) == {"x": Failed(Failure.UNREACHABLE, f"no answer from {url}: Connection refused")}


def test_a_host_that_does_not_exist_is_unreachable() -> None:
    with asking("http://nowhere.invalid:9090") as prometheus:
        answer = prometheus.ask(["x"], NOW)["x"]
    assert isinstance(answer, Failed)
    assert answer.reason is Failure.UNREACHABLE


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", Failure.UNREACHABLE),
        (b"HTTP/1.1 200 OK\r\nContent-Le", Failure.MALFORMED),
        (http(success(ONE)[:20], length=len(success(ONE))), Failure.UNREACHABLE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + success(ONE)[:20] + b"\r\n", Failure.UNREACHABLE),
    ],
    ids=["nothing", "in its head", "in its body", "between chunks"],
)
def test_an_answer_that_is_cut_off_is_no_answer(answer: bytes, reason: Failure) -> None:
    seen = ask(sends(answer))
    assert isinstance(seen, Failed)
    assert seen.reason is reason
    assert "0x" not in seen.why


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Please log in</html>",
        b'{"status": "succ\x00\xff',
        success(ONE)[:-5],
        b"null",
        b"[]",
        b"7",
        b'{"status":"success"}',
        b'{"status":"success","data":null}',
        b'{"status":"success","data":{"resultType":"vector","result":null}}',
        b'{"status":"success","data":{"resultType":"vector","result":{"a":1}}}',
        b'{"status":"success","data":{"resultType":"vector","result":[null]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":null,"value":[0,"1"]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":[],"value":[0,"1"]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,null]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,"many"]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"values":[[0,"1"]]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}',
        b"[" * 200_000,
    ],
)
def test_an_answer_that_is_not_what_the_api_promises_is_malformed(body: bytes) -> None:
    seen = ask(sends(http(body)))
    assert isinstance(seen, Failed)
    assert seen.reason is Failure.MALFORMED


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["metric", "value", "values", "histogram"]), inner, max_size=3),
    )
)
def test_whatever_stands_in_the_result_is_read_or_refused(result: Any) -> None:
    """Only the errors that `Prometheus` turns into a Failed may come out of reading."""
    try:
        seen = read(json.loads(json.dumps(result)))
    except (LookupError, TypeError, ValueError, AttributeError):
        return
    assert isinstance(seen, (Value, NoData))


def test_warnings_that_are_no_list_do_not_raise() -> None:
    seen = ask(sends(http(success(ONE, warnings=7))))
    assert isinstance(seen, Failed)
    assert seen.reason is Failure.MALFORMED


def test_an_answer_without_end_is_given_up_by_its_size() -> None:
    def script(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not closing.is_set():
            connection.sendall(b" " * 1_000_000)

    seen = ask(script, timedelta(minutes=2))
    assert isinstance(seen, Failed)
    assert seen.reason is Failure.MALFORMED
    assert "larger than" in seen.why


def test_a_small_answer_that_unpacks_to_a_huge_one_is_given_up_by_its_size() -> None:
    packed = gzip.compress(b" " * 80_000_000)
    seen = ask(sends(http(packed, extra="Content-Encoding: gzip\r\n")), timedelta(minutes=2))
    assert isinstance(seen, Failed)
    assert seen.reason is Failure.MALFORMED
    assert "larger than" in seen.why


def test_a_compressed_answer_is_read_though_nobody_asked_for_it() -> None:
    assert ask(sends(http(gzip.compress(success(ONE)), extra="Content-Encoding: gzip\r\n"))) == Value({(): 1.0})


def test_what_only_says_that_it_is_compressed_is_malformed() -> None:
    seen = ask(sends(http(success(ONE), extra="Content-Encoding: gzip\r\n")))
    assert isinstance(seen, Failed)
    assert seen.reason is Failure.MALFORMED


def test_a_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    """It said keep-alive, answered, and hung up: the next question goes over a new connection and is no failure."""
    with TCPServer(sends(http(success(ONE)))) as server, asking(server.url) as prometheus:
        for _ in range(10):
            assert prometheus.ask(["x"], NOW)["x"] == Value({(): 1.0})
            wait_until(lambda: server.ended == server.connections, "the server to hang up")
        assert server.connections == 10


def test_a_connection_that_stays_open_is_used_again() -> None:
    def script(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(http(success(ONE)))
        while not closing.is_set() and read_request(connection):
            connection.sendall(http(success(ONE)))

    with TCPServer(script) as server:
        with asking(server.url) as prometheus:
            assert [prometheus.ask(["x"], NOW)["x"] for _ in range(20)] == [Value({(): 1.0})] * 20
        assert server.connections == 1


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
def test_an_answer_that_leads_elsewhere_is_not_followed(status: str) -> None:
    """Headers with tenants and tokens are meant for one server; a login page is no answer."""
    with TCPServer(sends(http(success(ONE)))) as elsewhere:
        seen = ask(sends(http(b"", status=status, extra=f"Location: {elsewhere.url}/api/v1/query\r\n")))
        assert elsewhere.connections == 0
    assert isinstance(seen, Failed)
    assert seen.reason is Failure.REFUSED
    assert "redirect" in seen.why


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        ("400 Bad Request", {"status": "error", "errorType": "bad_data", "error": "parse error"}, Failure.REFUSED),
        ("401 Unauthorized", None, Failure.REFUSED),
        ("403 Forbidden", None, Failure.REFUSED),
        ("404 Not Found", None, Failure.REFUSED),
        ("422 Unprocessable Entity", {"status": "error", "errorType": "execution", "error": "many-to-many"}, Failure.REFUSED),
        ("429 Too Many Requests", None, Failure.REFUSED),
        ("500 Internal Server Error", {"status": "error", "errorType": "internal", "error": "disk"}, Failure.SERVER),
        ("500 Internal Server Error", None, Failure.SERVER),
        ("502 Bad Gateway", None, Failure.UNREACHABLE),
        ("503 Service Unavailable", {"status": "error", "errorType": "timeout", "error": "query timed out"}, Failure.TIMEOUT),
        ("503 Service Unavailable", None, Failure.UNREACHABLE),
        ("504 Gateway Timeout", None, Failure.UNREACHABLE),
    ],
)
def test_a_no_says_who_said_it(status: str, body: dict[str, str] | None, reason: Failure) -> None:
    seen = ask(sends(http(json.dumps(body).encode() if body else b"<html>no</html>", status=status)))
    words = f"{body['errorType']}: {body['error']}" if body else "no reason given"
    assert seen == Failed(reason, f"HTTP {status[:3]}: {words}")


def test_a_no_of_a_megabyte_is_told_in_a_line() -> None:
    said = json.dumps({"status": "error", "errorType": "bad_data", "error": "line one\n" + "x" * 1_000_000}).encode()
    seen = ask(sends(http(said, status="400 Bad Request")))
    assert isinstance(seen, Failed)
    assert len(seen.why) < 1000
    assert "\n" not in seen.why


def test_warnings_and_infos_are_kept() -> None:
    warned = ask(sends(http(success(ONE, warnings=["partial response"], infos=["metric might not be a counter"]))))
    nothing = ask(sends(http(success([], warnings=["store gone"]))))
    assert warned == Value({(): 1.0}, warnings=("partial response", "metric might not be a counter"))
    assert nothing == NoData("the query returned nothing", ("store gone",))
