"""What one line of a JSON-lines file says: the value at a pointer, and when it was.

Lives here: what the rules may ask of a line, and reading it, for whoever has a line, be it of a file that was handed in or of one that is followed.
Must not live here: files, windows of time (`samples`).
"""

import functools
import json
import math
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from rollback_daemon.evidence.reading import instant, since_epoch, strict_json
from rollback_daemon.evidence.samples import Aggregate
from rollback_daemon.schema import Duration, Part

_ESCAPE = re.compile(r"~[01]")
_NOTHING = object()


def _pointer(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f'"{text}" is no JSON pointer; write "/{text}", and a slash before each further level')
    return text


Pointer = Annotated[str, AfterValidator(_pointer), Field(min_length=2)]


class Settings(Part):
    """What is taken of each line: the value at `field`, if what stands at the pointers of `where` is as it says there.

    `time` leads to when it was: RFC 3339, or Unix seconds. `window` is how far back lines count.
    """

    field: Pointer
    aggregate: Aggregate = Field(default=Aggregate.LAST, strict=False)
    window: Duration = Field(default=timedelta(minutes=5), gt=timedelta())
    time: Pointer = "/timestamp"
    where: dict[Pointer, str | int | float | bool] = {}


def object_of(text: str) -> dict[str, Any]:
    """The object that a line is. Raises ValueError saying what is wrong with it."""
    value = strict_json(text)
    if not isinstance(value, dict):
        raise ValueError("must be an object, like {" + '"timestamp": "2026-11-20T03:12:00Z", ...}')
    return value


def said(error: ValueError) -> str:
    """What is wrong with a line, in a few words."""
    return f"is no JSON: {error.msg.lower()}" if isinstance(error, json.JSONDecodeError) else str(error)


def measured(line: dict[str, Any], settings: Settings) -> float | None:
    """The value of a line, 1 where lines are counted; None for a line that is none of ours, and for NaN. Raises ValueError for anything else."""
    found = at(line, settings.field)
    if found is _NOTHING or found is None or not all(_same(at(line, where), wanted) for where, wanted in settings.where.items()):
        return None
    if settings.aggregate is Aggregate.COUNT:
        return 1.0
    if not isinstance(found, (int, float)):
        raise ValueError(f"has no number at {settings.field}; only the aggregate count takes anything")
    if math.isinf(found):
        raise ValueError(f"has a number at {settings.field} that is not finite")
    return None if math.isnan(found) else float(found)


def when(line: dict[str, Any], pointer: str) -> float:
    """When it was, in Unix seconds. Raises ValueError where the line does not say so."""
    found = at(line, pointer)
    if isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found):
        return since_epoch(found).timestamp()
    if found is _NOTHING:
        raise ValueError(f'has no time at {pointer}; "time" says where it is')
    return since_epoch(instant(found).timestamp()).timestamp()


def at(value: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to; `_NOTHING` where it leads nowhere."""
    for key in _keys(pointer):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return _NOTHING
    return value


@functools.lru_cache(1000)
def _keys(pointer: str) -> tuple[str, ...]:
    return tuple(_ESCAPE.sub(lambda found: "~" if found[0] == "~0" else "/", step) for step in pointer[1:].split("/"))


def _same(found: Any, wanted: str | float) -> bool:
    """JSON's idea of equal: true is not 1."""
    return isinstance(found, bool) is isinstance(wanted, bool) and bool(found == wanted)
