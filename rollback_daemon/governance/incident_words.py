"""What the report of an incident says in words, in every format the same.

Lives here: headlines, outcomes, times for people. Must not live here: syntax of any format, facts (`incident_report`).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.judge.postmortem import FIELDS
from rollback_daemon.judge.reasons import Code

__all__ = ["FIELDS", "QUESTIONS", "cause", "clock", "lasted", "offset", "outcome", "short", "tone"]

QUESTIONS = {
    "root_cause": "Why did it happen?",
    "users_affected": "Who was affected, how many, and how?",
    "fix_plan": "What keeps it from happening again, by whom, until when?",
    "issues": "What went wrong or was in the way while it was dealt with?",
    "follow_up": "Who sees to it that the plan is carried out?",
}
"""What each field of a report answers."""
_OUTCOMES = {
    "verified": "rolled back, and verified",
    "unverified": "rolled back, and not verified",
    "failed": "rolled back, and verification failed",
    "under way": "rolled back; being verified",
    "not asked for": "rolled back; no verification is asked for",
    "not yet due": "being rolled back",
}
_CAUSES = {Code.TRIGGER_FIRING: "a trigger fired", Code.PERSON: "a person asked for it", Code.ESCALATED: "nobody took it in hand in time"}
_CAUSES |= {Code.NO_DATA: "there was no data for too long", Code.ERRORS: "queries failed for too long"}
_CAUSES |= {Code.PROMOTION_FAILED: "a promotion could not be completed", Code.DRIFT: "somebody else had raised the flags"}


def outcome(report: Mapping[str, Any]) -> str:
    """How it stands, in a few words."""
    return _OUTCOMES.get(report["verification"], str(report["verification"]))


def tone(report: Mapping[str, Any]) -> str:
    """Whether that is good, bad or not yet known."""
    return {"verified": "good", "unverified": "bad", "failed": "bad"}.get(report["verification"], "warn")


def cause(report: Mapping[str, Any]) -> str:
    """What it was taken back for, in a few words."""
    named = ", ".join(report["triggers"])
    if report["code"] == Code.ESCALATED and not report["by_escalation"]:
        return f"it was announced, and not cancelled{': ' if named else ''}{named}"
    return f"{_CAUSES.get(report['code'], str(report['code']).replace('_', ' ') or 'not on record')}{': ' if named else ''}{named}"


def clock(at: str | None) -> str:
    """A date and time, in UTC, to the second."""
    return f"{at[:19].replace('T', ' ')} UTC" if at else "-"


def short(at: str | None) -> str:
    """The time of the day, to the second."""
    return at[11:19] if at else "-"


def lasted(seconds: float | None) -> str:
    """A duration for people: milliseconds below a tenth of a second, tenths below ten seconds, and no more than two units above that."""
    if seconds is None:
        return "-"
    if 0 < seconds < 0.1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = timedelta(seconds=round(seconds))
    unit = timedelta(days=1) if whole >= timedelta(days=30) else timedelta(minutes=1) if whole >= timedelta(hours=1) else timedelta(seconds=1)
    return format_duration(whole - whole % unit)


def offset(start: str, at: str) -> str:
    """How long after the start that was: `+5m15s`."""
    seconds = (datetime.fromisoformat(at) - datetime.fromisoformat(start)).total_seconds()
    return f"{'-' if seconds < 0 else '+'}{lasted(abs(seconds))}"
