"""What may be in a record, and the one way to write it down.

Lives here: bodies, texts and times in the form in which they are hashed and stored.
Must not live here: the chain, files, a database.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

DEEPEST = 100
"""How many levels a body may have: far from where Python's own limit makes reading depend on who reads."""


def canonical(body: Mapping[str, Any]) -> str:
    """JSON with its keys sorted, without spaces, in ASCII.

    Numbers that are not finite become "NaN", "+Inf" and "-Inf"; for texts see `plain_text`. Raises TypeError for what is
    not JSON, ValueError for what is nested too deep.
    """
    return json.dumps(_plain(body, 1), sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain_text(value: str) -> str:
    """Without lone surrogates, which stand for bytes that were no UTF-8: they become text like "\\udcff".

    Nothing that stores or sends text would take them.
    """
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def stamp(at: datetime) -> str:
    """ISO 8601 in UTC, with microseconds. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone; the journal keeps UTC")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _plain(value: Any, level: int) -> Any:
    if level > DEEPEST:
        raise ValueError(f"a record's body must not have more than {DEEPEST} levels")
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("the keys of a record's body must be strings")
        return {plain_text(key): _plain(inner, level + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, level + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return value
