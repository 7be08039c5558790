"""What firing triggers lead to, as timetables: where a rollout is taken, how often, and what a person at three in the morning finds."""

import json
from datetime import timedelta

import pytest

from rollback_daemon.judge.transitions import Event
from tests.judge.timetable import play
from tests.judge.world import START, gate, intents, rollout, trigger

# where to


@pytest.mark.parametrize(
    ("action", "at", "target"),
    [
        ("rollback", "full", "half"),
        ("rollback", "half", "canary"),
        ("rollback", "canary", "baseline"),
        ("rollback to baseline", "full", "baseline"),
        ("rollback to canary", "full", "canary"),
        ("rollback to canary", "half", "canary"),
    ],
)
def test_it_goes_back_to_the_previous_stage_or_to_the_one_named(action: str, at: str, target: str) -> None:
    play(
        rollout(trigger("Errors", above=1, action=action)),
        f"""
        0s  | errors 0 |
        15s | errors 2 | Errors firing, rollback to {target}, rolled_back at {target}
        """,
        at=at,
    )


@pytest.mark.parametrize("action", ["rollback to canary", "rollback to half"])
def test_where_the_named_stage_is_not_lower_all_that_is_left_is_to_hold(action: str) -> None:
    play(
        rollout(trigger("Errors", above=1, action=action)),
        """
        0s      | errors 2 | held, held at canary, blocked by held+trigger_firing
        15s..2m |          | held at canary
        """,
    )


def test_at_the_bottom_an_armed_trigger_holds() -> None:
    play(rollout(trigger("Errors", above=1, stages=("baseline",))), "0s | errors 2 | held, held at baseline", at="baseline")


def test_of_several_triggers_the_lowest_target_wins_and_all_are_named() -> None:
    world = play(
        rollout(
            trigger("Half", above=1, action="rollback to half"),
            trigger("Canary", above=1, action="rollback to canary"),
            trigger("Stop", above=1, action="hold"),
            trigger("Tell", above=1, action="alert"),
            trigger("Quiet", above=9, action="rollback to baseline"),
        ),
        "0s | errors 2 | rollback to canary, rolled_back at canary",
        at="full",
    )
    assert world.last
    (intended,) = [one.body for one in world.last.happened if one.event is Event.INTENDED]
    assert intended["triggers"] == ["Half", "Canary"]
    assert intended["why"] == ["Half: errors 2 > 1", "Canary: errors 2 > 1"]
    assert intended["code"] == "trigger_firing"


def test_the_reason_has_the_value_beside_its_limit_and_the_window_beside_how_long_it_was_held() -> None:
    world = play(rollout(trigger("Errors", above=0.01, for_="50s")), "0s..45s | errors{a} 0.0312 |\n1m | | rollback to baseline")
    assert world.position.why == 'Errors: errors{pod="a"} 0.0312 > 0.01 for 50s (held 1m)'


def test_what_is_done_is_timed_from_when_it_became_due() -> None:
    world = play(
        rollout(trigger("Errors", above=1), trigger("Slow", "latency", above=1)),
        """
        0s  | errors 2, latency 0 | rollback to half
        1s  | finish              |
        60s | latency 2           | rollback to canary
        """,
        at="full",
        slow=True,
    )
    assert world.last
    first, *_, last = [json.loads(body) for event, body, _ in world.journal if event == Event.INTENDED]
    assert first["breached_at"] == START.isoformat()
    assert last["breached_at"] == (START + timedelta(seconds=46)).isoformat()  # 45 s after it came to half, before latency fired
    assert last["triggers"] == ["Errors", "Slow"]


def test_a_series_that_has_acted_says_so_until_a_new_epoch_begins() -> None:
    guarded = rollout(trigger("Errors", above=1))

    def spent(timetable: str) -> list[bool]:
        return [one.spent for one in play(guarded, timetable, slow=True).state.triggers["Errors"].active]

    assert spent("0s | errors 2 | rollback to baseline") == [True]
    assert spent("0s | errors 2 | rollback to baseline\n15s | |") == [True]
    assert spent("0s | errors 2 | rollback to baseline\n1s | finish |\n15s | |") == [False]


def test_a_change_of_phase_is_on_record_with_value_limit_and_beginning() -> None:
    world = play(rollout(trigger("Errors", above=1, for_="30s", action="alert")), "0s | errors{a} 2 |\n30s | errors{a} 3 |\n45s | errors{a} 0 |")
    told = [json.loads(body) for event, body, _ in world.journal if event == Event.TRIGGER]
    facts = {"alert": "Errors", "labels": {"pod": "a"}, "limit": "> 1", "active_since": START.isoformat()}
    assert told == [{**facts, "phase": "pending", "value": 2}, {**facts, "phase": "firing", "value": 3}, {**facts, "phase": "inactive", "value": 0}]


def test_five_series_are_all_named() -> None:
    world = play(rollout(trigger("Errors", above=1)), f"0s | {', '.join(f'errors{{p{number}}} 2' for number in range(5))} | rollback to baseline")
    assert "more series" not in world.position.why


def test_a_reason_names_five_series_and_counts_the_rest() -> None:
    series = ", ".join(f"errors{{p{number}}} 2" for number in range(8))
    world = play(rollout(trigger("Errors", above=1)), f"0s | {series} | rollback to baseline")
    assert world.position.why.count(";") == 5
    assert world.position.why.endswith("; Errors: and 3 more series")


def test_an_alert_only_trigger_changes_nothing_but_stops_the_way_up() -> None:
    play(
        rollout(trigger("Errors", above=1, action="alert")),
        """
        0s      | errors 0 | ready at canary, free
        15s..1h | errors 2 | Errors firing, soaking at canary, blocked by trigger_firing
        """,
    )


@pytest.mark.parametrize("at", ["canary", "full"])
def test_a_hold_trigger_holds_once_and_again_only_after_a_resume(at: str) -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s", action="hold")),
        f"""
        0s..15s   | errors 2 |
        30s       |          | held, held at {at}
        45s..5m   |          | held at {at}
        310s      | resume   | soaking at {at}
        315s..330s|          | soaking at {at}
        345s      |          | held, held at {at}
        """,
        at=at,
    )


# once, and once for each stage


def test_a_rollback_that_helps_is_followed_by_nothing() -> None:
    world = play(
        rollout(trigger("Errors", above=1, for_="30s")),
        """
        0s..15s | errors 2 |
        30s     |          | rollback to half
        45s..1h | errors 0 | rolled_back at half
        """,
        at="full",
    )
    assert intents(world) == ["rollback full>half"]


def test_a_rollback_that_does_not_help_is_followed_by_the_next_once_its_window_has_passed_there() -> None:
    world = play(
        rollout(trigger("Errors", above=1, for_="1m")),
        """
        0s..45s   | errors 2 |
        1m        |          | rollback to half
        75s..105s |          | rolled_back at half
        2m        |          | rollback to canary
        135s..165s|          | rolled_back at canary
        3m        |          | rollback to baseline
        195s..1h  |          | Errors firing, rolled_back at baseline
        """,
        at="full",
    )
    assert intents(world) == ["rollback full>half", "rollback half>canary", "rollback canary>baseline"]


def test_a_trigger_without_a_window_gives_the_signal_max_gap_to_follow_the_flags() -> None:
    play(
        rollout(trigger("Errors", above=1)),
        """
        0s       | errors 2 | rollback to half
        15s..30s |          | rolled_back at half
        45s      |          | rollback to canary
        """,
        at="full",
    )


def test_a_breach_that_begins_after_a_rollback_is_not_made_to_wait() -> None:
    play(
        rollout(trigger("Errors", above=1), trigger("Slow", "latency", above=1)),
        """
        0s  | errors 2, latency 0 | rollback to half
        15s | latency 2           | rollback to canary
        """,
        at="full",
    )


def test_a_second_trigger_that_was_pending_all_along_does_not_make_one_trouble_two_rollbacks() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s"), trigger("Slow", "latency", above=1, for_="45s")),
        """
        0s  | errors 2, latency 2 |
        30s |                     | rollback to half
        31s | errors 0            |
        45s |                     | Slow firing, rolled_back at half
        60s |                     | rolled_back at half
        75s |                     | rollback to canary
        """,
        at="full",
    )


def test_what_cannot_be_seen_does_not_take_it_down_further() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s")),
        """
        0s..15s   | errors 2       |
        30s       |                | rollback to half
        45s..10m  | errors nothing | Errors firing, rolled_back at half
        615s..645s| errors 2       | Errors firing, rolled_back at half
        660s      |                | Errors firing, rollback to canary
        """,
        at="full",
    )


def test_what_is_only_kept_firing_does_not_act() -> None:
    play(
        rollout(trigger("Errors", above=1, keep="10m", delay="1m")),
        """
        0s..15s | errors 2 | Errors firing
        30s..5m | errors 0 | Errors firing, soaking at canary
        """,
    )


def test_what_is_latched_stays_so_until_it_is_resumed_and_resuming_arms_it_again() -> None:
    play(
        rollout(trigger("Errors", above=1, for_="30s", action="rollback to canary")),
        """
        0s..15s  | errors 2 |
        30s      |          | rollback to canary, rolled_back at canary
        45s..10m |          | rolled_back at canary
        610s     | resume   | soaking at canary
        630s     |          | soaking at canary
        645s     |          | held, held at canary
        """,
        at="half",
    )


def test_the_same_breach_acts_again_after_a_promotion() -> None:
    world = play(
        rollout(trigger("Errors", above=1)),
        """
        0s       | errors 2 | rollback to baseline
        15s..30s | errors 0 | rolled_back at baseline
        31s      | resume   |
        45s      |          | baseline at baseline
        46s      | promote  | soaking at canary
        60s      | errors 2 | rollback to baseline
        """,
    )
    assert intents(world) == ["rollback canary>baseline", "promote baseline>canary", "rollback canary>baseline"]


# deciding without acting


@pytest.mark.parametrize(("enforce", "dry_run"), [(False, False), (True, True), (False, True)])
@pytest.mark.parametrize("action", ["rollback", "hold"])
def test_in_observe_mode_and_in_a_dry_run_it_is_said_once_what_would_have_been_done(enforce: bool, dry_run: bool, action: str) -> None:
    world = play(
        rollout(trigger("Errors", above=1, action=action, dry_run=dry_run), enforce=enforce),
        """
        0s       | errors 0 |
        15s      | errors 2 | Errors firing, observed
        30s..10m |          | Errors firing
        615s     | errors 0 | Errors inactive
        630s     | errors 2 | Errors firing, observed
        """,
    )
    assert intents(world) == []
    assert world.position.stage == "canary"


def test_a_dry_run_has_no_say_in_whether_a_rollout_is_ready_or_blind() -> None:
    play(
        rollout(trigger("Errors", above=1, dry_run=True, action="alert"), trigger("Lost", "nowhere", above=1, dry_run=True), soak="30s"),
        """
        0s  | errors 2, nowhere failed | Errors firing
        15s |                          | soaked 15s, blocked by soak
        30s |                          | ready at canary, free
        5m  |                          | ready at canary, seeing
        """,
    )


def test_a_gate_that_is_violated_never_takes_anything_back() -> None:
    play(rollout(gate("Errors", below=1)), "0s..1h | errors 2 | soaking at canary, blocked by gate_violated")
