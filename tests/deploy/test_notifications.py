"""What people are told: a real daemon rolls back, and a real Alertmanager with the shipped configuration tells chat, mail and pager, each once.

The approved texts are in `approved/`. Where one is to change, write the new one there, and read it as somebody who was asleep a minute ago.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from rollback_daemon.lab.remote_write import RECEIVER
from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer, wait_until
from rollback_daemon.lab.toolset import Toolset
from tests.deploy.receiver import Receivers, configuration, timeless
from tests.faces.http.bench import Bench

APPROVED = Path(__file__).parent / "approved"
LEAD = "deployment-lead@example.com"
ADDRESS = ["--web.external-url", "https://guard.example.com"]


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    """Chat, pager, mail box and dead man's switch."""
    with Receivers() as everybody:
        yield everybody


@pytest.fixture
def telling(toolset: Toolset, receivers: Receivers, tmp_path: Path) -> Iterator[AlertmanagerServer]:
    """An Alertmanager with the shipped configuration, which tells `receivers`."""
    config = configuration(tmp_path / "secrets", receivers)
    with AlertmanagerServer(toolset.alertmanager, tmp_path / "alertmanager", config) as server:
        yield server


@pytest.fixture
def told(toolset: Toolset, tmp_path: Path) -> Iterator[PrometheusServer]:
    """Scrapes nothing; takes samples as remote writes."""
    with PrometheusServer(toolset.prometheus, tmp_path / "told", {}, flags=[RECEIVER]) as server:
        yield server


def approved(name: str, text: str) -> None:
    """The text is the one in `approved/`."""
    assert timeless(text) == (APPROVED / f"{name}.txt").read_text(encoding="utf-8")


def tell(alertmanager: AlertmanagerServer, *alerts: str) -> None:
    """As daemon and Prometheus do; an alert is written `NAME severity rollout stage MORE=...`, where `-` is a label that it has not."""
    ends = datetime.now(UTC) + timedelta(minutes=1)
    sent = []
    for one in alerts:
        first, more = one.split()[:4], dict(word.split("=") for word in one.split()[4:])
        labels = {name: word for name, word in zip(("alertname", "severity", "rollout", "stage"), first, strict=True) if word != "-"}
        sent.append({"labels": labels | more, "annotations": {"summary": one}, "endsAt": ends.isoformat()})
    with requests.Session() as session:
        session.trust_env = False
        session.post(f"{alertmanager.url}/api/v2/alerts", json=sent, timeout=10).raise_for_status()


def inhibited(alertmanager: AlertmanagerServer) -> set[str]:
    """What each alert that is kept quiet says."""
    return {one["annotations"]["summary"] for one in alertmanager.alerts() if one["status"]["inhibitedBy"]}


def are_quiet(alertmanager: AlertmanagerServer, wanted: set[str]) -> None:
    """These alerts are kept quiet, and no others. Alertmanager needs a moment to see what is quieted by what has just come."""
    wait_until(lambda: inhibited(alertmanager) >= wanted, f"to be quiet: {wanted}", 15)
    assert inhibited(alertmanager) == wanted


def test_a_rollback_is_told_once_to_pager_chat_and_mail_and_its_end_as_well(
    told: PrometheusServer, telling: AlertmanagerServer, receivers: Receivers, tmp_path: Path
) -> None:
    with Bench(tmp_path / "daemon", told.url, config={"alerting": {"alertmanagers": [{"url": telling.url}]}}, arguments=ADDRESS) as bench:
        bench.to_canary()
        wait_until(lambda: receivers.chats("#deployments"), "the chat to hear that it is ready", 15)
        assert receivers.chats("#deployments")[0].splitlines()[1] == 'checkout may be promoted to "half"'
        assert (receivers.pages(), receivers.mails(LEAD)) == ([], [])
        bench.set_error_rate(0.02)
        wait_until(lambda: receivers.pages() and len(receivers.chats("#deployments")) > 1 and receivers.mails(LEAD), "everybody to be told", 15)
        are_quiet(telling, {"ErrorRateHigh: error_rate 0.02 > 0.01"})
        approved("page", receivers.pages()[0])
        approved("chat", receivers.chats("#deployments")[-1])
        approved("mail", receivers.mails(LEAD)[0])
        bench.set_error_rate(0)
        assert bench.ask_for("resume", reason="understood").status_code == 200
        wait_until(lambda: len(receivers.mails(LEAD)) > 1, "its end to be told", 15)
        assert str(receivers.mailbox.mails[-1]["Subject"]).startswith('RESOLVED checkout was rolled back from "canary" to "baseline": ErrorRateHigh')
        wait_until(lambda: len(receivers.came("/pager")) > 1, "the pager to hear of the end", 15)
        assert [one["event_action"] for one in receivers.came("/pager")] == ["trigger", "resolve"]
        assert len({one["dedup_key"] for one in receivers.came("/pager")}) == 1


@pytest.mark.oldest_and_newest
def test_what_says_less_is_quiet_while_something_says_more_and_nothing_else_is(telling: AlertmanagerServer, receivers: Receivers) -> None:
    quiet = {
        "LatencyHigh warning search half",
        "RolloutHeld warning search canary",
        "RolloutDrift warning search canary key=one",
        "RolloutBlind critical search - told_by=prometheus",
        "JournalUnwritable critical - - told_by=prometheus",
        "RollbackdAlertmanagerUnreachable warning - - job=rollbackd instance=a",
        "ErrorRateHigh critical checkout half",
    }
    audible = {
        "RolloutRolledBack critical search canary",
        "ErrorRateHigh critical search canary",
        "RolloutDrift critical search canary key=two",
        "RolloutBlind critical cart - told_by=prometheus",
        "LatencyHigh warning mail half",
        "JournalUnwritable critical - -",
        "RollbackdCannotAlert critical - - job=rollbackd instance=a",
        "RollbackdAlertmanagerUnreachable warning - - job=rollbackd instance=b",
        "RolloutRolledBack critical checkout baseline",
        "DiskFull critical - - instance=a",
        "DiskFull warning - - instance=b",
        "RollbackdWatchdog none - -",
    }
    tell(telling, *quiet, *audible)
    are_quiet(telling, quiet)
    wait_until(lambda: len(receivers.came("/pager")) >= 4, "the pager to be told of three rollouts and the guard", 15)
    assert len({one["dedup_key"] for one in receivers.came("/pager")}) == 4  # one for each rollout
    [of_search] = [text for text in receivers.pages() if "search" in text]
    assert of_search.splitlines()[1] == "RolloutRolledBack critical search canary (1 of 3 alerts)"
    tokens = {one.headers["Authorization"] for one in receivers.requests if one.path == "/rollbackd"}
    assert tokens == {"Bearer t0ken"}
    tell(telling, "RollbackdDown critical - - job=rollbackd")
    daemons = {one for one in quiet | audible if one.split()[2] != "-" and one.split()[3] != "-"}
    are_quiet(telling, quiet | daemons | {"RollbackdAlertmanagerUnreachable warning - - job=rollbackd instance=b"})
