"""What on-call is told after a rollback: it stays told for as long as it is so, whichever way back is being taken."""

from datetime import timedelta

from rollback_daemon.faces.alerts import Alert, active
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.rules.aftercare import Aftercare, Way, WayKind
from rollback_daemon.rules.duties import Command
from tests.judge.timetable import play
from tests.judge.world import World, degrade, rollout, trigger

SMOKE = Command(("./smoke.sh",))
REINSTALL = Way(WayKind.COMMAND, Command(("./install.sh",)))
BACK = "0s | errors 0 |\n15s | errors 2 | rollback to canary\n16s | finish |\n30s | errors 0 |\n"


def told(world: World) -> dict[str, Alert]:
    """Every alert that is active now, by its name."""
    assert world.judgement
    found = active(world.ladder, world.state, world.judgement, external_url="http://guard", external_labels={})
    return {one.labels["alertname"]: one for one in found}


def after(text: str, *ways: Way) -> World:
    rules = rollout(trigger("Errors", above=1), aftercare=Aftercare(verify=(SMOKE,), ways=(Way(), *ways)))
    return play(rules, BACK + text, at="half", slow=True)


def test_while_another_way_back_is_taken_it_is_still_rolled_back_and_unverified() -> None:
    world = after("31s | step fail | unverified, rollback to canary", REINSTALL)
    assert world.position.phase is Phase.ROLLING_BACK
    assert {"RolloutRolledBack", "RolloutUnverified"} <= told(world).keys()
    assert "Another way back is being taken now (command to canary)" in told(world)["RolloutUnverified"].annotations["description"]


def test_a_way_back_that_fails_is_no_rollback_whose_flags_could_not_be_set() -> None:
    world = after("31s | step fail | unverified, rollback to canary\n32s | fail |", REINSTALL)
    assert "RolloutRollbackFailed" not in told(world)


def test_what_comes_next_and_how_it_is_stopped_is_in_the_alert() -> None:
    waiting = Way(WayKind.THEN, to="baseline", after=timedelta(minutes=5))
    world = after("31s | step fail | unverified", waiting)
    text = told(world)["RolloutUnverified"].annotations["description"]
    assert (
        "The next way back, rollback to baseline, is taken at 2026-03-01 12:05:31 UTC; `rollbackd cancel checkout --reason ...` stops that." in text
    )


def test_it_stays_unverified_while_it_is_verified_again_and_ends_with_that() -> None:
    world = after("31s | step fail | unverified, rollback to canary\n32s | finish |", REINSTALL)
    assert "It is being verified again." in told(world)["RolloutUnverified"].annotations["description"]
    world = after("31s | step fail | unverified, rollback to canary\n32s | finish |\n33s | step pass |\n34s | step pass | verified", REINSTALL)
    assert told(world).keys() & {"RolloutUnverified", "RolloutRolledBack"} == {"RolloutRolledBack"}


def test_a_lesser_service_says_until_when() -> None:
    slow = trigger("Slow", "latency", above=1, action=degrade("10m", MODE="lite"))
    world = play(rollout(slow, more={"MODE": "full"}), "0s | latency 2 | degrade\n15s | latency 0 |\n75s | |")
    assert "until Slow was clear for long enough (9m more), or somebody restores it" in told(world)["RolloutDegraded"].annotations["description"]
