"""A record of the journal as a plain value. Must not live here: words for it (`cli.show_record`), the present of a rollout (`views`)."""

from typing import Any

from rollback_daemon.faces.views import time_of
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.figures import in_order
from rollback_daemon.judge.transitions import Event


def event(record: Record) -> dict[str, Any]:
    """One record of the journal."""
    body = {**record.body, **_in_order(record), **_without_points(record)}
    return {"seq": record.seq, "at": time_of(record.at), "rollout": record.rollout, "event": record.kind, **body}


def _in_order(record: Record) -> dict[str, Any]:
    """The figures of evidence as their kind has them: the journal keeps every object by its keys."""
    told = record.body.get("figures")
    return {"figures": in_order(record.body.get("kind", ""), told)} if record.kind == Event.EVIDENCE and told else {}


def _without_points(record: Record) -> dict[str, Any]:
    """The signals around an incident without their points, which are for its report and would flood a list."""
    if record.kind != Event.PLOTTED:
        return {}
    return {"signals": [{name: value for name, value in one.items() if name != "points"} for one in record.body.get("signals", [])]}
