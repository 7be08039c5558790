"""Follow-ups as the watch runs them: real commands, a thread, a real journal, and a clock that is set by hand."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.judge import following_up
from rollback_daemon.judge.follow_ups import Decision, FollowedUp, Outcome
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.aftercare import Aftercare, FollowUps
from rollback_daemon.rules.duties import Command, HttpCheck
from tests.watch.guarded import BAD, EMPTY, GOOD, SECOND, Desk

HANGS = "touch {begun}; sleep 1000"


def shell(script: str) -> Command:
    return Command(("/bin/sh", "-c", script), timedelta(seconds=60))


class Aftermonth(Desk):
    """A desk whose rollout is complete, and is looked at 10 s and 20 s after that."""

    def __init__(self, folder: Path, *checks: Command | HttpCheck) -> None:
        super().__init__(folder)
        self.after = FollowUps((10 * SECOND, 20 * SECOND), checks)
        self.restart(aftercare=Aftercare(follow_ups=self.after))
        self.climb_to("full").evaluate()
        assert self.position.phase is Phase.COMPLETE

    @property
    def record(self) -> FollowedUp:
        return self.watch.state.followed_up

    @property
    def looks(self) -> list[Mapping[str, Any]]:
        return self.bodies(Event.FOLLOWED_UP)

    def go_to(self, seconds: int, look: Any = GOOD) -> None:
        """One evaluation, so long after completion."""
        assert self.record.completed
        self.hands.time = self.record.completed + (seconds - 1) * SECOND
        self.evaluate(look)

    def told(self, count: int = 1) -> Mapping[str, Any]:
        """The last look, once there are so many."""
        wait_until(lambda: len(self.looks) == count, f"{count} follow-ups on record", 20)
        return self.looks[-1]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    opened: list[Aftermonth] = []

    def made(*checks: Command | HttpCheck) -> Aftermonth:
        opened.append(Aftermonth(tmp_path, *checks))
        return opened[-1]

    yield made
    for one in opened:
        one.close()


def test_it_looks_when_it_is_due_and_puts_every_check_on_record(make: Any, tmp_path: Path) -> None:
    said = tmp_path / "said"
    asks = 'echo "$ROLLBACKD_ROLLOUT $ROLLBACKD_STAGE $ROLLBACKD_FOLLOW_UP $ROLLBACKD_AFTER"'
    desk = make(shell(f"{asks} | tee -a {said}"))
    desk.go_to(9)
    assert desk.looks == []
    desk.go_to(10)
    body = desk.told()
    assert (body["number"], body["of"], body["after"], body["outcome"], body["why"]) == (1, 2, 10.0, "passed", "every check passed")
    assert [(one["check"].split()[0], one["outcome"]) for one in body["checks"]] == [
        ("flags", "pass"),
        ("Errors", "pass"),
        ("trigger", "pass"),
        ("trigger", "pass"),
        ("/bin/sh", "pass"),
    ]
    assert body["checks"][-1]["output"] == "checkout full 1 10s"
    desk.go_to(11)
    desk.go_to(20)
    assert desk.told(2)["decision_due"] is True
    assert said.read_text() == "checkout full 1 10s\ncheckout full 2 20s\n"
    assert desk.journal.verify() == []


def test_one_check_that_fails_does_not_keep_the_next_from_being_run(make: Any, tmp_path: Path) -> None:
    desk = make(shell("echo no such page; exit 3"), shell(f"touch {tmp_path}/second"))
    desk.go_to(10)
    body = desk.told()
    assert (body["outcome"], body["why"], body["checks"][-2]["output"]) == ("failed", '"/bin/sh" exited with 3', "no such page")
    assert (tmp_path / "second").exists()
    desk.go_to(11)
    assert desk.told(2)["try"] == 2, "an early follow-up is tried again at the next evaluation"


def test_a_page_is_asked_and_what_it_lacks_is_the_reason(make: Any, tmp_path: Path) -> None:
    desk = make(HttpCheck("http://127.0.0.1:9/health", timeout=timedelta(milliseconds=300)))
    desk.go_to(10)
    body = desk.told()
    assert body["outcome"] == "failed"
    assert body["why"].startswith("GET http://127.0.0.1:9/health: cannot be asked")


def test_what_cannot_be_seen_has_not_passed(make: Any) -> None:
    desk = make()
    desk.go_to(10, EMPTY)
    assert desk.told()["outcome"] == "unknown"
    assert desk.looks[0]["why"].startswith("could not tell: ")
    assert desk.record.last.outcome is Outcome.UNKNOWN


def test_a_rollback_cuts_a_check_that_hangs_and_nothing_of_it_is_on_record(make: Any, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    desk = make(shell(HANGS.format(begun=begun)))
    desk.go_to(10)
    wait_until(begun.exists, "the check to hang", 10)
    desk.evaluate(BAD)
    desk.settle()
    assert desk.position.phase is Phase.ROLLED_BACK
    assert desk.position.stage == "half"
    desk.watch.close(10)
    assert desk.looks == []


def test_a_check_that_hangs_keeps_nobody_waiting_and_is_not_begun_twice(make: Any, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    desk = make(shell(f"echo x >> {begun}; sleep 1000"))
    started = time.monotonic()
    desk.go_to(10)
    wait_until(begun.exists, "the check to hang", 10)
    desk.evaluate(times=12)
    assert time.monotonic() - started < 10
    assert begun.read_text() == "x\n"


def test_a_stop_in_the_middle_leaves_nothing_and_the_next_start_looks_again(make: Any, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    desk = make(shell(HANGS.format(begun=begun)))
    desk.go_to(10)
    wait_until(begun.exists, "the check to hang", 10)
    desk.watch.close(10)
    assert desk.looks == []
    desk.restart(aftercare=Aftercare(follow_ups=replace(desk.after, checks=()))).evaluate()
    assert desk.told()["outcome"] == "passed"


def test_after_a_long_stop_the_last_one_counts_and_the_former_is_missed(make: Any) -> None:
    desk = make()
    desk.restart()
    desk.go_to(300)
    body = desk.told()
    assert (body["number"], body["missed"]) == (2, [{"number": 1, "after": 10.0}])
    assert [one.outcome for one in desk.record.looks] == [Outcome.MISSED, Outcome.PASSED]


def test_other_rules_cut_what_is_looked_at_and_it_is_looked_at_by_those(make: Any, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    desk = make(shell(HANGS.format(begun=begun)))
    desk.go_to(10)
    wait_until(begun.exists, "the check to hang", 10)
    rollout = replace(desk.rollout, aftercare=Aftercare(follow_ups=FollowUps((10 * SECOND,))))
    desk.watch.reconfigure(rollout, desk.watch.store)

    def looked() -> bool:
        desk.evaluate()
        return bool(desk.looks)

    wait_until(looked, "the look by the new rules", 10)
    assert desk.looks[0]["of"] == 1
    assert desk.looks[0]["outcome"] == "passed"


def test_a_decision_is_on_record_and_survives_a_restart(make: Any) -> None:
    desk = make()
    desk.go_to(20)
    desk.told()
    desk.watch.request("decide", "ann", "it works", lambda rollout, state, *_: following_up.decide(rollout, state, Decision.KEEP, "ann", "it works"))
    before = desk.record
    desk.restart().evaluate(times=3)
    assert desk.record == before
    assert (desk.record.decision, len(desk.looks)) == ("keep", 1)
