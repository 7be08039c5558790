"""A whole ladder over recorded history: what is rolled back, what people do about it, and what stays as it is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.errors import RollbackdError
from rollback_daemon.lab.backtesting.run import Interrupted, Progress, Settings, run
from rollback_daemon.lab.history import Grid, HistoryGone
from rollback_daemon.lab.history.fetching import Piece
from rollback_daemon.rules.aftercare import Aftercare, AtMost, Recovery
from rollback_daemon.rules.duties import Requires
from rollback_daemon.rules.model import Action, ActionKind
from rollback_daemon.signals.observation import Failed, Failure
from tests.judge.world import approvals, gate, relative, rollout, trigger
from tests.lab.recorded import Recorded, backtested, between, hours, moves

HOUR = timedelta(hours=1)
NEVER = Settings(resume_after=None)
HIGH = trigger("High", "errors", for_="5m", above=10)
BASE = trigger("High", "errors", action="rollback to baseline", above=10)


def test_a_rollback_is_resumed_after_an_hour_and_put_back_to_where_it_stood() -> None:
    part = backtested(rollout(BASE), hours(4), {"errors": between("13:00", "13:10", 20)})
    assert moves(part)[-4:-1] == [("13:00:00", "rollback full > baseline"), ("14:00:00", "resume"), ("14:00:15", "promote baseline > full")]
    assert (part["began_at"], part["ended_at"], part["rollbacks"]) == ("full", "full", 1)
    (rolled,) = [one for one in part["decisions"] if one["kind"] == "rollback"]
    assert rolled["why"] == ["High: errors 20 > 10"]
    assert (rolled["latches"], rolled["until"]) == (True, "2026-03-01T14:00:00Z")


def test_without_anybody_it_stays_latched_to_the_end() -> None:
    part = backtested(rollout(BASE), hours(4), {"errors": between("13:00", "13:10", 20)}, NEVER)
    (rolled,) = [one for one in part["decisions"] if one["kind"] == "rollback"]
    assert rolled["until"] is None
    assert part["ended_at"] == "baseline"
    assert part["latched"] == pytest.approx(0.75, abs=0.01)


def test_a_rollback_to_the_previous_stage_that_does_not_help_is_followed_by_the_next() -> None:
    part = backtested(rollout(HIGH), hours(4), {"errors": between("13:00", "13:12", 20)})
    assert moves(part)[1:4] == [("13:05:00", "rollback full > half"), ("13:10:00", "rollback half > canary"), ("14:10:00", "resume")]
    (fire,) = part["triggers"][0]["fires"]
    assert (fire["pending"][11:16], fire["fired"][11:16], fire["resolved"][11:16]) == ("13:00", "13:05", "13:12")
    assert fire["followed"] == ["rollback full > half", "rollback half > canary"]


def test_nothing_is_put_back_while_the_cool_down_lasts_a_gate_fails_or_a_trigger_cannot_see() -> None:
    cooled = rollout(BASE, aftercare=Aftercare(cooldown=2 * HOUR))
    assert ("15:00:00", "promote baseline > full") in moves(backtested(cooled, hours(4), {"errors": between("13:00", "13:10", 20)}))
    gated = rollout(BASE, gate("Slow", "latency", below=5))
    slow = {"errors": between("13:00", "13:10", 20), "latency": between("13:00", "14:30", 9)}
    assert ("14:30:00", "promote baseline > full") in moves(backtested(gated, hours(4), slow))
    blind = {"errors": lambda now: None if now.hour == 14 else between("13:00", "13:10", 20)(now)}
    assert ("15:00:00", "promote baseline > full") in moves(backtested(rollout(BASE), hours(4), blind))


def test_a_history_that_begins_too_late_for_a_baseline_does_not_keep_it_down_for_ever() -> None:
    """The stage that it begins at has none to be held against; the next one has, so that people may go on."""
    held = trigger("Dear", relative("cost"), above=2)
    value, count = relative("cost").baseline_questions() or ("", "")
    late = {value: between("12:00", "12:30", None, 1.0), count: between("12:00", "12:30", None, 60.0)}
    part = backtested(rollout(HIGH, held), hours(4), {"errors": between("13:00", "13:07", 20), **late})
    assert ("14:05:15", "promote half > full") in moves(part)
    assert next(one for one in part["triggers"] if one["alert"] == "Dear")["unknown"]["share"] < 0.6


def test_a_gate_that_was_violated_says_its_value_beside_its_limit() -> None:
    part = backtested(rollout(HIGH, gate("Slow", "latency", below=5)), hours(1), {"latency": between("12:10", "12:20", 9)})
    assert part["gates"][0]["why"] == "latency 9, must be < 5"


def test_nobody_resumes_what_would_be_taken_back_at_once() -> None:
    part = backtested(rollout(BASE), hours(6), {"errors": between("13:00", "15:30", 20)})
    assert ("15:30:00", "resume") in moves(part)


def test_a_trigger_that_would_only_be_told_of_keeps_nobody_from_resuming() -> None:
    dry = trigger("Dry", "latency", dry_run=True, above=5)
    part = backtested(rollout(BASE, dry), hours(3), {"errors": between("13:00", "13:10", 20), "latency": between("13:00", "15:00", 9)})
    assert ("14:00:00", "resume") in moves(part)


def test_nobody_resumes_while_the_rollback_is_being_verified() -> None:
    care = Aftercare(verify=(Recovery(timedelta(minutes=20), HOUR),))
    ruled = rollout(BASE, gate("Slow", "latency", below=5), aftercare=care)
    history = {"errors": between("13:00", "13:02", 20), "latency": between("13:00", "13:10", 9)}
    part = backtested(ruled, hours(2), history, Settings(resume_after=timedelta(minutes=5)))
    assert [when for when, what in moves(part) if what == "resume"] == ["13:30:00"]


def test_too_many_rollbacks_freeze_it_and_a_person_re_arms_it() -> None:
    often = rollout(BASE, aftercare=Aftercare(max_rollbacks=AtMost(2, timedelta(days=1))))
    errors = lambda now: 20.0 if now.minute == 30 and now.hour in {13, 15} else 1.0  # noqa: E731 (a history in a line)
    part = backtested(often, hours(6), {"errors": errors})
    assert [what for _, what in moves(part)][1:7] == [
        "rollback full > baseline",
        "resume",
        "promote baseline > full",
        "complete",
        "rollback full > baseline",
        "freeze",
    ]
    assert part["ended_at"] == "full"


def test_who_climbs_begins_at_the_baseline_and_is_asked_for_no_paper() -> None:
    asks = {"half": Requires(approvals=approvals("lead", "security"), checkpoints=("day-0",), rehearsal=HOUR)}
    part = backtested(rollout(HIGH, soak="1h", asks=asks), hours(5), {}, Settings(climb=True))
    assert [what for _, what in moves(part)] == ["promote baseline > canary", "promote canary > half", "promote half > full", "complete"]
    assert (part["began_at"], [one["stage"] for one in part["stages"]]) == ("baseline", ["canary", "half", "full"])
    assert part["untold"] == ["approvals, checkpoints, evidence and rehearsals are taken as given"]


def test_who_climbs_climbs_again_by_soak_after_a_rollback() -> None:
    part = backtested(rollout(BASE, soak="1h"), hours(5), {"errors": between("12:30", "12:31", 20)}, Settings(climb=True))
    assert [what for _, what in moves(part)][:5] == [
        "promote baseline > canary",
        "rollback canary > baseline",
        "resume",
        "promote baseline > canary",
        "promote canary > half",
    ]


def test_a_stage_may_be_named_where_it_stands() -> None:
    part = backtested(rollout(HIGH), hours(2), {"errors": between("12:30", "12:40", 20)}, replace(NEVER, stage="canary"))
    assert (part["began_at"], moves(part)[-1]) == ("canary", ("12:35:00", "rollback canary > baseline"))


def test_a_rollout_that_only_observes_says_what_it_would_do() -> None:
    part = backtested(rollout(HIGH, enforce=False), hours(2), {"errors": between("12:30", "12:40", 20)})
    assert ("12:35:00", "would rollback to previous") in moves(part)
    assert (part["mode"], part["rollbacks"], part["would_roll_back"], part["ended_at"]) == ("observe", 0, 1, "full")
    assert part["untold"] == ["its mode is observe: nothing is rolled back, and nobody can promote it"]


def test_an_outage_rolls_nothing_back() -> None:
    away = Failed(Failure.REFUSED, "HTTP 422: execution: too much")
    part = backtested(rollout(HIGH), hours(2), {"errors": lambda now: away if now.minute < 50 else None})
    assert part["rollbacks"] == 0
    assert part["triggers"][0]["unknown"]["share"] == 1


def test_a_hold_is_lifted_after_the_hour_and_a_degradation_restored() -> None:
    held = backtested(rollout(trigger("Held", "errors", action="hold", above=10)), hours(3), {"errors": between("12:30", "12:40", 20)})
    assert moves(held)[-3:] == [("12:30:00", "hold"), ("13:30:00", "resume"), ("13:30:15", "complete")]
    lesser = trigger("Slow", "errors", action=Action(ActionKind.DEGRADE, flags={"NEW": "false"}), above=10)
    degraded = backtested(rollout(lesser), hours(3), {"errors": between("12:30", "14:00", 20)})
    assert moves(degraded)[1:] == [("12:30:00", "degrade"), ("14:00:00", "restore")]


def test_rollouts_with_different_intervals_each_have_their_own_times() -> None:
    quick, slow = rollout(HIGH), replace(rollout(HIGH, interval="1m", max_gap="3m"), name="slow")
    grids = {one.interval: Grid(hours(1).start, one.interval, timedelta(hours=1) // one.interval + 1) for one in (slow, quick)}
    found = run(grids, [quick, slow], Recorded({}), Settings(), Progress())
    assert [(one.rollout.name, one.evaluations) for one in found] == [(quick.name, 241), ("slow", 61)]


class Leaving(Recorded):
    """Goes away after so many answers."""

    def fetch(self, query: str, grid: Grid) -> list[Piece]:
        if len(self.asked) >= 3:
            raise HistoryGone("no answer from the server: Connection refused")
        return super().fetch(query, grid)


def test_a_server_that_goes_away_ends_it_where_it_came_to() -> None:
    with pytest.raises(Interrupted, match="Connection refused") as ended:
        run({hours(1).step: hours(2)}, [rollout(HIGH)], Leaving({}), Settings(piece=60, parallel=1), Progress())
    assert isinstance(ended.value, RollbackdError)
    assert ended.value.at == hours(1).at(179)
