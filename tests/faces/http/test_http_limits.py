"""What a caller may cost: no body, no half of a request and no number of connections stands between a rollback and its flags."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollback_daemon.faces.http.limits import BODY_BYTES
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import Bench

HOLD = "/api/v1/rollouts/checkout/hold"
HALF = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Half: "


class Tight(Bench):
    """A daemon with few descriptors."""

    def command(self, port: int) -> list[str | Path]:
        return ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh", *super().command(port)]


def connected(bench: Bench) -> socket.socket:
    """A connection of the test's own."""
    return socket.create_connection(("127.0.0.1", bench.daemon.port), timeout=30)


def ended(connection: socket.socket) -> bool:
    """Read until the daemon closes; False if it does not."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.parametrize("size", [BODY_BYTES + 1, 5_000_000])
def test_a_body_that_is_too_long_is_refused(reading: Bench, size: int) -> None:
    answer = reading.session.post(reading.daemon.url + HOLD, data=b"x" * size, headers={"Content-Type": "application/json"}, timeout=20)
    assert answer.status_code == 413
    assert answer.json() == {"error": "a request's body may have 65536 bytes at most", "reasons": [], "unknown": False}


def test_an_announced_body_is_refused_before_it_comes(reading: Bench) -> None:
    with connected(reading) as connection:
        connection.sendall(b"POST " + HOLD.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_streamed_body_is_cut_off(reading: Bench) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(80):
            yield b"x" * 65536

    assert reading.session.post(reading.daemon.url + HOLD, data=pieces(), timeout=20).status_code == 413


def test_a_body_of_the_greatest_length_is_read(reading: Bench) -> None:
    body = json.dumps({"reason": "x"}).encode()
    for data in (body.ljust(BODY_BYTES), iter([body, b" " * (BODY_BYTES - len(body))])):
        answer = reading.session.post(
            reading.daemon.url + HOLD, data=data, headers={"Origin": "null", "Content-Type": "application/json"}, timeout=20
        )
        assert answer.status_code == 403  # read, understood, and refused for what it is


def test_who_does_not_finish_a_request_is_not_waited_for(reading: Bench) -> None:
    with connected(reading) as silent, connected(reading) as half, connected(reading) as body:
        started = time.monotonic()
        half.sendall(HALF)
        body.sendall(b"POST " + HOLD.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert ended(silent)
        assert ended(half)
        assert 8 < time.monotonic() - started < 20
        assert body.recv(100).startswith(b"HTTP/1.1 408 ")


def test_more_bytes_of_a_header_do_not_buy_more_time(reading: Bench) -> None:
    with connected(reading) as connection:
        connection.sendall(HALF)

        def another_byte() -> bool:
            try:
                connection.sendall(b"x")
            except OSError:
                return True
            return False

        wait_until(another_byte, "the connection to be closed", 20, every=0.5)


def test_a_header_that_is_too_long_is_refused(reading: Bench) -> None:
    with connected(reading) as connection:
        connection.sendall(HALF + b"x" * 40_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_two_hundred_idle_callers_do_not_stop_a_rollback(told: PrometheusServer, tmp_path: Path) -> None:
    with Tight(tmp_path, told.url) as bench, contextlib.ExitStack() as callers:
        bench.set_error_rate(0)
        bench.to_canary()
        for _ in range(200):
            with contextlib.suppress(OSError):  # refused at once
                callers.enter_context(connected(bench)).sendall(HALF)
        bench.set_error_rate(0.02)
        wait_until(lambda: "NEW_CHECKOUT=false" in bench.flags.read_text(), "the flags to be set back", 8)
        callers.close()
        assert bench.wait_for(phase="rolled_back")["stage"] == "baseline"
        assert not [line for line in bench.log() if line["level"] == "error"]
