"""What follows a rollback or completion, as plain values for people and programs.

Lives here: the shape of that part of an explanation. Must not live here: the rest of it (`views`), terminals, decisions.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.clock import SystemClock
from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.hooks.courier import Backlog
from rollback_daemon.judge import following_up, recovery
from rollback_daemon.judge.aftermath import READ_BACK, is_current, proof, proofs
from rollback_daemon.judge.escalating import coming
from rollback_daemon.judge.escalation import Announced, Escalated, Said, clock
from rollback_daemon.judge.follow_ups import Decision
from rollback_daemon.judge.reasons import Code
from rollback_daemon.rules.aftercare import Recovery
from rollback_daemon.transitions.steps import describe
from rollback_daemon.watch import Watch

_CLOCK = SystemClock()


def aftercare(watch: Watch) -> dict[str, Any]:
    """What an explanation has of it, by key."""
    return {
        "aftermath": _aftermath(watch),
        "escalations": [_escalated(watch, name, one) for name, one in _escalations(watch)],
        "follow_ups": _follow_ups(watch),
    }


def _aftermath(watch: Watch) -> dict[str, Any] | None:
    """The incident that is open, and how far its verification is; None without one."""
    rollout, state, position = watch.rollout, watch.state, watch.state.position
    known, ways = state.aftermath, watch.rollout.aftercare.ways
    if not known.incident or position is None:
        return None
    coming = recovery.pending(rollout, state)
    return {
        "incident": known.incident,
        "began": _time(known.began),
        "transition": known.transition,
        "way": str(ways[known.way]) if known.way < len(ways) else "",
        "verification": _verification(watch),
        "passed": known.passed,
        "of": 1 + len(proofs(rollout, position)) if known.owed else 0,
        "step": _step(watch),
        "unknown": known.unknown,
        "why": known.why or known.unverified,
        "ended": _time(known.ended),
        "next": {"way": str(coming.way), "at": _time(coming.at)} if coming else None,
        "stopped": known.stopped,
        "postmortem": known.postmortem,
    }


def _verification(watch: Watch) -> str:
    """How it stands, in a word or two."""
    known, position = watch.state.aftermath, watch.state.position
    if known.verifying:
        return "verifying"
    if position and position.open:
        return "another way back is being taken" if position.open.code == Code.UNVERIFIED else "being rolled back"
    return str(known.outcome or "not asked for")


def _step(watch: Watch) -> str:
    """The step that a verification is at, and for how long it has seen what it waits for."""
    known, position, rollout, waited = watch.state.aftermath, watch.state.position, watch.rollout, watch.state.waited
    if position is None or not known.verifying or not is_current(rollout, position, known) or known.passed > len(proofs(rollout, position)):
        return ""
    step = proof(rollout, position, known)
    if step is None:
        return READ_BACK
    if not isinstance(step, Recovery):
        return describe(step)
    passing = f"passing for {format_coarse(waited.passed)}" if waited.passed is not None else "not passing now"
    return f"{recovery.describe(step)}: {passing}, watched for {format_coarse(waited.watched)} of at most {format_duration(step.within)}"


def after_rollback(watch: Watch) -> str:
    """What follows by itself, in a line; "" where nothing does."""
    one = _aftermath(watch)
    if one is None or one["verification"] in {"not asked for", "verified", "being rolled back"}:
        return ""
    if one["verification"] == "verifying":
        return f"VERIFYING: {one['passed']} of {one['of']} steps passed, at {one['step']}"
    coming = f"; {one['next']['way']} follows at {one['next']['at'][11:19]}Z" if one["next"] else ""
    return f"{one['verification'].upper()}: {one['why']}{coming}"


def _follow_ups(watch: Watch) -> dict[str, Any] | None:
    """The looks after completion: those that were, the next one, and the decision at the end. None where none are asked for."""
    rules, record = watch.rollout.aftercare.follow_ups, watch.state.followed_up
    if rules is None:
        return None
    coming = following_up.following(watch.rollout, record)
    return {
        "completed": _time(record.completed),
        "after": [format_duration(after) for after in rules.after],
        "looks": [
            {
                "number": one.number,
                "after": format_duration(one.after),
                "outcome": one.outcome,
                "at": _time(one.at),
                "tries": one.tries,
                "why": one.why,
            }
            for one in record.looks
        ],
        "next": {"number": coming[0], "after": format_duration(rules.after[coming[0] - 1]), "at": _time(coming[1])} if coming else None,
        "decision_due": following_up.decision_due(watch.rollout, record) is not None,
        "decision": {"decision": record.decision, "by": record.by, "why": record.why} if record.decision else None,
    }


def hooks_behind(found: Iterable[tuple[str, Backlog]]) -> list[dict[str, Any]]:
    """The hooks that have not been told all there is to tell: how many events wait, since when, and how the last try ended."""
    return [
        {
            "hook": name,
            "waiting": backlog.waiting,
            "since": _time(backlog.first.at),
            "on": backlog.first.event,
            "attempts": backlog.attempts,
            "error": backlog.error,
            "output": backlog.output,
        }
        for name, backlog in found
    ]


def after_completion(watch: Watch) -> str:
    """What comes next for a rollout that is complete, in a few words; nothing where nothing is asked for."""
    record = watch.state.followed_up
    if watch.rollout.aftercare.follow_ups is None or record.completed is None:
        return ""
    if record.decision:
        return f'a person decided "{record.decision}"'
    parts = []
    if following_up.decision_due(watch.rollout, record):
        parts.append(f"a person decides ({', '.join(Decision)})")
    if coming := following_up.following(watch.rollout, record):
        again = " again" if following_up.failing(watch.rollout, record) else ""
        after = format_duration(watch.rollout.aftercare.follow_ups.after[coming[0] - 1])
        parts.append(f"the follow-up of {after}{again} at {coming[1]:%Y-%m-%d %H:%M:%S}Z")
    return "; ".join(parts)


def trouble(watch: Watch) -> Iterator[str]:
    """What time will bring if nobody does anything, in a few words each."""
    for name, one in _escalations(watch):
        if one.announced:
            yield f"ROLLBACK ANNOUNCED: to {one.announced.to} at {clock(one.announced.due)} ({name})"
        elif len(one.levels) > 1 and not one.acknowledged:
            yield f"ESCALATED: {name} to {one.level}"


def _escalations(watch: Watch) -> Iterator[tuple[str, Escalated]]:
    return iter(watch.state.escalations.triggers.items())


def _escalated(watch: Watch, alert: str, one: Escalated) -> dict[str, Any]:
    """How far a trigger has come that goes on firing, who has it in hand, and what is announced for it."""
    judged = next((it for it in watch.judgement.triggers if it.trigger.name == alert), None) if watch.judgement else None
    return {
        "alert": alert,
        "level": one.level,
        "number": len(one.levels),
        "levels": [{"level": level.name, "since": _time(level.at)} for level in one.levels],
        "why": one.why,
        "acknowledged": _said(one.acknowledged),
        "rollback": _announced(one.announced) if one.announced else None,
        "cancelled": _said(one.cancelled),
        "next": _time(coming(watch.rollout, judged, one)) if judged else None,
        "unseen": (judged.state.why or "no data") if judged and judged.state.unknown_since else "",
    }


def _announced(one: Announced) -> dict[str, Any]:
    """A rollback that will be; `left`: how much time there is to cancel it."""
    left = format_coarse(max(one.due - _CLOCK.now(), timedelta()))
    return {"to": one.to, "due": _time(one.due), "left": left, "why": one.why, "since": _time(one.at)}


def _said(one: Said | None) -> dict[str, Any] | None:
    return {"by": one.by, "why": one.why, "at": _time(one.at)} if one else None


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
