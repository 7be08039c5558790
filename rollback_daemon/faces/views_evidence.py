"""Declared evidence as plain values: what is on record, what it comes to, and whether it still tells anything.

Must not live here: HTTP, terminals, decisions.
"""

from datetime import datetime
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.judge.dossier import Evidence
from rollback_daemon.judge.figures import why_untold
from rollback_daemon.watch import Watch


def evidence(watch: Watch) -> list[dict[str, Any]]:
    """Each in the order of the rule file. `why`: why its figures tell nothing, empty where they do. Times as of the last evaluation."""
    rollout, now = watch.rollout, watch.judgement.at if watch.judgement else None
    found = []
    for one in rollout.evidence:
        made = watch.state.dossier.evidence.get(one.name)
        facts = {"evidence": one.name, "kind": one.kind, "max_age": format_duration(one.max_age)}
        if made is None:
            why = "it is not on record"
        else:
            why = why_untold(one, made, max(now, made.at), rollout.max_gap) if now else "nothing has been evaluated yet"
        found.append({**facts, "figures": dict(made.figures) if made else {}, **_made(made), "why": why})
    return found


def _made(made: Evidence | None) -> dict[str, Any]:
    if made is None:
        return {"handed_in": None, "made": None, "by": "", "sha256": ""}
    return {"handed_in": _time(made.at), "made": _time(made.made), "by": made.by, "sha256": made.digest}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
