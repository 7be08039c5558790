"""Bytes as text, JSON and times, with limits: what every kind of evidence reads its file through.

JSON is read more strictly than Python does by itself: NaN and infinities, numbers that no float can hold, a key that stands twice, and more levels
than anybody needs are mistakes. Must not live here: any one format.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema

from rollback_daemon.documents import Step, path_of
from rollback_daemon.documents.complaints import Complaint, complaints
from rollback_daemon.errors import Problem
from rollback_daemon.evidence.kind import ENOUGH, MAX_BYTES, Source

DEEPEST = 100
"""How many levels JSON and XML may have."""

_MOST_OBJECTS = 200_000  # in one document: more are no results, or should be split
_MANY = 1000  # errors of pydantic, beyond which they are looked for in pieces: all of them at once take too long to tell
_PIECE = 50
_LONGEST_INT = 40  # digits: more are no count and no identifier, and reading them takes its time
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()  # what is later is rounded into a year that no calendar has
_FORM = TypeVar("_FORM", bound=BaseModel)


class Written(BaseModel):
    """A mapping in a file that a program wrote: nothing is converted silently; fields that are not known are kept."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)


def instant(value: Any) -> datetime:
    """A time as RFC 3339 has it, with its zone. Raises ValueError for anything else."""
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        try:
            at = datetime.fromisoformat(value.upper())
            at.astimezone(UTC)  # of the first and the last day of the calendar, not every zone has it in UTC
        except (ValueError, OverflowError):
            pass
        else:
            return at
    raise ValueError(f"{shown(value)} is no time; write it as RFC 3339 has it, with its zone, for instance 2026-11-20T03:12:00Z")


def since_epoch(seconds: float) -> datetime:
    """A time given in Unix seconds. Raises ValueError for one that no calendar has."""
    try:
        if not seconds > _LAST:
            return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        pass
    raise ValueError(f"{seconds:g} is no time in Unix seconds")


Instant = Annotated[datetime, BeforeValidator(instant), WithJsonSchema({"type": "string", "format": "date-time"})]


def shown(value: Any) -> str:
    """A value of a file in a sentence: short, and in one line."""
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    text = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return text if len(text) <= 60 else f"{text[:57]}..."


def bounded(source: Source) -> Source:
    """The same, if it is not too large. Raises ConfigurationError."""
    if len(source.data) > MAX_BYTES:
        source.refuse(f"is larger than {MAX_BYTES // 2**20} MiB; leave captured output out of it, or split it")
    return source


def text_of(source: Source) -> str:
    """The file as text. Raises ConfigurationError where it is empty, or no UTF-8."""
    try:
        text = source.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source.refuse(f"is not UTF-8 at byte {error.start}; is it compressed, or cut?")
    if not text.strip():
        source.refuse("is empty; was it written to its end?")
    return text


def json_of(source: Source) -> Any:
    """The JSON value in the file. Raises ConfigurationError with the place for what is none, and for every number in it that is not finite."""
    text = text_of(source)
    try:
        value = strict_json(text)
    except json.JSONDecodeError as error:
        at_end = " (it ends too early: was it written to its end?)" if error.pos >= len(text.rstrip()) else ""
        source.refuse(f"is no JSON: {error.msg.lower()}{at_end}", "", error.lineno, error.colno)
    except ValueError as error:
        source.refuse(str(error))
    source.reject_if(source.problem("is not a finite number; leave it out where there is none", path_of(trail)) for trail in _not_finite(value))
    return value


def strict_json(text: str) -> Any:
    """The JSON value in a text; NaN and infinities are still floats in it. Raises ValueError for what is no JSON, or nested too deep."""
    if text.count("{") > _MOST_OBJECTS:
        raise ValueError(f"has more than {_MOST_OBJECTS} objects; split it")
    try:
        value = (_CAREFUL if _LONG_NUMBER.search(text) else _QUICK).decode(text)
    except RecursionError:
        raise ValueError(f"is nested deeper than {DEEPEST} levels; no result needs that") from None
    if text.count("{") + text.count("[") > DEEPEST and _deeper(value):
        raise ValueError(f"is nested deeper than {DEEPEST} levels; no result needs that")
    return value


def _int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        _twice(pairs)
    return made


_LONG_NUMBER = re.compile(rf"[0-9]{{{_LONGEST_INT + 1}}}")
_QUICK = json.JSONDecoder(object_pairs_hook=_object)  # made once: a line of a log is read in less time than a decoder is made in
_CAREFUL = json.JSONDecoder(object_pairs_hook=_object, parse_int=_int)


def _twice(pairs: list[tuple[str, Any]]) -> NoReturn:
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    identity = next((f" with id {shown(value)}" for name, value in pairs if name == "id"), "")
    raise ValueError(f"has {shown(twice)} twice in one object{identity}; which of them counts?")


def _deeper(value: Any) -> bool:
    """Whether it has more levels than DEEPEST."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level if isinstance(one, (dict, list)) for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return False
    return True


def _not_finite(value: Any, trail: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield trail
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_finite(inner, (*trail, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _not_finite(inner, (*trail, index))


def formed(source: Source, value: Any, form: type[_FORM], example: str) -> _FORM:
    """The value as `form`. Raises ConfigurationError with every reason why it is not, each with its place. `example`: how such a file begins."""
    made, problems = examined(source, value, form, example)
    if made is None:
        source.reject_if(problems)
        raise AssertionError("a value that is not as its form says why")
    return made


def examined(source: Source, value: Any, form: type[_FORM], example: str) -> tuple[_FORM | None, list[Problem]]:
    """As `formed`, with what is wrong as a list."""
    if not isinstance(value, dict):
        return None, [source.problem(f"must be an object, like {example}")]
    try:
        return form.model_validate(value), []
    except ValidationError as error:
        found = complaints(form, value, error) if error.error_count() <= _MANY else _first_complaints(form, value)
        return None, [source.problem(one.text, placed(value, one.trail)) for one in found[: ENOUGH + 1]]


def _first_complaints(form: type[BaseModel], value: dict[str, Any]) -> list[Complaint]:
    """What is wrong with it, if very much is: list by list, piece by piece, until it is enough."""
    lists = {name: one for name, one in value.items() if isinstance(one, list)}
    bare = {**value, **{name: [] for name in lists}}
    found = [one for one in _complaints(form, bare) if one.trail[:1] not in {(name,) for name in lists}]
    for name, entries in lists.items():
        for start in range(0, len(entries), _PIECE):
            if len(found) > ENOUGH:
                return found
            inside = _complaints(form, {**bare, name: entries[start : start + _PIECE]})
            found += [replace(one, trail=_moved(one.trail, start)) for one in inside if one.trail[:1] == (name,) and len(one.trail) > 1]
    return found


def _moved(trail: tuple[Step, ...], start: int) -> tuple[Step, ...]:
    return (trail[0], start + trail[1], *trail[2:]) if isinstance(trail[1], int) else trail


def _complaints(form: type[BaseModel], value: Any) -> list[Complaint]:
    try:
        form.model_validate(value)
    except ValidationError as error:
        return (
            complaints(form, value, error)
            if error.error_count() <= _MANY
            else [Complaint((), f"has {error.error_count()} mistakes; is it such a file?")]
        )
    return []


def placed(value: Any, trail: tuple[Step, ...]) -> str:
    """A trail as people read it; entries of a list that have an id are named by it, too: `cases[3] (FIN-01).latency_ms`."""
    told, here = "", value
    for step in trail:
        told += path_of((step,)) if isinstance(step, int) or not told else f".{step}"
        here = _inside(here, step)
        if isinstance(step, int) and isinstance(here, dict) and isinstance(here.get("id"), str):
            told += f" ({shown(here['id'])[1:-1]})"
    return told


def _inside(value: Any, step: Step) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None
