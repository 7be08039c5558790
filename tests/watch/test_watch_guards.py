"""A rollout being watched: what is seen, asked for and done, in the order record, state, world."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.faces import views
from rollback_daemon.flags.stores import open_store
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.duties import Command
from tests.watch.conftest import MakeDesk
from tests.watch.guarded import AWAY, BAD, GOOD, SLOW, Desk, content


def hanging(begun: Path, kind: str) -> Command:
    """Hangs after a transition of one kind."""
    return Command(("/bin/sh", "-c", f'if test "$ROLLBACKD_KIND" = {kind}; then touch {begun}; sleep 1000; fi'), timedelta(seconds=600))


def test_a_rollout_is_adopted_where_its_flags_are(desk: Desk) -> None:
    desk.env.write_text(content("half"))
    desk.evaluate()
    assert (desk.position.phase, desk.position.stage) == (Phase.READY, "half")
    assert desk.kinds == [Event.ADOPTED, Event.READY]


def test_a_rollout_whose_flags_cannot_be_read_waits(desk: Desk) -> None:
    desk.env.unlink()
    assert desk.watch.evaluate(GOOD, desk.hands.now()).startswith("waiting: ")
    assert desk.watch.state.position is None
    assert desk.kinds == []
    desk.env.write_text(content("baseline"))
    assert desk.watch.evaluate(GOOD, desk.hands.now()) == "baseline at baseline"


def test_it_climbs_when_it_is_asked_to_and_falls_by_itself(desk: Desk) -> None:
    desk.climb_to("half").evaluate(BAD)
    desk.settle()
    assert desk.flags == content("canary")
    intent = desk.bodies(Event.INTENDED)[-1]
    assert (intent["kind"], intent["from"], intent["to"], intent["triggers"]) == ("rollback", "half", "canary", ["ErrorsHigh"])
    assert intent["why"] == ["ErrorsHigh: errors 0.9 > 0.5"]
    assert desk.journal.verify() == []


def test_what_fires_where_it_is_not_armed_is_told_apart_as_nobody_is_alerted_of_it(desk: Desk) -> None:
    desk.evaluate(BAD, times=2)
    told = views.summary(desk.watch)
    assert (told["stage"], told["firing"], told["silent"]) == ("baseline", ["ErrorsHigh"], ["ErrorsHigh"])
    (change,) = [one["change"] for one in views.explanation(desk.watch)["triggers"] if one["alert"] == "ErrorsHigh"]
    assert change.startswith("takes no action at this stage, and alerts nobody; ")
    desk.evaluate()
    desk.climb_to("full").evaluate(BAD)
    assert views.summary(desk.watch)["silent"] == []
    desk.settle()


def test_a_trigger_that_takes_its_time_goes_to_the_bottom(desk: Desk) -> None:
    desk.climb_to("full").evaluate(SLOW, times=3)
    assert desk.position.phase is not Phase.ROLLING_BACK
    desk.evaluate(SLOW)
    assert desk.settle().flags == content("baseline")


def test_an_outage_of_prometheus_takes_nothing_back(desk: Desk) -> None:
    desk.climb_to("full").evaluate(SLOW, times=2)
    desk.evaluate(AWAY, times=60)
    assert desk.flags == content("full")
    assert desk.watch.state.blind
    desk.evaluate(GOOD)
    assert not desk.watch.state.blind


def test_everything_is_on_record_before_the_witness_hears_of_it(desk: Desk) -> None:
    desk.climb_to("canary").evaluate(BAD)
    desk.settle()
    assert [event for event, _ in desk.witness.told] == desk.kinds
    told = dict(reversed(desk.witness.told))
    done = told[Event.DONE]
    assert done is not None
    assert done.target == "canary", "what was open is what ended"


def test_the_place_of_its_flags_is_known(desk: Desk) -> None:
    assert desk.watch.place == str(desk.env)
    assert desk.watch.observations is None
    desk.evaluate()
    assert desk.watch.observations == (desk.hands.time, GOOD)


def test_a_promotion_overtaken_by_a_rollback_ends_its_command_and_is_taken_back(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk(hanging(tmp_path / "begun", "promote"))
    desk.evaluate()
    desk.watch.promote("ann", "go on")
    wait_until((tmp_path / "begun").exists, "the command to hang")
    assert desk.flags == content("canary")
    desk.evaluate(BAD)
    desk.settle()
    assert desk.flags == content("baseline")
    assert (desk.position.phase, desk.position.stage) == (Phase.ROLLED_BACK, "baseline")
    assert [(body["kind"], body["to"]) for body in desk.bodies(Event.DONE)] == [("rollback", "baseline")]
    assert [body["kind"] for body in desk.bodies(Event.RAN)] == ["rollback"], "the one cut short says nothing more"


def test_a_rollback_overtaken_by_a_deeper_one_goes_deeper(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk(hanging(tmp_path / "begun", "rollback")).climb_to("full")
    desk.watch.rollback("half", "ann", "looks bad")
    wait_until((tmp_path / "begun").exists, "the command to hang")
    (tmp_path / "begun").unlink()
    desk.watch.rollback("baseline", "ann", "looks worse")
    wait_until((tmp_path / "begun").exists, "the second command to hang")
    assert desk.flags == content("baseline")
    assert desk.position.goal == "baseline"


def test_a_rollback_that_overtakes_and_finds_its_flags_in_place_runs_its_command_all_the_same(make_desk: MakeDesk, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f'echo $ROLLBACKD_KIND >> {log}; if test "$ROLLBACKD_KIND" = promote; then sleep 1000; fi'
    desk = make_desk(Command(("/bin/sh", "-c", script), timedelta(seconds=600)))
    desk.evaluate()
    desk.watch.promote("ann", "go on")
    wait_until(log.exists, "the command to hang")
    desk.env.write_text(content("baseline"))
    desk.watch.rollback(None, "ann", "no")
    desk.settle()
    assert log.read_text().split() == ["promote", "rollback"]


def test_a_promotion_that_cannot_be_completed_is_taken_back(make_desk: MakeDesk) -> None:
    desk = make_desk(Command(("/bin/sh", "-c", 'test "$ROLLBACKD_KIND" = rollback'), timedelta(seconds=10)))
    desk.evaluate()
    desk.watch.promote("ann", "go on")
    desk.settle()
    wait_until(lambda: desk.position.phase is Phase.ROLLED_BACK, "the promotion to be taken back")
    assert desk.flags == content("baseline")
    last = desk.bodies(Event.INTENDED)[-1]
    assert last["code"] == Code.PROMOTION_FAILED
    assert last["why"] == ['the promotion to canary could not be completed: after_change: "/bin/sh" exited with 1']
    assert [body["kind"] for body in desk.bodies(Event.RAN)] == ["promote"] * 3 + ["rollback"]


def test_a_rollback_goes_on_failing_and_says_so_until_it_works(desk: Desk) -> None:
    desk.climb_to("half")
    desk.env.rename(desk.env.with_name("away"))
    desk.watch.rollback(None, "ann", "no")
    wait_until(lambda: desk.position.phase is Phase.FAILED, "the first try to fail")
    opened = desk.position.open
    assert opened is not None
    assert "no such file" in opened.failure
    assert "s3cr=t" not in opened.failure
    desk.env.with_name("away").rename(desk.env)
    assert desk.settle().flags == content("canary")


def test_a_hold_stops_the_way_up_and_a_resume_opens_it(desk: Desk) -> None:
    desk.climb_to("canary")
    desk.watch.hold("ann", "lunch")
    assert desk.position.why == "ann: lunch"
    with pytest.raises(Refusal, match="it is held"):
        desk.watch.promote("bob", "go on")
    desk.watch.resume("ann", "back")
    assert desk.position.phase is Phase.SOAKING


def test_what_is_refused_changes_nothing_and_is_on_record(desk: Desk) -> None:
    desk.climb_to("canary")
    before = desk.records()
    with pytest.raises(OperationRefused):
        desk.watch.rollback("full", "ann", "up")
    with pytest.raises(OperationRefused):
        desk.watch.rollback("nowhere", "ann", "?")
    with pytest.raises(OperationRefused):
        desk.watch.resume("ann", "nothing to resume")
    desk.evaluate(BAD)
    desk.settle()
    after = desk.records()
    with pytest.raises(Refusal, match="it was rolled back"):
        desk.watch.promote("ann", "up")
    with pytest.raises(Refusal):
        desk.watch.hold("ann", "held anyway")
    assert after[: len(before)] == before
    refused = [record for record in desk.records() if record.kind == "refused"]
    assert [(one.body["request"], one.body["by"], one.body["reason"]) for one in refused] == [
        ("rollback", "ann", "up"),
        ("rollback", "ann", "?"),
        ("resume", "ann", "nothing to resume"),
        ("promote", "ann", "up"),
        ("hold", "ann", "held anyway"),
    ]
    assert [record for record in desk.records() if record.kind != "refused"] == [record for record in after if record.kind != "refused"]


def test_a_promotion_asked_for_twice_is_one(desk: Desk) -> None:
    desk.evaluate()
    results: list[str] = []

    def ask() -> None:
        try:
            results.append(desk.watch.promote("ann", "go on"))
        except OperationRefused:
            results.append("refused")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.settle()
    assert len([one for one in results if one != "refused"]) == 1
    assert len(desk.records(Event.INTENDED)) == 1


def test_without_a_journal_there_is_no_promotion(desk: Desk) -> None:
    desk.evaluate()
    with desk.journal_locked(), pytest.raises(Refusal, match="the journal cannot be written") as refused:
        desk.watch.promote("ann", "go on")
    assert [reason.code for reason in refused.value.reasons] == [Code.JOURNAL]
    assert desk.position.phase is Phase.BASELINE
    assert desk.flags == content("baseline")


def test_without_a_journal_a_rollback_goes_on_and_is_put_on_record_later(desk: Desk) -> None:
    desk.climb_to("half")
    with desk.journal_locked():
        desk.hands.time += timedelta(seconds=1)
        desk.watch.evaluate(BAD, desk.hands.time)
        assert desk.settle().flags == content("canary")
        with pytest.raises(Refusal, match="the journal cannot be written"):
            desk.watch.resume("ann", "go on")
    assert [body["to"] for body in desk.bodies(Event.DONE)] == ["canary", "half"]
    desk.restart()
    assert (desk.position.phase, desk.position.stage) == (Phase.ROLLED_BACK, "canary")
    assert desk.bodies(Event.DONE)[-1]["spilled"] is True
    assert desk.journal.verify() == []


def test_a_transition_that_is_closed_goes_on_with_the_next_start(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk(hanging(tmp_path / "begun", "rollback")).climb_to("half")
    desk.watch.rollback(None, "ann", "no")
    wait_until((tmp_path / "begun").exists, "the command to hang")
    desk.watch.close(0.05)
    assert desk.position.open is not None
    assert desk.flags == content("canary")
    flags = replace(desk.rollout.flags, after_change=None)
    desk.restart(flags=flags).settle()
    assert desk.position.stage == "canary"


def test_a_new_rule_file_keeps_the_place_and_what_is_pending(desk: Desk) -> None:
    desk.climb_to("half").evaluate(SLOW, times=2)
    triggers = (*desk.rollout.triggers[1:], replace(desk.rollout.triggers[0], name="New"))
    before = desk.position
    desk.watch.reconfigure(replace(desk.rollout, triggers=triggers), open_store("dotenv", desk.env, 3))
    assert desk.position == before
    assert list(desk.watch.state.triggers) == ["LatencyHigh"]
    assert desk.watch.judgement is None
    with pytest.raises(Refusal, match="no evaluation"):
        desk.watch.promote("ann", "go on")
    desk.evaluate(SLOW, times=2)
    assert desk.settle().flags == content("baseline"), "three seconds in all"


def test_flags_lowered_by_hand_are_left_alone(desk: Desk) -> None:
    desk.climb_to("full").env.write_text(content("canary"))
    desk.evaluate(times=5)
    assert desk.flags == content("canary")
    assert [body["drift"] for body in desk.bodies(Event.DRIFT)] == ["lower", "none"]
    assert (desk.position.phase, desk.position.stage) == ("held", "canary")
    desk.evaluate(BAD)
    desk.settle()
    assert desk.flags == content("baseline")
    assert Kind.ROLLBACK in {body["kind"] for body in desk.bodies(Event.INTENDED)}
