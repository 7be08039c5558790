"""What stages require of the configuration, as timetables: it is verified before a promotion and as long as the rollout is there, and never set."""

import json

import pytest

from rollback_daemon.judge.readiness import Decision, score
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.duties import Part, Rehearsing, Requires, Scoring
from rollback_daemon.rules.model import Rollout
from tests.judge.timetable import play
from tests.judge.world import START, World, rollout, trigger

STRICT = {"canary": Requires(config={"MODE": "slow"}), "half": Requires(config={"MODE": "fast"}), "full": Requires(config={"MODE": "fast"})}
CANARY, HALF, FULL, BASE = ("NEW=true PERCENT=10%", "NEW=true PERCENT=50%", "NEW=true PERCENT=100%", "NEW=false PERCENT=0%")


def strict(**more: object) -> Rollout:
    """Slow at canary, fast from half on."""
    return rollout(trigger("Errors", above=1), soak="15s", asks=STRICT, **more)  # type: ignore[arg-type]  # as they come


def evidence(world: World) -> list[str]:
    """What the checks of the configuration say."""
    assert world.judgement
    return [check.evidence for check in world.judgement.checks if check.name.startswith("config ")]


def told(world: World) -> list[dict[str, object]]:
    return [json.loads(body) for event, body, _ in world.journal if event == Event.MISCONFIGURED]


@pytest.mark.parametrize(("mode", "code", "said"), [("fast", "config", 'is "fast"'), ("", "config", 'is ""'), (None, "config_unknown", "is missing")])
def test_a_stage_is_not_climbed_to_before_the_configuration_is_as_it_requires(mode: str | None, code: str, said: str) -> None:
    ready = {"NEW": "false", "PERCENT": "0%", "MODE": mode}
    world = World(strict(), ready)
    world.evaluate({}, START)
    assert evidence(world) == [f'config MODE {said}, must be "slow" at "canary"']
    assert code in {reason.code for reason in (world.judgement.blockers if world.judgement else ())}
    assert not world.state.misconfigured  # nothing requires it yet where it is


def test_what_the_next_stage_requires_is_asked_for_at_the_promotion_and_does_not_hide_that_this_one_is_earned() -> None:
    world = play(
        strict(),
        f"""
        0s  | errors 0, flags {CANARY} MODE=slow | soaking at canary, blocked by soak+config
        15s |                                    | ready at canary, blocked by config
        16s | promote                            | refused config
        20s | flags {CANARY} MODE=fast, glance   | free
        30s | promote                            | soaking at half
        45s |                                    | ready at half, free
        """,
    )
    assert told(world) == []


def test_a_stage_s_configuration_that_changes_stops_the_way_up_and_is_told_once_and_again_when_it_is_right() -> None:
    world = play(
        strict(),
        f"""
        0s        | errors 0, flags {HALF} MODE=fast | soaking at half
        15s       |                                  | ready at half, soaked 15s
        30s       | flags {HALF} MODE=slow           | soaking at half, misconfigured, drift none, blocked by config, soaked 15s
        45s..2m   |                                  | soaking at half, blocked by config, soaked 15s
        121s      | promote                          | refused config
        125s      | flags {HALF} MODE=fast, glance   | misconfigured, free
        135s      |                                  | ready at half
        """,
    )
    off, right = told(world)
    assert off["wrong"] == {"MODE": {"expected": "fast", "actual": "slow"}}
    assert off["why"] == ['MODE is "slow", must be "fast" at "half"']
    assert (right["wrong"], right["why"]) == ({}, [])


def test_a_key_that_disappears_is_told_and_a_file_that_cannot_be_read_is_not() -> None:
    world = play(
        strict(),
        f"""
        0s  | errors 0, flags {FULL} MODE=fast | soaking at full
        15s | flags unreadable                 | blocked by at_top+flags_unreadable+config_unknown
        """,
        at="full",
    )
    assert told(world) == []
    assert evidence(world) == ['config MODE cannot be read (permission denied), must be "fast" at "full"']
    world.flags = {"NEW": "true", "PERCENT": "100%", "MODE": None}
    world.evaluate({}, world.state.stepped or START)
    assert [body["why"] for body in told(world)] == [['MODE is missing, must be "fast" at "full"']]


def test_wrong_configuration_takes_nothing_back_and_a_breach_does_as_ever() -> None:
    world = play(
        strict(),
        f"""
        0s       | errors 0, flags {HALF} MODE=slow | misconfigured, soaking at half
        15s..10m |                                  | soaking at half
        615s     | errors 2                         | Errors firing, rollback to canary, rolled_back at canary
        630s     | errors 0                         | misconfigured, rolled_back at canary
        """,
    )
    assert not isinstance(world.flags, str)
    assert world.flags["MODE"] == "slow"  # it is nobody's flag
    assert told(world)[-1]["wrong"] == {}  # slow is what canary requires


def test_drift_is_one_thing_and_configuration_another() -> None:
    world = play(
        strict(),
        f"""
        0s  | errors 0, flags {CANARY} MODE=slow | soaking at canary
        15s | flags {HALF} MODE=odd              | misconfigured, rollback to canary, rolled_back at canary
        """,
    )
    assert world.flags == {"NEW": "true", "PERCENT": "10%", "MODE": "odd"}


def test_a_complete_rollout_is_still_watched_for_it() -> None:
    play(
        strict(),
        f"""
        0s  | errors 0, flags {FULL} MODE=fast | soaking at full
        15s |                                  | complete at full
        30s | flags {FULL} MODE=slow           | complete at full, misconfigured, blocked by at_top+config
        """,
        at="full",
    )


def test_a_rehearsal_begins_and_ends_only_with_the_configuration_that_its_stage_requires() -> None:
    practised = strict(rehearsal=Rehearsing("baseline", ()))
    play(
        practised,
        f"""
        0s  | errors 0, flags {HALF} MODE=fast | soaking at half
        15s | flags {HALF} MODE=slow           | misconfigured, soaking at half
        16s | rehearse                         | refused config
        30s | flags {HALF} MODE=fast           | misconfigured, ready at half
        46s | rehearse                         | rolled_back at baseline
        60s | flags {BASE} MODE=slow           | rolled_back at baseline
        61s | steps pass                       | refused config, rolled_back at baseline
        """,
    )


def test_break_glass_goes_past_it_and_says_so() -> None:
    world = play(
        strict(break_glass=("lead",)),
        f"""
        0s  | errors 0, flags {CANARY} MODE=slow | soaking at canary
        1s  | break glass                        | soaking at half
        15s |                                    | misconfigured, soaking at half
        """,
    )
    begun = next(json.loads(body) for event, body, _ in world.journal if event == Event.INTENDED)
    assert 'config MODE is "slow", must be "fast" at "half"' in begun["past"]


def test_the_scorecard_counts_it() -> None:
    scored = strict(scoring=Scoring((Part("process", 60, ("config",)), Part("soak", 40, ("soak",)))))
    world = play(scored, f"0s | errors 0, flags {CANARY} MODE=slow |\n15s | | ready at canary")
    assert world.judgement
    card = score(world.rollout, world.judgement.checks)
    assert (card.points, card.verdict, card.lost) == (40, Decision.NO_GO, "config")
