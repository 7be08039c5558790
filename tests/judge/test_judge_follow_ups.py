"""The month after completion on a fake clock: when it is looked at, what that comes to, and what a person says at the end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.durations import format_duration, parse_duration
from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import follow_ups, following_up, requests
from rollback_daemon.judge.follow_ups import Decision, FollowedUp, Outcome
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.aftercare import Aftercare, FollowUps
from rollback_daemon.rules.model import FlagSettings, Rollout
from rollback_daemon.signals.observation import Failed, Failure, Observation, Value
from tests.judge.world import ONLY_TOLD, START, World, degrade, flags_of, gate, rollout, trigger

USUAL = ("1d", "7d", "30d")
HOUR = timedelta(hours=1)


def asking(*after: str, interval: str = "1h") -> Rollout:
    """A rollout with these follow-ups; errors are to stay below 1, and above 2 take it back."""
    made = rollout(gate("Errors", below=1), trigger("Errors", above=2, for_="2h"), interval=interval, max_gap="3h")
    return replace(made, aftercare=Aftercare(follow_ups=FollowUps(tuple(map(parse_duration, after))) if after else None))


@dataclass(slots=True)
class Month:
    """A rollout that is complete at START, looked at once an hour. `errors` is what is seen (None: nothing), `check` why its own check fails."""

    world: World
    errors: float | None = 0
    check: str = ""
    time: datetime = START
    told: list[str] = field(default_factory=list)

    def until(self, after: str, *, stopped: bool = False) -> list[str]:
        """The follow-ups from here until then: `1d passed`, each at the time that it was looked at. Nobody looks while it is `stopped`."""
        begun = len(self.told)
        while self.time <= START + parse_duration(after):
            if not stopped:
                self.evaluate()
            self.time += HOUR
        return self.told[begun:]

    def evaluate(self) -> None:
        seen: Observation = Failed(Failure.UNREACHABLE, "refused") if self.errors is None else Value({(): self.errors})
        self.world.evaluate({"errors": seen}, self.time)
        if self.world.position.open:
            self.world.finish(self.time)
        number = following_up.due(self.world.ladder, self.world.state, self.time)
        if number is not None:
            self.look(number)
        assert folded(self.world) == self.world.state.followed_up, "the journal tells the same"

    def look(self, number: int) -> None:
        """What the thread that looks does."""
        world = self.world
        assert world.judgement
        outcome = "fail" if self.check else "pass"
        sight = [{"check": one.name, "outcome": one.outcome, "evidence": one.evidence} for one in following_up.sight(world.state, world.judgement)]
        checks = [*sight, {"check": "smoke", "outcome": outcome, "evidence": self.check or "smoke passed"}]
        happened = following_up.looked(world.ladder, world.state, number, checks, 0.5)
        world.accept(happened, self.time)
        self.told.append(f"{format_duration(self.time - START)}: {happened.body['number']} {happened.body['outcome']}")

    def decide(self, decision: Decision = Decision.KEEP) -> None:
        self.world.accept(following_up.decide(self.world.ladder, self.world.state, decision, "ann", "no complaints"), self.time)

    @property
    def record(self) -> FollowedUp:
        return self.world.state.followed_up

    @property
    def bodies(self) -> list[Mapping[str, Any]]:
        return [json.loads(body) for event, body, _ in self.world.journal if event == Event.FOLLOWED_UP]


def folded(world: World) -> FollowedUp:
    """What is on record, as the journal tells it."""
    found = FollowedUp()
    for event, body, at in world.journal:
        found = follow_ups.fold(found, Event(event), json.loads(body), at)
    return found


def month(*after: str, at: str = "full") -> Month:
    made = asking(*after)
    return Month(World(made, flags_of(made, at)))


def refused(month: Month) -> set[Code]:
    with pytest.raises(Refusal) as refusal:
        month.decide()
    return {reason.code for reason in refusal.value.reasons}


# when


def test_it_is_looked_at_on_day_one_seven_and_thirty_and_then_a_person_decides() -> None:
    it = month(*USUAL)
    assert it.until("23h") == []
    assert it.world.position.phase is Phase.COMPLETE
    assert it.until("29d") == ["1d: 1 passed", "1w: 2 passed"]
    assert following_up.decision_due(it.world.rollout, it.record) is None
    assert refused(it) == {Code.FOLLOW_UP_MISSING}
    assert it.until("40d") == ["30d: 3 passed"]
    assert following_up.decision_due(it.world.rollout, it.record) is not None
    it.decide(Decision.CLEAN_UP)
    assert (it.record.decision, it.record.by, it.record.why) == ("clean-up", "ann", "no complaints")
    assert following_up.decision_due(it.world.rollout, it.record) is None
    assert it.until("60d") == []
    with pytest.raises(OperationRefused, match='"clean-up" was decided already by ann: no complaints'):
        it.decide()


def test_nothing_is_looked_at_where_no_follow_up_is_asked_for_or_it_is_not_complete() -> None:
    it = month()
    assert it.until("40d") == []
    with pytest.raises(OperationRefused, match="there is no follow_up in its rule file"):
        it.decide()
    it = month(*USUAL, at="half")
    assert it.until("40d") == []
    assert refused(it) == {Code.FOLLOW_UP_MISSING}


def test_of_those_missed_while_nobody_looked_the_last_counts_and_the_others_are_on_record() -> None:
    it = month(*USUAL)
    it.until("1h")
    assert it.until("8d", stopped=True) == []
    assert it.until("9d") == ["8d1h: 2 passed"]
    assert [(one.number, one.outcome) for one in it.record.looks] == [(1, Outcome.MISSED), (2, Outcome.PASSED)]
    assert it.bodies[0]["missed"] == [{"number": 1, "after": 86400.0}]
    assert len(it.until("30d")) == 1


@pytest.mark.parametrize("restarting", [True, False])
def test_a_restart_at_any_time_changes_nothing(restarting: bool) -> None:
    it = month("1d", "3d")
    for hour in range(80):
        it.until(f"{hour}h")
        if restarting:
            it.world.forget()
    assert it.told == ["1d: 1 passed", "3d: 2 passed"]


@given(after=st.lists(st.integers(1, 60), min_size=1, max_size=5, unique=True), awake=st.sets(st.integers(0, 70)))
def test_each_follow_up_is_looked_at_or_missed_once_and_in_order_whenever_somebody_is_there(after: list[int], awake: set[int]) -> None:
    it = month(*(f"{hours}h" for hours in sorted(after)))
    it.until("0s")
    for hour in range(1, 72):
        it.until(f"{hour}h", stopped=hour not in awake and hour < 70)
    assert [one.number for one in it.record.looks] == list(range(1, len(after) + 1))
    assert following_up.decision_due(it.world.rollout, it.record) is not None
    assert following_up.following(it.world.rollout, it.record) is None


# one that does not pass


def test_a_failed_check_is_tried_again_each_hour_until_it_passes() -> None:
    it = month(*USUAL)
    it.check = "smoke exited with 1"
    assert it.until("1d2h") == ["1d: 1 failed", "1d1h: 1 failed", "1d2h: 1 failed"]
    failed = following_up.failing(it.world.rollout, it.record)
    assert failed
    assert (failed.tries, failed.since, failed.why) == (3, START + 24 * HOUR, "smoke exited with 1")
    it.check = ""
    assert it.until("2d") == ["1d3h: 1 passed"]
    assert following_up.failing(it.world.rollout, it.record) is None
    assert [body["try"] for body in it.bodies] == [1, 2, 3, 4]


def test_after_a_day_of_tries_it_is_tried_once_a_day_and_never_given_up() -> None:
    it = month("1d", "7d")
    it.check = "smoke exited with 1"
    told = it.until("6d")
    assert told[23:] == ["1d23h: 1 failed", "2d23h: 1 failed", "3d23h: 1 failed", "4d23h: 1 failed", "5d23h: 1 failed"]
    it.check = ""
    assert it.until("8d") == ["6d23h: 1 passed", "1w: 2 passed"]


def test_one_that_goes_on_failing_gives_way_to_the_next() -> None:
    it = month("1d", "2d")
    it.check = "smoke exited with 1"
    it.until("2d")
    assert [(one.number, one.outcome, one.tries) for one in it.record.looks] == [(1, Outcome.FAILED, 24), (2, Outcome.FAILED, 1)]
    assert following_up.failing_since(it.record) == START + 24 * HOUR
    assert following_up.decision_due(it.world.rollout, it.record) is None, "nobody is asked while it may still pass"
    it.decide(Decision.TUNE)  # but whoever has seen enough may say so
    assert following_up.failing(it.world.rollout, it.record) is None
    assert it.until("9d") == []


def test_a_decision_is_asked_for_once_when_the_last_one_passes() -> None:
    it = month("1d", "2d")
    it.until("1d23h")
    it.check = "smoke exited with 1"
    it.until("2d2h")
    assert following_up.decision_due(it.world.rollout, it.record) is None
    it.check = ""
    it.until("4d")
    assert [body["decision_due"] for body in it.bodies] == [False, False, False, False, True]
    due = following_up.decision_due(it.world.rollout, it.record)
    assert due
    assert due.outcome is Outcome.PASSED


def test_a_decision_is_asked_for_once_when_the_last_one_has_failed_for_a_day() -> None:
    it = month("2d")
    it.check = "smoke exited with 1"
    it.until("2d22h")
    assert following_up.decision_due(it.world.rollout, it.record) is None
    it.until("2d23h")
    due = following_up.decision_due(it.world.rollout, it.record)
    assert due
    assert (due.outcome, due.tries) == (Outcome.FAILED, 24)
    it.until("4d")
    it.check = ""
    it.until("9d")
    assert [body["decision_due"] for body in it.bodies].count(True) == 1
    assert following_up.failing_since(it.record) is None


def test_follow_ups_that_come_early_are_tried_again_sooner() -> None:
    it = Month(World(asking("10m", interval="15s"), flags_of(asking(), "full")))
    it.evaluate()
    it.check, it.time = "no", START + timedelta(minutes=10)
    it.evaluate()
    assert following_up.following(it.world.rollout, it.record) == (1, it.time + timedelta(minutes=1))


def test_a_gate_that_fails_is_a_failure_and_one_that_cannot_be_seen_is_not_known() -> None:
    it = month(*USUAL)
    it.until("23h")
    it.errors = 1.5
    assert it.until("1d") == ["1d: 1 failed"]
    assert it.bodies[-1]["why"] == "gate Errors: errors 1.5, must be < 1"
    assert it.bodies[-1]["passed"] is False
    it.errors = None
    assert it.until("1d1h") == ["1d1h: 1 unknown"]
    assert it.bodies[-1]["why"].startswith("could not tell: gate Errors: errors is unknown")
    it.check = "smoke exited with 1"
    assert it.until("1d2h") == ["1d2h: 1 failed"], "what is known to fail outweighs what is not known"


def test_flags_that_somebody_changed_do_not_pass() -> None:
    made = replace(asking(*USUAL), flags=FlagSettings("dotenv", "/srv/checkout/.env", on_drift=ONLY_TOLD))
    it = Month(World(made, flags_of(made, "full")))
    it.until("23h")
    it.world.flags = flags_of(made, "half")
    assert it.until("1d") == ["1d: 1 failed"]
    assert it.bodies[-1]["why"].startswith("its flags are not those of the stage on record")


def test_a_trigger_that_only_waits_does_not_pass_and_one_that_is_a_dry_run_does() -> None:
    it = month(*USUAL)
    it.until("23h")
    it.errors = 3
    assert it.until("1d") == ["1d: 1 failed"]
    assert "trigger Errors is pending" in it.bodies[-1]["why"]
    made = replace(asking(*USUAL), gates=(), triggers=(trigger("Errors", above=2, dry_run=True),))
    it = Month(World(made, flags_of(made, "full")), errors=3)
    assert it.until("1d") == ["1d: 1 passed"]


def test_what_is_degraded_does_not_pass() -> None:
    made = replace(asking(*USUAL), gates=(), triggers=(trigger("Slow", above=2, action=degrade(PERCENT="50%")),))
    it = Month(World(made, flags_of(made, "full")))
    it.until("22h")
    it.errors = 3
    it.until("23h")
    it.errors = 0
    assert it.until("1d") == ["1d: 1 failed"]
    assert it.bodies[-1]["why"] == "it is degraded (PERCENT)"


# what ends it


def test_a_rollback_ends_it_and_the_next_completion_begins_anew() -> None:
    it = month("1d", "3d")
    it.until("2d")
    it.errors = 9
    it.until("2d3h")
    assert it.world.position.phase is Phase.ROLLED_BACK
    assert it.record == FollowedUp()
    assert it.until("9d") == []


def test_a_hold_stops_it_and_takes_nothing_from_the_time_since_completion() -> None:
    it = month("1d", "3d")
    it.until("2h")
    it.world.accept(requests.hold(it.world.ladder, it.world.state, "ann", "wait"), it.time)
    assert it.until("2d") == []
    it.world.accept(requests.resume(it.world.ladder, it.world.state, "ann", "go on"), it.time)
    assert it.until("4d") == ["2d1h: 1 passed", "3d: 2 passed"]
    assert it.record.completed == START


@pytest.mark.parametrize(
    ("event", "body", "ends"),
    [
        (Event.UNREADY, {}, True),
        (Event.ADOPTED, {}, True),
        (Event.INTENDED, {"kind": Kind.ROLLBACK}, True),
        (Event.INTENDED, {"kind": Kind.PROMOTE, "code": Code.BREAK_GLASS}, True),
        (Event.INTENDED, {"kind": Kind.DEGRADE}, False),
        (Event.INTENDED, {"kind": Kind.RESTORE}, False),
        (Event.INTENDED, {"kind": Kind.ROLLBACK, "code": Code.REHEARSAL}, False),
        (Event.INTENDED, {"kind": Kind.PROMOTE, "code": Code.REHEARSAL}, False),
        (Event.REHEARSED, {"passed": True}, False),
        (Event.REHEARSED, {"passed": False}, True),
        (Event.COMPLETED, {}, False),
        (Event.HELD, {}, False),
    ],
)
def test_only_what_leaves_the_highest_stage_ends_it(event: Event, body: Mapping[str, Any], ends: bool) -> None:
    known = FollowedUp(completed=START)
    assert follow_ups.fold(known, event, body, START + HOUR) == (FollowedUp() if ends else known)


def test_other_times_in_the_rule_file_hold_from_then_on() -> None:
    it = month("1d", "7d")
    it.check = "smoke exited with 1"
    it.until("1d")
    it.world.edit(asking("2d", "7d"))
    assert following_up.failing(it.world.rollout, it.record) is None, "that follow-up is not asked for any more"
    it.check = ""
    assert it.until("9d") == ["2d: 1 passed", "1w: 2 passed"]
    it.world.edit(asking("2d", "7d", "10d"))
    assert following_up.decision_due(it.world.rollout, it.record) is None
    assert it.until("11d") == ["10d: 3 passed"]


def test_nothing_is_looked_at_while_flags_are_changed() -> None:
    it = month("1d")
    it.until("23h")
    it.world.accept(requests.rollback(it.world.ladder, it.world.state, it.world.judgement, "half", "ann", "asked", it.time), it.time)
    assert not following_up.wanted(it.world.ladder, it.world.state)
    assert following_up.due(it.world.ladder, it.world.state, it.time + HOUR) is None
