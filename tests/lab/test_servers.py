"""Throwaway servers start, tell why they do not, come back as the same server, and leave nothing behind."""

import socket
import sys
from pathlib import Path

import pytest
import requests

from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.servers import AlertmanagerServer, LabError, PrometheusServer, Server, free_port, wait_until
from rollback_daemon.lab.toolset import Toolset

SLEEPER = [sys.executable, "-c", "import time; print('warming up', flush=True); time.sleep(60)"]
STUBBORN = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))
"""


def web_server(folder: Path) -> Server:
    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)]

    return Server("web", folder, command, ready="/")


def test_a_free_port_can_be_listened_on_and_is_never_one_of_an_outgoing_connection() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert port < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])


def test_waiting_returns_the_first_true_answer() -> None:
    answers = iter([0, 0, 7])
    assert wait_until(lambda: next(answers), "a number", every=0) == 7


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(LabError, match=r"waited 0\.01s for the moon, in vain; the last answer was \[\]"):
        wait_until(list, "the moon", seconds=0.01)


def test_a_server_runs_inside_its_with_and_ends_after_it(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        pid = server.pid
        assert requests.get(server.url, timeout=5).ok
    assert not server.running
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_is_never_ready_shows_what_was_waited_for_and_its_last_lines(tmp_path: Path) -> None:
    server = Server("sleeper", tmp_path, lambda _: SLEEPER, deadline=0.5)
    with pytest.raises(LabError, match=r'(?s)"sleeper" was not ready within 0\.5s: .*/-/ready.*sleeper\.log:\nwarming up') as failure:
        server.start()
    assert not server.running
    assert "warming up" in str(failure.value)


def test_a_server_that_ends_early_tells_its_exit_code_and_its_last_words(tmp_path: Path) -> None:
    server = Server("short", tmp_path, lambda _: [sys.executable, "-c", "import sys; sys.exit('no such thing')"])
    with pytest.raises(LabError, match=r'(?s)"short" ended with exit code 1 before .*no such thing'):
        server.start()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match='cannot start "ghost" with "/no/such/program": No such file'):
        Server("ghost", tmp_path, lambda _: ["/no/such/program"]).start()


def test_a_port_taken_in_between_is_replaced_by_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])

        def command(port: int) -> list[str]:
            stolen = next(ports, port)
            return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(stolen)]

        with Server("web", tmp_path, command, ready="/") as server:
            assert server.port != taken.getsockname()[1]
            assert requests.get(server.url, timeout=5).ok


def test_a_server_comes_back_on_its_port(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        before = server.url, server.pid
        server.stop()
        assert not server.running
        server.start()
        assert server.url == before[0]
        assert server.pid != before[1]


def test_a_server_whose_port_was_taken_while_it_was_down_says_so(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        server.stop()
        with socket.create_server(("127.0.0.1", server.port)), pytest.raises(LabError, match="found its port taken"):
            server.start()


def test_a_server_that_ignores_sigterm_is_killed_at_the_deadline(tmp_path: Path) -> None:
    server = Server("stubborn", tmp_path, lambda port: [sys.executable, "-c", STUBBORN, str(port)], ready="/").start()
    server.stop(deadline=0.1)
    assert not server.running


def test_a_server_is_killed_at_once(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        server.kill()
        assert not server.running
        with pytest.raises(LabError, match='"web" is not running; start it first'):
            _ = server.pid


def test_starting_twice_is_refused(tmp_path: Path) -> None:
    with web_server(tmp_path) as server, pytest.raises(LabError, match='"web" is already running'):
        server.start()


def test_a_paused_server_answers_nobody_until_it_goes_on(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        server.pause()
        with pytest.raises(requests.Timeout):
            requests.get(server.url, timeout=0.2)
        server.resume()
        assert requests.get(server.url, timeout=5).ok


def test_a_paused_server_can_be_stopped(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        server.pause()
        server.stop(deadline=5)
        assert not server.running


@pytest.mark.oldest_and_newest
def test_a_real_prometheus_scrapes_what_the_test_sets(prometheus: PrometheusServer, exporter: MetricsExporter, toolset: Toolset) -> None:
    exporter.set("genesis_error_rate", 0.031)
    assert prometheus.wait_for("genesis_error_rate > 0.01")[0][1] == 0.031
    assert prometheus.query("prometheus_build_info") == []  # it does not scrape itself
    assert toolset.version in requests.get(f"{prometheus.url}/api/v1/status/buildinfo", timeout=5).json()["data"]["version"]


@pytest.mark.oldest_and_newest
def test_a_prometheus_that_was_stopped_still_knows_what_it_saw(prometheus: PrometheusServer, exporter: MetricsExporter) -> None:
    exporter.set("before", 1)
    prometheus.wait_for("before")
    prometheus.stop()
    prometheus.start()
    exporter.set("after", 1)
    prometheus.wait_for("after")
    assert prometheus.query("count(last_over_time(before[5m]))") == [({}, 1.0)]


@pytest.mark.oldest_and_newest
def test_a_killed_prometheus_comes_back(prometheus: PrometheusServer) -> None:
    prometheus.wait_for("up == 1")
    prometheus.kill()
    prometheus.start()
    prometheus.wait_for("up == 1")


def test_prometheus_answers_scalars_too(prometheus: PrometheusServer) -> None:
    assert prometheus.query("6 * 7") == [({}, 42.0)]


def test_a_query_that_prometheus_refuses_is_an_error_with_its_words(prometheus: PrometheusServer) -> None:
    with pytest.raises(LabError, match="parse error"):
        prometheus.query("6 *")


def test_prometheus_takes_new_rules_and_refuses_broken_ones(prometheus: PrometheusServer) -> None:
    prometheus.reload("groups: [{name: g, interval: 200ms, rules: [{record: answer, expr: vector(42)}]}]")
    prometheus.wait_for("answer == 42")
    with pytest.raises(LabError, match="did not take its new configuration"):
        prometheus.reload("groups: [{name: g, rules: [{record: answer, expr: '6 *'}]}]")


@pytest.mark.oldest_and_newest
def test_prometheus_hands_its_alerts_to_alertmanager(toolset: Toolset, alertmanager: AlertmanagerServer, tmp_path: Path) -> None:
    rules = "groups: [{name: g, rules: [{alert: Always, expr: vector(1), labels: {severity: critical}}]}]"
    with PrometheusServer(
        toolset.prometheus,
        tmp_path / "p",
        {},
        scrape_interval="200ms",
        rules=rules,
        alertmanager=alertmanager.address,
        flags=["--rules.alert.resend-delay=100ms"],  # what it sends before it knows the Alertmanager is lost
    ):
        alert = wait_until(alertmanager.alerts, "the alert", seconds=15)[0]
    assert alert["labels"] == {"alertname": "Always", "severity": "critical"}


@pytest.mark.oldest_and_newest
def test_alertmanager_comes_back_on_its_port(alertmanager: AlertmanagerServer) -> None:
    before = alertmanager.url
    alertmanager.stop()
    alertmanager.start()
    assert (alertmanager.url, alertmanager.alerts()) == (before, [])
