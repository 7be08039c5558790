"""Alerts about what follows a rollback or completion: verification, limits, escalation, follow-ups. Pure.

Lives here: those alerts. Must not live here: every other alert (`alerts`), sending (`alertmanager`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from rollback_daemon.durations import format_duration
from rollback_daemon.faces.rollout_alert import Finding, RolloutAlert
from rollback_daemon.judge import following_up, recovery
from rollback_daemon.judge.aftermath import Verification
from rollback_daemon.judge.escalation import clock
from rollback_daemon.judge.follow_ups import Decision, Outcome
from rollback_daemon.judge.state import Judgement, State
from rollback_daemon.rules.model import Rollout


def _unverified(rollout: Rollout, state: State, judgement: Judgement) -> Finding | None:
    """From the first verification that does not pass, through every further way back, until one does or a person resumes."""
    known, position = state.aftermath, state.position
    if not known.unverified or position is None:
        return None
    last = ""
    if known.outcome is Verification.FAILED:
        last = ", and there is no other way back"
    elif known.unknown:
        last = ": a step could not tell"
    summary = f"the rollback of {rollout.name} could not be verified{last}"
    text = f"{known.unverified}. {_what_follows(rollout, state)}"
    return Finding(_since(known.ended or known.last, judgement), known.unverified, summary, text)


def _what_follows(rollout: Rollout, state: State) -> str:
    position, coming = state.position, recovery.pending(rollout, state)
    by_hand = "look at it by hand, then verify it again, or resume it with a reason"
    if position and position.open:
        return f"Another way back is being taken now ({position.open.way_kind} to {position.open.target})."
    if state.aftermath.verifying:
        return "It is being verified again."
    if coming is None:
        return f"Nothing more follows by itself: {by_hand}."
    stop = f"`rollbackd cancel {rollout.name} --reason ...` stops that"
    return f"The next way back, {coming.way}, is taken at {clock(coming.at)}; {stop}. Else {by_hand}."


def _frozen(rollout: Rollout, state: State, judgement: Judgement) -> Finding | None:
    position = state.position
    if position is None or not position.frozen:
        return None
    text = f"{position.why}. Nothing is promoted until somebody resumes it with a reason, which re-arms it."
    return Finding(_since(position.since, judgement), position.why, f"{rollout.name} is frozen: it was rolled back too often", text)


def _since(at: datetime | None, judgement: Judgement) -> datetime:
    return at or judgement.at


def _follow_up_failed(rollout: Rollout, state: State, _judgement: Judgement) -> Finding | None:
    record = state.followed_up
    failed, coming = following_up.failing(rollout, record), following_up.following(rollout, record)
    if failed is None:
        return None
    name = f"the follow-up {format_duration(failed.after)} after the completion of {rollout.name}"
    unsure = failed.outcome is Outcome.UNKNOWN
    again = f" The next look is at {coming[1].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC." if coming else ""
    tries = f", {failed.tries} times now" if failed.tries > 1 else ""
    summary = f"{name} could not be told" if unsure else f"{name} did not pass"
    since = following_up.failing_since(record) or failed.since
    return Finding(since, failed.why, summary, f"{failed.why}{tries}.{again}", "warning" if unsure else "")


def _decision_due(rollout: Rollout, state: State, _judgement: Judgement) -> Finding | None:
    last = following_up.decision_due(rollout, state.followed_up)
    if last is None:
        return None
    tries = f" in all of {last.tries} tries" if last.failing and last.tries > 1 else ""
    value = f"the follow-up after {format_duration(last.after)}: {last.outcome}{tries}"
    text = f"{value}. Say what follows with `rollbackd decide {rollout.name} {'|'.join(Decision)} --reason ...`; this alert ends with that."
    return Finding(last.since, value, f"{rollout.name} has had its last follow-up: keep it, clean it up, or tune it", text)


def _escalated(rollout: Rollout, state: State, judgement: Judgement) -> Iterator[Finding]:
    """One for each level from the second on, so that nobody is told that it is over while only somebody else was told as well."""
    said = {one.trigger.name: one.state.why for one in judgement.triggers if one.state.unknown_since}
    for name, one in state.escalations.triggers.items():
        for level in () if one.acknowledged else one.levels[1:]:
            summary = f"{name} of {rollout.name} goes on firing, and nobody has taken it in hand: {level.name}"
            unseen = f" It cannot be seen now: {said[name] or 'no data'}." if name in said else ""
            how = f"It climbs no further once somebody says `rollbackd acknowledge {rollout.name} {name} --reason ...`."
            text = f"{one.why}.{unseen} {how}"
            yield Finding(level.at, one.why, summary, text, labels={"trigger": name, "level": level.name})


def _scheduled(rollout: Rollout, state: State, judgement: Judgement) -> Iterator[Finding]:
    unseen = {one.trigger.name: one.state.why for one in judgement.triggers if one.state.unknown_since}
    for name, one in state.escalations.triggers.items():
        if one.announced is None:
            continue
        due = clock(one.announced.due)
        waits = f" {name} cannot be seen now ({unseen[name] or 'no data'}); it waits until that fires again, or has eased." if name in unseen else ""
        how = f"It will not be if that eases by then, or somebody says `rollbackd cancel {rollout.name} {name} --reason ...`."
        summary = f'{rollout.name} is to be rolled back to "{one.announced.to}" at {due}'
        yield Finding(one.announced.at, due, summary, f"{one.announced.why}. {how}{waits}", labels={"trigger": name, "level": one.level})


AFTERCARE_ALERTS: dict[str, RolloutAlert] = {
    "RolloutUnverified": RolloutAlert("critical", "a rollback could not be verified", _unverified),
    "RolloutFrozen": RolloutAlert("critical", "there were too many rollbacks, and nobody has resumed it yet", _frozen),
    "RolloutEscalated": RolloutAlert("critical", "a trigger went on firing, and nobody has acknowledged it: the next level", _escalated),
    "RolloutRollbackScheduled": RolloutAlert("critical", "a rollback is announced for a stated time, and can be cancelled", _scheduled),
    "RolloutFollowUpFailed": RolloutAlert("critical", "a look after completion did not pass; it is taken again until it does", _follow_up_failed),
    "RolloutDecisionDue": RolloutAlert("warning", "the last look after completion is over, and nobody has said what follows", _decision_due),
}
"""Every alert about what follows a rollback or completion, by name."""
