"""One record of an incident as a line of its timeline: what happened, with values and limits, and whether that was good or bad.

Lives here: the words for each kind of record. Must not live here: which records belong to an incident (`incidents`), how a document looks.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from rollback_daemon.durations import format_number
from rollback_daemon.governance.entries import Entry, entry, sentences
from rollback_daemon.governance.incident_words import clock, lasted
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.figures import in_order
from rollback_daemon.judge.postmortem import FIELDS
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.signals.observation import show_labels

BAD, WARN, GOOD, PLAIN = "bad", "warn", "good", "plain"
_MOST_SERIES = 5
_LONGEST_OUTPUT = 2000  # characters of what a command said

Line = tuple[str, str, list[str]]
"""Tone, what happened in a line, and what there is to add."""
Body = Mapping[str, Any]


def timeline(records: Iterable[Record]) -> Iterator[Entry]:
    """A line for each record, oldest first; series of one trigger that changed at the same moment share one."""
    for _, same in groupby(records, key=_moment):
        group = list(same)
        tone, what, more = _triggers(group) if group[0].kind == Event.TRIGGER else line(group[0])
        yield entry(group[0], event=group[0].kind, tone=tone, what=what, more=more)


def line(record: Record) -> Line:
    """What one record tells; one that lacks what its kind has is told by its kind alone."""
    try:
        found = _LINES.get(record.kind)
        return found(record.body) if found else (PLAIN, " ".join([str(record.kind), *_by(record.body)]), _why(record.body))
    except (KeyError, ValueError, TypeError, AttributeError):
        return PLAIN, str(record.kind), []


def _moment(record: Record) -> tuple[Any, ...]:
    if record.kind != Event.TRIGGER:
        return (record.seq,)
    return record.kind, record.body.get("alert"), record.body.get("phase"), record.at


def _triggers(group: list[Record]) -> Line:
    phase = str(group[0].body.get("phase", ""))
    shown = [_series(one.body) for one in group[:_MOST_SERIES]]
    more = [f"and {len(group) - _MOST_SERIES} more series"] if len(group) > _MOST_SERIES else []
    tone = {"firing": BAD, "pending": WARN}.get(phase, GOOD)
    return tone, f"{group[0].body.get('alert', '')} is {phase}: {shown[0]}", [*shown[1:], *more]


def _series(body: Body) -> str:
    labels = show_labels(tuple(sorted((body.get("labels") or {}).items())))
    return f"{labels} {number(body.get('value'))} {_limit(body)}".strip()


def _limit(body: Body) -> str:
    return f"(limit: {body['limit']})" if body.get("limit") else ""


def number(value: Any) -> str:
    """A value as people read it; one that is not finite stands on record as text."""
    return format_number(value) if isinstance(value, (int, float)) else str(value if value is not None else "no data")


def flag(value: Any) -> str:
    """A flag's value; `missing` where there was none."""
    return "missing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _by(body: Body) -> list[str]:
    return [f"by {body['by']}"] if body.get("by") else []


def _why(body: Body) -> list[str]:
    return sentences(body.get("why"))


def _intended(body: Body) -> Line:
    way = f" by {body['way_back']}" if body.get("way_back") else f", way back {body['way'] + 1}" if body.get("way") else ""
    bad = body["kind"] in {Kind.ROLLBACK, Kind.DEGRADE}
    return BAD if bad else PLAIN, f"{body['kind']} {body['from']} -> {body['to']} decided{way}, by {body.get('by') or 'rollbackd'}", _why(body)


def _applied(body: Body) -> Line:
    changed = [f"{key}: {flag(body['before'].get(key))} -> {flag(after)}" for key, after in body["after"].items()]
    backup = [f"kept before: {body['backup']}"] if body.get("backup") else []
    return PLAIN, f"flags written: {', '.join(changed) or 'none had to be'}", backup


def _ran(body: Body) -> Line:
    ended = f"failed after {_seconds(body)}: {body['error']}" if body["error"] else f"ended in {_seconds(body)}"
    return BAD if body["error"] else PLAIN, f"command {' '.join(map(str, body['command']))} {ended}", _output(body)


def _output(body: Body) -> list[str]:
    said = str(body.get("output") or "").strip()
    return [said if len(said) <= _LONGEST_OUTPUT else f"{said[:_LONGEST_OUTPUT]}…"] if said else []


def _seconds(body: Body) -> str:
    return lasted(float(body.get("seconds") or 0))


def _attempted(body: Body) -> Line:
    again = [f"tried again at {body['next']}"] if body.get("next") else []
    return BAD, f"try {body.get('attempt', '')} of the {body['kind']} failed: {body['error']}", again


def _done(body: Body) -> Line:
    kind = Kind(body["kind"])
    return GOOD if kind is not Kind.DEGRADE else PLAIN, f"{kind} to {body['to']} done: the flags are read back", []


def _abandoned(body: Body) -> Line:
    return BAD, f"{body['kind']} given up", _why(body)


def _checked(body: Body) -> Line:
    passed = body["outcome"] == "pass"
    why = body.get("why") or body.get("error") or body.get("sentence") or ""
    what = f"verification, step {body.get('number', 0) + 1}, {body.get('step', '')}: {body['outcome']} in {_seconds(body)}"
    return GOOD if passed else BAD, f"{what}{': ' if why else ''}{why}", _output(body)


def _verified(_body: Body) -> Line:
    return GOOD, "verified: every step passed", []


def _unverified(body: Body) -> Line:
    end = ", and there is no other way back" if body.get("final") else ""
    return BAD, f"{'verification failed' if body.get('final') else 'unverified'}: {body['why']}{end}", []


def _frozen(body: Body) -> Line:
    return BAD, "frozen: too many rollbacks", _why(body)


def _escalated(body: Body) -> Line:
    return WARN, f"{body['alert']} escalated to {body.get('name') or body.get('level')}", _why(body)


def _acknowledged(body: Body) -> Line:
    return PLAIN, f"{body.get('alert', 'all')} acknowledged by {body.get('by', '')}", _why(body)


def _scheduled(body: Body) -> Line:
    return WARN, f"rollback to {body.get('to') or 'the previous stage'} announced for {clock(body.get('due'))}", _why(body)


def _cancelled(body: Body) -> Line:
    what = "the next way back was stopped" if body.get("incident") else "the announced rollback was cancelled"
    return PLAIN, f"{what} by {body.get('by', '')}", _why(body)


def _verifying(body: Body) -> Line:
    return PLAIN, f"verification begins again, asked for by {body.get('by', '')}", _why(body)


def _eased(body: Body) -> Line:
    return GOOD, f"{body.get('alert', '')} does not fire any more", []


def _drift(body: Body) -> Line:
    if body["drift"] == "none":
        return GOOD, "the flags are those on record again", []
    keys = [f"{key}: on record {flag(one['expected'])}, found {flag(one['actual'])}" for key, one in body.get("keys", {}).items()]
    return BAD, f"somebody else changed the flags ({body['drift']})", [*keys, *_why(body)]


def _misconfigured(body: Body) -> Line:
    if not body["why"]:
        return GOOD, "the configuration is what the stage requires", []
    return WARN, "the configuration is not what the stage requires", _why(body)


def _gate(body: Body) -> Line:
    passing = body["passes"]
    return GOOD if passing else WARN, f"gate {body.get('gate', '')} {'passes' if passing else 'does not pass'}", _why(body)


def _sight(body: Body) -> Line:
    return (WARN, "the guard lost sight", _why(body)) if body["blind"] else (GOOD, "the guard sees again", [])


def _budget(body: Body) -> Line:
    kind = "failed queries" if body["budget"] == "errors" else "lack of data"
    if body["spent"]:
        return WARN, f"{body['alert']} has spent its budget for {kind}: {body['then']}", _why(body)
    return GOOD, f"{body['alert']} is within its budget for {kind} again", []


def _refused(body: Body) -> Line:
    return PLAIN, f"{body['by']} asked for {body['request']} and was refused: {body.get('reason', '')}", _why(body)


def _held(body: Body) -> Line:
    return PLAIN, " ".join(["the way up was stopped", *_by(body)]), _why(body)


def _resumed(body: Body) -> Line:
    return GOOD, f"resumed by {body.get('by', '')}", _why(body)


def _told(body: Body) -> Line:
    names = ", ".join(f"{one['alertname']} ({one['severity']})" if one.get("severity") else one["alertname"] for one in body["alerts"])
    return PLAIN, f"alertmanager {body['alertmanager']} took {names}", []


def _hooked(body: Body) -> Line:
    failed = str(body.get("error") or "")
    what = f"hook {body.get('hook', '')} on {body.get('on', '')}"
    if not failed:
        return PLAIN, f"{what}: taken", []
    return WARN, f"{what} failed: {failed}{'; it is tried again' if body.get('retrying') else ''}", _output(body)


def _postmortem(body: Body) -> Line:
    written = ", ".join(FIELDS.get(name, name) for name in body.get("fields", {})) or "nothing new"
    return PLAIN, f"{body.get('by', '')} wrote in the report: {written}" + ("; it is complete" if body.get("complete") else ""), _why(body)


def _plotted(body: Body) -> Line:
    count = len(body.get("signals", []))
    return PLAIN, f"the signals around it were put on record ({count} series)" if count else "no signals could be put on record", _why(body)


def _evidence(body: Body) -> Line:
    made = [f"made at {body['made_at']}"] if body.get("made_at") else []
    figures = [f"{name} {number(value)}" for name, value in in_order(body.get("kind", ""), body.get("figures") or {}).items()]
    failed = [f"failed: {check}: {said}" for check, said in (body.get("failed") or {}).items()]
    what = f"evidence {body['evidence']} handed in by {body.get('by', '')}: {body.get('file', '')}, sha256 {str(body['sha256'])[:12]}"
    return BAD if failed else PLAIN, what, [*made, *([", ".join(figures)] if figures else []), *failed, *_why(body)]


def _configured(body: Body) -> Line:
    return PLAIN, f"another version of {body['file']} holds ({str(body['sha256'])[:12]})", []


_LINES: dict[str, Callable[[Body], Line]] = {
    Event.INTENDED: _intended,
    Event.APPLIED: _applied,
    Event.RAN: _ran,
    Event.ATTEMPTED: _attempted,
    Event.DONE: _done,
    Event.ABANDONED: _abandoned,
    Event.CHECKED: _checked,
    Event.VERIFIED: _verified,
    Event.UNVERIFIED: _unverified,
    Event.FROZEN: _frozen,
    Event.ESCALATED: _escalated,
    Event.ACKNOWLEDGED: _acknowledged,
    Event.SCHEDULED: _scheduled,
    Event.CANCELLED: _cancelled,
    Event.VERIFYING: _verifying,
    Event.EASED: _eased,
    Event.DRIFT: _drift,
    Event.MISCONFIGURED: _misconfigured,
    Event.GATE: _gate,
    Event.SIGHT: _sight,
    Event.BUDGET: _budget,
    Event.REFUSED: _refused,
    Event.HELD: _held,
    Event.RESUMED: _resumed,
    Event.TOLD: _told,
    Event.HOOKED: _hooked,
    Event.POSTMORTEM: _postmortem,
    Event.PLOTTED: _plotted,
    Event.CONFIGURED: _configured,
    Event.EVIDENCE: _evidence,
}
