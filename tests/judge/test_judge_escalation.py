"""Triggers that nobody takes in hand, as timetables: levels, announced rollbacks, and what people, time and blindness do to them."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.aftercare import Aftercare, AtMost, Escalation
from rollback_daemon.rules.duties import Rehearsing
from rollback_daemon.rules.measures import OnNoData
from rollback_daemon.rules.model import Rollout, Trigger
from rollback_daemon.signals.observation import Failed, Failure, Observation, Value
from tests.judge import people
from tests.judge.timetable import play
from tests.judge.world import START, World, announced, intents, rollout, trigger

LAST = Escalation(("ticket", "lead"), rollback=True, in_=timedelta(minutes=2))


def warning(for_: str = "0", keep: str = "0") -> Trigger:
    """A trigger that does nothing but tell people, and the next ones after a minute."""
    return trigger("Errors", above=1, action="alert", escalate_after="1m", for_=for_, keep=keep)


def ladder(*triggers: Trigger, last: Escalation = LAST, enforce: bool = True) -> Rollout:
    return rollout(*triggers, enforce=enforce, aftercare=Aftercare(escalation=last))


def on_record(world: World, event: Event) -> list[dict[str, object]]:
    return [json.loads(body) for kind, body, _ in world.journal if kind == event]


def seconds(world: World, event: Event) -> list[float]:
    return [(at - START).total_seconds() for kind, _, at in world.journal if kind == event]


def refusal(world: World, request: str) -> str:
    with pytest.raises(OperationRefused) as refused:
        people.ask(world, request, START + timedelta(minutes=3))
    return str(refused.value)


Changed = Callable[[Rollout], Rollout]


def after_change(world: World, rules: Rollout) -> None:
    """One more evaluation, with other rules."""
    world.edit(rules)
    world.evaluate({"errors": Value({(): 2.0})}, START + timedelta(minutes=2, seconds=15))


# levels


def test_a_warning_that_nobody_resolves_climbs_to_a_rollback_that_is_announced_and_done() -> None:
    world = play(
        ladder(warning(for_="30s")),
        """
        0s  | errors 0 |
        15s | errors 2 | Errors pending
        45s |          | Errors firing, escalated to ticket
        1m45s |        | escalated to lead
        2m45s |        | scheduled half, complete at full
        4m30s |        | complete at full
        4m45s |        | rollback to half, rolled_back at half
        5m30s |        | rolled_back at half
        5m45s |        | scheduled canary
        """,
        at="full",
    )
    assert [body["number"] for body in on_record(world, Event.ESCALATED)] == [1, 2]
    (scheduled, _), (intended,) = on_record(world, Event.SCHEDULED), on_record(world, Event.INTENDED)
    assert scheduled["due"] == intended["breached_at"] == (START + timedelta(seconds=285)).isoformat()
    assert (intended["code"], intended["triggers"]) == ("escalated", ["Errors"])
    assert intended["why"] == ["Errors: errors 2 > 1 for 30s (held 4m30s); announced for 2026-03-01 12:04:45 UTC"]


def test_each_level_says_what_is_wrong_and_for_how_long_nobody_took_it_in_hand() -> None:
    world = play(ladder(warning()), "0s | errors 2 | escalated to ticket\n1m | errors 3 | escalated to lead")
    first, second = (body["why"] for body in on_record(world, Event.ESCALATED))
    assert first == "Errors: errors 2 > 1"
    assert second == "Errors: errors 3 > 1; neither resolved nor acknowledged for 1m at ticket"


def test_without_a_rollback_the_last_level_is_where_it_stays() -> None:
    play(
        ladder(warning(), last=Escalation()),
        """
        0s | errors 2 | escalated to ticket
        1m |          | escalated to lead
        5m |          | soaking at full
        """,
        at="full",
    )


def test_where_nothing_but_a_rollback_is_given_it_is_announced_after_the_time_of_one_level() -> None:
    play(
        ladder(warning(), last=Escalation((), rollback=True, to="baseline", in_=timedelta(minutes=1))),
        """
        0s | errors 2 | escalated
        1m |          | scheduled baseline
        2m |          | rollback to baseline
        """,
    )


def test_easing_ends_it_and_the_next_time_it_begins_at_the_first_level() -> None:
    play(
        ladder(warning()),
        """
        0s    | errors 2 | escalated to ticket
        1m    |          | escalated to lead
        1m15s | errors 0 | eased
        1m30s | errors 2 | escalated to ticket
        2m30s |          | escalated to lead
        3m30s |          | scheduled baseline
        4m    | errors 0 | eased
        7m    |          | ready at canary
        """,
    )


def test_flapping_within_keep_firing_for_does_not_stop_the_clock() -> None:
    play(
        ladder(warning(keep="2m")),
        """
        0s  | errors 2 | escalated to ticket
        15s | errors 0 | Errors firing
        75s | errors 2 | escalated to lead
        """,
    )


def test_series_are_not_counted_apart() -> None:
    play(
        ladder(warning()),
        """
        0s  | errors{a} 2 | escalated to ticket
        30s | errors{b} 2 |
        45s | errors{a} 0 |
        1m  |             | escalated to lead
        75s | errors{b} 0 | eased
        """,
    )


def test_a_trigger_without_escalate_after_has_no_levels() -> None:
    world = play(ladder(trigger("Errors", above=1, action="alert")), "0s | errors 2 | Errors firing\n5m | |")
    assert not world.state.escalations.triggers


def test_a_dry_run_has_no_levels() -> None:
    play(ladder(trigger("Errors", above=1, action="alert", escalate_after="1m", dry_run=True)), "0s | errors 2 | Errors firing\n5m | |")


def test_where_the_trigger_is_not_armed_nobody_is_told() -> None:
    play(ladder(warning()), "0s | errors 2 | Errors firing\n5m | | baseline at baseline", at="baseline")


# blindness, stops


@pytest.mark.parametrize("blind", ["errors failed", "errors nothing", "errors NaN"])
def test_what_cannot_be_seen_neither_climbs_nor_eases_and_the_time_does_not_count(blind: str) -> None:
    play(
        ladder(warning()),
        f"""
        0s    | errors 2 | escalated to ticket
        15s   | {blind}  |
        10m   | errors 2 |
        11m   |          | escalated to lead
        """,
    )


def test_a_short_gap_counts() -> None:
    play(ladder(warning()), "0s | errors 2 | escalated to ticket\n15s | errors failed |\n45s | errors 2 |\n1m | | escalated to lead")


def test_the_time_that_the_daemon_was_away_does_not_count_and_levels_survive_it() -> None:
    play(
        ladder(warning()),
        """
        0s    | errors 2 | escalated to ticket
        1m    |          | escalated to lead
        1m30s | stop     |
        20m   | start    |
        20m45s |         | scheduled baseline
        20m50s | stop    |
        30m   | start    | rollback to baseline
        """,
    )


def test_an_announced_rollback_waits_for_sight_and_for_the_breach_to_be_held_again() -> None:
    play(
        ladder(trigger("Errors", above=1, for_="30s", action=announced("baseline", "1m"))),
        """
        0s    | errors 2      |
        30s   |               | scheduled baseline
        1m    | errors failed |
        5m    | errors 2      | soaking at canary
        5m15s |               | soaking at canary
        5m30s |               | rollback to baseline
        """,
    )


def test_an_announced_rollback_that_cannot_be_seen_to_be_needed_is_eased_once_it_is_seen_clear() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("baseline", "1m"))),
        """
        0s | errors 2       | scheduled baseline
        15s | errors failed |
        5m | errors 0       | eased, ready at canary
        """,
    )


def test_a_trigger_whose_memory_was_lost_is_not_eased_before_it_is_seen_clear() -> None:
    world = play(ladder(warning()), "0s | errors 2 | escalated to ticket\n15s | errors failed |")
    world.state = replace(world.state, triggers={})
    blind: dict[str, Observation] = {"errors": Failed(Failure.TIMEOUT, "no answer in time")}
    world.evaluate(blind, START + timedelta(seconds=30))
    assert not on_record(world, Event.EASED)
    world.evaluate({"errors": Value({(): 0.0})}, START + timedelta(seconds=45))
    assert len(on_record(world, Event.EASED)) == 1


def test_no_data_that_is_a_breach_by_the_rule_climbs_and_rolls_back() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("baseline", "1m"), no_data=OnNoData.BREACH)),
        "0s | errors nothing | scheduled baseline\n1m | | rollback to baseline",
    )


# announced by the action


def test_a_rollback_that_is_announced_comes_at_its_time_and_again_at_the_next_stage() -> None:
    world = play(
        ladder(trigger("Errors", above=1, for_="15s", action=announced(in_="2m"))),
        """
        0s    | errors 2 | Errors pending
        15s   |          | scheduled half
        2m    |          | soaking at full
        2m15s |          | rollback to half
        3m    |          | scheduled canary
        4m45s |          |
        5m    |          | rollback to canary
        5m45s |          | scheduled baseline
        6m    | errors 0 | eased
        9m    |          | rolled_back at canary
        """,
        at="full",
    )
    assert intents(world) == ["rollback full>half", "rollback half>canary"]


def test_of_several_that_are_due_together_the_lowest_target_wins_and_all_are_named() -> None:
    world = play(
        ladder(trigger("A", above=1, action=announced("half", "1m")), trigger("B", above=1, action=announced("canary", "1m"))),
        "0s | errors 2 | scheduled half, scheduled canary\n1m | | rollback to canary",
        at="full",
    )
    assert on_record(world, Event.INTENDED)[0]["triggers"] == ["A", "B"]


def test_a_rollback_to_the_same_stage_or_a_lower_one_makes_an_announced_one_moot() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("canary", "1m"))),
        """
        0s  | errors 2                      | scheduled canary
        20s | rollback to canary            | rolled_back at canary
        30s |                               | cancelled
        5m  |                               | rolled_back at canary
        """,
        at="full",
    )


def test_a_rollback_that_leads_less_far_leaves_it_announced() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("baseline", "2m"))),
        """
        0s  | errors 2         | scheduled baseline
        20s | rollback to half | rolled_back at half
        2m  |                  | rollback to baseline
        """,
        at="full",
    )


def test_flags_that_a_person_lowers_further_make_it_moot() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("canary", "1m"))),
        "0s | errors 2 | scheduled canary\n20s | flags baseline |\n30s | | cancelled\n5m | |",
        at="full",
    )


def test_where_the_trigger_is_not_armed_nothing_is_announced_and_what_was_is_moot() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("baseline", "1m"), stages=("half", "full"))),
        """
        0s  | errors 2           | scheduled baseline
        20s | rollback to canary | rolled_back at canary
        30s |                    | cancelled
        9m  |                    | rolled_back at canary
        """,
        at="full",
    )


def test_what_is_under_way_comes_first() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("baseline", "30s"))),
        """
        0s  | errors 2         | scheduled baseline
        10s | rollback to half | rolling_back at full
        1m  |                  | rolling_back at full
        70s | finish           | rolled_back at half
        75s |                  |
        2m  |                  | rollback to baseline
        """,
        at="full",
        slow=True,
    )


def test_where_no_stage_is_lower_nothing_is_announced() -> None:
    play(ladder(trigger("Errors", above=1, action=announced("half"))), "0s | errors 2 | Errors firing\n2m | | soaking at canary")


# observed


def test_in_mode_observe_it_is_told_once_what_would_be_announced() -> None:
    world = play(
        ladder(warning(), enforce=False),
        "0s | errors 2 | escalated to ticket\n1m | | escalated to lead\n2m | | observed\n9m | | soaking at full",
        at="full",
    )
    (observed,) = on_record(world, Event.OBSERVED)
    assert observed["would"] == "rollback to half in 2m"


@pytest.mark.parametrize("enforce", [True, False])
def test_a_dry_run_of_an_announcement_is_told_once(enforce: bool) -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("baseline"), dry_run=enforce), enforce=enforce),
        "0s | errors 2 | observed\n5m | errors 0 | eased\n6m | errors 2 | observed",
    )


# people


def test_acknowledging_stops_the_clock_until_it_eases() -> None:
    play(
        ladder(warning()),
        """
        0s  | errors 2           | escalated to ticket
        1m  |                    | escalated to lead
        70s | acknowledge Errors |
        9m  |                    | soaking at canary
        10m | errors 0           | eased
        11m | errors 2           | escalated to ticket
        12m |                    | escalated to lead
        """,
    )


def test_acknowledging_leaves_an_announced_rollback_as_it_is() -> None:
    play(
        ladder(warning()),
        """
        0s    | errors 2           | escalated to ticket
        1m    |                    | escalated to lead
        2m    |                    | scheduled baseline
        2m10s | acknowledge Errors |
        4m    |                    | rollback to baseline
        """,
    )


def test_a_cancelled_rollback_is_not_announced_again_while_the_trigger_fires() -> None:
    play(
        ladder(trigger("Errors", above=1, action=announced("baseline", "1m"))),
        """
        0s  | errors 2 | scheduled baseline
        40s | cancel   |
        9m  |          | soaking at canary
        10m | errors 0 | eased
        11m | errors 2 | scheduled baseline
        12m |          | rollback to baseline
        """,
    )


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ("acknowledge Nobody", 'checkout has no alert "Nobody"; it has Errors, Slow'),
        ("acknowledge Slow", "Slow of checkout is at no level; there is nothing to acknowledge; at a level: Errors (ticket)"),
        ("cancel", "no rollback of checkout is announced; there is nothing to cancel"),
        ("cancel Errors", "no rollback of checkout is announced; there is nothing to cancel"),
        ("cancel Nobody", 'checkout has no alert "Nobody"; it has Errors, Slow'),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_the_names_that_would(request_: str, told: str) -> None:
    world = play(ladder(warning(), trigger("Slow", "latency", above=1)), "0s | errors 2, latency 0 | escalated to ticket")
    assert refusal(world, request_) == told


def test_what_was_said_already_is_refused_with_who_said_it() -> None:
    world = play(
        ladder(
            warning(), trigger("Slow", "latency", above=1, action=announced()), trigger("Costs", "latency", above=1, action=announced("baseline"))
        ),
        """
        0s  | errors 2, latency 2 | escalated to ticket, scheduled half, scheduled baseline
        20s | acknowledge Errors  |
        """,
        at="full",
    )
    assert refusal(world, "acknowledge Errors") == "Errors of checkout was acknowledged already, 2026-03-01 12:00:20 UTC, by ann: asked"
    assert refusal(world, "acknowledge Slow").endswith(
        'there is nothing to acknowledge; the rollback to "half" that is announced for it follows at 2026-03-01 12:30:00 UTC, '
        "unless somebody stops it:"
        ' `rollbackd cancel checkout Slow --reason "..."`; at a level: Errors (ticket)'
    )
    assert refusal(world, "cancel") == "several rollbacks of checkout are announced; say for which alert: Costs, Slow"
    assert refusal(world, "cancel Errors") == "no rollback of checkout is announced for Errors; one is for Costs, Slow"


def test_cancelling_twice_is_refused_with_who_did_it_first() -> None:
    world = play(ladder(trigger("Errors", above=1, action=announced())), "0s | errors 2 | scheduled baseline\n20s | cancel Errors |")
    told = "the rollback that was announced for Errors of checkout was cancelled already, 2026-03-01 12:00:20 UTC, by ann: asked"
    assert refusal(world, "cancel Errors") == told


# rules that change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one: replace(one, triggers=()), "Errors: the rule file has no such trigger any more"),
        (
            lambda one: replace(one, triggers=tuple(replace(it, escalate_after=None) for it in one.triggers)),
            "Errors: the rule file says no more that it escalates",
        ),
        (lambda one: replace(one, triggers=tuple(replace(it, dry_run=True) for it in one.triggers)), "Errors: it is a dry run now"),
    ],
)
def test_what_the_rule_file_does_not_say_any_more_ends(change: Changed, why: str) -> None:
    world = play(ladder(warning()), "0s | errors 2 | escalated to ticket\n1m | | escalated to lead\n2m | | scheduled baseline")
    after_change(world, change(world.rollout))
    assert on_record(world, Event.EASED) == [{"alert": "Errors", "why": why}]
    assert not world.state.escalations.triggers


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one: replace(one, enforce=False), "its mode is observe now, in which no flag is touched"),
        (
            lambda one: replace(one, triggers=tuple(replace(it, stages=frozenset({"half"})) for it in one.triggers)),
            'it is at "canary", where the trigger does not count',
        ),
    ],
)
def test_an_announced_rollback_that_the_rules_do_not_allow_any_more_will_not_be(change: Changed, why: str) -> None:
    world = play(ladder(warning()), "0s | errors 2 | escalated to ticket\n1m | | escalated to lead\n2m | | scheduled baseline")
    after_change(world, change(world.rollout))
    assert [body["why"] for body in on_record(world, Event.CANCELLED)] == [why]
    assert world.state.escalations.triggers["Errors"].announced is None


# what else may happen


def test_a_rehearsal_comes_first() -> None:
    play(
        rollout(trigger("Errors", above=1, action=announced("baseline", "15s")), rehearsal=Rehearsing("canary", ())),
        """
        0s  | errors 0   | ready at half
        10s | rehearse   | rolled_back at canary
        15s | errors 2   | Errors firing
        50s | steps fail | rolled_back at canary
        1m  |            | scheduled baseline
        75s |            | rollback to baseline
        """,
        at="half",
    )


def test_the_last_rollback_that_is_allowed_goes_to_the_bottom_when_it_was_announced_too() -> None:
    world = play(
        rollout(trigger("Errors", above=1, action=announced("half", "30s")), aftercare=Aftercare(max_rollbacks=AtMost(1, timedelta(hours=1)))),
        "0s | errors 2 | scheduled half\n30s | | rollback to baseline\n45s | | frozen, frozen at baseline",
        at="full",
    )
    (intended,) = on_record(world, Event.INTENDED)
    why = intended["why"]
    assert isinstance(why, list)
    assert why[1] == 'at most 1 rollback in 1h: this is the last one, so it goes to "baseline"'


def test_flags_of_no_stage_lead_to_the_bottom() -> None:
    play(
        rollout(trigger("Errors", above=1, action=announced("half", "30s"))),
        "0s | errors 2 | scheduled half\n20s | flags odd |\n30s | | held, rollback to baseline",
        at="full",
    )


def test_flags_that_cannot_be_read_do_not_stop_it() -> None:
    play(
        rollout(trigger("Errors", above=1, action=announced("half", "30s"))),
        "0s | errors 2 | scheduled half\n20s | flags unreadable |\n30s | | rollback to half",
        at="full",
        slow=True,
    )
