"""RingRift's orchestrator, acted out: phases that wait for their configuration, soaks and parity checks on a schedule, an overlay that fails."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer
from tests.acceptance.genesis import Genesis
from tests.acceptance.phased_stand import PhasedStand
from tests.acceptance.ringrift_stand import Harnesses, ringrift
from tests.acceptance.victor_service import VictorServices

AT_BASELINE = """\
# RingRift, production
RINGRIFT_RULES_MODE=python   # for a diagnosis last week
ORCHESTRATOR_ADAPTER_ENABLED=false
export ORCHESTRATOR_ROLLOUT_PERCENTAGE="0"
"""
IN_PREVIEW = """\
RINGRIFT_RULES_MODE=ts
ORCHESTRATOR_ADAPTER_ENABLED=true
ORCHESTRATOR_ROLLOUT_PERCENTAGE=10
"""


@pytest.fixture
def harnesses(tmp_path: Path) -> Harnesses:
    """A soak and a parity check that find nothing wrong, and an overlay of which a half fails."""
    return Harnesses(tmp_path / "bin")


@pytest.fixture
def start(
    running: tuple[PrometheusServer, Genesis], victors: VictorServices, alertmanager: AlertmanagerServer, harnesses: Harnesses, tmp_path: Path
) -> Iterator[Callable[[str], PhasedStand]]:
    """Starts a daemon on an environment file; RingRift is well."""
    for ratio in ("error_rate", "shadow_mismatch_rate"):
        victors.set(f"ringrift_orchestrator_{ratio}", 0.0)
    with ExitStack() as stands:
        yield lambda text: stands.enter_context(ringrift(tmp_path, text, harnesses, running[0].url, alertmanager))


def test_a_phase_waits_for_its_configuration_and_a_failing_overlay_stops_nothing(start: Callable[[str], PhasedStand]) -> None:
    stand = start(AT_BASELINE)
    stand.wait(lambda: stand.explain()["blockers"], "the first evaluation")
    refused = stand.promote()
    assert (refused.code, 'config RINGRIFT_RULES_MODE is "python", must be "shadow" at "staging"' in refused.err) == (1, True)
    stand.edit("MODE=python", "MODE=shadow")
    stand.climb("staging")
    stand.edit("MODE=shadow", "MODE=ts")
    stand.climb("production-preview")
    preview = stand.flags_now
    assert ("ENABLED=true" in preview, 'PERCENTAGE="10"' in preview) == (True, True)

    stand.edit("MODE=ts", "MODE=python")
    alert = stand.wait_for_alert("RolloutMisconfigured")
    said = 'RINGRIFT_RULES_MODE is "python", must be "ts" at "production-preview"'
    assert (alert["labels"]["severity"], alert["annotations"]["value"]) == ("warning", said)
    assert f"CONFIG: {said}; " in stand.get()["next"]
    assert [one["sentence"] for one in stand.explain()["config"]] == [said]
    for verb in (("explain", stand.rollout), ("explain", stand.rollout, "--at", "0s"), ("history", stand.rollout), ("scorecard", stand.rollout)):
        assert said in stand.rollbackd(*verb).out, verb
    assert stand.metric("config_as_required", rollout=stand.rollout, key="RINGRIFT_RULES_MODE") == 0
    assert stand.metric("drift", rollout=stand.rollout) == 0
    refused = stand.promote()
    assert (refused.code, said in refused.err) == (1, True)
    stand.daemon.stop()
    stand.daemon.start()
    stand.wait(lambda: stand.explain()["config"], "an evaluation after the restart")
    assert len(stand.history("misconfigured")) == 1  # told once, and a restart is no news
    assert stand.flags_now == preview.replace("MODE=ts", "MODE=python")

    stand.edit("MODE=python", "MODE=ts")
    stand.wait_for_resolved("RolloutMisconfigured")
    stand.climb("broader")
    assert not stand.history("intended", kind="rollback")
    assert stand.metric("evidence_figure", evidence="soak", figure="games_completed") == 15
    assert stand.metric("evidence_figure", evidence="parity", figure="new_mismatches") == 0
    assert stand.metric("evidence_figure", evidence="ai-strength", figure="value") == 0.61
    assert [stand.metric("evidence_valid", evidence=one) for one in ("soak", "parity", "ai-strength", "ai-latency")] == [1, 1, 1, 0]
    told = stand.wait(lambda: [one for one in stand.alerts() if one["labels"]["alertname"] == "RolloutEvidenceFailed"], "the overlay to be told of")
    assert {(one["labels"]["evidence"], "no such model" in one["annotations"]["description"]) for one in told} == {("ai-latency", True)}


def test_what_a_soak_or_a_parity_check_finds_blocks_the_broader_phase_and_takes_it_back(
    start: Callable[[str], PhasedStand], harnesses: Harnesses
) -> None:
    stand = start(IN_PREVIEW)
    stand.wait_for_nothing_to_block()

    harnesses.soak(violations=2)
    harnesses.parity("plateau.hex.17")
    for alert in ("OrchestratorInvariantViolated", "OrchestratorParityBroken"):
        stand.wait_for_alert(alert)
    refused = stand.promote()
    assert (refused.code, "gate NoInvariantViolated: soak_violations 2" in refused.err) == (1, True), refused
    assert "gate NoNewMismatch: parity_new_mismatches 1" in refused.err
    harnesses.soak()
    harnesses.parity()
    stand.wait(lambda: {one["code"] for one in stand.explain()["blockers"]} == {"held"}, "nothing but the hold to be in the way")
    assert stand.rollbackd("resume", stand.rollout, "--reason", "the build was the wrong one").code == 0
    stand.wait_for_nothing_to_block()

    harnesses.hang(hangs=True)
    stand.wait(lambda: 'evidence "soak" is ' in str(stand.explain()["blockers"]), "the last soak to be too old")
    refused = stand.promote()
    assert (refused.code, 'evidence "soak" is ' in refused.err) == (3, True), refused
    assert "did not end within 900ms and was killed" in str(stand.history("refused", request="evidence"))
    harnesses.hang(hangs=False)
    stand.climb("broader")

    harnesses.soak(violations=1)
    stand.wait(lambda: stand.get()["stage"] == "production-preview", "the rollback of the broader phase")
    assert stand.flags_now == IN_PREVIEW
    [back] = stand.history("intended", kind="rollback")
    assert "OrchestratorInvariantViolatedForAll: violations_found 1 > 0" in str(back["why"])
    report = stand.rollbackd("report", stand.rollout).out
    assert "games\\_completed 15" in report
