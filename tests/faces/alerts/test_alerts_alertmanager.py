"""Alerts arrive at real Alertmanagers, again and again, and end once, whatever becomes of the Alertmanagers meanwhile."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
import structlog
from requests.adapters import HTTPAdapter
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from rollback_daemon.clock import SystemClock
from rollback_daemon.faces.alertmanager import BATCH, Alertmanagers, Outcome, without_secrets
from rollback_daemon.faces.alerts import Alert
from rollback_daemon.lab.faults import Answer, Fault, MisbehavingServer, Proxy, Request
from rollback_daemon.lab.servers import AlertmanagerServer, wait_until
from rollback_daemon.lab.toolset import Toolset

SECOND = timedelta(seconds=1)
LONG = timedelta(minutes=5)
PAGE = "http://guard.example.com/#checkout"


def alert(name: str, generator_url: str = PAGE, **annotations: str) -> Alert:
    return Alert({"alertname": name, "rollout": "checkout"}, annotations, datetime.now(UTC), generator_url)


class Sender:
    """The Alertmanagers under test, with what they count and log."""

    def __init__(
        self, *urls: str, session: Callable[[], requests.Session], resend_delay: timedelta = SECOND, timeout: timedelta = 10 * SECOND
    ) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.logged = LogCapture()
        log: FilteringBoundLogger = structlog.wrap_logger(None, [self.logged], structlog.make_filtering_bound_logger(0))
        self.to = Alertmanagers(
            [(url, session()) for url in urls], resend_delay=resend_delay, clock=SystemClock(), observe=self._observe, log=log, timeout=timeout
        )

    def update(self, *alerts: Alert) -> None:
        self.to.update(alerts, SECOND / 5)

    def close(self) -> None:
        self.to.close(timedelta())

    def wait_for(self, outcome: Outcome) -> None:
        wait_until(lambda: self.count(outcome), f"the outcome {outcome}", seconds=15)

    def wait_for_more(self, outcome: Outcome, more: int = 1) -> None:
        """Until so many more requests have come to that."""
        before = self.count(outcome)
        wait_until(lambda: self.count(outcome) >= before + more, f"{more} more {outcome}", seconds=15)

    def count(self, outcome: Outcome) -> int:
        return sum(count for (_, each), count in self.outcomes.items() if each == outcome)

    def events(self, level: str) -> list[dict[str, Any]]:
        return [dict(entry) for entry in self.logged.entries if entry["log_level"] == level]

    def _observe(self, url: str, outcome: str) -> None:
        self.outcomes[url, outcome] += 1


def direct_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


Start = Callable[..., Sender]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a sender to some URLs, and closes it after the test."""
    running: list[Sender] = []

    def begin(*urls: str, session: Callable[[], requests.Session] = direct_session, **more: Any) -> Sender:
        running.append(Sender(*urls, session=session, **more))
        return running[-1]

    yield begin
    for sender in running:
        sender.close()


@pytest.fixture
def front(alertmanager: AlertmanagerServer) -> Iterator[Proxy]:
    """Stands before the Alertmanager and keeps what it is sent."""
    with Proxy(alertmanager.url) as proxy:
        yield proxy


@pytest.fixture
def other(toolset: Toolset, tmp_path: Path) -> Iterator[AlertmanagerServer]:
    with AlertmanagerServer(toolset.alertmanager, tmp_path / "other") as server:
        yield server


class Scripted(MisbehavingServer):
    """Answers with one status, until told another."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        super().__init__()

    def answer(self, request: Request, /) -> Answer:
        return Answer(f"status {self.status} it is".encode(), "text/plain", self.status)


def sent(server: MisbehavingServer, name: str | None = None) -> list[dict[str, Any]]:
    """Every alert (of that name) in every request, in order."""
    alerts = [one for request in list(server.requests) for one in json.loads(request.body)]
    return [one for one in alerts if name in {None, one["labels"].get("alertname")}]


def is_over(one: dict[str, Any]) -> bool:
    return datetime.fromisoformat(one["endsAt"]) <= datetime.now(UTC)


def names(server: AlertmanagerServer) -> set[str]:
    return {one["labels"]["alertname"] for one in server.alerts()}


def resolved_received(server: AlertmanagerServer) -> float:
    """How many ends of alerts the server says it has received since its start."""
    text = requests.get(f"{server.url}/metrics", timeout=5).text
    return sum(float(value) for value in re.findall(r'^alertmanager_alerts_received_total\{.*status="resolved".*\} (\S+)', text, re.MULTILINE))


@pytest.mark.every_prometheus
def test_an_alert_arrives_with_all_it_has_and_ends_when_it_is_over(alertmanager: AlertmanagerServer, start: Start) -> None:
    sender = start(alertmanager.url)
    sender.update(alert("A", summary="error_rate 0.031 > 0.01", value="0.031"))
    (found,) = wait_until(alertmanager.alerts, "the alert")
    assert found["labels"] == {"alertname": "A", "rollout": "checkout"}
    assert found["annotations"] == {"summary": "error_rate 0.031 > 0.01", "value": "0.031"}
    assert found["generatorURL"] == PAGE
    sender.update()
    wait_until(lambda: not alertmanager.alerts(), "its end")
    assert resolved_received(alertmanager) == 1


@pytest.mark.every_prometheus
def test_an_active_alert_is_sent_again_with_a_later_end_and_resolved_once(alertmanager: AlertmanagerServer, front: Proxy, start: Start) -> None:
    sender = start(front.url)
    sender.update(alert("A"))
    wait_until(lambda: len(front.requests) >= 3, "two repetitions")
    ends = [datetime.fromisoformat(one["endsAt"]) for one in sent(front)]
    starts = {one["startsAt"] for one in sent(front)}
    assert ends == sorted(set(ends))
    assert all(later - earlier >= SECOND for earlier, later in pairwise(ends))
    assert 3 * SECOND < ends[-1] - datetime.now(UTC) <= 4 * SECOND
    assert len(starts) == 1
    sender.update()
    wait_until(lambda: not alertmanager.alerts(), "its end")
    sender.update(alert("B"))
    wait_until(lambda: len(sent(front, "B")) >= 2, "a repetition of another")  # long enough for a second end of A, were there one
    assert sum(is_over(one) for one in sent(front, "A")) == 1
    assert resolved_received(alertmanager) == 1


@pytest.mark.every_prometheus
def test_an_alert_that_begins_while_the_alertmanager_is_away_arrives_when_it_is_back(alertmanager: AlertmanagerServer, start: Start) -> None:
    sender = start(alertmanager.url)
    alertmanager.stop()
    sender.update(alert("A"))
    sender.wait_for_more(Outcome.UNREACHABLE, 2)
    alertmanager.start()
    wait_until(lambda: names(alertmanager) == {"A"}, "the alert")
    assert [event["event"] for event in sender.events("warning")] == ["alertmanager does not take alerts; trying again until it does"]
    wait_until(lambda: len(sender.events("info")) == 1, "the news that it is back")


@pytest.mark.every_prometheus
def test_one_that_lost_its_memory_is_told_again(alertmanager: AlertmanagerServer, start: Start) -> None:
    sender = start(alertmanager.url)
    sender.update(alert("A"))
    wait_until(alertmanager.alerts, "the alert")
    alertmanager.kill()
    alertmanager.start()
    wait_until(alertmanager.alerts, "the alert again")


def _has_noted(alertmanager: AlertmanagerServer) -> bool:
    """Whether it knows that its receiver has answered; until then it would not tell it of the end."""
    lines = requests.get(f"{alertmanager.url}/metrics", timeout=5).text.splitlines()
    told = [line for line in lines if line.startswith("alertmanager_notification_latency_seconds_count") and 'integration="webhook"' in line]
    return any(float(line.rsplit(" ", 1)[1]) >= 1 for line in told)


@pytest.mark.every_prometheus
def test_the_end_of_an_alert_while_the_alertmanager_is_away_reaches_the_people_afterwards(toolset: Toolset, tmp_path: Path, start: Start) -> None:
    with Scripted() as people:
        receiver = {"name": "people", "webhook_configs": [{"url": f"{people.url}/", "send_resolved": True}]}
        route = {"receiver": "people", "group_wait": "10ms", "group_interval": "200ms", "repeat_interval": "1h"}
        config = json.dumps({"route": route, "receivers": [receiver]})

        def told() -> list[str]:
            return [json.loads(request.body)["status"] for request in list(people.requests)]

        with AlertmanagerServer(toolset.alertmanager, tmp_path, config) as alertmanager:
            sender = start(alertmanager.url)
            sender.update(alert("A"))
            wait_until(lambda: told() == ["firing"], "people to be told that it fires")
            wait_until(lambda: _has_noted(alertmanager), "Alertmanager to note that they were told")
            alertmanager.stop()
            sender.update()
            sender.wait_for_more(Outcome.UNREACHABLE, 2)
            alertmanager.start()
            wait_until(lambda: told() == ["firing", "resolved"], "people to be told that it is over")
            assert resolved_received(alertmanager) == 1


@pytest.mark.every_prometheus
def test_what_came_and_went_while_the_alertmanager_was_away_is_not_mentioned(alertmanager: AlertmanagerServer, start: Start) -> None:
    sender = start(alertmanager.url)
    alertmanager.stop()
    sender.update(alert("A"))
    sender.wait_for_more(Outcome.UNREACHABLE)
    sender.update(alert("B"))
    sender.wait_for_more(Outcome.UNREACHABLE)
    alertmanager.start()
    wait_until(lambda: names(alertmanager) == {"B"}, "the other alert")
    assert resolved_received(alertmanager) == 0


@pytest.mark.every_prometheus
def test_firing_again_takes_back_an_end_that_was_not_delivered(alertmanager: AlertmanagerServer, start: Start) -> None:
    sender = start(alertmanager.url)
    sender.update(alert("A"))
    wait_until(alertmanager.alerts, "the alert")
    alertmanager.stop()
    sender.update()
    sender.wait_for_more(Outcome.UNREACHABLE)
    sender.update(alert("A"))
    alertmanager.start()
    wait_until(alertmanager.alerts, "the alert again")
    assert resolved_received(alertmanager) == 0


@pytest.mark.every_prometheus
def test_every_alertmanager_gets_all(alertmanager: AlertmanagerServer, other: AlertmanagerServer, start: Start) -> None:
    sender = start(alertmanager.url, other.url)
    sender.update(alert("A"), alert("B"))
    for server in (alertmanager, other):
        wait_until(lambda server=server: names(server) == {"A", "B"}, "both alerts")  # type: ignore[misc]  # mypy cannot infer a lambda's default
    sender.update(alert("B"))
    for server in (alertmanager, other):
        wait_until(lambda server=server: names(server) == {"B"}, "the end of one")  # type: ignore[misc]  # as above


def test_one_that_hangs_delays_neither_the_other_nor_the_caller(alertmanager: AlertmanagerServer, other: AlertmanagerServer, start: Start) -> None:
    with Proxy(other.url) as hanging:
        hanging.fault = Fault.HANG
        sender = start(hanging.url, alertmanager.url, timeout=LONG)
        sender.update(alert("A"))
        wait_until(lambda: hanging.requests, "the request that hangs")
        before = time.monotonic()
        sender.update(alert("B"))
        assert time.monotonic() - before < 1
        wait_until(lambda: names(alertmanager) == {"B"}, "the news at the other")
        hanging.fault = Fault.NONE
        wait_until(lambda: names(other) == {"B"}, "the newest news at the one that hung")


def test_a_request_that_is_not_answered_is_given_up_and_sent_again(alertmanager: AlertmanagerServer, start: Start) -> None:
    sender = start(alertmanager.url, timeout=SECOND / 5)
    alertmanager.pause()
    sender.update(alert("A"))
    sender.wait_for(Outcome.TIMEOUT)
    alertmanager.resume()
    wait_until(alertmanager.alerts, "the alert")


@pytest.mark.every_prometheus
def test_one_alert_that_is_refused_keeps_no_other_back_and_is_not_tried_without_end(
    alertmanager: AlertmanagerServer, front: Proxy, start: Start
) -> None:
    sender = start(front.url, resend_delay=LONG)
    sender.update(alert("A"), Alert({}, {}, datetime.now(UTC), PAGE), alert("B"))
    wait_until(lambda: names(alertmanager) == {"A", "B"}, "the good ones")
    sender.update(alert("A"), Alert({}, {}, datetime.now(UTC), PAGE), alert("B"), alert("C"))
    wait_until(lambda: "C" in names(alertmanager), "the next one")
    sender.wait_for(Outcome.DELIVERED)
    assert sender.outcomes == {(front.url, "refused"): 1, (front.url, "delivered"): 1}
    (event,) = sender.events("error")
    assert event["why"].startswith("400 ")
    assert "label" in event["why"]  # the server's own words


@pytest.mark.every_prometheus
def test_where_one_alert_makes_it_refuse_the_whole_batch_the_others_arrive(alertmanager: AlertmanagerServer, front: Proxy, start: Start) -> None:
    sender = start(front.url, resend_delay=LONG)
    sender.update(*(alert(f"A{number}", generator_url="no URI" if number == 5 else PAGE) for number in range(11)))
    wait_until(lambda: len(names(alertmanager)) == 10, "the ten good ones")
    wait_until(lambda: sender.events("error"), "the complaint")
    (event,) = sender.events("error")
    assert event["alertnames"] == ["A5"]
    assert "generatorURL" in event["why"]
    assert len(front.requests) <= 9


@pytest.mark.every_prometheus
def test_many_alerts_are_sent_in_batches(alertmanager: AlertmanagerServer, front: Proxy, start: Start) -> None:
    sender = start(front.url, resend_delay=LONG)
    sender.update(*(alert(f"A{number}") for number in range(2 * BATCH + 1)))
    wait_until(lambda: len(alertmanager.alerts()) == 2 * BATCH + 1, "all of them")
    assert [len(json.loads(request.body)) for request in front.requests] == [BATCH, BATCH, 1]


@pytest.mark.parametrize("fault", [Fault.HTTP_500, Fault.CUT_OFF])
def test_after_a_fault_of_the_server_the_alert_is_there(alertmanager: AlertmanagerServer, front: Proxy, start: Start, fault: Fault) -> None:
    front.fault = fault
    sender = start(front.url)
    sender.update(alert("A"))
    wait_until(lambda: front.requests, "a try")
    front.fault = Fault.NONE
    wait_until(alertmanager.alerts, "the alert")
    assert sender.outcomes.keys() <= {(front.url, "server_error"), (front.url, "delivered")}


@pytest.mark.parametrize(("status", "outcome"), [(408, "server_error"), (429, "server_error"), (503, "server_error")])
def test_one_that_is_busy_is_asked_again(start: Start, status: int, outcome: str) -> None:
    with Scripted(status) as server:
        sender = start(server.url, resend_delay=LONG)
        sender.update(alert("A"))
        sender.wait_for(Outcome.SERVER_ERROR)
        server.status = 200
        sender.wait_for(Outcome.DELIVERED)
    assert sender.events("warning")[0]["why"] == f"{status} status {status} it is"


@pytest.mark.parametrize("status", [302, 401, 403, 404])
def test_one_that_says_no_is_asked_again_only_when_it_is_time(start: Start, status: int) -> None:
    with Scripted(status) as server:
        sender = start(server.url, resend_delay=SECOND / 2)
        sender.update(alert("A"))
        wait_until(lambda: len(server.requests) >= 3, "two repetitions")
        (first, *_) = sender.events("error")
        assert first["why"].startswith(str(status))
        assert first["alertnames"] == ["A"]
        sender.update(alert("B"))
        wait_until(lambda: len(sent(server, "B")) >= 2, "a repetition of another")
        assert not any(is_over(one) for one in sent(server, "A"))  # it never took the beginning


class Elsewhere(HTTPAdapter):
    """Answers every POST with a redirection to an address where every GET is fine."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.request, response.url, response.raw = request, request.url or "", BytesIO()
        response.status_code = 302 if request.method == "POST" else 200
        response.headers["Location"] = "http://elsewhere.example.com/"
        return response


def test_a_redirection_is_not_followed_for_a_good_answer_there_would_mean_nothing(start: Start) -> None:
    def session() -> requests.Session:
        session = direct_session()
        session.mount("http://", Elsewhere())
        return session

    sender = start("http://am.example.com", session=session)
    sender.update(alert("A"))
    sender.wait_for(Outcome.REFUSED)
    assert sender.count(Outcome.DELIVERED) == 0


def test_no_secret_of_an_address_is_logged_or_counted_and_the_user_is_authenticated(start: Start) -> None:
    with Scripted(401) as server:
        url = f"http://guard:hunter2@{server.address}/prefix/?token=hunter3"
        sender = start(url)
        sender.update(alert("A"))
        sender.wait_for(Outcome.REFUSED)
        (request, *_) = server.requests
        assert request.path == "/prefix/api/v2/alerts?token=hunter3"
        assert request.headers["Authorization"].startswith("Basic ")
        server.close()
        sender.update(alert("A"), alert("B"))
        sender.wait_for_more(Outcome.UNREACHABLE)
    assert {url for url, _ in sender.outcomes} == {f"http://{server.address}/prefix"}
    assert "hunter" not in repr(sender.logged.entries)
    assert "guard" not in repr(sender.logged.entries)


def test_an_address_is_shown_without_its_secrets() -> None:
    assert without_secrets("https://u:p@am.example.com:9093/x/?token=t#f") == "https://am.example.com:9093/x"


class Broken(requests.Session):
    """A session with a mistake in it."""

    def post(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("a mistake")


def test_a_mistake_of_ours_is_logged_and_does_not_end_the_sending(start: Start) -> None:
    sender = start("http://127.0.0.1:1", session=Broken)
    sender.update(alert("A"))
    sender.wait_for_more(Outcome.FAILED, 2)
    assert sender.events("error")[0]["event"] == "alerts could not be sent"


@pytest.mark.every_prometheus
def test_closing_delivers_what_is_due_and_leaves_what_is_active(alertmanager: AlertmanagerServer, start: Start) -> None:
    sender = start(alertmanager.url)
    sender.update(alert("A"), alert("B"))
    wait_until(lambda: names(alertmanager) == {"A", "B"}, "both alerts")
    sender.update(alert("B"), alert("C"))
    sender.to.close(10 * SECOND)
    assert names(alertmanager) == {"B", "C"}
    assert resolved_received(alertmanager) == 1


def test_closing_tries_as_long_as_it_may_while_an_alertmanager_is_away(alertmanager: AlertmanagerServer, start: Start) -> None:
    sender = start(alertmanager.url)
    alertmanager.stop()
    sender.update(alert("A"))
    sender.wait_for_more(Outcome.UNREACHABLE)
    before = time.monotonic()
    sender.to.close(SECOND / 2)
    assert 0.4 < time.monotonic() - before < 2
    wait_until(lambda: len(sender.events("warning")) == 2, "the last words")
    assert sender.events("warning")[1]["alerts"] == 1


def test_closing_does_not_wait_for_one_that_hangs(start: Start) -> None:
    with Scripted() as hanging, Scripted() as other:
        hanging.fault = other.fault = Fault.HANG
        sender = start(hanging.url, other.url, timeout=LONG)
        sender.update(alert("A"))
        wait_until(lambda: hanging.requests and other.requests, "the requests that hang")
        before = time.monotonic()
        with closing(sender):
            sender.to.close(SECOND / 2)
        assert time.monotonic() - before < 3


def test_without_an_alertmanager_there_is_nothing_to_do(start: Start) -> None:
    sender = start()
    sender.update(alert("A"))
    sender.close()
    assert not sender.outcomes
