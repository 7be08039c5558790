"""The journal of one rollout as a list for its page, newest first, a page at a time.

Lives here: which records, and their line. Must not live here: sentences (`faces.telling`), what is good or bad (`governance.happenings`).
"""

from collections.abc import Mapping
from typing import Any

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.faces import views_record
from rollback_daemon.faces.telling import told
from rollback_daemon.governance.happenings import BAD, GOOD, WARN, line
from rollback_daemon.journal.journal import Journal, Record
from rollback_daemon.judge.transitions import Event

LENGTH = 40
_NOISE = {Event.TOLD, Event.HOOKED, Event.PLOTTED}
"""Records about telling, and not about the rollout; the history at the command line has them."""
_KINDS = [event for event in Event if event not in _NOISE]


def records(journal: Journal, rollout: str, before: int | None) -> dict[str, Any]:
    """`entries`, newest first; `older`: before which record the next page begins, None where there is none. `error`: why nothing can be read."""
    try:
        found = journal.records(rollout, kinds=_KINDS, before=before, limit=LENGTH + 1, newest_first=True)
    except JournalUnavailable as error:
        return {"entries": [], "older": None, "before": before, "error": str(error)}
    shown = found[:LENGTH]
    older = shown[-1].seq if len(found) > LENGTH else None
    return {"entries": [_entry(one) for one in shown], "older": older, "before": before, "error": ""}


def _entry(record: Record) -> Mapping[str, Any]:
    shown = views_record.event(record)
    tone, _, more = line(record)
    if record.kind == Event.TRIGGER:
        tone = {"firing": BAD, "pending": WARN}.get(str(record.body.get("phase")), GOOD)
    return {
        "seq": record.seq,
        "at": shown["at"],
        "event": record.kind,
        "by": str(record.body.get("by") or ""),
        "what": _sentence(shown, str(record.kind)),
        "tone": tone,
        "output": [one for one in more if "\n" in one],
    }


def _sentence(shown: Mapping[str, Any], kind: str) -> str:
    """In words; of a record that lacks what its kind has, its kind alone."""
    try:
        return told(shown)
    except (KeyError, TypeError, ValueError, AttributeError):
        return kind
