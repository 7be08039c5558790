"""The result of a backtest as one document of plain JSON values: what table, HTML page and programs read. Its keys are documented and stay.

Times are RFC 3339 in UTC, durations are seconds, shares are from 0 to 1. Must not live here: words for people, drawing.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback_daemon.lab.backtesting.ledger import Decision, GateLedger, Ledger
from rollback_daemon.lab.backtesting.limits_of_history import untold
from rollback_daemon.lab.backtesting.run import Settings
from rollback_daemon.lab.backtesting.server import Tally
from rollback_daemon.lab.backtesting.trigger_ledger import Period, TriggerLedger, Unknown
from rollback_daemon.lab.history import Grid
from rollback_daemon.rules.measures import Condition, Op

FORMAT = 1
Entry = dict[str, Any]


def number(value: float | None) -> float | str | None:
    """A figure as JSON has it; an infinite one is a word."""
    return value if value is None or math.isfinite(value) else "+Inf" if value > 0 else "-Inf"


def stamp(at: datetime | None) -> str | None:
    """A moment; None where there is none."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def rollout(ledger: Ledger, grid: Grid, settings: Settings) -> Entry:
    """One rollout's part of the document."""
    known, step = ledger.rollout, grid.step
    return {
        "rollout": known.name,
        "file": known.file,
        "digest": known.digest,
        "mode": "enforce" if known.enforce else "observe",
        "from": stamp(grid.start),
        "to": stamp(grid.end),
        "interval": step.total_seconds(),
        "evaluations": ledger.evaluations,
        "began_at": ledger.begun,
        "ended_at": ledger.stays[-1][1] if ledger.stays else ledger.begun,
        "blocked_by": list(ledger.blockers),
        "climb": settings.climb,
        "resume_after": settings.resume_after.total_seconds() if settings.resume_after is not None else None,
        "rollbacks": sum(one.kind == "rollback" for one in ledger.decisions),
        "would_roll_back": sum(one.kind.startswith("would rollback") for one in ledger.decisions),
        "latched": _share(ledger.latched, ledger.evaluations),
        "triggers": [trigger(one, step) for one in ledger.triggers.values()],
        "gates": [_gate(name, one) for name, one in ledger.gates.items()],
        "decisions": [decision(one) for one in ledger.decisions],
        "decisions_left_out": ledger.left_out,
        "stages": [
            {"stage": one.name, "seconds": _seconds(count, step), "share": _share(count, ledger.evaluations)}
            for one in known.stages
            if (count := ledger.at_stage.get(one.name, 0))
        ],
        "stays": [{"at": stamp(at), "stage": stage} for at, stage in ledger.stays],
        "untold": untold(known),
        "judge_seconds": round(ledger.seconds, 3),
    }


def trigger(ledger: TriggerLedger, step: timedelta) -> Entry:
    """One trigger's part."""
    known = ledger.trigger
    return {
        "alert": known.name,
        "subject": known.test.subject,
        "limit": known.test.limit,
        "expr": known.test.expr,
        "for": known.for_.total_seconds(),
        "action": str(known.action),
        "dry_run": known.dry_run,
        "evaluations": ledger.evaluations,
        "armed": _share(ledger.evaluations - ledger.unarmed, ledger.evaluations),
        "collecting": _share(ledger.collecting, ledger.evaluations),
        "fired": ledger.fired,
        "pending_seconds": _seconds(ledger.pending, step),
        "firing_seconds": _seconds(ledger.firing, step),
        "longest_breach": ledger.longest_breach.total_seconds(),
        "closest": _closest(ledger),
        "unknown": {
            "share": _share(ledger.unknown, ledger.evaluations),
            "no_data": _unknown(ledger.no_data, ledger.evaluations, step),
            "failed": _unknown(ledger.failed, ledger.evaluations, step),
        },
        "fires": [fire(one) for one in ledger.periods],
        "fires_left_out": ledger.left_out,
    }


def fire(one: Period) -> Entry:
    """One series that fired."""
    return {
        "labels": dict(one.labels),
        "pending": stamp(one.pending),
        "fired": stamp(one.fired),
        "resolved": stamp(one.resolved),
        "peak": number(one.peak),
        "peak_at": stamp(one.peak_at),
        "armed": one.armed,
        "followed": one.followed,
    }


def decision(one: Decision) -> Entry:
    """One decision."""
    return {
        "at": stamp(one.at),
        "kind": one.kind,
        "from": one.origin,
        "to": one.target,
        "why": list(one.why),
        "triggers": list(one.triggers),
        "by": one.by,
        "code": one.code,
        "latches": one.latches,
        "until": stamp(one.until),
    }


def queries(tally: Tally) -> list[Entry]:
    """What came of each query."""
    return [
        {"query": query, "samples": one.samples, "failed": _share(one.failed, one.evaluations), "why": one.why}
        for query, one in tally.queries.items()
    ]


def rolled_back(document: Mapping[str, Any]) -> bool:
    """Whether anything was rolled back, or would have been."""
    return any(one["rollbacks"] or one["would_roll_back"] for one in document["rollouts"])


def fired(document: Mapping[str, Any]) -> bool:
    """Whether any trigger fired."""
    return any(one["fired"] for rollout in document["rollouts"] for one in rollout["triggers"])


def _closest(ledger: TriggerLedger) -> Entry | None:
    found, condition = ledger.closest, ledger.trigger.test.condition
    if found is None or condition is None:
        return None
    limit = _nearest(condition, found.value)
    return {
        "value": number(found.value),
        "labels": dict(found.labels),
        "at": stamp(found.at),
        "headroom": number(found.headroom),
        "of_limit": number(found.headroom / abs(limit)) if limit else None,
    }


def _nearest(condition: Condition, value: float) -> float:
    """The limit that a headroom is a share of: of two the one that the value is nearer to."""
    if condition.op in {Op.OUTSIDE, Op.WITHIN}:
        return min(condition.limit, condition.upper, key=lambda one: abs(value - one))
    return condition.limit


def _unknown(one: Unknown, evaluations: int, step: timedelta) -> Entry:
    longest = {"longest": _seconds(one.longest, step), "longest_from": stamp(one.longest_from), "why": one.why}
    return {"share": _share(one.evaluations, evaluations), **longest}


def _gate(name: str, one: GateLedger) -> Entry:
    asked = one.passing + one.violated + one.unknown
    shares = {"passing": _share(one.passing, asked), "violated": _share(one.violated, asked), "unknown": _share(one.unknown, asked)}
    return {"gate": name, "evaluations": asked, **shares, "why": one.why}


def _share(count: int, of: int) -> float | None:
    return count / of if of else None


def _seconds(count: int, step: timedelta) -> float:
    return (count * step).total_seconds()
