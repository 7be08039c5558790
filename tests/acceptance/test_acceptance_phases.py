"""The shipped rollouts with a shadow: an assistant's engines up to 25 % and back in one step, and phases that wait for their configuration."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer
from tests.acceptance.genesis import Genesis
from tests.acceptance.phased_stand import Assistant, PhasedStand
from tests.acceptance.victor_service import VictorServices

ENGINE = """{
  "site": "erp.example.com",   "assistant_engine": "v2",
  "ai_assistant_v3_canary_percent": 10, "limits": {"tokens": 4000}
}
"""
ENVIRONMENT = """\
# RingRift, production
RINGRIFT_RULES_MODE=python   # for a diagnosis last week
ORCHESTRATOR_ADAPTER_ENABLED=false
export ORCHESTRATOR_ROLLOUT_PERCENTAGE="0"
"""


def engine_of(engine: str, percent: int) -> str:
    """ENGINE with these two values, and not another byte changed."""
    return ENGINE.replace('"v2"', f'"{engine}"').replace('percent": 10', f'percent": {percent}')


@pytest.fixture
def assistant(victors: VictorServices) -> Iterator[Assistant]:
    """Both engines, which are well."""
    yield Assistant(victors)
    victors.others.clear()


@pytest.fixture
def engines(
    running: tuple[PrometheusServer, Genesis], assistant: Assistant, alertmanager: AlertmanagerServer, tmp_path: Path
) -> Iterator[PhasedStand]:
    """The assistant at v2."""
    assert assistant
    flags = {"/srv/assistant/runtime_config.json": tmp_path / "runtime_config.json"}
    with PhasedStand(tmp_path, "assistant-v3", flags, ENGINE, {}, running[0].url, alertmanager) as stand:
        yield stand


@pytest.fixture
def orchestrator(
    running: tuple[PrometheusServer, Genesis], victors: VictorServices, alertmanager: AlertmanagerServer, tmp_path: Path
) -> Iterator[PhasedStand]:
    """RingRift without its orchestrator, and well."""
    for ratio in ("error_rate", "shadow_mismatch_rate"):
        victors.set(f"ringrift_orchestrator_{ratio}", 0.0)
    flags = {"/srv/ringrift/.env.production": tmp_path / ".env.production", "/srv/ringrift/bin/restart": Path("/bin/true")}
    changes = {"max_age: 400ms": "max_age: 2s", "for: 3s": "for: 500ms"}
    with PhasedStand(tmp_path, "ringrift-orchestrator", flags, ENVIRONMENT, changes, running[0].url, alertmanager) as stand:
        yield stand


def test_the_engine_climbs_over_its_shadow_to_25_percent_and_goes_back_to_v2_in_one_step(engines: PhasedStand, assistant: Assistant) -> None:
    engines.climb("shadow")
    assert engines.flags_now == engine_of("v3_shadow", 10)
    assert engines.metric("rollout_exposure_ratio", rollout="assistant-v3") == 0
    engines.climb("canary-10")
    engines.climb("canary-25")
    assert engines.flags_now == engine_of("v3_canary", 25)
    assistant.failing["experiment"] = 0.3
    engines.wait_for_phase("rolled_back")
    assert engines.flags_now == ENGINE
    [back] = engines.history("done", kind="rollback")
    assert (back["from"], back["to"]) == ("canary-25", "baseline")
    assert "V3ErrorRateHigh" in str(engines.history("intended", kind="rollback"))
    engines.wait_for_alert("RolloutRolledBack")


def test_a_phase_waits_for_its_configuration_and_says_when_it_is_lost(orchestrator: PhasedStand) -> None:
    stand = orchestrator
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
    assert stand.get()["next"].startswith(f"CONFIG: {said}; ")
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
