"""Stopping and starting again changes nothing: what is pending goes on, what is latched stays latched, what was begun is ended once."""

import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from rollback_daemon.lab.servers import Server
from tests.acceptance.genesis import Genesis
from tests.acceptance.stand import BASELINE, CANARY, ROLLOUT, Stand

NO_GAP = {"interval: 250ms": "interval: 250ms\nmax_gap: 30s"}
"""A restart takes a second or two, and so would be a gap of minutes of the rules."""
WAITS = 'while [ -e "$(dirname "$0")/wait" ]; do sleep 0.05; done'
"""What the deploy command does as long as the test wants it to."""


def stopped(server: Server) -> None:
    """SIGTERM, as systemd does."""
    server.stop()


def killed(server: Server) -> None:
    """kill -9."""
    server.kill()


gently_or_not = pytest.mark.parametrize("end", [stopped, killed])


@gently_or_not
def test_what_is_pending_goes_on_after_a_restart(end: Callable[[Server], None], start: Callable[..., Stand], genesis: Genesis) -> None:
    stand = start(flags=CANARY, changes=NO_GAP)
    genesis.fails(0.031)
    stand.wait_for_pending("ErrorRateHigh", seconds=1)
    since = stand.since("ErrorRateHigh")
    end(stand.daemon)
    stand.daemon.start()
    assert stand.flags_now == CANARY
    stand.wait_for_phase("rolled_back")
    [fired] = stand.history("trigger", alert="ErrorRateHigh", phase="firing")
    assert datetime.fromisoformat(fired["active_since"]) == since
    assert len(stand.history("trigger", alert="ErrorRateHigh", phase="pending")) == 1
    assert stand.flags_now == BASELINE


def test_what_was_pending_starts_over_after_a_stop_that_is_a_gap(canary: Stand, genesis: Genesis) -> None:
    genesis.fails(0.031)
    canary.wait_for_pending("ErrorRateHigh", seconds=1)
    since = canary.since("ErrorRateHigh")
    canary.daemon.stop()
    canary.daemon.start()  # more than a second later: the gap that the rules allow is 750 ms
    canary.wait_for_pending("ErrorRateHigh")
    again = canary.since("ErrorRateHigh")
    assert since
    assert again
    assert again - since > timedelta(seconds=1)


@gently_or_not
def test_a_rolled_back_rollout_stays_latched_and_its_alerts_active(end: Callable[[Server], None], canary: Stand, genesis: Genesis) -> None:
    genesis.passes(0.9)
    canary.wait_for_phase("rolled_back")
    told = {name: canary.wait_for_alert(name) for name in ("TestPassRateLow", "RolloutRolledBack")}
    end(canary.daemon)
    canary.daemon.start()
    assert canary.get()["phase"] == "rolled_back"
    assert canary.promote().code == 1
    for name, before in told.items():
        now = told_again(canary, name, before["endsAt"])
        assert (now["startsAt"], now["labels"]) == (before["startsAt"], before["labels"])
        assert now["fingerprint"] == before["fingerprint"]
    assert len(canary.history("intended", kind="rollback")) == 1
    assert [line for line in canary.deployments if line.startswith("begun rollback")] == ["begun rollback baseline --reload"]
    genesis.be_well()
    canary.wait_for_resolved("TestPassRateLow")
    assert canary.alert("RolloutRolledBack")


def told_again(stand: Stand, name: str, ends_at: str) -> Any:
    """The alert once Alertmanager has heard of it after that time."""
    stand.wait(lambda: (stand.alert(name) or {"endsAt": ""})["endsAt"] > ends_at, f"{name} to be told again")
    return stand.alert(name)


def test_a_stop_during_the_deploy_command_lets_it_end_and_records_it(canary: Stand, genesis: Genesis) -> None:
    canary.deploys(WAITS)
    gate = canary.folder / "wait"
    gate.touch()
    genesis.passes(0.9)
    canary.wait(lambda: canary.deployments[-1:] == ["begun rollback baseline --reload"], "the deploy command to begin")
    canary.daemon.send(signal.SIGTERM)
    canary.wait(lambda: "stopping" in canary.daemon.log_tail(), "the daemon to take notice")
    assert canary.daemon.running
    gate.unlink()
    canary.wait(lambda: not canary.daemon.running, "the daemon to end")
    assert canary.deployments[-1] == "ended rollback baseline"
    canary.daemon.start()
    assert canary.get()["phase"] == "rolled_back"
    assert len(canary.history("done", kind="rollback")) == 1
    assert canary.deployments.count("begun rollback baseline --reload") == 1
    assert canary.flags_now == BASELINE


def test_a_kill_during_the_deploy_command_has_it_run_again_and_the_rollback_end_once(canary: Stand, genesis: Genesis) -> None:
    canary.deploys(WAITS)
    gate = canary.folder / "wait"
    gate.touch()
    genesis.passes(0.9)
    canary.wait(lambda: canary.deployments[-1:] == ["begun rollback baseline --reload"], "the deploy command to begin")
    canary.daemon.kill()
    assert canary.flags_now == BASELINE
    gate.unlink()
    canary.daemon.start()
    canary.wait_for_phase("rolled_back")
    assert canary.deployments.count("begun rollback baseline --reload") == 2
    [intent] = canary.history("intended", kind="rollback")
    assert [one["id"] for one in canary.history("done", kind="rollback")] == [intent["id"]]
    assert len(canary.history("applied", kind="rollback")) == 1


def test_of_two_daemons_on_one_journal_the_second_says_so_and_takes_over_when_the_first_is_killed(canary: Stand, genesis: Genesis) -> None:
    with canary.another("second", ready="/-/healthy") as second:
        canary.wait(lambda: "another daemon is in charge" in second.log_tail(), "the second one to say that it is passive")
        assert f"pid {canary.daemon.pid}" in second.log_tail()
        ready = requests.get(f"{second.url}/-/ready", timeout=20)
        assert (ready.status_code, ready.text) == (503, "passive: another daemon is in charge of the journal.\n")
        assert canary.metric("leader", rollout=ROLLOUT) == 1
        assert canary.metric("leader", second, rollout=ROLLOUT) == 0
        refused = canary.rollbackd("rollback", ROLLOUT, "--reason", "a test", server=second)
        assert refused.code == 1
        assert "this daemon is passive; ask the one that is in charge" in refused.err
        requests.post(f"{second.url}/-/reload", timeout=20).raise_for_status()
        assert requests.get(f"{second.url}/-/ready", timeout=20).status_code == 503
        assert canary.flags_now == CANARY

        canary.daemon.kill()
        canary.wait(lambda: requests.get(f"{second.url}/-/ready", timeout=20).ok, "the second one to take over")
        canary.daemon = second
        assert canary.metric("leader", rollout=ROLLOUT) == 1
        assert (canary.get()["phase"], canary.get()["stage"]) == ("soaking", "canary")
        genesis.passes(0.9)
        canary.wait_for_phase("rolled_back")
        assert canary.flags_now == BASELINE
        assert len(canary.history("done", kind="rollback")) == 1
