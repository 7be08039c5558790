"""A result in words: what differs, what the trigger concerned says of itself, and what had happened until then.

Lives here: text and plain values of results. Must not live here: terminals, files (`junit` writes the one for other tools).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.faces.views import trigger_view
from rollback_daemon.governance.happenings import timeline
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.testing.results import EPOCH, Failure, Result

_MOST_LINES = 40
_UNTOLD = {Event.GATE, Event.APPLIED, Event.CHECKED}  # what is only one of the things that follow


def explained(failure: Failure) -> list[str]:
    """What the trigger that a failure is about says of itself."""
    if failure.trigger is None:
        return []
    shown = trigger_view(failure.trigger, failure.at)
    lines = [f"{shown['alert']} is {shown['phase']}, limit {shown['limit'] or 'any result'} for {shown['for']}, health {shown['health']}"]
    for series in shown["series"][:5]:
        since = f", since {clock(datetime.fromisoformat(series['since']))}" if series["since"] else ""
        left = f", fires in {series['fires_in']}" if series["fires_in"] else ""
        lines.append(f"{series['sentence'].removeprefix(shown['alert'] + ': ')}{since}{left}")
    return [*lines, f"what would change it: {shown['change']}"] if shown["change"] else lines


def clock(at: datetime) -> str:
    """A time of a test: what has passed since its start."""
    return format_duration(at - EPOCH)


def story(result: Result, failure: Failure | None = None) -> list[tuple[str, str]]:
    """When what happened, up to the failure's time; of a long story its end."""
    return [*_lines(result, failure)][-_MOST_LINES:]


def _lines(result: Result, failure: Failure | None) -> Iterator[tuple[str, str]]:
    end = EPOCH + failure.time if failure else None
    told = [(at, happened) for at, happened in result.log if (end is None or at <= end) and happened.event not in _UNTOLD]
    records = [Record(number, at, "", str(happened.event), happened.body, "") for number, (at, happened) in enumerate(told)]
    for entry in timeline(records):
        who = entry["what"].rpartition(" by ")[2]
        more = [one.removeprefix(f"{who}: ") for one in entry["more"] if one not in entry["what"]]
        yield clock(datetime.fromisoformat(entry["at"])), f"{entry['what']}{': ' if more else ''}{'; '.join(more)}"


def as_json(result: Result) -> dict[str, Any]:
    """A result as plain values."""
    case = result.case
    return {
        "file": case.file,
        "line": case.line,
        "name": case.name,
        "rollout": case.rollout.name if case.rollout else None,
        "outcome": str(result.outcome),
        "seconds": round(result.seconds, 3),
        "evaluations": case.evaluations,
        "why": result.why,
        "failures": [
            {
                "line": one.line,
                "time": format_duration(one.time),
                "what": one.what,
                "expected": one.expected,
                "actual": one.actual,
                "explanation": explained(one),
            }
            for one in result.failures
        ],
        "timetable": [{"time": at, "what": what} for at, what in story(result)] if result.failures else [],
    }


def report(result: Result) -> Iterator[str]:
    """All that there is to say of a case that did not pass, line by line."""
    for failure in result.failures:
        yield f"{result.case.file}:{failure.line}: at {format_duration(failure.time)}: {failure.what}"
        yield f"    expected  {failure.expected}"
        yield f"    actual    {failure.actual}"
        yield from (f"    {one}" for one in explained(failure))
    if result.failures and (told := story(result, result.failures[-1])):
        yield "  until then:"
        yield from (f"    {at:>8}  {what}" for at, what in told)
    if result.why:
        yield f"  {result.why}"
