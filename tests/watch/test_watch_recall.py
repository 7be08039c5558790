"""What a start makes of what a kill left: every kind of half-done transition, on a real file and a real journal."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.duties import Command
from tests.watch.conftest import MakeDesk
from tests.watch.guarded import BAD, Desk, content

Left = list[tuple[Event, Mapping[str, Any]]]
APPLIED, RAN, ATTEMPTED = Event.APPLIED, Event.RAN, Event.ATTEMPTED


def logging_command(path: Path) -> Command:
    return Command(("/bin/sh", "-c", f'echo "$ROLLBACKD_KIND $ROLLBACKD_FROM $ROLLBACKD_TO" >> {path}'), timedelta(seconds=10))


def left(desk: Desk, kind: Kind, target: str, *events: Event) -> Left:
    """The records of a transition that was killed after these."""
    begun = desk.intent(kind, target)
    facts = {"id": begun.body["id"], "kind": kind, "from": desk.position.stage}
    more: dict[Event, dict[str, Any]] = {
        APPLIED: {"before": {}, "after": {}, "backup": ""},
        RAN: {"command": [], "error": "", "output": "", "seconds": 0.1},
        ATTEMPTED: {"outcome": "transient", "error": "busy", "attempt": 1, "next": desk.hands.time.isoformat()},
    }
    return [(begun.event, begun.body), *((event, {**facts, **more[event]}) for event in events)]


@pytest.mark.parametrize("flags", ["half", "canary"], ids=["before-the-write", "after-the-write"])
@pytest.mark.parametrize("events", [(), (APPLIED,), (APPLIED, RAN), (ATTEMPTED,), (ATTEMPTED, APPLIED), (APPLIED, RAN, ATTEMPTED)], ids=str)
def test_a_rollback_left_half_done_is_finished_once(events: tuple[Event, ...], flags: str, make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk(logging_command(tmp_path / "ran")).climb_to("half")
    (tmp_path / "ran").unlink()
    desk.env.write_text(content(flags))
    desk.restart(left_by_kill=left(desk, Kind.ROLLBACK, "canary", *events)).settle()
    assert desk.flags == content("canary")
    assert (desk.position.phase, desk.position.stage) == (Phase.ROLLED_BACK, "canary")
    assert len(desk.records(Event.DONE)) == 3, "two promotions and this"
    assert (tmp_path / "ran").read_text() == "rollback half canary\n"
    before = desk.records()
    desk.restart().evaluate()
    assert desk.records()[: len(before)] == before
    assert not [record for record in desk.records()[len(before) :] if record.kind in {Event.INTENDED, Event.DONE, Event.APPLIED}]


def test_a_promotion_that_touched_nothing_is_given_up(desk: Desk) -> None:
    desk.climb_to("canary").restart(left_by_kill=left(desk, Kind.PROMOTE, "half"))
    assert desk.flags == content("canary")
    assert (desk.position.phase, desk.position.stage) == (Phase.HELD, "canary")
    assert desk.position.why == "the daemon was stopped before any flag was changed; promote again"
    assert desk.kinds[-1] == Event.ABANDONED


def test_a_promotion_that_only_failed_is_given_up(desk: Desk) -> None:
    desk.climb_to("canary").restart(left_by_kill=left(desk, Kind.PROMOTE, "half", ATTEMPTED))
    assert desk.position.phase is Phase.HELD
    assert desk.flags == content("canary")


def test_a_promotion_that_was_written_is_finished(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk(logging_command(tmp_path / "ran")).climb_to("canary")
    desk.env.write_text(content("half"))
    desk.restart(left_by_kill=left(desk, Kind.PROMOTE, "half", APPLIED)).settle()
    assert (desk.position.phase, desk.position.stage) == (Phase.SOAKING, "half")
    assert (tmp_path / "ran").read_text().splitlines()[-1] == "promote canary half"


def test_a_promotion_that_was_written_but_not_recorded_so_is_finished(desk: Desk) -> None:
    desk.climb_to("canary").env.write_text(content("half"))
    desk.restart(left_by_kill=left(desk, Kind.PROMOTE, "half")).settle()
    assert desk.position.stage == "half"
    assert desk.flags == content("half")


@pytest.mark.parametrize("stage", ["baseline", "canary"])
def test_a_promotion_taken_back_by_hand_meanwhile_is_not_written_again(stage: str, desk: Desk) -> None:
    desk.climb_to("canary").env.write_text(content(stage))
    desk.restart(left_by_kill=left(desk, Kind.PROMOTE, "half", APPLIED)).settle()
    assert desk.flags == content(stage)
    assert (desk.position.phase, desk.position.stage) == (Phase.ROLLED_BACK, stage)
    assert "its flags are no longer those that it set" in desk.position.why


def test_a_promotion_whose_flags_cannot_be_read_is_not_given_up_as_untouched_blindly(desk: Desk) -> None:
    desk.climb_to("canary").env.rename(desk.env.with_name("away"))
    desk.restart(left_by_kill=left(desk, Kind.PROMOTE, "half"))
    assert desk.position.phase is Phase.HELD, "nothing was written on record"
    desk.env.with_name("away").rename(desk.env)
    desk.evaluate()
    assert desk.position.stage == "canary"


def test_a_rollback_whose_file_is_missing_is_finished_when_it_is_back(desk: Desk) -> None:
    desk.climb_to("half").env.rename(desk.env.with_name("away"))
    desk.restart(left_by_kill=left(desk, Kind.ROLLBACK, "canary"))
    desk.evaluate()
    desk.env.with_name("away").rename(desk.env)
    desk.settle()
    assert desk.flags == content("canary")
    assert Event.ATTEMPTED in desk.kinds


def test_a_rollback_to_a_stage_that_the_rule_file_has_no_longer_goes_to_the_bottom(desk: Desk) -> None:
    desk.climb_to("half")
    stages = desk.rollout.stages
    fewer = (stages[0], *(replace(stage, number=stage.number - 1) for stage in stages[2:]))
    desk.restart(left_by_kill=left(desk, Kind.ROLLBACK, "canary"), stages=fewer).settle()
    assert desk.flags == content("baseline")
    assert desk.position.stage == "baseline"


def test_a_rollback_overtaken_by_another_is_left_to_that_one(desk: Desk) -> None:
    desk.climb_to("full")
    first, second = left(desk, Kind.ROLLBACK, "half", APPLIED), left(desk, Kind.ROLLBACK, "baseline")
    desk.env.write_text(content("half"))
    desk.restart(left_by_kill=[*first, *second]).settle()
    assert desk.flags == content("baseline")
    assert [body["id"] for body in desk.bodies(Event.DONE)][-1] == second[0][1]["id"]


def test_what_was_acted_on_before_a_kill_is_not_acted_on_again(desk: Desk) -> None:
    desk.climb_to("full")
    desk.hands.time += timedelta(seconds=1)
    desk.watch.evaluate(BAD, desk.hands.time)  # and killed before the memory of this cycle is kept
    desk.settle().restart()
    desk.evaluate(BAD)
    assert [(body["from"], body["to"]) for body in desk.bodies(Event.INTENDED)[3:]] == [("full", "half")]
    assert desk.position.stage == "half"


def test_a_record_that_does_not_follow_is_passed_over(desk: Desk) -> None:
    desk.climb_to("canary")
    desk.restart(left_by_kill=[(Event.DONE, {"id": "x", "kind": "rollback", "from": "half", "to": "baseline", "flags": {}})])
    assert desk.position.stage == "canary"


def test_records_before_the_first_sight_are_passed_over(desk: Desk) -> None:
    desk.restart(left_by_kill=[(Event.HELD, {"why": "?", "by": "ann"})])
    assert desk.watch.state.position is None
    desk.evaluate()
    assert desk.position.stage == "baseline"
