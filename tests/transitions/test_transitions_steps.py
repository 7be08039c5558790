"""Steps that must succeed, against real servers and real commands: what is demanded, what is said, and when it is over."""

import json
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.lab.faults import Answer, Fault, MisbehavingServer, Request
from rollback_daemon.lab.servers import Server, free_port, wait_until
from rollback_daemon.rules.aftercare import LogScan
from rollback_daemon.rules.duties import Command, HttpCheck
from rollback_daemon.transitions.hooks import Ran
from rollback_daemon.transitions.log_scan import mark
from rollback_daemon.transitions.steps import describe, run_step
from tests.signals.tcp import ENDLESS, Script, TCPServer, http, silence

SHORT, LONG = timedelta(seconds=1), timedelta(seconds=60)
T = TypeVar("T")
GENEROUS = 10.0  # seconds that a step of SHORT may take on a busy machine
HEALTH = {"status": "ok", "spice_enabled": False, "count": 3, "ratio": 1.0, "none": None, "agents": ["a", "b"], "deep": [{"a/b": {"m~n": "x"}}]}


class App(MisbehavingServer):
    """Answers in turn what it was given; the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = deque(answers)
        super().__init__()

    def answer(self, _request: Request, /) -> Answer:
        return self._answers.popleft() if len(self._answers) > 1 else self._answers[0]


def page(document: Any = HEALTH, status: int = 200) -> Answer:
    return Answer(json.dumps(document).encode(), "application/json", status)


@pytest.fixture(scope="module")
def healthy() -> Iterator[str]:
    """The address of an application whose health is HEALTH."""
    with App(page()) as app:
        yield f"{app.url}/health"


@contextmanager
def playing(script: Script) -> Iterator[str]:
    with TCPServer(script) as server:
        yield f"{server.url}/health"


def check(url: str, expect: Mapping[str, FlagValue] | None = None, timeout: timedelta = SHORT, stop: threading.Event | None = None) -> Ran:
    return run_step(HttpCheck(url, expect or {}, timeout), {}, stop or threading.Event())


def all_at_once(run: Callable[[T], str], cases: Sequence[T]) -> list[str]:
    """What fails is tried again until its deadline: waiting for many together takes no longer than waiting for one."""
    with ThreadPoolExecutor(len(cases)) as pool:
        return list(pool.map(run, cases))


# commands


def test_a_command_is_run_with_its_environment() -> None:
    ran = run_step(Command(("/bin/sh", "-c", "echo $KIND; exit 3")), {"KIND": "rehearsal"}, threading.Event())
    assert (ran.error, ran.output) == ('"/bin/sh" exited with 3', "rehearsal")


def test_a_command_that_fails_is_not_run_again(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run_step(Command(("/bin/sh", "-c", 'echo once >> "$0"; exit 1', str(runs)), LONG), {}, threading.Event())
    assert runs.read_text() == "once\n"


def test_a_command_gets_what_the_rule_file_adds() -> None:
    ran = run_step(Command(("/bin/sh", "-c", "echo $KIND $MODE"), LONG, {"MODE": "hot", "KIND": "x"}), {"KIND": "rehearsal"}, threading.Event())
    assert ran.output == "rehearsal hot"  # a value of four characters or more would be hidden


# logs


def scanned(log: Path, *, new: str, stop: threading.Event | None = None) -> Ran:
    log.write_text("ERROR in SPICE, before\n")
    marks = {str(log): mark(str(log))}
    with log.open("a") as file:
        file.write(new)
    return run_step(LogScan(str(log), "ERROR.*SPICE"), {}, stop or threading.Event(), marks)


def test_a_log_passes_without_the_pattern(tmp_path: Path) -> None:
    ran = scanned(tmp_path / "app.log", new="all is well\n")
    assert (ran.error, ran.output, ran.unknown) == ("", "12 bytes in 1 file since the transition", False)
    assert ran.seconds > 0
    assert scanned(tmp_path / "still.log", new="").output == "nothing was written to it since the transition"
    assert scanned(tmp_path / "one.log", new="\n").output == "1 byte in 1 file since the transition"


def test_a_log_fails_with_the_line_in_which_the_pattern_appears(tmp_path: Path) -> None:
    ran = scanned(tmp_path / "app.log", new="all is well\nERROR 7 in SPICE\n")
    assert ran.error == f'"ERROR.*SPICE" appears in {tmp_path / "app.log"}: ERROR 7 in SPICE'
    assert (ran.output, ran.unknown) == ("ERROR 7 in SPICE", False)


def test_a_log_without_a_mark_cannot_tell(tmp_path: Path) -> None:
    ran = run_step(LogScan(str(tmp_path / "app.log"), "x"), {}, threading.Event())
    assert (ran.error, ran.unknown) == (f"where {tmp_path / 'app.log'} ended at the transition is not on record", True)


def test_a_log_that_is_not_there_cannot_tell(tmp_path: Path) -> None:
    path = str(tmp_path / "app.log")
    ran = run_step(LogScan(path, "x"), {}, threading.Event(), {path: mark(path)})
    assert (ran.error, ran.unknown) == (f'could not tell: "{path}" is not there, and was not there at the transition', True)


def test_a_log_that_gives_way_cannot_tell(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    ran = scanned(tmp_path / "app.log", new="all is well\n", stop=stop)
    assert (ran.error, ran.unknown) == ("could not tell: the scan had to give way to something more urgent", True)


def test_what_fails_in_time_or_too_late_is_not_unknown() -> None:
    assert not check("http://127.0.0.1:9/health").unknown
    assert not run_step(Command(("/bin/sleep", "60"), timedelta(milliseconds=50)), {}, threading.Event()).unknown


# what is demanded of an answer


def test_an_answer_of_2xx_is_enough_where_nothing_is_expected(healthy: str) -> None:
    ran = check(healthy)
    assert ran.error == ""
    assert json.loads(ran.output) == HEALTH
    assert 0 < ran.seconds < GENEROUS


def test_an_empty_answer_of_204_is_enough() -> None:
    with playing(lambda connection, _: connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")) as url:
        assert check(url, timeout=LONG).error == ""


def test_any_other_status_is_named() -> None:
    def answered(status: int) -> str:
        with App(page(status=status)) as app:
            return check(f"{app.url}/health").error

    statuses = [300, 301, 404, 503]
    assert all_at_once(answered, statuses) == [f"answered {status}" for status in statuses]


def test_a_redirect_is_not_followed(healthy: str) -> None:
    redirect = http(b"", status="302 Found", extra=f"Location: {healthy}\r\n")
    with playing(lambda connection, _: connection.sendall(redirect)) as url:
        assert check(url).error == "answered 302"


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/status", "ok"),
        ("/spice_enabled", False),
        ("/count", 3),
        ("/count", 3.0),
        ("/ratio", 1),
        ("/none", None),
        ("/agents", ("a", "b")),
        ("/agents/1", "b"),
        ("/deep/0/a~1b/m~0n", "x"),
    ],
)
def test_what_is_expected_must_stand_there(healthy: str, pointer: str, value: FlagValue) -> None:
    assert check(healthy, {pointer: value}).error == ""


DIFFERING: list[tuple[str, FlagValue, str]] = [
    ("/spice_enabled", True, "/spice_enabled is false, must be true"),
    ("/spice_enabled", "false", '/spice_enabled is false, must be "false"'),
    ("/spice_enabled", 0, "/spice_enabled is false, must be 0"),
    ("/count", "3", '/count is 3, must be "3"'),
    ("/none", False, "/none is null, must be false"),
    ("/agents", ("b", "a"), '/agents is ["a", "b"], must be ["b", "a"]'),
    ("/agents", "a", '/agents is ["a", "b"], must be "a"'),
    ("/pipelex_enabled", False, "/pipelex_enabled is not in the answer"),
    ("/agents/2", "c", "/agents/2 is not in the answer"),
    ("/agents/01", "b", "/agents/01 is not in the answer"),
    ("/agents/-", "b", "/agents/- is not in the answer"),
    ("/agents/\u0661", "b", "/agents/\u0661 is not in the answer"),
    ("/status/0", "o", "/status/0 is not in the answer"),
    ("/", "x", "/ is not in the answer"),
    ("/deep/0", "x", '/deep/0 is {"a/b": {"m~n": "x"}}, must be "x"'),
]


def test_what_differs_is_said_with_both_values(healthy: str) -> None:
    said = all_at_once(lambda case: check(healthy, {case[0]: case[1]}).error, DIFFERING)
    assert said == [words for _, _, words in DIFFERING]


def test_every_difference_is_said(healthy: str) -> None:
    error = check(healthy, {"/spice_enabled": True, "/status": "ok", "/x": 1}).error
    assert error == "/spice_enabled is false, must be true; /x is not in the answer"


def test_an_empty_pointer_is_the_whole_document() -> None:
    with App(page("green")) as app:
        assert check(app.url, {"": "green"}).error == ""
        assert check(app.url, {"": "red"}).error == 'the answer is "green", must be "red"'


def test_of_a_long_value_the_beginning_is_shown() -> None:
    with App(page({"x": "y" * 5000})) as app:
        assert len(check(app.url, {"/x": 1}).error) < 300


def test_what_is_no_json_is_said_to_be_none() -> None:
    def said(body: bytes) -> str:
        with App(Answer(body, "application/json")) as app:
            assert check(app.url).error == ""
            return check(app.url, {"/x": 1}).error

    bodies = [b"", b"<html>", b'{"x": 1', b"NaN", b"\xff\xfe\xfd", b"[" * 100_000, b"9" * 5000]
    assert all_at_once(said, bodies) == ["the answer is not JSON"] * len(bodies)


class Settable(MisbehavingServer):
    """Answers with the document that was set last."""

    document: Any = None

    def answer(self, _request: Request, /) -> Answer:
        return page(self.document)


@pytest.fixture(scope="module")
def settable() -> Iterator[Settable]:
    with Settable() as server:
        yield server


@st.composite
def placed(draw: st.DrawFn) -> tuple[Any, str, FlagValue]:
    """A document, a pointer into it, and the value that stands there."""
    value = draw(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"])))
    document: Any = value
    pointer = ""
    for token in draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.integers(0, 12), max_size=4)):
        document = {token: document} if isinstance(token, str) else [*[0] * token, document, 0]
        pointer = f"/{str(token).replace('~', '~0').replace('/', '~1')}{pointer}"
    return document, pointer, value


@given(placed())
def test_whatever_stands_in_a_document_is_found_by_its_pointer(settable: Settable, case: tuple[Any, str, FlagValue]) -> None:
    settable.document, pointer, value = case
    assert check(settable.url, {pointer: value}, LONG).error == ""


# time


def test_an_application_that_restarts_is_asked_again() -> None:
    with App(page(status=503), page({"ready": False}), page({"ready": True})) as app:
        ran = check(app.url, {"/ready": True}, LONG)
    assert (ran.error, ran.output) == ("", '{"ready": true}')
    assert len(app.requests) == 3
    assert ran.seconds < GENEROUS


def test_an_application_that_comes_up_late_is_asked_again(tmp_path: Path) -> None:
    script = "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()"
    server = Server("app", tmp_path, lambda port: [sys.executable, "-c", script, str(port)], ready="/")
    with server:
        url = server.url
    ran: list[Ran] = []
    asking = threading.Thread(target=lambda: ran.append(check(url, timeout=LONG)))
    asking.start()
    with server:
        asking.join()
    assert ran[0].error == ""


def test_what_goes_on_failing_fails_at_the_deadline_with_what_it_said_last() -> None:
    with App(page(status=500), page(status=503)) as app:
        ran = check(app.url, timeout=3 * SHORT)
    assert ran.error == "answered 503"
    assert 2 <= len(app.requests) <= 12
    assert ran.seconds < GENEROUS


def test_what_was_found_says_more_than_that_the_last_try_came_to_no_end() -> None:
    with App(page(status=503)) as app:
        ran: list[Ran] = []
        asking = threading.Thread(target=lambda: ran.append(check(app.url, timeout=timedelta(seconds=2))))
        asking.start()
        wait_until(lambda: app.requests, "the first try")
        app.fault = Fault.HANG
        asking.join()
        app.fault = Fault.NONE
    assert ran[0].error == "answered 503"


def test_nobody_listening_is_said_with_the_cause() -> None:
    url = f"http://127.0.0.1:{free_port()}/health"
    assert check(url).error == "cannot be asked: connection refused"


def test_a_name_that_is_none_is_said_with_the_cause() -> None:
    assert check("http://nowhere.invalid/", timeout=LONG / 30).error.startswith(("cannot be asked: ", "did not answer within "))


@pytest.mark.parametrize(
    "script",
    [*ENDLESS.values()],
    ids=[*ENDLESS],
)
def test_a_server_that_hangs_or_drips_costs_no_more_than_the_deadline(script: Script) -> None:
    with playing(script) as url:
        ran = check(url, timeout=SHORT)
    assert ran.error == "did not answer within 1s"
    assert 0.9 < ran.seconds < GENEROUS


def test_an_answer_that_is_cut_off_is_none() -> None:
    with playing(lambda connection, _: connection.sendall(http(b'{"x": 1', length=100))) as url:
        assert check(url, {"/x": 1}).error.startswith("cannot be asked: ")


def test_what_speaks_no_http_is_said_to() -> None:
    with playing(lambda connection, _: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")) as url:
        assert check(url).error.startswith("cannot be asked: ")


def test_of_a_flood_a_mebibyte_is_read() -> None:
    sent: list[int] = []

    def script(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not closing.is_set():
            sent.append(connection.send(b"x" * 65536))

    with playing(script) as url:
        ran = check(url, timeout=LONG)
        assert (ran.error, ran.output) == ("", "x" * 1024)
        assert check(url, {"/x": 1}, timeout=SHORT).error == "the answer is larger than 1 MiB"
    assert sum(sent) < 64 * 1024 * 1024


@pytest.mark.parametrize("script", [silence, lambda connection, _: connection.sendall(http(b"", status="503 No"))], ids=["hanging", "failing"])
def test_something_more_urgent_cuts_it_short(script: Script) -> None:
    stop = threading.Event()
    with TCPServer(script) as server:
        url = server.url
        ran: list[Ran] = []
        asking = threading.Thread(target=lambda: ran.append(check(url, timeout=LONG, stop=stop)))
        asking.start()
        wait_until(lambda: server.connections, "the first try")
        stop.set()
        started = time.monotonic()
        asking.join()
        assert time.monotonic() - started < GENEROUS
    assert ran[0].error == "it had to give way to something more urgent"


def test_no_thread_is_left_behind() -> None:
    with playing(silence) as url:
        check(url)
        wait_until(lambda: not [one for one in threading.enumerate() if one.name == "fetch"], "the thread that asked to end")


# secrets


SECRET = "s3cret"  # noqa: S105 (it is one, for the tests below)


def with_secrets(url: str) -> str:
    return url.replace("http://", f"http://probe:{SECRET}@") + f"?token={SECRET}#{SECRET}"


FAILING: list[Callable[[], Answer]] = [lambda: page(status=500), lambda: Answer(b"no", "text/plain"), lambda: page({"x": 2})]


@pytest.mark.parametrize("answer", FAILING)
def test_credentials_are_sent_and_never_said(answer: Callable[[], Answer]) -> None:
    with App(answer()) as app:
        ran = check(with_secrets(f"{app.url}/health"), {"/x": 1})
    assert ran.error
    assert SECRET not in ran.error + ran.output
    assert app.requests[0].path == f"/health?token={SECRET}"
    assert app.requests[0].headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/health", "http://nowhere.invalid/health", "http://127.0.0.1:99999/", "http://[::1", "http://a b/", "http:///x"]
)
def test_credentials_are_not_said_of_an_address_that_cannot_be_asked(url: str) -> None:
    ran = check(with_secrets(url))
    assert ran.error
    assert SECRET not in ran.error
    assert SECRET not in describe(HttpCheck(with_secrets(url)))


def test_nothing_in_the_environment_leads_elsewhere() -> None:
    script = (
        "import sys, threading\n"
        "from rollback_daemon.rules.duties import HttpCheck\n"
        "from rollback_daemon.transitions.steps import run_step\n"
        "print(run_step(HttpCheck(sys.argv[1]), {}, threading.Event()).error or 'answered')"
    )
    nowhere = "http://127.0.0.1:9"
    with App(page()) as app:
        environment = {"HTTP_PROXY": nowhere, "http_proxy": nowhere, "ALL_PROXY": nowhere}
        ran = run_step(Command((sys.executable, "-c", script, app.url)), environment, threading.Event())
    assert ran.output == "answered"


def test_steps_are_described_for_people() -> None:
    assert describe(Command(("./smoke.sh", "--fast"))) == "./smoke.sh --fast"
    assert describe(Command(("sh", "-c", "exit 1"))) == "sh -c 'exit 1'"
    assert describe(LogScan("/var/log/app.log", "ERROR.*SPICE")) == 'log /var/log/app.log without "ERROR.*SPICE"'
    assert describe(HttpCheck("http://127.0.0.1:8000/health")) == "GET http://127.0.0.1:8000/health"
    assert describe(HttpCheck(with_secrets("http://127.0.0.1:8000/health"))) == "GET http://127.0.0.1:8000/health"
