"""The way up, as timetables: what a soak counts, what makes a rollout ready, and each reason for which a promotion is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import promotion, requests
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.standing import all_checks
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.model import Stage
from tests.judge.timetable import play
from tests.judge.world import ONLY_TOLD, START, World, flags_of, gate, rollout, trigger


def test_it_is_ready_once_soaked_with_every_gate_passing_and_complete_at_the_top() -> None:
    guarded = rollout(trigger("Errors", above=1), gate("Errors", below=1), soak="1m")
    play(guarded, "0s..45s | errors 0 | soaking at canary, blocked by soak\n60s | | ready at canary, free\n1h | | ready at canary, free")
    play(guarded, "0s..45s | errors 0 | soaking at full\n60s | | complete at full, blocked by at_top\n1h | | complete at full", at="full")


def test_a_rollout_climbs_only_when_it_is_told_to() -> None:
    play(
        rollout(gate("Errors", below=1), soak="30s"),
        """
        0s      | errors 0 | baseline at baseline, free
        1h      |          | baseline at baseline, free
        3601s   | promote  | soaking at canary
        3615s   |          | soaking at canary, soaked 14s
        3630s   |          | soaking at canary, soaked 29s, blocked by soak
        3645s   |          | ready at canary, free
        3646s   | promote  | soaking at half
        3690s   |          | ready at half, free
        3691s   | promote  | soaking at full
        3735s   |          | complete at full
        3736s   | promote  | refused at_top
        """,
        at="baseline",
    )


@pytest.mark.parametrize("trouble", ["errors 2", "errors nothing", "errors NaN", "errors failed", "flags baseline", "flags full", "flags unreadable"])
def test_a_soak_counts_only_time_that_was_seen_and_clear(trouble: str) -> None:
    guarded = rollout(trigger("Errors", above=1, for_="1h"), soak="90s", on_drift=ONLY_TOLD)
    play(
        guarded,
        f"""
        0s..30s | errors 0              | soaking at canary
        45s..5m | {trouble}             | soaked 30s, soaking at canary
        315s    | errors 0, flags canary| soaked 45s, soaking at canary
        360s    |                       | soaked 90s, ready at canary
        """,
    )


def test_a_soak_stands_still_while_a_gate_does_not_pass() -> None:
    play(
        rollout(gate("Errors", below=1), soak="1m"),
        """
        0s..30s | errors 0       | soaking at canary
        45s     | errors 2       | soaked 30s, blocked by soak+gate_violated
        60s     | errors nothing | soaked 30s, blocked by soak+gate_unknown
        75s     | errors 0       | soaked 45s, blocked by soak
        90s     |                | soaked 60s, ready at canary
        """,
    )


def test_a_soak_stands_still_while_it_is_held_and_goes_on_after_the_resume() -> None:
    play(
        rollout(soak="1m"),
        """
        0s..30s |        |
        31s     | hold   | held at canary
        45s..1h |        | soaked 30s, blocked by soak+held
        3601s   | resume | soaking at canary
        3615s   |        | soaked 45s
        3630s   |        | ready at canary
        """,
    )


def test_a_stop_longer_than_max_gap_does_not_count_as_soaked() -> None:
    play(
        rollout(soak="2m"),
        """
        0s..30s |       |
        31s     | stop  |
        75s     | start | soaked 75s
        76s     | stop  |
        135s    | start | soaked 75s
        150s    |       | soaked 90s
        """,
    )


def test_a_soak_remembered_from_another_stage_counts_for_nothing() -> None:
    world = play(rollout(soak="1h"), "0s..1h | | \n3601s | promote |")
    world.state = replace(world.state, soaked=timedelta(hours=1))  # killed before the memory of the new stage was kept
    world.evaluate({}, START + timedelta(seconds=3615))
    assert world.state.soaked <= timedelta(seconds=28)
    assert world.position.phase == "soaking"


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ("errors 2", "gate_violated+trigger_pending"),
        ("errors nothing", "gate_unknown+trigger_unknown"),
        ("errors failed", "gate_unknown+trigger_unknown"),
        ("flags unreadable", "flags_unreadable"),
        ("flags full", "drift"),
        ("flags baseline", "drift"),
    ],
)
def test_what_is_ready_is_no_longer_when_something_is_wrong_or_unknown(trouble: str, code: str) -> None:
    play(
        rollout(trigger("Errors", above=1, for_="1h"), gate("Errors", at_most=1), on_drift=ONLY_TOLD),
        f"""
        0s  | errors 0               | ready at canary, free
        15s | {trouble}              | soaking at canary, blocked by {code}
        16s | promote                | refused {code}
        30s | errors 0, flags canary | ready at canary, free
        """,
    )


def test_triggers_of_the_next_stage_are_heard_before_it_is_entered_unless_they_have_an_initial_delay() -> None:
    at_next = rollout(trigger("Errors", above=1, for_="1h", stages=("half",)))
    play(at_next, "0s | errors 2 | blocked by trigger_pending\n15s | errors nothing | blocked by trigger_pending+trigger_unknown")
    warming_up = rollout(trigger("Errors", above=1, for_="1h", delay="15m", stages=("half",)))
    play(warming_up, "0s | errors 2 | free\n15s | errors nothing | free")
    far_away = rollout(trigger("Errors", above=1, for_="1h", stages=("full",)))
    play(far_away, "0s | errors 2 | free\n15s | errors nothing | free")


def test_a_signal_that_exists_only_once_the_feature_is_on_does_not_keep_it_off() -> None:
    play(
        rollout(trigger("LoopStopped", "tasks", at_most=0, for_="1m", delay="1m")),
        """
        0s     | tasks nothing | baseline at baseline, free
        1m     | tasks 0       | baseline at baseline, free
        61s    | promote       | soaking at canary
        75s..2m|               | soaking at canary, blocked by trigger_unknown
        150s   | tasks 3       | ready at canary, free
        """,
        at="baseline",
    )


def test_a_stage_is_not_left_before_all_that_guards_it_was_armed() -> None:
    play(
        rollout(trigger("Errors", above=1, delay="5m"), soak="1m"),
        """
        0s..285s | errors 0 | soaking at canary
        5m       |          | ready at canary
        """,
    )


def test_a_promotion_needs_an_evaluation_that_is_young_enough() -> None:
    play(
        rollout(),
        """
        0s   |         | ready at canary
        1s   | stop    |
        46s  | promote | refused not_evaluated
        """,
    )


def test_an_evaluation_as_old_as_max_gap_is_young_enough() -> None:
    play(rollout(), "0s | | ready at canary\n1s | stop |\n45s | promote | soaking at half")


def test_the_blockers_of_an_evaluation_can_be_told_again_from_its_parts() -> None:
    guarded = rollout(trigger("Errors", above=1, for_="1h"), gate("Low", below=1), soak="1m")
    world = play(guarded, "0s | errors 2, flags half | blocked by gate_violated+trigger_pending+soak")
    assert world.judgement
    known = world.judgement
    assert all_checks(guarded, world.state, world.position, known.seen, known.at) == known.checks


def test_why_it_is_no_longer_ready_is_on_record() -> None:
    world = play(rollout(gate("Low", below=1)), "0s | errors 0 | ready at canary\n15s | errors 2 | soaking at canary")
    (body,) = [json.loads(body) for event, body, _ in world.journal if event == Event.UNREADY]
    assert body == {"stage": "canary", "why": ["gate Low: errors 2, must be < 1"]}


def test_a_promotion_needs_an_evaluation_of_the_stage_that_it_leaves() -> None:
    play(
        rollout(),
        """
        0s  |          | ready at canary
        1s  | promote  | soaking at half
        2s  | promote  | refused not_evaluated
        15s |          | ready at half
        16s | promote  | soaking at full
        """,
    )


def test_what_happened_since_the_evaluation_counts() -> None:
    play(
        rollout(),
        """
        0s  |         | ready at canary
        1s  | hold    |
        2s  | promote | refused held
        3s  | resume  | soaking at canary
        4s  | promote | refused not_evaluated
        15s | promote | refused not_evaluated, ready at canary
        16s | promote | soaking at half
        17s | rollback| rolled_back at canary
        18s | promote | refused latched+not_evaluated
        """,
    )


def test_nothing_is_promoted_while_flags_are_being_changed() -> None:
    play(
        rollout(),
        """
        0s  |         | ready at canary
        1s  | promote | promoting at canary
        2s  | promote | refused in_transition
        15s | promote | refused in_transition
        16s | fail    | promoting at canary
        17s | give up | held at canary
        """,
        slow=True,
    )


def test_nothing_is_promoted_in_observe_mode() -> None:
    play(rollout(enforce=False), "0s | | ready at canary\n1s | promote | refused observing")


def test_nothing_is_asked_of_a_rollout_that_was_never_seen() -> None:
    asks: list[Callable[[], Happened]] = [
        lambda: promotion.promote(rollout(), State(), None, "ann", "go", START),
        lambda: requests.rollback(rollout(), State(), None, None, "ann", "go", START),
        lambda: requests.hold(rollout(), State(), "ann", "go"),
        lambda: requests.resume(rollout(), State(), "ann", "go"),
    ]
    for ask in asks:
        with pytest.raises(Refusal) as refusal:
            ask()
        assert [reason.code for reason in refusal.value.reasons] == [Code.NOT_EVALUATED]
        assert refusal.value.unknown


@pytest.mark.parametrize(
    ("seen", "unknown"),
    [
        ("errors nothing", True),
        ("errors failed", True),
        ("flags unreadable", True),
        ("errors 2", False),
        ("flags full", False),
        ("errors failed, flags full", False),
    ],
)
def test_a_refusal_tells_no_from_could_not_tell(seen: str, unknown: bool) -> None:
    world = play(rollout(trigger("Errors", above=1, for_="1h"), on_drift=ONLY_TOLD), f"0s | errors 0 |\n15s | {seen} |")
    with pytest.raises(Refusal) as refusal:
        promotion.promote(world.rollout, world.state, world.judgement, "ann", "go", START)
    assert refusal.value.unknown is unknown


def test_a_refusal_says_everything_that_is_in_the_way_at_once() -> None:
    world = play(rollout(trigger("Errors", above=1, for_="1h"), gate("Low", below=1), soak="2m"), "0s..15s | errors 0 |\n30s | errors 2 |")
    with pytest.raises(Refusal) as refusal:
        promotion.promote(world.rollout, world.state, world.judgement, "ann", "go", START)
    assert str(refusal.value) == (
        'checkout stays at canary: soaked 15s of 2m at "canary"; 1m45s to go; gate Low: errors 2, must be < 1; trigger Errors is pending'
    )


def test_a_gate_without_a_value_says_why() -> None:
    world = play(rollout(gate("Low", below=1)), "0s | errors{a} NaN, errors{b} 0 |")
    assert world.last
    assert [str(reason) for reason in world.last.judgement.blockers] == ['gate Low: errors{pod="a"} is unknown (the value is NaN), must be < 1']


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ("errors{a} 0, errors{b} 0", "free"),
        ("errors{a} 0, errors{b} 2", "blocked by gate_violated"),
        ("errors{a} NaN, errors{b} 0", "blocked by gate_unknown"),
        ("errors{a} NaN, errors{b} 2", "blocked by gate_violated"),
        ("errors nothing", "blocked by gate_unknown"),
        ("errors failed", "blocked by gate_unknown"),
    ],
)
def test_a_gate_passes_when_every_series_does(seen: str, verdict: str) -> None:
    play(rollout(gate("Low", below=1)), f"0s | {seen} | {verdict}")


def test_a_ladder_that_grew_makes_what_was_complete_climb_again() -> None:
    world = play(rollout(), "0s | | complete at full", at="full")
    more = Stage("more", 4, 1.0, {"NEW": "true", "PERCENT": "all"})
    world.rollout = replace(world.rollout, stages=(*world.rollout.stages, more))
    world.evaluate({}, START + timedelta(seconds=15))
    assert world.position.phase == "soaking"
    world.evaluate({}, START + timedelta(seconds=30))
    assert world.position.phase == "ready"


def test_a_soak_that_was_made_longer_takes_readiness_back() -> None:
    world = play(rollout(), "0s | | ready at canary")
    world.rollout = rollout(soak="1h")
    world.evaluate({}, START + timedelta(seconds=15))
    assert world.position.phase == "soaking"


# hold and resume


@pytest.mark.parametrize(
    ("before", "code"),
    [("rollback", "latched"), ("promote", "in_transition")],
)
def test_what_does_not_go_up_cannot_be_held(before: str, code: str) -> None:
    play(rollout(), f"0s | | ready at canary\n1s | {before} |\n2s | hold | refused {code}", slow=before == "promote")


def test_a_rollback_under_way_cannot_be_held() -> None:
    play(
        rollout(),
        "0s | | ready at canary\n1s | rollback |\n2s | hold | refused in_transition\n3s | fail |\n4s | hold | refused in_transition",
        slow=True,
    )


def test_there_is_nothing_to_resume_where_nothing_was_stopped() -> None:
    world = play(rollout(), "0s | | ready at canary\n1s | resume | refused")
    with pytest.raises(OperationRefused, match="checkout is ready; there is nothing to resume"):
        requests.resume(world.rollout, world.state, "ann", "go")


def test_holding_what_is_held_changes_the_reason() -> None:
    world: World = play(rollout(), "0s | | ready at canary\n1s | hold | held at canary\n2s | hold | held at canary")
    assert world.position.why == "ann: asked"
    assert world.flags == flags_of(world.rollout, "canary")
