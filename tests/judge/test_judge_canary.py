"""A canary in the judge: collecting is no blindness, a promotion waits for it, and every stage is counted anew."""

from dataclasses import replace
from datetime import timedelta

from rollback_daemon.judge.trigger import Active, TriggerState, advance
from rollback_daemon.rules.model import ActionKind, NoDataBudget, Trigger
from rollback_daemon.rules.reading import Assessment, Health, Reading, Verdict
from rollback_daemon.rules.statistics.judging import Tolerance
from rollback_daemon.rules.triggers.canary import Canary
from tests.judge.timetable import play
from tests.judge.world import START, rollout, signal

ABOVE_BASELINE = frozenset({"canary", "half", "full"})


def canary(at_least: int = 4) -> Trigger:
    """Half of the evaluations take a pair, one each 30s."""
    every = timedelta(seconds=30)
    test = Canary(replace(signal("errors"), exposed_only=True), signal("before"), Tolerance(), at_least=at_least, every=every, window=every)
    return Trigger("Worse", test, ABOVE_BASELINE)


def test_while_samples_are_collected_the_soak_counts_nobody_is_blind_and_a_promotion_waits() -> None:
    play(
        rollout(canary(), soak="1m"),
        """
        0s       | before 1, errors 1 | soaking at canary, Worse collecting, seeing
        15s..45s |                    | Worse collecting, seeing, blocked by trigger_unknown+soak
        1m       |                    | Worse collecting, seeing, soaked 60s, blocked by trigger_unknown
        75s..105s|                    | Worse collecting, seeing, blocked by trigger_unknown
        2m       |                    | Worse ok, free
        """,
    )


def test_what_is_still_collected_uses_no_budget_for_lack_of_data() -> None:
    strict = replace(canary(at_least=8), no_data=NoDataBudget(timedelta(seconds=30), ActionKind.HOLD))
    play(
        rollout(strict),
        """
        0s       | before 1, errors 1 | Worse collecting
        2m       |                    | Worse collecting, soaking at canary
        """,
    )


def test_not_to_see_one_of_the_groups_is_blindness() -> None:
    play(
        rollout(canary()),
        """
        0s..30s | before nothing, errors 1 | Worse no_data
        45s     |                          | Worse no_data, blind
        1m      | before 1                 | Worse collecting, seeing
        """,
    )


def test_evidence_takes_the_rollout_back_and_is_counted_anew_from_there() -> None:
    """What fired stays firing, for people, until the new count is clear."""
    play(
        rollout(canary()),
        """
        0s         | before 1, errors 3 | Worse inactive, Worse collecting
        2m..315s   |                    | Worse inactive, Worse ok
        330s       |                    | Worse firing, rollback to baseline, rolled_back at baseline
        345s..450s | errors 1           | Worse firing, Worse collecting
        465s       |                    | Worse inactive, Worse ok
        """,
    )


def test_at_the_baseline_there_is_no_experiment_and_that_keeps_nobody_there() -> None:
    play(
        rollout(canary()),
        """
        0s | before 1, errors nothing | Worse no_data, seeing, free
        """,
        at="baseline",
    )


def test_a_series_that_has_gone_does_not_fire_for_ever_while_others_are_collected() -> None:
    gone, young, gap = (("pod", "a"),), (("pod", "b"),), timedelta(seconds=45)
    fired = TriggerState(active=(Active(gone, START, START, firing_since=START, value=0.001),))
    collecting = Assessment({young: Reading(Verdict.UNKNOWN, None, "has 1 of 4 samples", stays=True)}, Health.COLLECTING)
    soon, late = (advance(canary(), fired, collecting, {}, START + after, gap) for after in (gap, 2 * gap))
    assert ([one.labels for one in soon.active], late.active) == ([gone], ())
