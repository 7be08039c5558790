"""People change flags by hand: what they raised is taken back, what they lowered is never raised; flags of no stage stop the way up."""

from collections.abc import Callable

from tests.acceptance.genesis import Genesis
from tests.acceptance.stand import BASELINE, CANARY, HALF, ROLLOUT, Stand, flags_of

TO_PREVIOUS = {"{rollback: baseline}": "rollback"}  # so that a rollback from half would lead to canary


def test_flags_that_a_person_lowered_stay_there_whatever_fires(start: Callable[..., Stand], genesis: Genesis) -> None:
    stand = start(flags=HALF, changes=TO_PREVIOUS)
    stand.wait(lambda: stand.get()["stage"] == "half", "the rollout to be found at half")
    stand.flags.write_text(BASELINE, encoding="utf-8")  # a person is quicker
    told = stand.wait_for_alert("RolloutDrift")
    assert {"rollout": ROLLOUT, "owner": "deployment-lead", "stage": "baseline", "severity": "warning"}.items() <= told["labels"].items()
    assert "ROLLOUT_PERCENTAGE" in told["annotations"]["value"]
    assert (stand.get()["phase"], stand.get()["stage"]) == ("held", "baseline")
    genesis.passes(0.9)
    stand.wait(lambda: stand.trigger("TestPassRateLow")["phase"] == "firing", "the trigger to fire")
    stand.wait_for_evaluations(3)
    assert (stand.get()["phase"], stand.flags_now) == ("held", BASELINE)
    assert stand.history("applied") == []
    genesis.be_well()
    assert stand.resume().code == 0
    stand.wait_for_resolved("RolloutDrift")
    assert (stand.get()["phase"], stand.flags_now) == ("baseline", BASELINE)


def test_flags_lowered_to_a_stage_in_between_stay_there_and_go_further_down_if_that_does_not_help(
    start: Callable[..., Stand], genesis: Genesis
) -> None:
    stand = start(flags=HALF, changes=TO_PREVIOUS)
    stand.wait(lambda: stand.get()["stage"] == "half", "the rollout to be found at half")
    stand.flags.write_text(CANARY, encoding="utf-8")
    stand.wait_for_alert("RolloutDrift")
    assert (stand.get()["phase"], stand.get()["stage"]) == ("held", "canary")
    genesis.passes(0.9)
    stand.wait(lambda: stand.get()["stage"] == "baseline", "the rollout to be at its baseline")
    assert [one["to"] for one in stand.history("intended")] == ["baseline"]
    assert [one["after"]["ROLLOUT_PERCENTAGE"] for one in stand.history("applied")] == ["0"]
    assert stand.flags_now == BASELINE


def test_flags_of_no_stage_are_told_and_a_rollback_leads_to_the_baseline(start: Callable[..., Stand], genesis: Genesis) -> None:
    stand = start(flags=HALF, changes=TO_PREVIOUS)
    stand.wait(lambda: stand.get()["stage"] == "half", "the rollout to be found at half")
    stand.flags.write_text(flags_of("true", "false", "33"), encoding="utf-8")
    told = stand.wait_for_alert("RolloutDrift")
    assert "They are those of no stage." in told["annotations"]["description"]
    stand.wait_for_phase("held")
    assert stand.flags_now == flags_of("true", "false", "33")
    assert stand.promote().code == 1
    genesis.passes(0.9)
    stand.wait_for_phase("rolled_back")
    assert (stand.get()["stage"], stand.flags_now) == ("baseline", BASELINE)


def test_flags_that_a_person_raised_are_taken_back_and_go_further_down_if_that_does_not_help(canary: Stand, genesis: Genesis) -> None:
    canary.flags.write_text(HALF, encoding="utf-8")
    canary.wait_for_phase("rolled_back")
    assert (canary.get()["stage"], canary.flags_now) == ("canary", CANARY)
    told = canary.wait_for_alert("RolloutDrift")
    assert told["labels"]["severity"] == "critical"
    assert "ROLLOUT_PERCENTAGE" in told["annotations"]["value"]
    refused = canary.promote()
    assert refused.code == 1
    assert 'no promotion to "half" is on record' in refused.err
    genesis.passes(0.9)
    canary.wait(lambda: canary.get()["stage"] == "baseline", "the rollout to be at its baseline")
    assert canary.flags_now == BASELINE


def test_after_a_rollback_only_a_person_opens_the_way_up_again(canary: Stand, genesis: Genesis) -> None:
    genesis.passes(0.9)
    canary.wait_for_phase("rolled_back")
    genesis.be_well()
    canary.wait_for_resolved("TestPassRateLow")
    refused = canary.promote()
    assert refused.code == 1
    assert "resume it with a reason first" in refused.err
    assert canary.resume().code == 0
    assert canary.flags_now == BASELINE  # resuming raises nothing
    canary.wait_for_resolved("RolloutRolledBack")
    canary.go_to_canary()
    assert canary.flags_now == CANARY
