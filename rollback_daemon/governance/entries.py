"""What every entry of the report begins with: the number of its record in the journal, so that an auditor finds it, and its time.

Lives here: the shape. Must not live here: what a kind of record means.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rollback_daemon.journal.journal import Record

Entry = dict[str, Any]
"""JSON-ready."""


def entry(record: Record, **more: Any) -> Entry:
    """`seq`, `at`, and whatever the kind of record has to say."""
    return {"seq": record.seq, "at": moment(record.at), **more}


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sentences(why: str | Iterable[str] | None) -> list[str]:
    """Reasons as a list: records have one sentence, or several."""
    return [why] if isinstance(why, str) and why else list(why or ())


def word(go: bool) -> str:  # noqa: FBT001 (it turns the record's truth value into people's word)
    """A decision as people say it."""
    return "GO" if go else "NO-GO"


def seconds_between(start: datetime, end: datetime) -> float:
    """To the millisecond."""
    return round((end - start).total_seconds(), 3)
