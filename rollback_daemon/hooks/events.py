"""What a hook is told: from a record of the journal to the event that a rule file names, in words and as JSON. Pure.

Lives here: which record is which event, and what is said of it. Must not live here: who is told (`outbox`), how (`delivery`).
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from rollback_daemon.journal.canonical import canonical, stamp
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.aftercare import Hook
from rollback_daemon.rules.model import Rollout

Last = Callable[[tuple[Event, ...]], Record | None]
"""The newest record of these kinds before the one that is looked at, of the same rollout."""

_PLACES = (Event.ADOPTED, Event.DONE)
_KEPT_BACK = {"flags", "before", "after", "spilled", "activations", "logs"}
_LONGEST, _MOST = 1024, 50  # characters of a text, and elements of a list, in what is told


@dataclass(frozen=True, slots=True)
class Notice:
    """One event. `seq` is that of its record, 0 where it could not be read from the journal; `identity` is the same either way, and no other event
    of the same name has it.

    `stage` is the one that the rollout was at then, `why` are sentences, `facts` what is on record without the values of flags that were set.
    """

    event: str
    at: datetime
    rollout: str
    seq: int
    identity: str
    stage: str
    sentence: str
    why: tuple[str, ...]
    facts: Mapping[str, Any]

    def key(self, hook: str) -> str:
        """What tells a delivery from every other: the same for each try, and after a restart."""
        return "msg_" + hashlib.sha256(f"{self.rollout}|{hook}|{self.event}|{self.identity}".encode()).hexdigest()[:32]


def notices(record: Record, last: Last) -> tuple[Notice, ...]:
    """What hooks can be told of this record; nothing of most."""
    names = _NAMES[Event(record.kind)](record.body, last) if record.kind in KINDS else ()
    return tuple(one for name in names for one in (_of_checks(name, record, last) if name == "check_failed" else (_notice(name, record, last),)))


def payload(notice: Notice, rollout: Rollout, hook: Hook, external_url: str) -> dict[str, Any]:
    """What the hook is given, as plain JSON values. `external_url` is where people reach the daemon."""
    return {
        "id": notice.key(hook.name),
        "event": notice.event,
        "at": stamp(notice.at),
        "rollout": notice.rollout,
        "owner": rollout.owner,
        "stage": notice.stage,
        "sentence": notice.sentence,
        "why": list(notice.why),
        "facts": dict(notice.facts),
        "runbook_url": rollout.runbook_url,
        "url": _page(external_url, notice.rollout),
        "hook": hook.name,
    }


def identity(kind: str, at: datetime, body: Mapping[str, Any]) -> str:
    """What a record is known by, in the journal or on its way there. Raises TypeError and ValueError for what could not be a record."""
    written = canonical({name: value for name, value in body.items() if name != "spilled"})
    return hashlib.sha256(f"{kind}|{stamp(at)}|{written}".encode()).hexdigest()


def _of_checks(name: str, record: Record, last: Last) -> Iterator[Notice]:
    """One for each check that failed. The same file is the same failure, however often it is handed in."""
    body = record.body
    kept = {key: body.get(key) for key in ("evidence", "kind", "file", "sha256", "made_at", "by", "stage", "figures")}
    kept |= {"label": body.get("facts", {}).get("label", ""), "handed_in_as": body.get("why", "")}
    for check, came_to in body["failed"].items():
        known = hashlib.sha256(canonical({"evidence": body["evidence"], "sha256": body["sha256"], "check": check}).encode()).hexdigest()
        yield replace(_notice(name, replace(record, body={**kept, "check": check, "came_to": came_to, "why": came_to}), last), identity=known)


def _notice(name: str, record: Record, last: Last) -> Notice:
    body = _whole(record, last)
    why = _why(body)
    said = f"{record.rollout} {_words(name, body).format_map(_Facts(body))}"
    sentence = _cut(": ".join(filter(None, [said, "; ".join(why)])))
    known = identity(record.kind, record.at, record.body)
    facts = {key: _bounded(value) for key, value in body.items() if key not in _KEPT_BACK}
    return Notice(name, record.at, record.rollout, record.seq, known, _stage(record, last), sentence, tuple(map(_cut, why)), facts)


def _words(name: str, body: Mapping[str, Any]) -> str:
    stays = name == "rolled_back" and body.get("from") == body.get("to")  # flags that somebody raised were taken back
    if name == "escalated" and body.get("number") == 1:
        return "is at level {level}"
    if name == "rollback_cancelled" and body.get("moot"):
        return "will not be rolled back as announced: nobody cancelled it, it does not apply any more"
    return 'has the flags of "{to}" again' if stays else _SAID[name]


def _whole(record: Record, last: Last) -> Mapping[str, Any]:
    """What the record says; where it is about a transition, with what its intent said."""
    if record.kind not in {Event.DONE, Event.ATTEMPTED, Event.ABANDONED}:
        return record.body
    return {**_intent(record.body, last), **record.body}


def _intent(body: Mapping[str, Any], last: Last) -> Mapping[str, Any]:
    found = last((Event.INTENDED,))
    return found.body if found and found.body.get("id") == body.get("id") else {}


def _stage(record: Record, last: Last) -> str:
    if record.kind == Event.DONE:
        return str(record.body["to"])
    found = last(_PLACES)
    return str(found.body.get("to") or found.body.get("stage", "")) if found else str(record.body.get("stage", ""))


def _why(body: Mapping[str, Any]) -> list[str]:
    why = body.get("error") or body.get("why") or body.get("reason") or ()
    return [why] if isinstance(why, str) else [str(one) for one in why]


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, (list, tuple)):
        return [_bounded(one) for one in value[:_MOST]]
    return {key: _bounded(one) for key, one in list(value.items())[:_MOST]} if isinstance(value, Mapping) else value


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


class _Facts(dict[str, Any]):
    """A fact that a record does not have is no reason to tell nothing."""

    def __missing__(self, key: str) -> str:
        return "?"


def _page(external_url: str, rollout: str) -> str:
    parts = urlsplit(external_url)
    return f"{external_url.rstrip('/')}/rollouts/{quote(rollout, safe='')}" if parts.scheme and parts.netloc else ""


# which record is which event

Names = Callable[[Mapping[str, Any], Last], tuple[str, ...]]


def _always(name: str) -> Names:
    return lambda body, last: (name,)  # noqa: ARG005 (the shape of them all)


def _done(body: Mapping[str, Any], last: Last) -> tuple[str, ...]:
    intent = _intent(body, last)
    kind = body["kind"]
    rehearsed = kind in {Kind.PROMOTE, Kind.ROLLBACK} and ("rehearsal" in intent or intent.get("code") == "rehearsal")
    names = {Kind.ROLLBACK: "rolled_back", Kind.PROMOTE: "promoted", Kind.DEGRADE: "degraded", Kind.RESTORE: "restored"}
    return () if rehearsed or (kind == Kind.ROLLBACK and _is_once_more(body, last)) else (names[Kind(kind)],)


def _is_once_more(body: Mapping[str, Any], last: Last) -> bool:
    """Whether a rollback leaves the stage as it is, after one of the same incident: another way back, or flags that were raised meanwhile."""
    if body.get("from") != body.get("to"):
        return False
    before = last((Event.DONE, Event.RESUMED))
    return before is not None and before.kind == Event.DONE and before.body.get("kind") == Kind.ROLLBACK


def _attempted(body: Mapping[str, Any], last: Last) -> tuple[str, ...]:
    """The first try of a rollback that fails is news; that the next ones fail, too, is not."""
    before = last((Event.ATTEMPTED,))
    again = before is not None and before.body.get("id") == body.get("id")
    return ("rollback_failed",) if body["kind"] == Kind.ROLLBACK and not again else ()


def _abandoned(body: Mapping[str, Any], _last: Last) -> tuple[str, ...]:
    """A way back that could not be taken is not verified; a promotion that is given up holds the rollout."""
    return {Kind.ROLLBACK: ("unverified",), Kind.PROMOTE: ("held",)}.get(Kind(body["kind"]), ())


def _drift(body: Mapping[str, Any], _last: Last) -> tuple[str, ...]:
    return ("drift",) if body["drift"] in {Drift.LOWER, Drift.HIGHER, Drift.OTHER} else ()


def _misconfigured(body: Mapping[str, Any], _last: Last) -> tuple[str, ...]:
    return ("misconfigured",) if body["wrong"] else ()


def _gate(body: Mapping[str, Any], _last: Last) -> tuple[str, ...]:
    return ("gate_passed" if body["passes"] else "gate_failed",)


def _handed_in(body: Mapping[str, Any], _last: Last) -> tuple[str, ...]:
    return ("check_failed",) if body.get("failed") and not body.get("again") else ()


def _rehearsed(body: Mapping[str, Any], _last: Last) -> tuple[str, ...]:
    return () if body["passed"] else ("rehearsal_failed",)


def _followed_up(body: Mapping[str, Any], _last: Last) -> tuple[str, ...]:
    """Of one that is tried again, the first failure is news; that the last one has ended is, however it ended."""
    failed = () if body["passed"] or body.get("try", 1) > 1 else ("follow_up_failed",)
    return (*failed, "decision_due") if body.get("decision_due") else failed


_NAMES: dict[Event, Names] = {
    Event.DONE: _done,
    Event.ATTEMPTED: _attempted,
    Event.ABANDONED: _abandoned,
    Event.VERIFIED: _always("verified"),
    Event.UNVERIFIED: _always("unverified"),
    Event.FROZEN: _always("frozen"),
    Event.GATE: _gate,
    Event.EVIDENCE: _handed_in,
    Event.DRIFT: _drift,
    Event.MISCONFIGURED: _misconfigured,
    Event.READY: _always("ready"),
    Event.COMPLETED: _always("completed"),
    Event.HELD: _always("held"),
    Event.RESUMED: _always("resumed"),
    Event.ESCALATED: _always("escalated"),
    Event.SCHEDULED: _always("rollback_scheduled"),
    Event.CANCELLED: _always("rollback_cancelled"),
    Event.REHEARSED: _rehearsed,
    Event.FOLLOWED_UP: _followed_up,
}
KINDS = frozenset(map(str, _NAMES))
"""The kinds of records that hooks can be told of. What tells of hooks themselves is not among them."""
CONTEXT = frozenset({*_PLACES, Event.INTENDED, Event.ATTEMPTED, Event.RESUMED})
"""The kinds of records that are looked back for."""

_SAID = {
    "rolled_back": 'was rolled back from "{from}" to "{to}"',
    "rollback_failed": "could not be rolled back yet, and it is tried again",
    "verified": "is verified: its rollback is proven",
    "unverified": "is not verified: its rollback could not be proven",
    "frozen": "is frozen: it was rolled back too often",
    "gate_failed": "fails the gate {gate}",
    "gate_passed": "passes the gate {gate} again",
    "check_failed": "fails the check {check} of {evidence}",
    "drift": "has flags that are not those on record",
    "misconfigured": 'has not the configuration that "{stage}" requires',
    "ready": 'is ready at "{stage}"',
    "promoted": 'was promoted from "{from}" to "{to}"',
    "completed": 'is complete at "{stage}"',
    "held": "is held",
    "resumed": "was resumed",
    "degraded": 'is degraded at "{to}"',
    "restored": 'is no longer degraded at "{to}"',
    "escalated": "goes to the next level, {level}: nobody has looked after {alert}",
    "rollback_scheduled": 'will be rolled back to "{to}" at {due} unless somebody cancels it',
    "rollback_cancelled": "will not be rolled back as announced",
    "rehearsal_failed": "has failed a rehearsal",
    "follow_up_failed": "has failed a check after completion",
    "decision_due": "is past its last check after completion; somebody has to say what follows",
}
