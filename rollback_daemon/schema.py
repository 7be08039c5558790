"""The field types that rule files and the daemon's configuration share: durations, limits, names, commands.

pydantic works at the edge only. Each type knows its own mistakes, with the remedy, and how it looks in a JSON Schema for editors.
"""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from rollback_daemon.durations import format_number, parse_duration, parse_quantity

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Part(BaseModel):
    """A mapping in a file: unknown keys are mistakes, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("has a NUL character, which no path, command or query can have")
    return text


def _name(text: str) -> str:
    if text and not text.strip("."):
        raise ValueError(f'"{text}" is no name; use at least one letter or digit')
    if not _NAME.fullmatch(text):
        raise ValueError(f'"{text}" is no name; use letters, digits, "_", "." and "-" only')
    return text


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(f'"{text}" is no label name; use letters, digits and "_", and begin with no digit')
    return text


def _duration(value: Any) -> timedelta:
    if isinstance(value, (bool, list, dict)) or value is None:
        raise ValueError("must be a duration, for instance 15s, 5m or 1h30m")
    return parse_duration(str(value))


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0s")
    return value


def _limit(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("must be a number, a ratio (1%), a duration (200ms) or a size (100MB)")
    return value


def _share(value: Any) -> float:
    try:
        share = parse_quantity(_limit(value), "ratio")
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        hint = f"; did you mean {format_number(share)}%?" if 1 < share <= 100 and "%" not in str(value) else ""
        raise ValueError(f"{_shown(value)} is no share of traffic; it must be from 0 to 1, or from 0% to 100%{hint}")
    return share


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return str(value).lower() if isinstance(value, bool) else str(value)


_DURATION_SCHEMA = {"type": ["string", "integer"], "description": "a Prometheus duration: 15s, 5m, 1h30m, 500ms, 0", "examples": ["5m"]}

Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": f"^{_NAME.pattern}$"})]
LabelName = Annotated[str, AfterValidator(_label), Field(json_schema_extra={"pattern": f"^{_LABEL.pattern}$"})]
Text = Annotated[str, AfterValidator(_text), Field(min_length=1)]
Duration = Annotated[timedelta, BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)]
Interval = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive), WithJsonSchema(_DURATION_SCHEMA)]
Limit = Annotated[Any, BeforeValidator(_limit), WithJsonSchema({"type": ["number", "string"], "examples": ["1%", "200ms", 3]})]
Share = Annotated[float, BeforeValidator(_share), WithJsonSchema({"type": ["number", "string"], "examples": ["10%", 0.1]})]


class CommandPart(Part):
    """A program to run: a list of arguments, never a shell line."""

    command: list[Text] = Field(min_length=1)
    timeout: Interval = timedelta(seconds=60)
