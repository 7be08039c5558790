"""The preflight against a real Prometheus with rules, a real Alertmanager, services; and against those that are away, hang or lie."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any

import pytest

from rollback_daemon.governance.preflight import ask_alertmanagers
from rollback_daemon.http_client import HTTPClient
from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.faults import Answer, MisbehavingServer, Request
from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer, free_port, wait_until
from rollback_daemon.signals.observation import Failed, Failure
from rollback_daemon.signals.prometheus import AlertingRule, Prometheus
from tests.governance.dayone import DayOne
from tests.signals.tcp import Script, TCPServer, http, silence

SOON, PATIENT = timedelta(seconds=1), timedelta(seconds=20)
GENEROUS = 6.0  # seconds that a preflight of SOON may take on a busy machine
RULES = """
groups:
  - name: genesis
    rules:
      - {alert: ErrorRateHigh, expr: genesis_error_rate > 0.01}
      - {alert: Broken, expr: twice * on() twice}
      - {record: a_recorded_one, expr: vector(1)}
  - name: slow
    interval: 1000h
    rules:
      - {alert: Later, expr: vector(1)}
"""


class App(MisbehavingServer):
    """Answers each path with its status, and 404 elsewhere."""

    def __init__(self, paths: Mapping[str, int]) -> None:
        self._paths = paths
        super().__init__()

    def answer(self, request: Request, /) -> Answer:
        return Answer(b"{}", "application/json", self._paths.get(request.path, 404))


@pytest.fixture
def seeing(prometheus: PrometheusServer, exporter: MetricsExporter) -> PrometheusServer:
    """A Prometheus that has the figures of the rollout and has evaluated RULES."""
    exporter.set("genesis_error_rate", 0.0004)
    exporter.set("twice", 1, side="left")
    exporter.set("twice", 1, side="right")
    prometheus.wait_for("genesis_error_rate and on() twice")
    prometheus.reload(RULES)
    with closing(client(prometheus.url)) as asking:
        wait_until(lambda: "err" in {rule.health for rule in loaded(asking)}, "the rules to be evaluated", 30)
    return prometheus


def client(url: str, timeout: timedelta = PATIENT) -> Prometheus:
    return Prometheus(url, HTTPClient(url=url).session(), timeout)


def loaded(prometheus: Prometheus) -> tuple[AlertingRule, ...]:
    rules = prometheus.alert_rules()
    assert not isinstance(rules, Failed)
    return rules


def checks(found: dict[str, Any]) -> dict[str, str]:
    return {one["check"]: one["outcome"] for one in found["checks"]}


def test_on_a_good_day_everything_passes(day: DayOne, seeing: PrometheusServer, alertmanager: AlertmanagerServer) -> None:
    with App({"/health": 200}) as app:
        day.wants(services=(f"{app.url}/health",), alert_rules=("ErrorRateHigh",))
        found = day.preflight(seeing.url, PATIENT, alerting={"alertmanagers": [{"url": alertmanager.url}]})
    assert (found["rollout"], found["outcome"]) == ("spice", "pass"), found
    assert set(checks(found).values()) == {"pass"}
    assert json.loads(json.dumps(found)) == found
    assert found["at"].endswith("Z")
    evidence = {one["check"]: one["evidence"] for one in found["checks"]}
    assert evidence["query genesis_error_rate"] == "1 series: 0.0004; for error_rate, Errors, ErrorRateHigh"
    assert evidence["alert rule ErrorRateHigh"] == 'is loaded and healthy (group "genesis")'
    assert evidence["alertmanager"] == f"{alertmanager.url} answers"


def test_the_rules_are_those_of_the_server(seeing: PrometheusServer) -> None:
    with closing(client(seeing.url)) as asking:
        wait_until(lambda: loaded(asking)[0].health == "ok", "the first rule to be evaluated")
        good, broken, later = loaded(asking)
    assert (good, later) == (AlertingRule("ErrorRateHigh", "genesis", "ok"), AlertingRule("Later", "slow", "unknown"))
    assert (broken.name, broken.health) == ("Broken", "err")
    assert "many-to-many" in broken.error or "duplicate series" in broken.error


def test_bad_rules_are_told_apart(day: DayOne, seeing: PrometheusServer) -> None:
    day.wants(alert_rules=("Broken", "Later", "a_recorded_one"))
    found = checks(day.preflight(seeing.url, PATIENT))
    assert [found[f"alert rule {name}"] for name in ("Broken", "Later", "a_recorded_one")] == ["fail", "unknown", "fail"]


def test_a_metric_that_is_gone_fails_the_preflight(day: DayOne, prometheus: PrometheusServer) -> None:
    found = day.preflight(prometheus.url, PATIENT)
    assert (found["outcome"], checks(found)["query genesis_error_rate"]) == ("fail", "fail")


def test_with_everything_away_it_is_soon_over_and_nothing_is_guessed(day: DayOne) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    day.wants(services=(nowhere,), alert_rules=("High",))
    started = time.monotonic()
    found = checks(day.preflight(nowhere, alerting={"alertmanagers": [{"url": nowhere}]}))
    assert time.monotonic() - started < GENEROUS
    assert (found[f"service {nowhere}"], found["prometheus"], found["alertmanager"]) == ("fail", "fail", "fail")
    assert (found["query genesis_error_rate"], found["alert rule High"]) == ("unknown", "unknown")


def test_with_everything_hanging_it_takes_no_longer_than_one_of_them(day: DayOne) -> None:
    with TCPServer(silence) as server:
        url = server.url
        day.wants(services=(url,), alert_rules=("High",))
        started = time.monotonic()
        found = checks(day.preflight(url, SOON, alerting={"alertmanagers": [{"url": url}]}))
        assert time.monotonic() - started < GENEROUS
    assert (found[f"service {url}"], found["prometheus"], found["alertmanager"]) == ("fail", "fail", "fail")
    assert (found["query genesis_error_rate"], found["alert rule High"]) == ("unknown", "unknown")


# the rules of a server that is not well


def drip(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not closing.wait(0.02):
        connection.sendall(b" ")


def drip_the_head(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 O")
    while not closing.wait(0.02):
        connection.sendall(b"K")


def sends(body: bytes, status: str = "200 OK") -> Script:
    return lambda connection, _: connection.sendall(http(body, status=status))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (silence, Failure.TIMEOUT),
        (drip, Failure.TIMEOUT),
        (drip_the_head, Failure.TIMEOUT),
        (sends(b"404 page not found", "404 Not Found"), Failure.REFUSED),
        (sends(b'{"status": "error", "errorType": "unavailable", "error": "starting"}', "503 Starting"), Failure.UNREACHABLE),
        (sends(b"", "302 Found"), Failure.REFUSED),
        (sends(b"<html>"), Failure.MALFORMED),
        (sends(b"[]"), Failure.MALFORMED),
        (sends(b'{"status": "success", "data": {"groups": [{"name": "g"}]}}'), Failure.MALFORMED),
        (sends(b'{"status": "success", "data": {"groups": [{"name": "g", "rules": [{"type": "alerting"}]}]}}'), Failure.MALFORMED),
        (sends(b'{"status": "success", "data": {"groups": null}}'), Failure.MALFORMED),
    ],
)
def test_rules_that_cannot_be_listed_are_a_failure_in_time(script: Script, reason: Failure) -> None:
    with TCPServer(script) as server, closing(client(server.url, SOON)) as asking:
        started = time.monotonic()
        answer = asking.alert_rules()
        assert time.monotonic() - started < GENEROUS
    assert isinstance(answer, Failed)
    assert answer.reason is reason


def test_a_server_without_rules_has_none(prometheus: PrometheusServer) -> None:
    with closing(client(prometheus.url)) as asking:
        assert asking.alert_rules() == ()


# alertmanagers


@pytest.fixture
def serve() -> Iterator[Callable[[Mapping[str, int]], str]]:
    """Starts an application that answers these paths; returns its address."""
    with ExitStack() as running:
        yield lambda paths: running.enter_context(App(paths)).url


def why_not(url: str, **settings: Any) -> str:
    return ask_alertmanagers([HTTPClient.model_validate({"url": url, **settings})], PATIENT)[url]


def test_a_real_alertmanager_answers_until_it_is_stopped(alertmanager: AlertmanagerServer) -> None:
    assert why_not(alertmanager.url) == ""
    alertmanager.stop()
    assert why_not(alertmanager.url) == "connection refused"


def test_what_knows_only_the_api_answers_too(serve: Callable[[Mapping[str, int]], str]) -> None:
    assert why_not(serve({"/api/v2/status": 200})) == ""


def test_under_a_prefix_it_is_asked_there(serve: Callable[[Mapping[str, int]], str]) -> None:
    assert why_not(serve({"/am/-/ready": 200}) + "/am") == ""


def test_one_that_is_not_ready_is_not_asked_for_more(serve: Callable[[Mapping[str, int]], str]) -> None:
    assert why_not(serve({"/-/ready": 503, "/api/v2/status": 200})) == "answered 503"


def test_one_that_knows_neither_is_none(serve: Callable[[Mapping[str, int]], str]) -> None:
    assert why_not(serve({})) == "answered 404"


def test_its_credentials_are_sent_and_a_missing_secret_is_named(serve: Callable[[Mapping[str, int]], str], day: DayOne) -> None:
    url = serve({"/-/ready": 200})
    password = day.folder / "password"
    auth = {"username": "guard", "password_file": str(password)}
    assert why_not(url, basic_auth=auth) == f'the secret file "{password}" cannot be read: No such file or directory'
    password.write_text("open sesame")
    assert why_not(url, basic_auth=auth) == ""


def test_several_are_asked_at_once() -> None:
    with TCPServer(silence) as server:
        clients = [HTTPClient(url=f"{server.url}/{number}") for number in range(8)]
        started = time.monotonic()
        answers = ask_alertmanagers(clients, SOON)
        assert time.monotonic() - started < GENEROUS
    assert list(answers) == [one.url for one in clients]
    assert all(answers.values())
