"""One call of a hook: real commands and a real HTTP server."""

import base64
import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.hooks.delivery import Sent, deliver, secrets_of, signatures
from rollback_daemon.lab.faults import Fault
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.aftercare import Hook
from tests.hooks.receiver import NOON, Receiver, by_shell, over_http
from tests.signals.tcp import ENDLESS, TCPServer

TOLD = {"id": "msg_1", "event": "held", "rollout": "checkout", "sentence": "checkout is held: größer"}


def sent(hook: Hook, stop: threading.Event | None = None) -> Sent:
    return deliver(hook, TOLD, NOON, stop or threading.Event())


def test_a_command_reads_the_event_from_its_standard_input() -> None:
    got = sent(by_shell("cat"))
    assert got.error == ""
    assert json.loads(got.output) == TOLD


def test_a_command_has_the_event_in_its_environment() -> None:
    assert sent(by_shell("echo $ROLLBACKD_EVENT $ROLLBACKD_ROLLOUT $ROLLBACKD_KEY")).output == "held checkout msg_1"


def test_a_command_that_never_reads_holds_nobody_up() -> None:
    assert sent(by_shell("true")).error == ""


def test_a_command_that_fails_says_how() -> None:
    got = sent(by_shell("echo no ticket system; exit 3"))
    assert (got.error, got.output, got.final) == ('"/bin/sh" exited with 3', "no ticket system", False)


def test_a_command_that_hangs_is_killed_at_its_timeout() -> None:
    assert sent(by_shell("sleep 60", timeout=0.2)).error == '"/bin/sh" did not end within 200ms and was killed'


def test_of_a_flood_the_end_is_kept() -> None:
    got = sent(by_shell("yes flood | head -c 3000000; echo the end"))
    assert got.error == ""
    assert got.output.endswith("the end")
    assert len(got.output) <= 1024


def test_a_post_has_the_event_and_the_headers_of_the_specification() -> None:
    with Receiver() as server:
        got = sent(over_http(f"{server.url}/chat"))
        request = server.requests[0]
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert (got.error, got.output) == ("", "taken")
    assert (request.method, request.path) == ("POST", "/chat")
    assert json.loads(request.body) == TOLD
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert headers["content-type"] == "application/json"
    assert "webhook-signature" not in headers


def test_a_post_is_signed_with_the_secret_of_the_file(tmp_path: Path) -> None:
    secret = tmp_path / "hook.key"
    secret.write_text("whsec_" + base64.b64encode(b"0123456789abcdef").decode() + "\n")
    with Receiver() as server:
        assert sent(over_http(server.url, secret_file=str(secret))).error == ""
        request = server.requests[0]
    headers = {name.lower(): value for name, value in request.headers.items()}
    signed = f"msg_1.{int(NOON.timestamp())}.".encode() + request.body
    expected = base64.b64encode(hmac.new(b"0123456789abcdef", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    secrets = secrets_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signatures(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_replaced_both_sign() -> None:
    made = signatures(secrets_of("the new one\nthe old one\n"), "a", 1, b"{}")
    assert made.split() == [*signatures([b"the new one"], "a", 1, b"{}").split(), *signatures([b"the old one"], "a", 1, b"{}").split()]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "cannot be read: no such file or directory"),
        (b"\n", "has no secret"),
        (b"whsec_???", "has a whsec_ secret that is not base64"),
        (b"\xff", "is not UTF-8"),
        (b"x" * (64 * 1024 + 1), "is larger than 64 KiB; a secret is a line"),
    ],
)
def test_without_a_usable_secret_nothing_is_sent(tmp_path: Path, content: bytes | None, error: str) -> None:
    secret = tmp_path / "hook.key"
    if content is not None:
        secret.write_bytes(content)
    with Receiver() as server:
        got = sent(over_http(server.url, secret_file=str(secret)))
        assert server.requests == []
    assert got.error == f'the secret file "{secret}" {error}'


@pytest.mark.parametrize(("status", "final"), [(500, False), (429, False), (404, False), (302, False), (400, True), (410, True), (422, True)])
def test_only_2xx_is_taken_and_some_answers_are_final(status: int, final: bool) -> None:
    with Receiver(status) as server:
        got = sent(over_http(f"{server.url}/in?token=geheim"))
    assert (got.error, got.final) == (f"{server.url} answered {status}", final)


def test_a_server_that_hangs_costs_no_more_than_the_timeout() -> None:
    with Receiver() as server:
        server.fault = Fault.HANG
        started = time.monotonic()
        got = sent(over_http(server.url, timeout=0.3))
        assert time.monotonic() - started < 5
    assert got.error.startswith(f"{server.url}: no ")


def test_a_server_that_drips_costs_no_more_than_the_timeout() -> None:
    with TCPServer(ENDLESS["body"]) as server:
        assert sent(over_http(server.url, timeout=0.3)).error == f"{server.url}: no complete answer in time"


def test_a_call_ends_soon_after_it_is_told_to() -> None:
    stop = threading.Event()
    stop.set()
    with Receiver() as server:
        server.fault = Fault.HANG
        started = time.monotonic()
        assert sent(over_http(server.url, timeout=60), stop).error
        assert sent(by_shell("sleep 60"), stop).error
        assert time.monotonic() - started < 10


def test_nobody_listening_is_an_error_without_secrets_of_the_address() -> None:
    hook = Hook("Chat", frozenset({"held"}), http="http://user:geheim@127.0.0.1:9/in?token=geheim", timeout=timedelta(seconds=2))
    assert sent(hook).error == "http://127.0.0.1:9: connection refused"


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_a_secret_file_that_is_no_file_holds_nobody_up(tmp_path: Path, make: Callable[[Path], None]) -> None:
    secret = tmp_path / "hook.key"
    make(secret)
    got = sent(over_http("http://127.0.0.1:9", secret_file=str(secret)))
    assert (got.error, got.final) == (f'the secret file "{secret}" is no regular file; write the secret into one', False)


KEY = "/services/T0/B0/s3cretKey"


@pytest.mark.parametrize("status", [200, 404, 410])
def test_the_path_of_an_address_is_a_secret_whoever_repeats_it(status: int) -> None:
    with Receiver(status) as server:
        server.reply = f"there is nothing at {KEY}?token=geheim1234, nor at {KEY}".encode()
        got = sent(over_http(f"{server.url}{KEY}?token=geheim1234"))
    assert "s3cretKey" not in got.error + got.output
    assert got.output == "there is nothing at (path), nor at (path)"


def test_the_path_of_an_address_is_a_secret_where_the_answer_is_cut() -> None:
    with Receiver() as server:
        server.reply = b"x" * 1010 + KEY.encode()
        assert "s3cret" not in sent(over_http(f"{server.url}{KEY}")).output


def test_what_a_hook_leaves_in_the_background_is_ended() -> None:
    got = sent(by_shell("sleep 1000 & echo $!"))
    assert got.error == ""
    wait_until(lambda: not Path(f"/proc/{got.output}/stat").exists() or ") Z " in Path(f"/proc/{got.output}/stat").read_text(), "it to be gone")
