"""The report of one incident as one JSON-ready value: minute by minute, what was exposed for how long, what is proven, what is left to say. Pure.

Lives here: the facts. Must not live here: which records belong to it (`incidents`), the words of its timeline (`happenings`), how it looks.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rollback_daemon.governance.ballots import Ballots
from rollback_daemon.governance.entries import Entry, entry, moment, seconds_between, sentences
from rollback_daemon.governance.happenings import timeline
from rollback_daemon.governance.incident_signals import phases, signals
from rollback_daemon.governance.incidents import Incident, outline
from rollback_daemon.governance.moves import Moves
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.figures import in_order
from rollback_daemon.judge.postmortem import FIELDS, missing
from rollback_daemon.judge.transitions import Event

_FIRST, _LAST = 400, 100  # lines of a timeline; what lies between is left out, and counted
_STEP = ("number", "step", "outcome", "output", "seconds")


def incident_report(
    one: Incident, records: Iterable[Record], explained: Mapping[str, Any], elsewhere: Iterable[Entry], at: datetime
) -> dict[str, Any]:
    """The report at `at`. `records` are those of the whole rollout (without the many that merely say what was seen), oldest first; `elsewhere`
    are incidents of other rollouts at the same time. Exposures are those that the stages have in the rule file in force.
    """
    exposures = {stage["stage"]: stage["exposure"] for stage in explained["stages"]}
    rollbacks = _rollbacks(one, records, exposures)
    told = list(timeline(one.all))
    return {
        **outline(one),
        "owner": explained["owner"],
        "runbook_url": explained.get("runbook_url", ""),
        "at": moment(at),
        "why": sentences(one.opening.body.get("why")),
        "by": one.opening.body.get("by", ""),
        "by_escalation": one.by_escalation,
        "ended_by": {"event": one.ending.kind, **_said_by(one.ending)} if one.ending else None,
        "times": _times(one, rollbacks, at),
        "exposure": _exposure(one, rollbacks, exposures, at),
        "evidence": _evidence(one, {made["evidence"]: made["kind"] for made in explained.get("evidence", ())}),
        "flags": _flags(rollbacks),
        "transitions": rollbacks,
        "why_unverified": one.aftermath.why,
        "timeline": told if len(told) <= _FIRST + _LAST else [*told[:_FIRST], *told[-_LAST:]],
        "left_out": max(0, len(told) - _FIRST - _LAST),
        "told": _told(one),
        "hooks": [made for made in told if made["event"] == Event.HOOKED],
        "overlapping": list(elsewhere),
        "phases": phases(one, at),
        "signals": signals(one),
        "plotted": _plotted(one),
        "postmortem": _postmortem(one),
        "unread": [entry(record, event=record.kind) for record in one.unread],
    }


def _said_by(record: Record) -> dict[str, Any]:
    return {"by": record.body.get("by", ""), "why": sentences(record.body.get("why")), "at": moment(record.at), "seq": record.seq}


def _rollbacks(one: Incident, records: Iterable[Record], exposures: Mapping[str, float]) -> list[Entry]:
    """Its rollbacks, each with its flags, tries and commands as the report of the rollout has them, and its verification."""
    moves = Moves(exposures, Ballots())
    for record in records:
        try:
            moves.take(record)
        except (KeyError, ValueError, TypeError, AttributeError):
            continue  # the timeline has it by its kind
    mine = {intent.body["id"]: intent for intent in one.rollbacks}
    made = [dict(move) for move in moves.descents if move.get("id") in mine]
    for move in made:
        move.update(way=mine[move["id"]].body.get("way", 0), steps=[], verified=None, again=[])
        for record in one.of_kind(Event.VERIFYING, Event.CHECKED, Event.VERIFIED, Event.UNVERIFIED):
            if record.body.get("id") == move["id"]:
                _verify(move, record)
    return made


def _verify(move: Entry, record: Record) -> None:
    """One more record of the verification of a rollback; what follows when it is begun again says nothing about the way back itself."""
    body = record.body
    if record.kind == Event.VERIFYING:
        move["again"].append(entry(record, by=body.get("by", ""), why=sentences(body.get("why")), steps=[], verified=None))
        return
    under_way = move["again"][-1] if move["again"] else move
    if record.kind == Event.CHECKED:
        why = body.get("why") or body.get("error") or ""
        under_way["steps"].append(entry(record, **{name: body.get(name) for name in _STEP}, why=why))
    else:
        outcome = "verified" if record.kind == Event.VERIFIED else "failed" if body.get("final") else "unverified"
        under_way["verified"] = entry(record, outcome=outcome, why=body.get("why", ""))


def _verified_at(rollbacks: Iterable[Entry]) -> str | None:
    """When the last rollback was verified for the first time: how often somebody has looked again since then changes no figure."""
    last = next((made for made in reversed(list(rollbacks)) if made["outcome"] == "done"), None)
    ends = [one["verified"] for one in (last, *last["again"]) if one["verified"]] if last else []
    return next((end["at"] for end in ends if end["outcome"] == "verified"), None)


def breached(one: Incident) -> datetime | None:
    """When the first of the series that led to it was first breached; None where no trigger did."""
    found = [record.body["active_since"] for record in one.lead if record.kind == Event.TRIGGER and record.body.get("active_since")]
    due = one.opening.body.get("breached_at")
    return min((datetime.fromisoformat(text) for text in [*found, *([due] if due else [])]), default=None)


def _times(one: Incident, rollbacks: list[Entry], at: datetime) -> dict[str, Any]:
    """The moments that count, and the seconds between them; None for what did not happen. `due` is when a trigger had held for its `for`."""
    first, due = breached(one), one.opening.body.get("breached_at")
    flags, verified = next((move["ended"]["at"] for move in rollbacks if move["outcome"] == "done"), None), _verified_at(rollbacks)
    end = one.ending.at if one.ending else at
    decided, since = moment(one.opening.at), moment(first) if first else None
    return {
        "breached": since,
        "due": moment(datetime.fromisoformat(due)) if due else None,
        "decided": decided,
        "flags": flags,
        "verified": verified,
        "breach_to_flags": _between(since, flags),
        "decision_to_flags": _between(decided, flags),
        "due_to_flags": _between(moment(datetime.fromisoformat(due)), flags) if due else None,
        "breach_to_verified": _between(since, verified),
        "decision_to_verified": _between(decided, verified),
        "open": seconds_between(one.opening.at, end),
    }


def _between(start: str | None, end: str | None) -> float | None:
    return seconds_between(datetime.fromisoformat(start), datetime.fromisoformat(end)) if start and end else None


def _exposure(one: Incident, rollbacks: list[Entry], exposures: Mapping[str, float], at: datetime) -> dict[str, Any]:
    """What was exposed before and after, and for how long: all of the stage's time, and that of it which was breached."""
    done = [move for move in rollbacks if move["outcome"] == "done"]
    end = datetime.fromisoformat(done[0]["ended"]["at"]) if done else at
    first = breached(one)
    stage = done[-1]["to"] if done else one.opening.body.get("to", "")
    return {
        "stage_before": one.stage,
        "before": exposures.get(one.stage),
        "stage_after": stage,
        "after": exposures.get(stage) if done else exposures.get(one.stage),
        "seconds": max(0.0, seconds_between(one.entered, end)) if one.entered else None,
        "seconds_breached": max(0.0, seconds_between(first, end)) if first else None,
    }


def _evidence(one: Incident, kinds: Mapping[str, str]) -> list[Entry]:
    """What its rollbacks rest on that was handed in: each file once, with the record of the first rollback that it led to."""
    found: dict[tuple[str, ...], Entry] = {}
    for intent in one.rollbacks:
        for made in intent.body.get("evidence") or ():
            facts = {name: made.get(name) or "" for name in ("evidence", "file", "sha256", "by")}
            times = {name: _told_at(made.get(key)) for name, key in (("handed_in", "at"), ("made", "made_at"))}
            figures = in_order(kinds.get(facts["evidence"], ""), made.get("figures") or {})
            facts |= {"figures": figures, "failed": dict(made.get("failed") or {}), **times}
            found.setdefault((facts["evidence"], facts["file"], facts["sha256"]), entry(intent, **facts))
    return list(found.values())


def _told_at(text: str | None) -> str | None:
    return moment(datetime.fromisoformat(text)) if text else None


def _flags(rollbacks: Iterable[Entry]) -> list[Entry]:
    """Each flag that was changed: its value before the first change, and after the last."""
    found: dict[str, Entry] = {}
    for move in rollbacks:
        for key, change in move["flags"].items():
            found.setdefault(key, {"flag": key, "before": change["before"]})["after"] = change["after"]
    return list(found.values())


def _told(one: Incident) -> list[Entry]:
    """Which Alertmanager took which alert, and when it did so first."""
    found: dict[tuple[str, ...], Entry] = {}
    for record in one.of_kind(Event.TOLD):
        for alert in record.body.get("alerts", []):
            facts = {"alertname": alert.get("alertname", ""), "severity": alert.get("severity", "")}
            made = {**facts, "alertmanager": record.body.get("alertmanager", "")}
            found.setdefault(tuple(map(str, made.values())), entry(record, **made))
    return list(found.values())


def _plotted(one: Incident) -> Entry | None:
    records = list(one.of_kind(Event.PLOTTED))
    if not records:
        return None
    body = records[-1].body
    return entry(records[-1], **{"from": body.get("from"), "to": body.get("to"), "why": sentences(body.get("why"))})


def _postmortem(one: Incident) -> dict[str, Any]:
    """What people wrote: the newest of each field, all that was ever written, whether it is complete, and what is missing for that."""
    fields: dict[str, Entry] = {}
    history, completed = [], one.completed
    for record in one.of_kind(Event.POSTMORTEM):
        body = record.body
        written = {name: str(text) for name, text in body.get("fields", {}).items()}
        fields |= {name: entry(record, text=text, by=body.get("by", "")) for name, text in written.items()}
        history.append(entry(record, by=body.get("by", ""), why=body.get("why", ""), fields=written, complete=bool(body.get("complete"))))
    return {
        "fields": {name: fields.get(name) for name in FIELDS},
        "missing": missing(fields),
        "complete": entry(completed, by=completed.body.get("by", "")) if completed else None,
        "history": history,
    }
