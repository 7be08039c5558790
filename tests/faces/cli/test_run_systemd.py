"""What the daemon tells systemd, on a real datagram socket: ready, reloading, alive, stopping."""

import os
import signal
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rollback_daemon.faces import systemd
from rollback_daemon.lab.servers import PrometheusServer
from tests.faces.http.bench import RULES, Bench


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(30)
        self.told: list[dict[str, str]] = []

    def wait_for(self, key: str) -> dict[str, str]:
        """The next message with that key."""
        while True:
            message = dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())
            self.told.append(message)
            if key in message:
                return message

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    found = Manager(f"@rollbackd-{uuid.uuid4()}")  # an abstract one: a path of pytest's may be too long
    yield found
    found.close()


def test_the_manager_is_told_of_every_turn(told: PrometheusServer, tmp_path: Path, manager: Manager) -> None:
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    with ExitStack() as running:
        bench = running.enter_context(Bench(tmp_path, told.url, env=env))
        assert manager.wait_for("READY") == {"READY": "1", "STATUS": "guarding 1 rollouts"}
        for _ in range(3):
            assert manager.wait_for("WATCHDOG") == {"WATCHDOG": "1"}
        os.kill(bench.daemon.pid, signal.SIGHUP)
        reloading = manager.wait_for("RELOADING")
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert manager.wait_for("READY") == {"READY": "1"}
        bench.write_rules(RULES.replace("above: 1%", "abov: 1%"))
        assert bench.post("/-/reload").status_code == 422
        assert manager.wait_for("RELOADING")["RELOADING"] == "1"
        assert manager.wait_for("READY") == {"READY": "1"}
    assert manager.wait_for("STOPPING") == {"STOPPING": "1"}


def test_a_passive_daemon_is_ready_and_says_why_it_does_nothing(reading: Bench, told: PrometheusServer, tmp_path: Path, manager: Manager) -> None:
    journal = ["--storage.url", f"sqlite:///{reading.folder}/journal.db"]
    with Bench(tmp_path, told.url, env={"NOTIFY_SOCKET": manager.address}, arguments=journal, ready="/-/healthy"):
        assert manager.wait_for("READY") == {"READY": "1", "STATUS": "passive: another daemon is in charge"}


def test_a_socket_with_a_path_is_reached(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("s")
    manager = Manager(str(folder / "n"))
    assert systemd.notify({"NOTIFY_SOCKET": manager.address}, READY="1")
    assert manager.wait_for("READY") == {"READY": "1"}
    manager.close()


@pytest.mark.parametrize("address", ["", "nowhere", "/nonexistent/socket", "@nobody-listens-here", "/" + "x" * 200])
def test_without_a_manager_nothing_is_told_and_nothing_fails(address: str) -> None:
    assert not systemd.notify({"NOTIFY_SOCKET": address}, READY="1")
    assert not systemd.notify({}, READY="1")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_only_where_it_is_ours(environment: dict[str, str], seconds: float | None) -> None:
    assert systemd.watchdog_interval(environment) == seconds
