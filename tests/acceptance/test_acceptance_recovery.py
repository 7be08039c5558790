"""After the rollback of the shipped SPICE + Pipelex rollout: it is over when it is proven, and everyone knows.

One minute of the rules takes a second here; the hour of recovery takes two and a half.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.genesis import Genesis
from tests.acceptance.stand import BASELINE, CANARY, HALF, ROLLOUT, Stand

SHORT = {
    "for: 1m, within: 2m": "for: 2500ms, within: 20s",
    "timeout: 60s, stages": "timeout: 1s, stages",
    "{rollback: baseline, after: 5s}": "{rollback: baseline, after: 2s}",
}


def steps(stand: Stand) -> list[tuple[str, str]]:
    """Each step of each verification, by its first word, and its outcome."""
    return [(one["step"].partition(" ")[0], one["outcome"]) for one in stand.history("checked")]


def test_a_rollback_is_over_when_the_service_its_log_and_its_figures_say_so(start: Callable[..., Stand], genesis: Genesis) -> None:
    stand = start(flags=CANARY, changes=SHORT)
    stand.log.write_text("ERROR in spice: of yesterday\n", encoding="utf-8")
    genesis.passes(0.9)
    stand.wait_for_phase("rolled_back")
    assert stand.flags_now == BASELINE
    assert stand.deployments == ["begun rollback baseline --reload", "ended rollback baseline"]
    genesis.be_well()
    stand.wait(lambda: stand.history("verified"), "the rollback to be verified")
    assert steps(stand) == [("flags", "pass"), ("GET", "pass"), ("ErrorRate,", "pass"), ("log", "pass")]
    told = stand.history("checked")
    assert told[1]["output"] == '{"spice_enabled": false, "pipelex_enabled": false}'
    assert "PassRate: pass_rate" in told[2]["output"]
    assert told[2]["seconds"] >= 2.5
    assert stand.alert("RolloutUnverified") is None
    assert stand.metric("verifications_total", rollout=ROLLOUT, outcome="verified") == 1
    ran = stand.rollbackd("resume", ROLLOUT, "--reason", "it is over")
    assert ran.code == 1
    assert "postmortem" in ran.err
    page = stand.rollbackd("report", ROLLOUT, "--incident", "last", "--format", "html", "--out", str(stand.folder / "report.html"))
    assert page.code == 0, page.err
    text = (stand.folder / "report.html").read_text(encoding="utf-8")
    assert "TestPassRateLow" in text
    assert "<svg" in text
    assert stand.resume().code == 0
    assert stand.get()["phase"] == "baseline"


def test_an_application_that_ignores_its_flags_is_taken_back_by_every_way_there_is(start: Callable[..., Stand], genesis: Genesis) -> None:
    """One of its two halves came up and stayed up: at canary the other one is missing, at the baseline this one is too much."""
    stand = start(flags=HALF, changes={**SHORT, "below: 95%\n    action: {rollback: baseline}": "below: 95%\n    action: rollback"})
    stand.health.stuck = (True, False)
    genesis.passes(0.9)
    stand.wait(lambda: stand.explain()["aftermath"] and stand.explain()["aftermath"]["verification"] == "failed", "every way back to have been taken")
    genesis.be_well()
    ways = [(one["from"], one["to"], one.get("way_kind", "flags")) for one in stand.history("intended")]
    assert ways[0] == ("half", "canary", "flags")
    assert ways[1:] in (  # what still fires takes it further down by itself, if it is quicker than the time that a person is given
        [("canary", "canary", "command"), ("canary", "baseline", "flags")],
        [("canary", "canary", "command"), ("canary", "baseline", "flags"), ("baseline", "baseline", "command")],
        [("canary", "baseline", "flags"), ("baseline", "baseline", "command")],
    )
    assert stand.flags_now == BASELINE
    assert "begun rollback canary --restart" in stand.deployments or "begun rollback baseline --restart" in stand.deployments
    unverified = stand.history("unverified")
    wrong = ("/pipelex_enabled is false, must be true", "/spice_enabled is true, must be false")
    assert all(any(text in one["why"] for text in wrong) for one in unverified)
    assert [one["final"] for one in unverified][-1] is True

    def paged() -> bool:  # the alert that was sent for the way before stands there for a moment
        page = stand.alert("RolloutUnverified")
        return page is not None and "/spice_enabled is true, must be false" in page["annotations"]["description"]

    stand.wait(paged, "the last word of it to have come to the Alertmanager")
    page = stand.wait_for_alert("RolloutUnverified")
    assert (page["labels"]["severity"], page["labels"]["stage"]) == ("critical", "baseline")
    stand.health.stuck = None
    ran = stand.rollbackd("verify", ROLLOUT, "--reason", "it was restarted by hand", "--wait", "30")
    assert ran.code == 0, ran.err
    stand.wait_for_resolved("RolloutUnverified")


@pytest.mark.parametrize("rotated", [False, True])
def test_an_error_in_the_log_after_the_rollback_is_found_even_if_it_was_rotated_away(
    rotated: bool, start: Callable[..., Stand], genesis: Genesis
) -> None:
    stand = start(flags=CANARY, changes=SHORT)
    genesis.passes(0.9)
    stand.wait_for_phase("rolled_back")
    with stand.log.open("a", encoding="utf-8") as log:  # while its figures are waited for
        log.write("ERROR: pipelex is gone\n")
    if rotated:
        stand.log.rename(f"{stand.log}.1")
        stand.log.write_text("fresh\n", encoding="utf-8")
    genesis.be_well()
    stand.wait(lambda: stand.history("unverified"), "the verification to fail")
    assert "ERROR: pipelex is gone" in stand.history("unverified")[0]["why"]


def test_a_flapping_signal_ends_frozen_and_makes_no_storm_of_alerts(start: Callable[..., Stand], genesis: Genesis) -> None:
    """A day in fifteen seconds: up and down without end, and somebody who sends it up again as soon as that is possible."""
    quick = {"soak: 48m": "soak: 0s", "resume: {requires: postmortem}": "max_rollbacks: {count: 2, in: 1d}"}
    stand = start(changes={**SHORT, **quick})
    before = received(stand)
    begun = datetime.now(UTC)
    for _ in range(12):
        genesis.be_well()
        again_and_again(stand, 0.9)
        genesis.passes(0.9)
        again_and_again(stand, 0.5)
    genesis.be_well()
    stand.wait_for_phase("frozen")
    assert [one["to"] for one in stand.history("intended", kind="rollback") if one["code"] == "trigger_firing"] == ["baseline", "baseline"]
    assert len(stand.history("frozen")) == 1
    page = stand.wait_for_alert("RolloutFrozen")
    assert page["annotations"]["value"].startswith("2 rollbacks by triggers in 1d")
    ran = stand.promote()
    assert (ran.code, "it is frozen" in ran.err) == (1, True)
    seconds = (datetime.now(UTC) - begun).total_seconds()
    most = 6 * (seconds + 1) + 60  # each active alert once a second, and a word when it begins and when it ends
    assert received(stand) - before < most
    names = {one["labels"]["alertname"] for one in stand.alerts()}
    assert names <= {"RolloutFrozen", "RolloutRolledBack", "TestPassRateLow", "RepeatedViolations"}
    ran = stand.rollbackd("resume", ROLLOUT, "--reason", "it was a flapping probe")
    assert ran.code == 0, ran.err
    assert stand.get()["phase"] == "baseline"


def again_and_again(stand: Stand, seconds: float) -> None:
    """Resume and promote, whatever comes of it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for verb in ("resume", "promote") if stand.get()["phase"] == "rolled_back" else ("promote",):
            stand.session.post(f"{stand.daemon.url}/api/v1/rollouts/{ROLLOUT}/{verb}", json={"reason": "it looks good"}, timeout=20)


def received(stand: Stand) -> float:
    """How many alerts the Alertmanager has been sent."""
    text = stand.session.get(f"{stand.alertmanager.url}/metrics", timeout=20).text
    families = text_string_to_metric_families(text)
    return sum(one.value for family in families for one in family.samples if one.name == "alertmanager_alerts_received_total")
