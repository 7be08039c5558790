"""An endpoint is up, or down with a reason, or not known for a reason of our own; never later than the deadline."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from rollback_daemon.lab.faults import Answer, Fault, MisbehavingServer, Request
from rollback_daemon.lab.servers import free_port, wait_until
from rollback_daemon.signals.observation import Failed, Failure, Observation, Value
from rollback_daemon.signals.probes import Probes
from tests.signals.tcp import ENDLESS, Script, TCPServer, drip, http, read_request, silence

PATIENT = timedelta(seconds=20)
SOON = timedelta(seconds=1)
GENEROUS = 8.0  # seconds that a round of SOON may take on a busy machine
UP = Value({(): 1.0})


class Endpoint(MisbehavingServer):
    """Answers with the status at the end of the path."""

    def answer(self, request: Request, /) -> Answer:
        status = request.path.partition("?")[0].rpartition("/")[2]
        return Answer(b"well\n", "text/plain", int(status) if status.isdigit() else 200)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        yield server


@pytest.fixture
def probes() -> Iterator[Probes]:
    with closing(Probes(PATIENT)) as opened:
        yield opened


def down(url: str, why: str) -> Value:
    return Value({(): 0.0}, warnings=(f"{url}: {why}",))


def ask(script: Script, within: timedelta = PATIENT) -> tuple[str, Observation]:
    """The address of a server that plays `script`, and what is seen of it."""
    with TCPServer(script) as server, closing(Probes(PATIENT)) as probes:
        return server.url, probes.ask([server.url], within)[server.url]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_good_answer_is_one(endpoint: Endpoint, probes: Probes, status: int) -> None:
    url = f"{endpoint.url}/{status}"
    assert probes.ask([url], PATIENT) == {url: UP}
    assert [request.method for request in endpoint.requests] == ["GET"]


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_any_other_status_is_zero_and_says_so(endpoint: Endpoint, probes: Probes, status: int) -> None:
    url = f"{endpoint.url}/{status}"
    assert probes.ask([url], PATIENT) == {url: down(url, f"HTTP {status}")}


def test_a_redirect_is_zero_and_is_not_followed(probes: Probes) -> None:
    """A login page would answer well."""
    with Endpoint() as elsewhere:
        moved = http(b"", status="302 Found", extra=f"Location: {elsewhere.url}/200\r\n")
        url, seen = ask(lambda connection, _: connection.sendall(moved))
        assert seen == down(url, "HTTP 302, and redirects are not followed")
        assert elsewhere.requests == []


def test_nobody_listening_is_zero(probes: Probes) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert probes.ask([url], PATIENT) == {url: down(url, "connection refused")}


def test_a_name_that_does_not_exist_is_no_answer_whatever_the_machine_knows_of_names(probes: Probes) -> None:
    """Where the resolver is away, nothing is known; where it says that there is no such host, it is down."""
    host = "nowhere.invalid"  # RFC 2606: nobody can ever have it
    url = f"http://{host}"
    seen = probes.ask([url], PATIENT)[url]
    assert isinstance(seen, Failed) or (isinstance(seen, Value) and seen.series == {(): 0.0})


def test_a_server_that_fails_and_recovers_is_seen_each_time(endpoint: Endpoint, probes: Probes) -> None:
    url = f"{endpoint.url}/health"
    endpoint.fault = Fault.HTTP_500
    assert probes.ask([url], PATIENT) == {url: down(url, "HTTP 500")}
    endpoint.fault = Fault.CUT_OFF
    assert probes.ask([url], PATIENT) == {url: down(url, "the answer was cut off")}
    endpoint.fault = Fault.BROKEN_BODY  # what it says is no concern of ours
    assert probes.ask([url], PATIENT) == {url: UP}
    endpoint.fault = Fault.HANG
    assert probes.ask([url], SOON) == {url: down(url, "no complete answer within 1s")}
    endpoint.fault = Fault.NONE
    assert probes.ask([url], PATIENT) == {url: UP}


def test_one_that_hangs_costs_the_others_nothing(endpoint: Endpoint, probes: Probes) -> None:
    with Endpoint() as hanging:
        hanging.fault = Fault.HANG
        started = time.monotonic()
        seen = probes.ask([hanging.url, f"{endpoint.url}/200", f"{endpoint.url}/404"], SOON)
        took = time.monotonic() - started
        hanging.fault = Fault.NONE
    assert seen == {
        hanging.url: down(hanging.url, "no complete answer within 1s"),
        f"{endpoint.url}/200": UP,
        f"{endpoint.url}/404": down(f"{endpoint.url}/404", "HTTP 404"),
    }
    assert took < GENEROUS


@pytest.mark.parametrize(
    "script",
    [*ENDLESS.values()],
    ids=[*ENDLESS],
)
def test_a_server_that_drips_costs_no_more_than_the_deadline(script: Script) -> None:
    started = time.monotonic()
    url, seen = ask(script, SOON)
    assert seen == down(url, "no complete answer within 1s")
    assert time.monotonic() - started < GENEROUS


def test_the_threads_of_servers_that_dripped_are_free_for_the_next_round() -> None:
    with TCPServer(drip(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x")) as server, Endpoint() as well, closing(Probes(PATIENT)) as probes:
        dripping = [f"{server.url}/{number}" for number in range(32)]
        held_up = probes.ask(dripping, SOON)
        good = [f"{well.url}/{number}/200" for number in range(32)]
        wait_until(lambda: all(seen == UP for seen in probes.ask(good, SOON).values()), "every endpoint to be seen")
        wait_until(lambda: server.ended == server.connections, "the connections to end")
    assert [held_up[url] for url in dripping] == [down(url, "no complete answer within 1s") for url in dripping]


def test_endpoints_whose_turn_never_came_are_unknown_not_down() -> None:
    """We were busy; that says nothing about them."""
    with TCPServer(silence) as server, Endpoint() as well, closing(Probes(PATIENT)) as probes:
        silent = [f"{server.url}/{number}" for number in range(32)]
        seen = probes.ask([*silent, well.url], SOON)
        assert seen[well.url] == Failed(Failure.TIMEOUT, f"{well.url}: not asked; too many other endpoints took all the time")
        assert well.requests == []
    assert {seen[url] == down(url, "no complete answer within 1s") for url in silent} == {True}


def test_a_long_answer_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    def script(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not closing.is_set():
            sent.append(connection.send(b"x" * 65536))

    started = time.monotonic()
    _, seen = ask(script)
    assert seen == UP
    assert time.monotonic() - started < GENEROUS
    assert sum(sent) < 100_000_000


def test_connections_are_used_again() -> None:
    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(http(b"{}"))
        while read_request(connection):
            connection.sendall(http(b"{}"))

    with TCPServer(script) as server, closing(Probes(PATIENT)) as probes:
        assert [probes.ask([server.url], PATIENT)[server.url] for _ in range(5)] == [UP] * 5
        assert server.connections == 1


def test_a_kept_connection_that_is_closed_at_the_wrong_moment_is_no_proof_of_anything() -> None:
    """The server closes it when the second question has arrived; on a connection of its own that is answered."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(http(b"{}"))
        read_request(connection)

    with TCPServer(script) as server, closing(Probes(PATIENT)) as probes:
        assert [probes.ask([server.url], PATIENT)[server.url] for _ in range(3)] == [UP] * 3


def test_a_server_that_always_hangs_up_is_down() -> None:
    url, seen = ask(lambda *_: None)
    assert seen == down(url, "remote end closed connection without response")


def test_what_is_no_http_is_down() -> None:
    url, seen = ask(lambda connection, _: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"))
    assert isinstance(seen, Value)
    assert seen.series == {(): 0.0}
    assert seen.warnings[0].startswith(f"{url}: ")


def test_credentials_are_sent_and_never_shown(endpoint: Endpoint, probes: Probes) -> None:
    url = endpoint.url.replace("http://", "http://guard:hunter2@") + "/500?token=hunter3#hunter4"
    assert probes.ask([url], PATIENT) == {url: down(f"{endpoint.url}/500", "HTTP 500")}
    assert endpoint.requests[0].headers["Authorization"].startswith("Basic ")
    refused = f"http://guard:hunter2@127.0.0.1:{free_port()}/?token=hunter3"
    assert "hunter" not in repr(probes.ask([refused], PATIENT)[refused])


@pytest.mark.parametrize("url", ["ftp://host/", "http://", "http://[::1", "health", "http://host:port/", "http://hunter2@/x", "https://.x/"])
def test_what_is_no_address_is_unknown_and_says_so(probes: Probes, url: str) -> None:
    """Nobody is down for a slip of the pen."""
    seen = probes.ask([url], PATIENT)[url]
    assert isinstance(seen, Failed)
    assert seen.reason is Failure.REFUSED
    assert "is no address that can be asked" in seen.why
    assert "hunter2" not in seen.why


def test_a_certificate_that_is_not_trusted_is_down(guarded: str, probes: Probes) -> None:
    seen = probes.ask([guarded], PATIENT)[guarded]
    assert isinstance(seen, Value)
    assert seen.series == {(): 0.0}
    assert "its certificate is not trusted" in seen.warnings[0]


def test_cookies_are_not_brought_back(probes: Probes) -> None:
    heads: list[bytes] = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        while True:
            connection.sendall(http(b"{}", extra="Set-Cookie: session=stolen; Path=/\r\n"))
            if not (head := read_request(connection)):
                return
            heads.append(head)

    with TCPServer(script) as server:
        for _ in range(3):
            probes.ask([server.url], PATIENT)
        probes.close()
    assert len(heads) == 2
    assert b"cookie" not in b"".join(heads).lower()


def test_no_file_descriptor_left_is_our_own_trouble_and_nobody_elses(endpoint: Endpoint) -> None:
    """In a process of its own, which may open no more files."""
    script = (
        "import resource, sys\nfrom datetime import timedelta\nfrom rollback_daemon.signals.probes import Probes\n"
        "probes = Probes(timedelta(seconds=20))\nprobes.ask(['http://127.0.0.1:1/'], timedelta(seconds=20))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "print(probes.ask([sys.argv[1]], timedelta(seconds=20))[sys.argv[1]])\nprobes.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, endpoint.url], capture_output=True, text=True, timeout=60, check=False)
    assert "Failed(" in done.stdout, done.stderr
    assert "cannot be asked from here: too many open files" in done.stdout


def test_asking_nothing_and_asking_twice(endpoint: Endpoint, probes: Probes) -> None:
    assert probes.ask([], PATIENT) == {}
    assert probes.ask([endpoint.url, endpoint.url], PATIENT) == {endpoint.url: UP}
    assert len(endpoint.requests) == 1


def test_closing_gives_up_what_is_under_way_and_blames_nobody() -> None:
    with TCPServer(silence) as server:
        probes, url = Probes(PATIENT), server.url
        seen: list[object] = []
        asking = threading.Thread(target=lambda: seen.append(probes.ask([url], PATIENT)[url]))
        asking.start()
        wait_until(lambda: server.connections, "the connection")
        started = time.monotonic()
        while asking.is_alive():  # the first time it may not wait for its answer yet
            probes.close()
            asking.join(0.05)
    assert time.monotonic() - started < GENEROUS
    assert seen == [Failed(Failure.UNREACHABLE, f"{url}: given up")]
