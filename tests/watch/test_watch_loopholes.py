"""Lies told to a real watch: files that are half written, writers without end, a look that is outdated when it counts, roles that are gone."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.flags.file_store import FileStore
from rollback_daemon.flags.settling import Settling
from rollback_daemon.flags.store import Flags, FlagValue
from rollback_daemon.flags.stores import dotenv
from rollback_daemon.judge import consent, promotion
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.duties import Approvals, Command, OnOther, Rehearsing, Requires
from rollback_daemon.watch import Watch
from tests.watch.guarded import GOOD, QUICK, Desk, content

LEAD, PROPOSER = Person("ann", frozenset({"lead"})), Person("cat")
NEVER = 3600.0


@pytest.fixture
def high(desk: Desk) -> Desk:
    """At the top, one `lead` approves half, and odd flags are rolled back."""
    stages = [
        replace(one, requires=Requires(Approvals(("lead",), 1, timedelta(hours=1)))) if one.name == "half" else one for one in desk.rollout.stages
    ]
    drift = replace(desk.rollout.flags.on_drift, other=OnOther.ROLLBACK)
    steps = Rehearsing(None, (Command(("test", "-e", str(desk.env.parent / "go-on")), timedelta(seconds=20)),))
    desk.restart(stages=tuple(stages), flags=replace(desk.rollout.flags, on_drift=drift), rehearsal=steps)
    return desk.climb_to("canary")


def settling(desk: Desk, seconds: float) -> None:
    """The same process, whose watch waits so long until it believes that flags were lowered."""
    desk.watch = Watch(desk.rollout, desk.watch.store, desk.journal, desk.hands, desk.witness, QUICK, settle=seconds)
    desk.watch.recall(None, None)
    desk.evaluate()


HALF_WRITTEN = {"empty": "", "cut off": "NEW=yes\nPERC", "like a lower stage": content("baseline")}


@pytest.mark.parametrize("text", HALF_WRITTEN.values(), ids=HALF_WRITTEN)
def test_a_file_that_is_being_written_leads_to_nothing(high: Desk, text: str) -> None:
    settling(high, NEVER)
    before = high.kinds
    high.env.write_text(text)
    assert not high.watch.glance()
    assert high.watch.unsettled
    high.evaluate(times=2)
    high.env.write_text(content("canary"))
    assert not high.watch.glance()
    assert not high.watch.unsettled
    high.evaluate(times=2)
    assert (high.position.stage, high.kinds) == ("canary", before)


def test_a_file_that_stays_lowered_is_believed(high: Desk) -> None:
    settling(high, 0.05)
    high.env.write_text(content("baseline"))
    high.watch.glance()
    wait_until(high.watch.glance, "the file to have stood for a while", 10)
    assert (high.position.phase, high.position.stage) == ("held", "baseline")


def test_a_raise_is_taken_back_however_fresh_it_is(high: Desk) -> None:
    settling(high, NEVER)
    high.env.write_text(content("full"))
    assert high.watch.glance()
    assert high.settle().flags == content("canary")


def test_content_has_settled_when_it_was_the_same_for_so_long() -> None:
    hands = [0.0]
    settling = Settling(1.0, lambda: hands[0])
    told = []
    for at, version in [(0.0, "a"), (0.9, "a"), (1.0, "a"), (1.1, "b"), (1.2, "a"), (2.1, "a"), (2.2, "a")]:
        hands[0] = at
        told.append(settling.settled(version))
    assert told == [False, False, True, False, False, False, True]
    assert Settling(0.0).settled("a")


def test_a_writer_without_end_fills_no_journal(high: Desk) -> None:
    high.restart(interval=timedelta(hours=1))
    high.evaluate()
    before = len(high.bodies(Event.INTENDED))
    for _ in range(20):
        high.env.write_text(content("full"))
        high.watch.glance()
        high.settle()
    assert len(high.bodies(Event.INTENDED)) - before == 3
    high.evaluate()
    assert high.settle().flags == content("canary")


class Overtaken(FileStore):
    """A store whose way back up waits until somebody has read the flags, who then gets to use them only after the end of the rehearsal."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(Path(desk.rollout.flags.path), dotenv)
        self._desk, self._read = desk, threading.Event()

    def read(self, keys: frozenset[str]) -> Flags:
        found = super().read(keys)
        if threading.current_thread() is threading.main_thread() and self._desk.position.open_promotion:
            self._read.set()
            wait_until(lambda: self._desk.bodies(Event.REHEARSED), "the rehearsal to end", 20)
        return found

    def write(self, changes: Mapping[str, FlagValue], *, if_version: str) -> None:
        if self._desk.position.open_promotion:
            assert self._read.wait(20)
        super().write(changes, if_version=if_version)


def test_flags_read_before_a_rehearsal_came_back_are_not_a_persons_lowering(high: Desk) -> None:
    (high.env.parent / "go-on").touch()
    high.watch.store = Overtaken(high)
    high.watch.request("rehearse", "ann", "x", lambda *known: promotion.rehearse(known[0], known[1], known[2], "ann", "x", known[3]))
    wait_until(lambda: high.bodies(Event.STEP), "the step to pass", 20)
    high.evaluate()  # the look that the rehearsal waits for
    wait_until(lambda: high.position.open_promotion, "the way back up to begin", 20)
    high.evaluate(times=2)
    assert high.bodies(Event.REHEARSED)[-1]["passed"]
    assert (high.position.stage, high.flags) == ("canary", content("canary"))
    assert not high.bodies(Event.DRIFT)


def test_a_hold_keeps_a_rehearsal_down(high: Desk) -> None:
    (high.env.parent / "go-on").touch()
    high.watch.request("rehearse", "ann", "x", lambda *known: promotion.rehearse(known[0], known[1], known[2], "ann", "x", known[3]))
    high.watch.hold("bob", "not now")
    high.settle()
    high.evaluate(times=8)
    assert (high.position.phase, high.flags) == ("rolled_back", content("baseline"))
    (ended,) = high.bodies(Event.REHEARSED)
    assert (ended["passed"], ended["why"]) == (False, "the rehearsal failed: it was stopped by bob: not now")


def test_an_approval_of_somebody_who_lost_the_role_is_none(high: Desk) -> None:
    high.watch.request("propose", "cat", "up", lambda *known: consent.propose(known[0], known[1], known[2], PROPOSER, "up", known[3]))
    said = consent.Ballot(go=True, why="reviewed")
    high.watch.request("approve", "ann", "reviewed", lambda *known: consent.vote(known[0], known[1], known[2], LEAD, said, known[3]))
    high.watch.recount(lambda _: {"lead"})
    assert not high.bodies(Event.WITHDRAWN)
    high.watch.recount(lambda _: frozenset[str]())
    high.evaluate()
    with pytest.raises(OperationRefused, match="0 of 1 approvals; missing: lead"):
        high.watch.promote("cat", "up", GOOD)
    assert high.flags == content("canary")
