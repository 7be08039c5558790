"""What follows a rollback, as timetables: its verification, the ways back one after the other, and when there were too many."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.durations import parse_duration
from rollback_daemon.judge.aftermath import Verification
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.aftercare import Aftercare, AtMost, Way
from rollback_daemon.rules.duties import Rehearsing
from rollback_daemon.signals.observation import Value
from tests.judge.recovering import BACKUP, CALM, ERRORS, REINSTALL, SMOKE, bodies, cared, kinds, recovery, then
from tests.judge.timetable import play
from tests.judge.world import START, flags_of, gate, intents


def test_gates_must_pass_for_a_time_without_a_break() -> None:
    world = play(
        cared(recovery("30s")),
        """
        0s   | errors 0, load 1 | ready at half
        15s  | errors 2, load 9 | rollback to canary
        16s  | step pass        |
        30s  | errors 0         |
        45s  | load 1           |
        60s  | load 9           |
        75s  | load 1           |
        90s  |                  |
        105s |                  | verified, rolled_back at canary
        """,
        at="half",
    )
    assert [(body["number"], body["outcome"]) for body in bodies(world, Event.CHECKED)] == [(0, "pass"), (1, "pass")]
    assert bodies(world, Event.CHECKED)[1]["output"] == "Calm: load 1, must be < 5"
    assert world.state.aftermath.outcome is Verification.VERIFIED


def test_gates_that_do_not_come_back_in_time_fail_it_with_the_value_beside_its_limit() -> None:
    world = play(
        cared(recovery("30s", "1m")),
        """
        0s       | errors 0, load 1 | ready at half
        15s      | errors 2, load 9 | rollback to canary
        16s      | step pass        |
        30s..60s | errors 0         |
        90s      |                  | unverified, rolled_back at canary
        """,
        at="half",
    )
    (told,) = bodies(world, Event.UNVERIFIED)
    assert told["why"] == "gates pass for 30s: not for 30s within 1m: Calm: load 9, must be < 5"
    assert (told["unknown"], told["final"], told["next"]) == (False, True, "a person")
    assert world.state.aftermath.outcome is Verification.FAILED


@pytest.mark.parametrize("seen", ["load nothing", "load failed", "load NaN"])
def test_what_could_not_be_told_pages_and_changes_nothing_more(seen: str) -> None:
    world = play(
        cared(recovery("30s", "1m"), ways=(BACKUP,)),
        f"""
        0s       | errors 0, load 1  | ready at half
        15s      | errors 2, {seen}  | rollback to canary
        16s      | step pass         |
        30s..75s | errors 0          |
        90s      |                   | unverified
        3m       |                   | rolled_back at canary
        """,
        at="half",
    )
    assert world.state.aftermath.outcome is Verification.UNVERIFIED
    assert kinds(world) == ["flags"]


def test_time_that_nobody_looked_does_not_count_as_passing() -> None:
    play(
        cared(recovery("1m", "10m")),
        """
        0s   | errors 0, load 1 | ready at half
        15s  | errors 2         | rollback to canary
        16s  | step pass        |
        30s  | errors 0         |
        31s  | stop             |
        3m   | start            |
        225s |                  |
        240s |                  | verified
        """,
        at="half",
    )


DAEMON_AWAY = "30s | errors 0 |\n31s | stop |\n4m | start, load 1 |\n255s | |\n270s | | verified"
PROMETHEUS_AWAY = "30s..60s | errors 0, load nothing |\n75s | load 1 |\n90s | |\n105s | | verified"


@pytest.mark.parametrize("dark", [DAEMON_AWAY, PROMETHEUS_AWAY], ids=["daemon", "prometheus"])
def test_time_that_nobody_could_see_does_not_fail_it(dark: str) -> None:
    """The daemon was away, or Prometheus was, for about as long as it may take; at the end everything is well."""
    begin = "0s | errors 0, load 1 | ready at half\n15s | errors 2, load 9 | rollback to canary\n16s | step pass |\n"
    play(cared(recovery("30s", "1m"), ways=(BACKUP,)), begin + dark, at="half")


def test_gates_that_come_back_just_before_the_end_are_given_the_time_to_stay_so() -> None:
    play(
        cared(recovery("30s", "1m"), ways=(BACKUP,)),
        """
        0s       | errors 0, load 1 | ready at half
        15s      | errors 2, load 9 | rollback to canary
        16s      | step pass        |
        30s..75s | errors 0         |
        90s      | load 1           |
        105s     |                  |
        120s     |                  | verified
        """,
        at="half",
    )


def test_other_steps_in_the_rule_file_are_begun_with_anew() -> None:
    world = play(
        cared(SMOKE, recovery()),
        "0s | errors 0, load 1 |\n15s | errors 2 | rollback to canary\n16s | errors 0, step pass |\n17s | step pass |",
        at="half",
    )
    world.edit(replace(world.rollout, aftercare=Aftercare(verify=(recovery(), SMOKE))))
    world.evaluate({"errors": Value({(): 0.0}), "load": Value({(): 1.0})}, START + timedelta(seconds=30))
    assert [body["why"] for body in bodies(world, Event.VERIFYING)] == ["the rule file asks for other steps now, so it begins again"]
    assert world.state.aftermath.passed == 0


def test_a_way_that_is_gone_from_the_rule_file_does_not_hide_the_next() -> None:
    world = play(
        cared(SMOKE, ways=(BACKUP, REINSTALL)),
        "0s | errors 0, load 1 |\n15s | errors 2 | rollback to canary\n16s | errors 0 |\n17s | step fail | unverified, rollback to canary",
        at="half",
    )
    world.edit(replace(world.rollout, aftercare=Aftercare(verify=(SMOKE,), ways=(Way(), REINSTALL))))
    world.end_step(Outcome.FAIL, START + timedelta(seconds=18))
    world.evaluate({"errors": Value({(): 0.0}), "load": Value({(): 1.0})}, START + timedelta(seconds=30))
    assert kinds(world) == ["flags", "backup", "command"]


def test_a_clock_that_is_set_back_does_not_put_the_next_way_off() -> None:
    world = play(
        cared(SMOKE, ways=(then("baseline", "1m"),)),
        "0s | errors 0, load 1 |\n15s | errors 2 | rollback to canary\n16s | errors 0, step fail | unverified\n30s | |",
        at="half",
    )
    for seconds in range(0, 90, 15):
        world.evaluate({"errors": Value({(): 0.0}), "load": Value({(): 1.0})}, START - timedelta(hours=6) + timedelta(seconds=seconds))
        if world.position.open:
            break
    assert intents(world)[-1] == "rollback canary>baseline"


def test_a_person_may_stop_the_next_way_back() -> None:
    world = play(
        cared(SMOKE, ways=(then("baseline", "1m"),)),
        """
        0s  | errors 0, load 1    | ready at half
        15s | errors 2            | rollback to canary
        16s | errors 0, step fail | unverified
        20s | cancel              |
        5m  |                     | rolled_back at canary
        """,
        at="half",
    )
    assert world.state.aftermath.stopped == "ann: asked"


def test_a_way_back_from_a_frozen_rollout_leaves_it_frozen_and_says_so_once() -> None:
    world = play(
        cared(SMOKE, ways=(BACKUP, REINSTALL), max_rollbacks=AtMost(1, parse_duration("1d"))),
        """
        0s  | errors 0, load 1 | ready at half
        15s | errors 2         | rollback to baseline
        30s | errors 0         | frozen, frozen at baseline
        31s | step fail        | unverified, rollback to baseline, frozen at baseline
        32s | step fail        | unverified, rollback to baseline
        33s | step pass        |
        34s | step pass        | verified
        45s |                  | frozen at baseline
        """,
        at="half",
    )
    assert len(bodies(world, Event.FROZEN)) == 1
    assert world.position.why.count("rollbacks by triggers") == 1


def test_the_cool_down_counts_from_the_rollback_and_not_from_a_further_way_to_where_it_is() -> None:
    world = play(
        cared(SMOKE, ways=(BACKUP,), cooldown=parse_duration("10m")),
        "0s | errors 0, load 1 |\n15s | errors 2 | rollback to canary\n16s | errors 0 |\n5m | step fail | unverified, rollback to canary",
        at="half",
    )
    assert world.state.aftermath.last == START + timedelta(seconds=15)


def test_the_ways_back_are_taken_one_after_the_other_until_one_is_verified() -> None:
    world = play(
        cared(SMOKE, ways=(BACKUP, REINSTALL, then())),
        """
        0s  | errors 0, load 1 | ready at half
        15s | errors 2         | rollback to canary, rolled_back at canary
        16s | errors 0, step pass |
        17s | step fail           | unverified, rollback to canary, rolled_back at canary
        18s | step pass           |
        19s | step fail           | unverified, rollback to canary
        20s | step fail           | unverified, rollback to baseline, rolled_back at baseline
        21s | step pass           |
        22s | step pass           | verified, rolled_back at baseline
        """,
        at="half",
    )
    assert kinds(world) == ["flags", "backup", "command", "flags"]
    assert world.flags == flags_of(world.rollout, "baseline")
    assert world.position.why == "Errors: errors 2 > 1"  # why it was rolled back, and not why once more
    assert len({body["incident"] for body in bodies(world, Event.VERIFIED) + bodies(world, Event.UNVERIFIED)}) == 1
    assert len(world.state.aftermath.rollbacks) == 1


def test_when_every_way_was_taken_it_has_failed_and_nothing_more_is_changed() -> None:
    world = play(
        cared(SMOKE, ways=(then(),)),
        """
        0s  | errors 0, load 1 | ready at canary
        15s | errors 2         | rollback to baseline
        16s | step fail        | unverified
        5m  |                  | rolled_back at baseline
        """,
    )  # there is nothing below the baseline, so stepping further down is no way
    assert world.state.aftermath.outcome is Verification.FAILED
    assert intents(world) == ["rollback canary>baseline"]


def test_a_person_has_time_before_it_steps_further_down() -> None:
    text = """
        0s   | errors 0, load 1 | complete at full
        15s  | errors 2         | rollback to half
        16s  | errors 0, step fail | unverified
        4m   |                     | rolled_back at half
        {}
        330s |                     | {}
        """
    rules = cared(SMOKE, ways=(then(None, "5m"),))
    world = play(rules, text.format("", "rollback to canary, rolled_back at canary"), at="full")
    assert bodies(world, Event.INTENDED)[1]["why"] == [
        "the rollback could not be verified (smoke: ), so the next way back is taken: rollback to previous"
    ]
    play(rules, text.format("241s | resume |", "ready at half"), at="full")


def test_a_further_breach_goes_down_in_the_middle_of_a_verification_and_begins_it_anew() -> None:
    world = play(
        cared(SMOKE),
        """
        0s   | errors 0, load 1 | ready at half
        15s  | errors 2         | rollback to canary
        16s  | step pass        |
        30s..45s |              |
        60s  |                  | rollback to baseline
        61s  | step pass        |
        62s  | step pass        | verified
        """,
        at="half",
    )
    assert [body["number"] for body in bodies(world, Event.CHECKED)] == [0, 0, 1]
    assert len({body["incident"] for body in bodies(world, Event.CHECKED)}) == 1


def test_gates_that_passed_before_a_further_rollback_prove_nothing_about_it() -> None:
    play(
        cared(recovery("30s")),
        """
        0s       | errors 0, load 1 | ready at half
        15s      | errors 2         | rollback to canary
        16s      | step pass        |
        30s..45s |                  |
        60s      |                  | rollback to baseline
        61s      | step pass        |
        75s..90s |                  |
        105s     |                  | verified
        """,
        at="half",
    )


def test_what_is_seen_to_fail_weighs_more_than_what_is_not_seen() -> None:
    world = play(
        cared(recovery("30s", "1m"), parts=(ERRORS, CALM, gate("Other", "other", below=5))),
        """
        0s       | errors 0, load 1, other 1 | ready at half
        15s      | errors 2, load 9          | rollback to canary
        16s      | step pass                 |
        30s..75s | errors 0, other nothing   |
        90s      |                           | unverified
        """,
        at="half",
    )
    assert [(body["unknown"], "Calm" in body["why"]) for body in bodies(world, Event.UNVERIFIED)] == [(False, True)]


def test_a_rollout_that_is_only_observed_by_now_takes_no_further_way_back() -> None:
    rules = cared(SMOKE, ways=(then("baseline", "1m"),))
    world = play(rules, "0s | errors 0, load 1 |\n15s | errors 2 | rollback to canary\n16s | errors 0, step fail | unverified\n30s | |", at="half")
    before = intents(world)
    world.edit(replace(rules, enforce=False))
    for seconds in range(45, 150, 15):
        world.evaluate({"errors": Value({(): 0.0}), "load": Value({(): 1.0})}, START + timedelta(seconds=seconds))
    assert intents(world) == before


def test_a_rehearsed_rollback_is_no_incident() -> None:
    practised = replace(cared(SMOKE), rehearsal=Rehearsing(None, (SMOKE,)))
    world = play(practised, "0s | errors 0, load 1 |\n1s | rehearse |\n15s | |\n16s | steps pass |\n30s | | ready at half", at="half")
    assert (world.state.aftermath.incident, world.state.aftermath.last, world.state.aftermath.verifying) == ("", None, False)


def test_an_incident_ends_with_resume_and_the_next_rollback_begins_another() -> None:
    world = play(
        cared(SMOKE),
        """
        0s  | errors 0, load 1 | ready at half
        15s | errors 2         | rollback to canary
        16s | errors 0, step fail | unverified
        30s | resume              | ready at canary
        45s | errors 2            | rollback to baseline
        46s | step fail           | unverified
        """,
        at="half",
    )
    first, second = bodies(world, Event.UNVERIFIED)
    assert first["incident"] != second["incident"]
    assert world.state.aftermath.incident == second["incident"]


def test_a_rollback_that_nobody_verifies_owes_nothing() -> None:
    world = play(cared(parts=(ERRORS,)), "0s | errors 0 |\n15s | errors 2 | rollback to baseline\n5m | |")
    assert not world.state.aftermath.verifying
    assert world.state.aftermath.outcome is None
