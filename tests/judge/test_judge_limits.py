"""How often a rollout may be taken back, as timetables: the last time that is allowed leads to the bottom, and then it is frozen."""

from dataclasses import replace
from datetime import timedelta

from rollback_daemon.durations import parse_duration
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.rules.aftercare import Aftercare, AtMost
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Value
from tests.judge.recovering import ERRORS, bodies
from tests.judge.timetable import play
from tests.judge.world import START, flags_of, intents, rollout


def flapping(count: int, *, within: str = "1d", cooldown: str = "0") -> Rollout:
    return rollout(ERRORS, aftercare=Aftercare(max_rollbacks=AtMost(count, parse_duration(within)), cooldown=parse_duration(cooldown)))


def test_the_last_rollback_that_is_allowed_goes_to_the_bottom_and_it_is_frozen() -> None:
    world = play(
        flapping(2),
        """
        0s  | errors 0 | complete at full
        15s | errors 2 | rollback to half, rolled_back at half
        30s | errors 0 |
        45s | resume   | ready at half
        60s | errors 2 | rollback to baseline, rolled_back at baseline
        75s | errors 0 | frozen, frozen at baseline, blocked by frozen
        76s | promote  | refused frozen
        90s | resume   | baseline at baseline, free
        """,
        at="full",
    )
    assert bodies(world, Event.INTENDED)[1]["why"] == [
        "Errors: errors 2 > 1",
        'at most 2 rollbacks in 1d: this is the last one, so it goes to "baseline"',
    ]
    (frozen,) = bodies(world, Event.FROZEN)
    assert frozen["why"].startswith("2 rollbacks by triggers in 1d, the last one: Errors: errors 2 > 1")
    assert world.state.aftermath.rollbacks == ()  # re-armed


def test_a_flapping_signal_with_somebody_who_always_resumes_and_promotes() -> None:
    """A compressed day: up and down without end, and a script that goes up again as soon as it may."""
    lines = ["0s | errors 0 | ready at canary", "15s | errors 2 | rollback to baseline"]
    for again in (30, 90):
        lines += [f"{again}s | errors 0 |", f"{again + 15}s | resume, promote | ready at canary", f"{again + 30}s | errors 2 | rollback to baseline"]
    lines += ["135s | errors 0 | frozen", *(f"{135 + 15 * n}s | promote, errors {n % 2 * 2} | refused" for n in range(1, 200))]
    world = play(rollout(ERRORS, soak="0", aftercare=Aftercare(max_rollbacks=AtMost(3, parse_duration("1d")))), "\n".join(lines))
    assert sum(one.startswith("rollback") for one in intents(world)) == 3


def test_rollbacks_of_long_ago_are_not_counted() -> None:
    play(
        flapping(2, within="1m"),
        """
        0s  | errors 0 | complete at full
        15s | errors 2 | rollback to half
        30s | errors 0 |
        45s | resume   |
        90s | errors 2 | rollback to canary, rolled_back at canary
        105s | errors 0 | rolled_back at canary
        """,
        at="full",
    )


def test_what_people_roll_back_is_not_counted() -> None:
    world = play(flapping(1), "0s | errors 0 |\n1s | rollback |\n30s | | rolled_back at canary", at="half")
    assert world.state.aftermath.rollbacks == ()


def test_no_promotion_follows_within_the_cool_down() -> None:
    play(
        flapping(9, cooldown="10m"),
        """
        0s  | errors 0 | ready at half
        15s | errors 2 | rollback to canary
        30s | errors 0 |
        45s | resume   | ready at canary, blocked by cooldown
        46s | promote  | refused cooldown
        10m |          | blocked by cooldown
        615s |         | free
        616s | promote |
        """,
        at="half",
    )


def test_a_frozen_rollout_whose_flags_a_person_lowers_stays_frozen() -> None:
    world = play(flapping(9), "0s | errors 0 | ready at half\n15s | errors 2 | rollback to canary\n30s | errors 0 |", at="half")
    world.edit(replace(world.rollout, aftercare=Aftercare(max_rollbacks=AtMost(1, parse_duration("1d")))))
    for number, stage in enumerate(("canary", "baseline", "baseline"), 3):
        world.flags = flags_of(world.rollout, stage)
        world.evaluate({"errors": Value({(): 0.0})}, START + timedelta(seconds=15 * number))
    assert (world.position.phase, world.position.stage, world.position.frozen) == (Phase.FROZEN, "baseline", True)
