"""Rollbacks that are announced, as timetables: when they come, when they do not, and what people may say to them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.aftercare import Aftercare, AtMost
from rollback_daemon.rules.duties import Rehearsing
from tests.judge.escalating import Changed, after_change, ladder, on_record, refusal, warning
from tests.judge.timetable import play
from tests.judge.world import announced, intents, rollout, trigger

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
