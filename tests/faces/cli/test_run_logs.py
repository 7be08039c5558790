"""What the daemon says on standard error, and how it ends: JSON lines for programs, `key=value` for people, secrets for nobody."""

import fcntl
import io
import json
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.faces.logs import Lines, Seldom
from rollback_daemon.lab.faults import Fault, Proxy
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import FLAGS, NOBODY_LISTENS, RULES, Bench, rollbackd

SECRET = "s3cr3t-t0ken"  # noqa: S105 (of nobody)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")


def test_off_a_terminal_every_line_is_json(bench: Bench) -> None:
    bench.to_canary()
    bench.set_error_rate(0.02)
    bench.wait_for(phase="rolled_back")
    lines = bench.log()
    assert all({"ts", "level", "msg"} <= line.keys() and TIME.fullmatch(line["ts"]) for line in lines)
    said = [line["msg"] for line in lines]
    assert said[:3] == ["started", "configured", "in charge"]
    assert [one for one in said if one in {"intended", "applied", "done"}] == ["intended", "applied", "done"] * 2
    [rollback] = [line for line in lines if line["msg"] == "intended" and line["kind"] == "rollback"]
    assert (rollback["level"], rollback["rollout"], rollback["why"]) == ("warn", "checkout", ["ErrorRateHigh: error_rate 0.02 > 0.01"])


def on_a_terminal(bench: Bench, *arguments: str) -> str:
    """Run the bench's daemon with standard error on a terminal until it is in charge, then end it; what the terminal shows."""
    master, slave = pty.openpty()
    command = [*map(str, bench.command(0)), *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave) as process:
        os.close(slave)
        shown = ""
        while "in charge" not in shown:
            shown += os.read(master, 4096).decode()
        process.send_signal(signal.SIGTERM)
        try:
            while part := os.read(master, 4096).decode():
                shown += part
        except OSError:  # a terminal whose other end is closed
            pass
    os.close(master)
    assert process.returncode == 0
    return shown


def test_on_a_terminal_lines_are_for_people(told: PrometheusServer, tmp_path: Path) -> None:
    lines = on_a_terminal(Bench(tmp_path, told.url)).splitlines()
    assert all(re.match(r"ts=\S+ level=[a-z]+ msg=", line) for line in lines), lines
    assert any("msg=started" in line and "rollouts=checkout" in line for line in lines)
    assert 'msg="in charge"' in "\n".join(lines)


def test_the_format_can_be_chosen(told: PrometheusServer, tmp_path: Path) -> None:
    as_json = on_a_terminal(Bench(tmp_path / "json", told.url), "--log.format", "json").splitlines()
    assert {"started", "in charge"} <= {json.loads(line)["msg"] for line in as_json}
    with Bench(tmp_path / "logfmt", told.url, arguments=["--log.format", "logfmt"]) as bench:
        assert " level=info msg=started " in bench.daemon.log.read_text()


def test_the_level_can_be_chosen(told: PrometheusServer, tmp_path: Path) -> None:
    with Bench(tmp_path / "debug", told.url, arguments=["--log.level", "debug"]) as bench:
        cycle = wait_until(lambda: [line for line in bench.log() if line["msg"] == "cycle"], "a cycle to be told", 30)[0]
        assert (cycle["level"], cycle["queries"], cycle["missed"]) == ("debug", 2, 0)
    with Bench(tmp_path / "error", told.url, arguments=["--log.level", "error"]) as bench:
        pass
    assert bench.log() == []


def written_with_secrets(folder: Path) -> dict[str, Any]:
    """Settings in which every kind of secret occurs."""
    for name in ("token", "password", "tenant"):
        (folder / name).write_text(f"{SECRET}-{name}\n", encoding="utf-8")
    prometheus = {"authorization": {"credentials_file": "token"}, "http_headers": {"X-Tenant": {"files": ["tenant"]}}, "timeout": "5s"}
    alertmanager = {"url": NOBODY_LISTENS, "basic_auth": {"username": "guard", "password_file": "password"}}
    return {"prometheus": prometheus, "alerting": {"alertmanagers": [alertmanager], "resend_delay": "1s"}}


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.HTTP_500, Fault.BROKEN_BODY])
def test_no_secret_is_ever_said(told: PrometheusServer, tmp_path: Path, fault: Fault) -> None:
    with Proxy(told.url) as proxy:
        settings = written_with_secrets(tmp_path)
        settings["prometheus"]["url"] = proxy.url
        proxy.fault = fault
        with Bench(tmp_path, proxy.url, config=settings, arguments=["--log.level", "debug"]) as bench:
            bench.flags.write_text(FLAGS + f"PAYMENT_KEY={SECRET}-payment\n", encoding="utf-8")
            wait_until(lambda: len(proxy.requests) >= 6, "some cycles", 30)
            (tmp_path / "token").write_text(f"{SECRET}-token\nand another line", encoding="utf-8")
            wait_until(lambda: "more than one line" in bench.get("/api/v1/rollouts/checkout/explain").text, "the mistake to be told", 30)
            shown = [bench.get(path).text for path in ("/metrics", "/api/v1/rollouts", "/api/v1/rollouts/checkout/explain")]
            shown += [bench.get("/api/v1/rollouts/checkout/history").text, bench.daemon.log.read_text()]
        assert proxy.requests[0].headers["Authorization"] == f"Bearer {SECRET}-token"
        assert proxy.requests[0].headers["X-Tenant"] == f"{SECRET}-tenant"
    assert all(SECRET not in text for text in shown)


def test_what_cannot_be_configured_does_not_start_and_says_everything(tmp_path: Path) -> None:
    missing = rollbackd("run", "--config.file", tmp_path / "none.yml", cwd=tmp_path)
    assert missing.code == 2
    assert json.loads(missing.err)["problem"] == f"{tmp_path}/none.yml: cannot be read: no such file or directory"
    Bench(tmp_path, NOBODY_LISTENS, rules=RULES.replace("above: 1%", "abov: 1%").replace("owner", "owners"))
    broken = rollbackd("run", "--config.file", tmp_path / "rollbackd.yml", cwd=tmp_path)
    assert broken.code == 2
    assert len(broken.err.splitlines()) > 1
    assert all(json.loads(line)["problem"].startswith(f"{tmp_path}/rules.yml:") for line in broken.err.splitlines())


def test_an_address_that_is_taken_is_said_to_be(reading: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path, NOBODY_LISTENS)
    ran = rollbackd(*map(str, other.command(reading.daemon.port)[3:]), cwd=tmp_path)
    assert ran.code == 2
    assert f"127.0.0.1:{reading.daemon.port} cannot be bound: Address already in use" in ran.err
    assert "Traceback" not in ran.err


def test_a_journal_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    Bench(tmp_path, NOBODY_LISTENS)
    ran = rollbackd("run", "--config.file", tmp_path / "rollbackd.yml", "--storage.url", f"sqlite:///{tmp_path}/none/journal.db", cwd=tmp_path)
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert json.loads(ran.err.splitlines()[-1])["level"] == "error"


def test_it_ends_in_good_time_though_its_prometheus_hangs(told: PrometheusServer, tmp_path: Path) -> None:
    with Proxy(told.url) as proxy, Bench(tmp_path, proxy.url) as bench:
        proxy.fault = Fault.HANG
        asked = len(proxy.requests)
        wait_until(lambda: len(proxy.requests) > asked, "a question to hang", 30)
        started = time.monotonic()
        bench.daemon.stop(40)
        assert time.monotonic() - started < 20
        assert "stopping" in [line["msg"] for line in bench.log()]


class SpeakingInto(Bench):
    """A daemon whose standard error is a named pipe of the test's."""

    def command(self, port: int) -> list[str | Path]:
        return ["sh", "-c", 'exec "$@" 2>"$0"', self.folder / "stderr", *super().command(port)]


def full(pipe: Path) -> tuple[int, int]:
    """Both ends of a pipe into which nothing more goes."""
    ends = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 4096)
    with io.FileIO(ends[1], "w", closefd=False) as writer:
        while writer.write(b"." * 4096):
            pass
    return ends


@pytest.mark.parametrize("reader_goes", [True, False], ids=["its reader has gone", "it is full and nobody reads it"])
def test_a_rollback_does_not_wait_for_a_log(told: PrometheusServer, tmp_path: Path, reader_goes: bool) -> None:
    bench = SpeakingInto(tmp_path, told.url, arguments=["--log.level", "debug"])
    os.mkfifo(tmp_path / "stderr")
    reader, writer = full(tmp_path / "stderr")
    with bench:
        os.close(writer)
        if reader_goes:
            os.close(reader)
        bench.set_error_rate(0)
        bench.to_canary()
        bench.set_error_rate(0.02)
        bench.wait_for(phase="rolled_back")
        assert "NEW_CHECKOUT=false" in bench.flags.read_text()
        started = time.monotonic()
        bench.daemon.stop(30)
        assert time.monotonic() - started < 8
    if not reader_goes:
        os.close(reader)


def test_lines_that_nobody_takes_are_dropped_and_counted() -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    dropped: list[int] = []
    lines = Lines(writer, dropped.append, limit=10)
    for _ in range(100):
        lines.write(b"x" * 4096)
    assert not lines.wait(0)
    taken = 0
    while not dropped:
        taken += len(os.read(reader, 65536))
    while not lines.wait(0.05):
        taken += len(os.read(reader, 65536))
    taken += len(os.read(reader, 65536))
    assert taken == (100 - dropped[0]) * 4096
    assert dropped[0] >= 85
    os.close(reader)
    lines.write(b"to nobody")
    assert lines.wait(10)
    os.close(writer)


SAYING_ODD_THINGS = r"""
import logging, sys
import structlog
from rollback_daemon.faces.logs import configure

class Odd:
    def __repr__(self):
        raise RuntimeError("no")

configure("info", sys.argv[1])
log = structlog.get_logger()
log.info("odd", first=Odd(), second=[Odd()], third="kept")
log.info("half a pair \udc80", name="\udc80")
logging.getLogger("library").warning("%d apples", "no")
logging.getLogger("library").warning("%s", Odd())
log.info("last")
raise SystemExit(Odd.__name__)
"""


@pytest.mark.parametrize("log_format", ["json", "logfmt"])
def test_what_cannot_be_shown_or_encoded_does_not_hurt_whoever_says_it(log_format: str) -> None:
    ran = subprocess.run([sys.executable, "-c", SAYING_ODD_THINGS, log_format], capture_output=True, text=True, check=False, timeout=60)
    lines = ran.stderr.splitlines()
    assert (ran.returncode, len(lines), lines[-1]) == (1, 6, "Odd")
    assert "<Odd that cannot be shown>" in lines[0]
    assert "kept" in lines[0]
    assert r"\udc80" in lines[1]
    assert "%d apples" in lines[2]
    assert "last" in lines[4]


def test_a_library_says_the_same_thing_once_a_minute() -> None:
    now = [0.0]
    passes = Seldom(lambda: now[0]).filter

    def record(message: str) -> logging.LogRecord:
        return logging.LogRecord("asyncio", logging.ERROR, "", 0, message, (), None)

    assert [passes(record(f"socket.accept() out of system resource\n{n}")) for n in range(3)] == [True, False, False]
    assert passes(record("another thing"))
    now[0] = 61
    assert passes(record("socket.accept() out of system resource\n4"))
