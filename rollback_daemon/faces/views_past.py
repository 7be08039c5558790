"""A rollout at a past moment as plain values: what was so then, why, what came before and after, and what nobody can know any more.

Lives here: the shape, in the words of an explanation of the present (`views`). Must not live here: what was on record (`governance.past`), terminals.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rollback_daemon.durations import format_number
from rollback_daemon.faces import views, views_record
from rollback_daemon.faces.views import time_of
from rollback_daemon.governance.past import Past
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.citing import in_words
from rollback_daemon.judge.dossier import Evidence
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.figures import in_order
from rollback_daemon.judge.transitions import Event
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import show_labels

_MOST_SERIES = 20
_FURTHEST = [TriggerPhase.FIRING, TriggerPhase.PENDING, TriggerPhase.INACTIVE]


def moment(past: Past, rollout: Rollout) -> dict[str, Any]:
    """Everything that is on record of it. `rollout` is the version of the rule file that holds now."""
    position, state = past.state.position, past.state
    drift = past.drift.body if past.drift else {"drift": Drift.NONE, "keys": {}}
    return {
        "rollout": rollout.name,
        "at": time_of(past.at),
        **_rules(past, rollout),
        "phase": position.phase if position else None,
        "stage": position.stage if position else None,
        "exposure": _exposure(past, rollout),
        "entered": time_of(position.entered if position else None),
        "since": time_of(position.since or position.entered if position else None),
        "why": position.why if position else "its flags had not been read yet",
        "by": position.by if position else "",
        "code": position.code if position else "",
        "blind": bool(past.sight and past.sight.body["blind"]),
        "sight": {"since": time_of(past.sight.at), "why": past.sight.body["why"]} if past.sight else None,
        "drift": drift["drift"],
        "flags": {"expected": _expected(past, rollout), "differing": drift["keys"] if drift["drift"] != Drift.NONE else {}},
        "drift_since": time_of(past.drift.at) if past.drift and drift["drift"] != Drift.NONE else None,
        "misconfigured": list(past.misconfigured.body["why"]) if past.misconfigured else [],
        "degraded": dict(position.degraded) if position else {},
        "broken_glass": position.broken_glass if position else "",
        "rehearsing": {"id": position.rehearsing.id, "stage": position.rehearsing.stage} if position and position.rehearsing else None,
        "transition": _transition(past),
        "triggers": list(_triggers(past)),
        "budgets": [_budget(one) for one in reversed(past.budgets) if one.body["spent"] and _is_known(past, one.body["alert"], "triggers")],
        "gates": [_gate(one) for one in reversed(past.gates) if not one.body["passes"] and _is_known(past, one.body["gate"], "gates")],
        "escalations": [
            {
                "alert": name,
                "level": one.level,
                "acknowledged": one.acknowledged.by if one.acknowledged else None,
                "announced": {"to": one.announced.to, "due": time_of(one.announced.due)} if one.announced else None,
            }
            for name, one in state.escalations.triggers.items()
        ],
        "incident": state.aftermath.incident,
        "verification": _verification(past),
        "proposal": views.put_to_the_vote(state.dossier.proposal),
        "checkpoints": {name: "GO" if one.go else "NO-GO" for name, one in state.dossier.checkpoints.items()},
        "evidence": [_evidence(one, rollout) for one in state.dossier.evidence.values()],
        "before": [views_record.event(one) for one in past.before],
        "after": [views_record.event(one) for one in past.after],
        "unknown": list(_unknown(past)),
    }


def _rules(past: Past, rollout: Rollout) -> dict[str, Any]:
    """The version of the rule file that held, in words."""
    body: Mapping[str, Any] = past.rules.body if past.rules else {}
    return {
        "mode": body.get("mode"),
        "file": body.get("file", ""),
        "rules_sha256": body.get("sha256", ""),
        "rules_since": time_of(past.rules.at if past.rules else None),
        "rules": list(body.get("rules", ())),
        "same_rules_now": body.get("sha256") == rollout.digest,
    }


def _is_same(past: Past, rollout: Rollout) -> bool:
    return past.rules is not None and past.rules.body.get("sha256") == rollout.digest


def _is_known(past: Past, name: str, kind: str) -> bool:
    """Whether the rules that held then had a trigger or gate of that name; records of older versions of the daemon do not say."""
    known = past.rules.body.get(kind) if past.rules else None
    return known is None or name in known


def _exposure(past: Past, rollout: Rollout) -> float | None:
    position = past.state.position
    if position is None or not position.placed:
        return None
    ladder = past.rules.body.get("ladder") if past.rules else None
    if ladder is not None:
        return ladder.get(position.stage)  # type: ignore[no-any-return]  # a number, in what the daemon wrote
    stage = rollout.stage(position.stage) if _is_same(past, rollout) else None
    return stage.exposure if stage else None


def _expected(past: Past, rollout: Rollout) -> dict[str, Any] | None:
    """The flags as they should have been; those of a transition under way are what it was to set. None where nothing tells."""
    position = past.state.position
    if position is None or not position.placed:
        return None
    if position.open:
        return dict(position.open.flags)
    if past.flags is not None:
        return dict(past.flags)
    stage = rollout.stage(position.stage) if _is_same(past, rollout) else None
    return {**stage.flags, **position.degraded} if stage else None


def _transition(past: Past) -> dict[str, Any] | None:
    """The one under way: what had been done of it by then, and how it ended later."""
    opened = views.under_way(past.state.position)
    if opened is None:
        return None
    steps = [{"event": one.kind, "at": time_of(one.at), "error": one.body.get("error", "")} for one in past.steps]
    ended = None
    if past.ended:
        same = past.ended.body.get("id") == opened["id"]
        ended = {"event": past.ended.kind if same else "overtaken", "at": time_of(past.ended.at)}
    return {**opened, "steps": steps, "ended": ended}


def _triggers(past: Past) -> Iterator[dict[str, Any]]:
    """Every trigger of the rules that held, furthest first as far as records tell; one without a record had never left `inactive`."""
    names = past.rules.body.get("triggers", []) if past.rules else []
    found: dict[str, list[Record]] = {name: [] for name in names}
    for one in past.series:
        if _is_known(past, one.body["alert"], "triggers"):
            found.setdefault(one.body["alert"], []).append(one)
    for name, records in found.items():
        series = sorted(records, key=lambda one: (_FURTHEST.index(TriggerPhase(one.body["phase"])), -one.seq))
        active = [one for one in series if one.body["phase"] != TriggerPhase.INACTIVE]
        yield {
            "alert": name,
            "phase": active[0].body["phase"] if active else TriggerPhase.INACTIVE,
            "series": [_series(one) for one in (active or series[:1])[:_MOST_SERIES]],
        }


def _series(record: Record) -> dict[str, Any]:
    """One series, as it was when its phase changed last."""
    body = record.body
    labels = tuple(sorted((str(name), str(value)) for name, value in body["labels"].items()))
    value = "no data" if body["value"] is None else format_number(body["value"]) if isinstance(body["value"], (int, float)) else str(body["value"])
    beside = (f", limit {body['limit']}" if body["phase"] == TriggerPhase.INACTIVE else f" {body['limit']}") if body["limit"] else ""
    return {
        "labels": dict(labels),
        "phase": body["phase"],
        "value": body["value"],
        "limit": body["limit"],
        "since": time_of(record.at),
        "active_since": body["active_since"],
        "sentence": f"{body['alert']}{show_labels(labels)} {value}{beside}",
    }


def _budget(record: Record) -> dict[str, Any]:
    return {**{name: record.body[name] for name in ("alert", "budget", "then", "why")}, "since": time_of(record.at)}


def _gate(record: Record) -> dict[str, Any]:
    return {"gate": record.body["gate"], "since": time_of(record.at), "value": record.body["value"], "sentence": record.body["why"]}


def _evidence(made: Evidence, rollout: Rollout) -> dict[str, Any]:
    """What was on record of it, for how long that told anything is a matter of the rules."""
    declared = rollout.declared(made.name)
    facts = {"evidence": made.name, "file": made.file, "sha256": made.digest, "by": made.by}
    times = {"handed_in": time_of(made.at), "made": time_of(made.made_at)}
    figures = in_order(declared.kind if declared else "", made.figures)
    return {**facts, **times, "figures": figures, "failed": dict(made.failed), "sentence": in_words(made)}


def _verification(past: Past) -> str:
    known = past.state.aftermath
    if not known.incident:
        return ""
    return f"verifying, {known.passed} steps passed" if known.verifying else str(known.outcome or "not asked for")


def _unknown(past: Past) -> Iterator[str]:
    """What no record says."""
    if past.rules is None:
        yield "which rules held: they were not put on record before"
    yield "values between two changes of a phase, and for how long it had soaked: each value is that of the last change before"
    pending = any(one.body["phase"] == TriggerPhase.PENDING for one in past.series)
    if pending:
        yield "whether what was pending had started over after the daemon was stopped: that is not put on record"
    if past.unread:
        yield f"what {past.unread} {'record means, which does' if past.unread == 1 else 'records mean, which do'} not follow from those before"
    if past.turned_back:
        yield "when exactly it was: the clock was set back, and showed this time twice; this is the later one"
    if past.state.position is None and not any(one.kind == Event.ADOPTED for one in past.before):
        yield "where it was: its flags had not been read yet"
