"""The way up through a real watch, on a real file and a real journal: rehearsals, votes, automatic promotions, and glances between evaluations."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import consent, promotion, requests
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.duties import Approvals, Command, Rehearsing, Requires
from rollback_daemon.rules.model import Rollout
from tests.watch.guarded import BAD, GOOD, Desk, content

LEAD, SECURITY, PROPOSER = Person("ann", frozenset({"lead"})), Person("bob", frozenset({"security"})), Person("cat")


def asking(rollout: Rollout, *, automatic: bool = False) -> Rollout:
    """`half` asks for two approvals, and there is a rehearsal whose step says whether a file is there."""
    flags = Path(rollout.flags.path)
    approvals = Approvals(("lead", "security"), 2, timedelta(hours=1))
    stages = tuple(replace(stage, requires=Requires(approvals), automatic=automatic) if stage.name == "half" else stage for stage in rollout.stages)
    steps = (Command(("test", "-e", str(flags.parent / "smoke-passes")), timedelta(seconds=20)),)
    return replace(rollout, stages=stages, rehearsal=Rehearsing(None, steps))


@pytest.fixture
def climbing(desk: Desk) -> Desk:
    """At canary, with everything earned but the approvals."""
    desk.restart(stages=asking(desk.rollout).stages, rehearsal=asking(desk.rollout).rehearsal)
    return desk.climb_to("canary")


def rehearse(desk: Desk) -> None:
    def decide(*known: object) -> object:
        return promotion.rehearse(known[0], known[1], known[2], "ann", "friday", known[3])  # type: ignore[arg-type]  # as the watch calls it

    desk.watch.request("rehearse", "ann", "friday", decide)  # type: ignore[arg-type]  # as above


def end_of_rehearsal(desk: Desk) -> str:
    """Evaluate on, as the daemon would, until it has ended."""

    def ended() -> str:
        desk.evaluate()
        found = desk.bodies(Event.REHEARSED)
        return str(found[-1]["why"]) if found else ""

    return str(wait_until(ended, "the rehearsal to end", 30))


def test_a_rehearsal_goes_down_runs_its_steps_and_comes_back(climbing: Desk) -> None:
    (climbing.env.parent / "smoke-passes").touch()
    soaked, entered = climbing.watch.state.soaked, climbing.position.entered
    rehearse(climbing)
    assert end_of_rehearsal(climbing) == "every step passed, and the stage is restored"
    climbing.settle()
    assert (climbing.position.stage, climbing.flags) == ("canary", content("canary"))
    assert climbing.position.entered == entered
    assert climbing.watch.state.soaked >= soaked
    kinds = [(body["kind"], body["to"]) for body in climbing.bodies(Event.DONE)][-2:]
    assert kinds == [(Kind.ROLLBACK, "baseline"), (Kind.PROMOTE, "canary")]
    (step,) = climbing.bodies(Event.STEP)
    assert (step["error"], step["step"].split()[0]) == ("", "test")
    assert climbing.watch.state.dossier.rehearsed
    assert climbing.watch.state.dossier.rehearsed.passed


def test_a_rehearsal_whose_step_fails_stays_down_and_closes_the_way_up(climbing: Desk) -> None:
    rehearse(climbing)
    assert "exited with 1" in end_of_rehearsal(climbing)
    assert (climbing.position.phase, climbing.position.stage, climbing.flags) == ("rolled_back", "baseline", content("baseline"))
    climbing.evaluate(times=3)
    with pytest.raises(OperationRefused, match="resume it with a reason first"):
        climbing.watch.promote("ann", "up again")


def test_a_rehearsal_that_is_stopped_in_the_middle_has_failed(climbing: Desk) -> None:
    (climbing.env.parent / "smoke-passes").touch()
    rehearse(climbing)
    climbing.restart()
    climbing.settle()
    assert "stopped in the middle" in end_of_rehearsal(climbing)
    climbing.settle()
    assert climbing.flags == content("baseline")
    climbing.evaluate(times=3)
    assert climbing.flags == content("baseline")


def test_a_breach_in_the_middle_of_a_rehearsal_keeps_it_down(climbing: Desk) -> None:
    (climbing.env.parent / "smoke-passes").touch()
    rehearse(climbing)
    wait_until(lambda: climbing.bodies(Event.STEP), "the step to run", 30)
    climbing.evaluate(BAD)
    wait_until(lambda: climbing.bodies(Event.REHEARSED), "the rehearsal to end", 30)
    assert not climbing.bodies(Event.REHEARSED)[-1]["passed"]
    assert climbing.settle().flags == content("baseline")


def propose(desk: Desk) -> None:
    desk.watch.request("propose", "cat", "up", lambda *known: consent.propose(known[0], known[1], known[2], PROPOSER, "up", known[3]))


def approve(desk: Desk, who: Person) -> None:
    said = consent.Ballot(go=True, why="reviewed")
    desk.watch.request("approve", who.name, "reviewed", lambda *known: consent.vote(known[0], known[1], known[2], who, said, known[3]))


def test_votes_survive_a_restart_and_the_promotion_names_them(climbing: Desk) -> None:
    propose(climbing)
    approve(climbing, LEAD)
    climbing.restart()
    climbing.evaluate()
    with pytest.raises(OperationRefused, match="1 of 2 approvals; missing: security"):
        climbing.watch.promote("cat", "up")
    approve(climbing, SECURITY)
    climbing.restart()
    climbing.evaluate()
    climbing.watch.promote("cat", "up")
    assert climbing.settle().flags == content("half")
    assert [vote["by"] for vote in climbing.bodies(Event.INTENDED)[-1]["approved_by"]] == ["ann", "bob"]


def test_a_breach_that_only_the_fresh_look_sees_stops_an_approved_promotion(climbing: Desk) -> None:
    propose(climbing)
    approve(climbing, LEAD)
    approve(climbing, SECURITY)
    climbing.hands.time += timedelta(seconds=0.5)
    with pytest.raises(OperationRefused, match="ErrorsHigh"):
        climbing.watch.promote("cat", "up", BAD)
    assert climbing.flags == content("canary")
    climbing.watch.promote("cat", "up", GOOD)
    assert climbing.settle().flags == content("half")


def test_a_stage_that_is_climbed_automatically_puts_itself_to_the_vote_and_goes_when_it_is_approved(desk: Desk) -> None:
    desk.restart(stages=asking(desk.rollout, automatic=True).stages)
    desk.climb_to("canary")
    assert desk.bodies(Event.PROPOSED)[-1]["by"] == "rollbackd"
    approve(desk, LEAD)
    desk.evaluate(times=2)
    assert desk.position.stage == "canary"
    approve(desk, SECURITY)
    desk.evaluate()
    assert desk.settle().flags == content("half")
    assert desk.bodies(Event.INTENDED)[-1]["code"] == "automatic"


def test_an_approved_promotion_that_cannot_go_on_record_does_not_happen_by_itself(desk: Desk) -> None:
    desk.restart(stages=asking(desk.rollout, automatic=True).stages)
    desk.climb_to("canary")
    approve(desk, LEAD)
    approve(desk, SECURITY)
    with desk.journal_locked():
        desk.hands.time += timedelta(seconds=1)
        desk.watch.evaluate(GOOD, desk.hands.time)
        assert desk.position.open is None
    assert desk.flags == content("canary")
    desk.evaluate()
    assert desk.settle().flags == content("half")


def test_a_glance_takes_a_raise_back_without_waiting_for_an_evaluation(climbing: Desk) -> None:
    climbing.env.write_text(content("full"))
    assert climbing.watch.glance()
    assert climbing.settle().flags == content("canary")
    (found,) = climbing.bodies(Event.DRIFT)
    assert (found["drift"], found["stage"]) == ("higher", "full")
    assert {"owner", "modified"} <= found["known"].keys()
    assert any("approvals" in text for text in found["missing"])
    assert climbing.watch.glance()  # that it is over
    assert not climbing.watch.glance()


def test_a_glance_leaves_alone_what_a_person_lowered(climbing: Desk) -> None:
    climbing.env.write_text(content("baseline"))
    assert climbing.watch.glance()
    assert (climbing.position.phase, climbing.position.stage) == ("held", "baseline")
    climbing.evaluate(times=3)
    assert climbing.flags == content("baseline")


def test_break_glass_goes_past_everything_for_who_may(climbing: Desk) -> None:
    climbing.restart(break_glass=("lead",))
    climbing.evaluate()

    def decide(who: Person) -> None:
        climbing.watch.request("promote", who.name, "down", lambda *known: promotion.break_glass(known[0], known[1], known[2], who, "down", known[3]))

    with pytest.raises(OperationRefused, match="bob may not break the glass"):
        decide(SECURITY)
    decide(LEAD)
    assert climbing.settle().flags == content("half")
    assert climbing.position.broken_glass == "ann: down"
    assert any("approvals" in text for text in climbing.bodies(Event.INTENDED)[-1]["past"]) or climbing.bodies(Event.INTENDED)[-1]["past"]


def test_a_request_to_restore_what_is_not_degraded_is_refused_on_record(climbing: Desk) -> None:
    with pytest.raises(OperationRefused, match="nothing to restore"):
        climbing.watch.request("restore", "ann", "?", lambda *known: requests.restore(known[0], known[1], "ann", "?", known[3]))
    assert climbing.bodies(Event.REFUSED)[-1]["request"] == "restore"
