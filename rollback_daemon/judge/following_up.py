"""When a follow-up after completion is due, what it sees, and what may be decided at the end. Pure.

Lives here: those decisions. Must not live here: what is on record of them (`follow_ups`), running their checks (`errands`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import reasons
from rollback_daemon.judge.follow_ups import Decision, FollowedUp, FollowUp, Outcome
from rollback_daemon.judge.reasons import Check, Code, Reason
from rollback_daemon.judge.refusal import Refusal, known
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.rules.model import Rollout

_HOUR = timedelta(hours=1)
_OFTEN, _SELDOM = 24, 24  # one that fails is tried so often in short order, and then so many times more seldom, until it passes or the next is due


def wanted(rollout: Rollout, state: State) -> bool:
    """Whether follow-ups may be looked at now: complete, nothing under way, and nothing decided yet."""
    position = state.position
    at_rest = position is not None and position.phase is Phase.COMPLETE and not position.open and not position.rehearsing
    return at_rest and rollout.aftercare.follow_ups is not None and state.followed_up.completed is not None and not state.followed_up.decision


def due(rollout: Rollout, state: State, now: datetime) -> int | None:
    """The number (from 1) of the follow-up whose time has come; None when none is due. Of several that were missed it is the last."""
    if not wanted(rollout, state):
        return None
    record, times = state.followed_up, _times(rollout)
    come = [number for number, after in enumerate(times, 1) if record.completed and record.completed + after <= now]
    if not come:
        return None
    number, last = come[-1], record.last
    if last is None or times[number - 1] > last.after:
        return number
    again = failing(rollout, record) is not None and times[number - 1] == last.after and now >= _again(rollout, last)
    return number if again else None


def missed(rollout: Rollout, record: FollowedUp, number: int) -> list[tuple[int, timedelta]]:
    """The follow-ups before `number` whose time passed without a look: number, and how long after completion."""
    seen, times = record.last.after if record.last else timedelta(), _times(rollout)
    return [(one, after) for one, after in enumerate(times[: number - 1], 1) if after > seen]


def following(rollout: Rollout, record: FollowedUp) -> tuple[int, datetime] | None:
    """The number of the next look, another at one that fails included, and when it is due; None when there is none any more."""
    if record.completed is None or record.decision:
        return None
    times, last = _times(rollout), record.last
    ahead = [(number, record.completed + after) for number, after in enumerate(times, 1) if last is None or after > last.after]
    if failed := failing(rollout, record):
        ahead.append((times.index(failed.after) + 1, _again(rollout, failed)))
    return min(ahead, key=lambda one: one[1], default=None)


def failing(rollout: Rollout, record: FollowedUp) -> FollowUp | None:
    """The follow-up that did not pass and is tried again; None where the last one passed, or is not in the rule file any more."""
    last = record.last
    return last if last and last.failing and last.after in _times(rollout) and not record.decision else None


def decidable(rollout: Rollout, record: FollowedUp) -> FollowUp | None:
    """The last follow-up, if it was looked at, well or not, and nobody has said yet what follows from it: then a person may."""
    last, times = record.last, _times(rollout)
    return last if last and times and last.after >= times[-1] and not record.decision else None


def decision_due(rollout: Rollout, record: FollowedUp) -> FollowUp | None:
    """The same, if it has passed or has failed in all the tries that it gets in short order: then a person is asked to."""
    last = decidable(rollout, record)
    return None if last and failing(rollout, record) and last.tries < _OFTEN else last


def failing_since(record: FollowedUp) -> datetime | None:
    """Since when no follow-up has passed; None where the last one has."""
    since = None
    for one in reversed(record.looks):
        if one.outcome is Outcome.PASSED:
            break
        since = one.since
    return since


def sight(state: State, judgement: Judgement) -> list[Check]:
    """What an evaluation says about the highest stage: flags, gates and triggers, by the same measure as before a promotion."""
    found = [one for one in judgement.seen if one.blocking]
    if state.position and state.position.degraded:
        keys = ", ".join(sorted(state.position.degraded))
        found.append(Check("degraded", f"it is degraded ({keys})", Code.DEGRADED))
    return found


def looked(rollout: Rollout, state: State, number: int, checks: Sequence[dict[str, Any]], seconds: float) -> Happened:
    """The record of a follow-up. `checks`: each with its name, its outcome and its evidence. What could not be told has not passed."""
    record, times = state.followed_up, _times(rollout)
    bad = [one for one in checks if one["outcome"] != reasons.Outcome.PASS]
    outcome = Outcome.PASSED
    if bad:
        unsure = all(one["outcome"] == reasons.Outcome.UNKNOWN for one in bad)
        outcome = Outcome.UNKNOWN if unsure else Outcome.FAILED
    why = "; ".join(one["evidence"] for one in bad) or "every check passed"
    again = record.last is not None and record.last.after == times[number - 1]
    tries = record.last.tries + 1 if again and record.last else 1
    settled = number == len(times) and (outcome is Outcome.PASSED or tries >= _OFTEN)
    body = {
        "number": number,
        "of": len(times),
        "after": times[number - 1].total_seconds(),
        "try": tries,
        "outcome": outcome,
        "passed": outcome is Outcome.PASSED,
        "why": f"could not tell: {why}" if outcome is Outcome.UNKNOWN else why,
        "decision_due": settled and decision_due(rollout, record) is None,
        "checks": list(checks),
        "seconds": round(seconds, 3),
    }
    left_out = [{"number": one, "after": after.total_seconds()} for one, after in missed(rollout, record, number)]
    return Happened(Event.FOLLOWED_UP, {**body, "missed": left_out} if left_out else body)


def decide(rollout: Rollout, state: State, decision: Decision, by: str, reason: str) -> Happened:
    """What follows after the last follow-up. Refused before that was looked at, and a second time: it is final."""
    position, record = known(rollout, state), state.followed_up
    what = f"nothing is decided about {rollout.name}"
    if rollout.aftercare.follow_ups is None:
        raise OperationRefused(f"{what}: there is no follow_up in its rule file; add it with the times after completion at which it is looked at")
    if record.decision:
        raise OperationRefused(f'{what}: "{record.decision}" was decided already by {record.by}: {record.why}; that is final')
    if record.completed is None:
        raise Refusal(what, [Reason(Code.FOLLOW_UP_MISSING, f"it is {position.phase} and not complete; its follow-ups begin with that")])
    last = decidable(rollout, record)
    if last is None:
        raise Refusal(what, [Reason(Code.FOLLOW_UP_MISSING, f"its last follow-up has not been; {_ahead(rollout, record)}")])
    body = {"decision": decision, "by": by, "why": reason, "stage": position.stage, "code": Code.PERSON, "outcome": last.outcome}
    return Happened(Event.DECIDED, body)


def _ahead(rollout: Rollout, record: FollowedUp) -> str:
    coming = following(rollout, record)
    if coming is None:
        return "none is due"
    number, at = coming
    return f"number {number} of {len(_times(rollout))} is due at {at:%Y-%m-%d %H:%M:%S} UTC"


def _again(rollout: Rollout, failed: FollowUp) -> datetime:
    """When one that fails is tried again: soon, and after a day of that, once a day. Follow-ups that come early are tried again sooner."""
    pause = max(rollout.interval, min(_HOUR, failed.after / 10))
    return failed.at + (pause if failed.tries < _OFTEN else _SELDOM * pause)


def _times(rollout: Rollout) -> tuple[timedelta, ...]:
    return rollout.aftercare.follow_ups.after if rollout.aftercare.follow_ups else ()


def in_words(number: int, of: int, after: timedelta) -> str:
    """`follow-up 2 of 3 (7d)`."""
    return f"follow-up {number} of {of} ({format_duration(after)})"
