"""Who has taken an alert is told, with the labels of what was taken; what was refused, or did not arrive, is not."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

import requests
import structlog

from rollback_daemon.clock import SystemClock
from rollback_daemon.faces.alertmanager import Alertmanagers, without_secrets
from rollback_daemon.faces.alerts import Alert
from rollback_daemon.lab.faults import Answer, Fault, MisbehavingServer, Request
from rollback_daemon.lab.servers import wait_until

SECOND = timedelta(seconds=1)


class Taking(MisbehavingServer):
    """Takes every alert, or none."""

    status = 200

    def answer(self, request: Request, /) -> Answer:
        return Answer(b"{}", "application/json", self.status)


class Sending:
    def __init__(self, url: str) -> None:
        session = requests.Session()
        session.trust_env = False
        self.told: list[tuple[str, list[str]]] = []
        self.asked = 0
        self.to = Alertmanagers(
            [(url, session)], resend_delay=SECOND / 5, clock=SystemClock(), observe=self._asked, log=structlog.get_logger(), accepted=self._accepted
        )

    def _asked(self, url: str, outcome: str) -> None:
        self.asked += 1

    def _accepted(self, url: str, alerts: Sequence[Mapping[str, str]]) -> None:
        self.told.append((url, [one["alertname"] for one in alerts]))

    def update(self, *names: str) -> None:
        self.to.update([Alert({"alertname": name, "rollout": "checkout"}, {}, datetime.now(UTC), "") for name in names], SECOND / 5)

    def close(self) -> None:
        self.to.close(timedelta())


def test_what_was_taken_is_told_without_secrets_and_its_end_is_not() -> None:
    with Taking() as server, closing(Sending(server.url.replace("://", "://user:s3cret@"))) as sending:
        sending.update("A", "B")
        wait_until(lambda: sending.told, "it to be taken", 10)
        assert sending.told[0] == (without_secrets(server.url), ["A", "B"])
        before = len(sending.told)
        sending.update("A")
        wait_until(lambda: len(sending.told) > before, "the end of B to be taken", 10)
        assert all("B" not in names for _, names in sending.told[before + 1 :])


def test_what_did_not_arrive_or_was_refused_is_not_told() -> None:
    for fault, status in ((Fault.HTTP_500, 200), (Fault.NONE, 400)):
        with Taking() as server, closing(Sending(server.url)) as sending:
            server.fault, server.status = fault, status
            sending.update("A")
            wait_until(lambda sending=sending: sending.asked, "an answer", 10)  # type: ignore[misc]  # the default binds this round's
            assert not sending.told
