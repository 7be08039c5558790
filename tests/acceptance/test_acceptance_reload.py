"""A configuration is taken up as a whole or not at all, while the daemon runs, and what is pending stays pending."""

import signal
from collections.abc import Callable
from datetime import datetime

import pytest
import requests

from tests.acceptance.genesis import Genesis
from tests.acceptance.stand import BASELINE, HALF, Stand


def by_signal(stand: Stand) -> None:
    """SIGHUP; the log alone says what is wrong."""
    stand.daemon.send(signal.SIGHUP)


def by_request(stand: Stand) -> None:
    """POST /-/reload; the answer says what is wrong."""
    requests.post(f"{stand.daemon.url}/-/reload", timeout=20)


@pytest.mark.parametrize("reload", [by_signal, by_request])
def test_a_broken_reload_leaves_the_old_rules_acting_and_a_good_one_brings_the_new(
    reload: Callable[[Stand], None], canary: Stand, genesis: Genesis
) -> None:
    assert canary.metric("config_last_reload_successful") == 1

    canary.change_rules({"below: 95%": "below: 50%", "severity: critical": "severety: critical"})  # a new limit, and mistakes
    reload(canary)
    canary.wait(lambda: canary.metric("config_last_reload_successful") == 0, "the reload to be refused")
    assert canary.trigger("TestPassRateLow")["limit"] == "< 0.95"
    genesis.passes(0.9)
    canary.wait_for_phase("rolled_back")  # by the old rule, which is not known to the file any more
    assert canary.history("intended", kind="rollback")[0]["triggers"] == ["TestPassRateLow"]
    assert canary.flags_now == BASELINE

    genesis.be_well()
    canary.change_rules({"below: 50%": "below: 97%", "severety: critical": "severity: critical"})
    reload(canary)
    canary.wait(lambda: canary.metric("config_last_reload_successful") == 1, "the reload")
    canary.wait(lambda: canary.trigger("TestPassRateLow")["limit"] == "< 0.97", "the new limit")
    assert canary.resume().code == 0
    canary.go_to_canary()
    genesis.passes(0.96)  # which the old rule would have let pass
    canary.wait_for_phase("rolled_back")
    assert "0.96 < 0.97" in canary.history("intended", kind="rollback")[1]["why"][0]


def test_a_broken_reload_says_every_mistake_with_its_place(stand: Stand) -> None:
    stand.change_rules({"below: 95%": "below: 95%\n    above: 99%", "for: 5s": "for: 5"})
    answer = requests.post(f"{stand.daemon.url}/-/reload", timeout=20)
    assert answer.status_code == 422
    problems = [one["sentence"] for one in answer.json()["reasons"]]
    assert len(problems) >= 3
    assert all(problem.startswith(f"{stand.rules}:") for problem in problems)


def test_a_reload_without_the_stage_that_a_rollout_stands_on_is_refused(canary: Stand, genesis: Genesis) -> None:
    canary.change_rules({"stage: canary": "stage: first", "stages: [canary, ": "stages: [first, "})
    answer = requests.post(f"{canary.daemon.url}/-/reload", timeout=20)
    assert answer.status_code == 422
    [reason] = answer.json()["reasons"]
    assert '"canary" is gone, but spice-pipelex stands there; roll it back first' in reason["sentence"]
    assert canary.metric("config_last_reload_successful") == 0
    genesis.passes(0.9)
    canary.wait_for_phase("rolled_back")
    requests.post(f"{canary.daemon.url}/-/reload", timeout=20).raise_for_status()  # it stands there no longer
    assert canary.metric("config_last_reload_successful") == 1
    assert "first" in [stage["stage"] for stage in canary.explain()["stages"]]


def test_pending_time_survives_a_reload(canary: Stand, genesis: Genesis) -> None:
    genesis.fails(0.031)
    canary.wait_for_pending("ErrorRateHigh", seconds=2)
    since = canary.since("ErrorRateHigh")
    canary.change_rules({"owner: deployment-lead": "owner: somebody-else"})
    requests.post(f"{canary.daemon.url}/-/reload", timeout=20).raise_for_status()
    canary.wait(lambda: canary.get()["owner"] == "somebody-else", "the new rules")
    canary.wait_for_phase("rolled_back")
    [fired] = canary.history("trigger", alert="ErrorRateHigh", phase="firing")
    assert datetime.fromisoformat(fired["active_since"]) == since
    assert canary.wait_for_alert("ErrorRateHigh")["labels"]["owner"] == "somebody-else"


def test_a_rollout_that_a_reload_brings_stands_where_its_flags_are(stand: Stand) -> None:
    second = stand.folder / "second.yml"
    flags = stand.folder / ".env.second"
    flags.write_text(HALF, encoding="utf-8")
    second.write_text(stand.rules.read_text().replace("rollout: spice-pipelex", "rollout: second").replace(".env.production", ".env.second"))
    stand.configure(stand.rules.name, second.name)
    requests.post(f"{stand.daemon.url}/-/reload", timeout=20).raise_for_status()
    stand.wait(lambda: stand.get(rollout="second")["phase"] == "soaking", "the second rollout to be judged")
    assert stand.get(rollout="second")["stage"] == "half"
    assert (stand.get()["stage"], stand.flags_now) == ("baseline", BASELINE)
    stand.configure(second.name)  # and the first one is guarded no longer
    requests.post(f"{stand.daemon.url}/-/reload", timeout=20).raise_for_status()
    assert [one["rollout"] for one in requests.get(f"{stand.daemon.url}/api/v1/rollouts", timeout=20).json()] == ["second"]
    assert flags.read_text() == HALF
