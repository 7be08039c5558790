"""The end of a lesser service, and gates in the news, as timetables."""

from rollback_daemon.judge.transitions import Event
from tests.judge.recovering import CALM, ERRORS, bodies
from tests.judge.timetable import play
from tests.judge.world import degrade, flags_of, rollout, trigger

SLOW = trigger("Slow", "latency", above=1, action=degrade("1m", MODE="lite"))


def test_a_lesser_service_ends_when_what_asked_for_it_has_been_clear_for_long_enough() -> None:
    world = play(
        rollout(SLOW, more={"MODE": "full"}),
        """
        0s   | latency 2 | degrade, soaking at canary
        15s  | latency 0 |
        30s  | latency 2 |
        45s  | latency 0 |
        90s  |           | drift none
        105s |           | restore
        120s |           | ready at canary, free
        """,
    )
    assert world.flags == {**flags_of(world.rollout, "canary"), "MODE": "full"}
    assert bodies(world, Event.INTENDED)[-1]["why"] == ["Slow clear for 1m"]
    assert world.position.degraded_by == ()


def test_a_lesser_service_does_not_end_in_the_dark() -> None:
    play(
        rollout(SLOW, more={"MODE": "full"}),
        "0s | latency 2 | degrade\n15s | latency 0 |\n30s | latency failed |\n45s | latency 0 |\n90s | | drift none\n105s | | restore",
    )


def test_where_one_of_two_triggers_does_not_say_until_when_a_person_ends_it() -> None:
    plain = trigger("Plain", "latency", above=5, action=degrade(THEME="plain"))
    play(
        rollout(SLOW, plain, more={"MODE": "full", "THEME": "rich"}),
        "0s | latency 9 | degrade\n15s | latency 0 |\n5m | | blocked by degraded\n301s | restore | ",
    )


def test_the_longest_time_of_those_who_asked_for_a_lesser_service_counts() -> None:
    plain = trigger("Plain", "latency", above=5, action=degrade("3m", THEME="plain"))
    play(
        rollout(SLOW, plain, more={"MODE": "full", "THEME": "rich"}),
        "0s | latency 9 | degrade\n15s | latency 0 |\n3m | | drift none\n195s | | restore",
    )


def test_time_that_nobody_looked_does_not_end_a_lesser_service() -> None:
    play(
        rollout(SLOW, more={"MODE": "full"}),
        "0s | latency 2 | degrade\n15s | latency 0 |\n16s | stop |\n3m | start |\n225s | | drift none\n240s | | restore",
    )


def test_a_lesser_service_that_ends_by_itself_is_no_rollback() -> None:
    world = play(rollout(SLOW, more={"MODE": "full"}), "0s | latency 2 | degrade\n15s | latency 0 |\n75s | | restore")
    assert world.state.aftermath.rollbacks == ()
    assert world.state.aftermath.incident == ""


# gates in the news


def test_a_gate_that_fails_and_passes_again_is_news_once_each() -> None:
    world = play(rollout(ERRORS, CALM), "0s | errors 0, load 1 |\n15s..45s | load 9 |\n60s | load nothing |\n75s | load 9 |\n90s..2m | load 1 |")
    assert [(body["gate"], body["passes"], body["why"]) for body in bodies(world, Event.GATE)] == [
        ("Calm", False, "Calm: load 9, must be < 5"),
        ("Calm", True, "Calm: load 1, must be < 5"),
    ]
