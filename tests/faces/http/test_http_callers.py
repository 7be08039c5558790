"""Who may change something: programs on this machine, each under the name that the kernel gives it, and no page of another site."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from starlette.requests import Request

from rollback_daemon.faces.http.caller import NotAllowedError, identify
from rollback_daemon.lab.servers import PrometheusServer
from tests.faces.http.bench import Bench
from tests.faces.http.door import another_address

HOLD = "/api/v1/rollouts/checkout/hold"
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


@pytest.fixture(scope="module")
def open_to_all(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A daemon that listens on every address of the machine."""
    with Bench(tmp_path_factory.mktemp("open"), told.url, host="0.0.0.0") as bench:  # noqa: S104 (that is the point)
        yield bench


@pytest.fixture
def own_address() -> str:
    """An address of this machine that is not the loopback one."""
    return another_address()


def test_from_another_address_one_may_read_and_not_change(open_to_all: Bench, own_address: str) -> None:
    url = f"http://{own_address}:{open_to_all.daemon.port}"
    assert open_to_all.session.get(f"{url}/api/v1/rollouts", timeout=20).status_code == 200
    assert open_to_all.session.get(f"{url}/metrics", timeout=20).status_code == 200
    refusals: list[requests.Response] = []
    for verb in ("promote", "rollback", "hold", "resume"):
        for headers in ({}, {"Host": "127.0.0.1"}, {"X-Forwarded-For": "127.0.0.1"}):
            answer = open_to_all.session.post(f"{url}/api/v1/rollouts/checkout/{verb}", json={"reason": "x"}, headers=headers, timeout=20)
            refusals.append(answer)
    refusals.append(open_to_all.session.post(f"{url}/-/reload", timeout=20))
    assert {answer.status_code for answer in refusals} == {403}
    assert {answer.json()["error"] for answer in refusals} == {"changing is allowed from this machine only (connect to 127.0.0.1); reading is open"}


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-Forwarded-For": "127.0.0.1"}, "came through a proxy"),
        ({"X-Forwarded-For": "203.0.113.7"}, "came through a proxy"),
        ({"Forwarded": "for=127.0.0.1"}, "came through a proxy"),
        ({"X-Real-IP": "127.0.0.1"}, "came through a proxy"),
        ({"Via": "1.1 gateway"}, "came through a proxy"),
        ({"Origin": "https://evil.example.com"}, "page of another site"),
        ({"Origin": "null"}, "page of another site"),
        ({"Origin": "http://127.0.0.1:1"}, "page of another site"),
        ({"Origin": "http://["}, "page of another site"),
        ({"Host": "evil.example.com"}, "page of another site"),
        ({"Host": "127.0.0.1.evil.example.com"}, "page of another site"),
        ({"Host": "evil.example.com", "Origin": "http://evil.example.com"}, "page of another site"),
        ({"Host": "["}, "page of another site"),
        ({"Host": ""}, "page of another site"),
    ],
)
def test_a_request_that_somebody_else_may_have_caused_is_refused(reading: Bench, headers: dict[str, str], words: str) -> None:
    for path in (HOLD, "/-/reload"):
        answer = reading.session.post(reading.daemon.url + path, json={"reason": "x"}, headers=headers, timeout=20)
        assert answer.status_code == 403
        assert words in answer.json()["error"]
    assert reading.rollout()["phase"] == "baseline"


def test_a_page_of_the_daemon_itself_may_ask(bench: Bench) -> None:
    answer = bench.session.post(bench.daemon.url + HOLD, json={"reason": "x"}, headers={"Origin": bench.daemon.url}, timeout=20)
    assert answer.status_code == 200


def test_nobody_is_let_in_by_a_simple_form(reading: Bench) -> None:
    """What a browser sends to another site without asking it first: a form, or text."""
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = reading.session.post(reading.daemon.url + HOLD, data=b'{"reason": "x"}', headers={"Content-Type": kind}, timeout=20)
        assert answer.status_code == 422


@pytest.mark.skipif(os.getuid() != 0, reason="only root can ask in somebody else's name")
def test_another_user_is_named_as_such(bench: Bench) -> None:
    body = '{"reason": "x"}'
    request = f"POST {HOLD} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    script = f'exec 3<>/dev/tcp/127.0.0.1/{bench.daemon.port}; printf \'%s%s\' "$0" "$1" >&3; cat <&3'
    said = subprocess.run(["bash", "-c", script, request, body], user="nobody", capture_output=True, text=True, check=True, timeout=60, cwd="/")
    assert " 200 OK" in said.stdout
    last = bench.history()[-1]
    assert (last["event"], last["by"]) == ("held", "nobody")


def test_the_loopback_address_of_ipv6_is_loopback(told: PrometheusServer, tmp_path: Path) -> None:
    """A socket that listens on `::` sees IPv4 callers in IPv6's clothes."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with Bench(tmp_path, told.url, host="[::]") as bench:
        me = pwd.getpwuid(os.getuid()).pw_name
        for number, url in enumerate((bench.daemon.url, f"http://[::1]:{bench.daemon.port}")):
            verb = ("hold", "resume")[number]
            assert bench.session.post(f"{url}/api/v1/rollouts/checkout/{verb}", json={"reason": "x"}, timeout=20).status_code == 200
            assert bench.history()[-1]["by"] == me


def request(client: str, port: int, server_port: int = 9811) -> Request:
    """A request as the web server sees one."""
    headers = [(b"host", b"localhost:9811")]
    return Request(
        {"type": "http", "method": "POST", "path": "/", "headers": headers, "client": (client, port), "server": ("127.0.0.1", server_port)}
    )


def connections(folder: Path, name: str, *rows: tuple[str, str, str, int]) -> None:
    """A table as the kernel shows it: local, remote, state, uid."""
    lines = [
        f"   {index}: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 {uid:5} 0 1\n"
        for index, (local, remote, state, uid) in enumerate(rows)
    ]
    (folder / "net").mkdir(exist_ok=True)
    (folder / "net" / name).write_text(HEAD + "".join(lines))


ME = "0100007F:C350"  # 127.0.0.1:50000
THERE = "0100007F:2653"  # 127.0.0.1:9811


def test_a_socket_of_the_same_port_elsewhere_is_not_taken_for_the_callers(tmp_path: Path) -> None:
    others = [("026402C0:C350", "0101A8C0:01BB", "01", 12345), ("0200007F:C350", THERE, "01", 12346), (ME, "0100007F:0050", "01", 12347)]
    connections(tmp_path, "tcp", *others, (THERE, ME, "01", 12348), (ME, THERE, "01", 4242421))
    assert identify(request("127.0.0.1", 50000), tmp_path) == "uid 4242421"


def test_an_ipv4_caller_of_an_ipv6_socket_is_found(tmp_path: Path) -> None:
    connections(tmp_path, "tcp", (ME, THERE, "01", 4242421))
    assert identify(request("::ffff:127.0.0.1", 50000), tmp_path) == "uid 4242421"


def test_an_ipv6_caller_is_found(tmp_path: Path) -> None:
    loopback = "00000000000000000000000001000000"
    connections(tmp_path, "tcp6", (f"{loopback}:C350", f"{loopback}:2653", "01", 4242421))
    assert identify(request("::1", 50000), tmp_path) == "uid 4242421"


def test_a_caller_that_the_kernel_does_not_know_is_somebody(tmp_path: Path) -> None:
    connections(tmp_path, "tcp", (ME, THERE, "06", 0))  # no longer established
    assert identify(request("127.0.0.1", 50000), tmp_path) == "somebody on 127.0.0.1"
    assert identify(request("127.0.0.1", 50000), tmp_path / "nothing") == "somebody on 127.0.0.1"


@pytest.mark.parametrize("client", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "testclient", ""])
def test_a_caller_from_elsewhere_is_not_named_at_all(tmp_path: Path, client: str) -> None:
    with pytest.raises(NotAllowedError):
        identify(request(client, 50000), tmp_path)
