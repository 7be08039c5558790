"""The field types that rule files and the daemon's configuration share: durations, limits, names, addresses, commands.

pydantic works at the edge only. Each type knows its own mistakes, with the remedy, and how it looks in a JSON Schema for editors.
"""

import itertools
import json
import re
import shlex
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from rollback_daemon.durations import parse_duration, parse_quantity

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUORUM = re.compile(r"([0-9]{1,6}) of ([0-9]{1,6})")
_PLAIN = re.compile(r"-{0,2}[A-Za-z./][A-Za-z0-9_./=+-]*")  # what YAML takes for text without quotes, and a person would not quote
_OF_SHELLS = frozenset("|&;<>()")
_WIDEST = 60  # characters of what somebody wrote in a sentence


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


def _env_name(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(f'"{text}" is no name of an environment variable; use letters, digits and "_", and begin with no digit')
    return text


def duration(value: Any) -> timedelta:
    """A duration as Prometheus writes it. Raises ValueError for anything else."""
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


def _part(value: Any) -> float | None:
    """A number from 0 to 1, however it is written; None for anything else."""
    try:
        part = parse_quantity(_limit(value), "ratio")
    except ValueError:
        return None
    return part if 0 <= part <= 1 else None


def _share(value: Any) -> float:
    return _share_of(value, "no share of traffic")


def _proportion(value: Any) -> float:
    return _share_of(value, "no share")


def _share_of(value: Any, what: str) -> float:
    if (share := _part(value)) is not None:
        return share
    percent = isinstance(value, (int, float, str)) and _part(f"{value}%") is not None
    hint = f"; did you mean {value}%?" if percent else ""
    raise ValueError(f"{_shown(value)} is {what}; it must be from 0 to 1, or from 0% to 100%{hint}")


def _url(url: str) -> str:
    shown = "what stands here" if "@" in url else f'"{url}"'  # it may have a password in it
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{shown} is no address; begin it with http:// or https://")
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known or not url.isprintable() or " " in url:
        raise ValueError(f"{shown} is no address; write it like http://host:8000/health")
    return url


def parse_quorum(text: str) -> tuple[int, int]:
    """`3 of 5` as (3, 5). Raises ValueError for anything else, and where the first is not from 1 to the second."""
    match = _QUORUM.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is no quorum; write it like 3 of 5')
    need, of = int(match[1]), int(match[2])
    if not 1 <= need <= of:
        raise ValueError(f'"{text}" is no quorum; the first number must be from 1 to the second')
    return need, of


def _quorum(value: Any) -> tuple[int, int]:
    if not isinstance(value, str):
        raise ValueError("must be a quorum, like 3 of 5")
    return parse_quorum(value)


def _program(value: Any) -> Any:
    """A list passes; a line as for a shell is told how the program alone would be written."""
    if not isinstance(value, str):
        return value
    shown = value if len(value) <= _WIDEST else f"{value[: _WIDEST - 3]}..."
    words = _words(value)
    written = f", write [{', '.join(map(_flow, words))}]" if words else ""
    raise ValueError(f'must be a list, not "{shown}"; there is no shell{written}')


def _words(line: str) -> list[str]:
    """The first command of a shell line, up to a pipe, a redirection or whatever else only a shell understands."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # a quote that does not end
        return []
    known = list(itertools.takewhile(lambda word: not set(word) <= _OF_SHELLS, words))
    redirected = len(known) < len(words) and words[len(known)][0] in "<>" and known and known[-1].isdigit()  # 2>&1
    return known[:-1] if redirected else known


def _flow(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else json.dumps(word, ensure_ascii=False)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return str(value).lower() if isinstance(value, bool) else str(value)


_DURATION_SCHEMA = {"type": ["string", "integer"], "description": "a Prometheus duration: 15s, 5m, 1h30m, 500ms, 0", "examples": ["5m"]}

Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": f"^{_NAME.pattern}$"})]
LabelName = Annotated[str, AfterValidator(_label), Field(json_schema_extra={"pattern": f"^{_LABEL.pattern}$"})]
EnvName = Annotated[str, AfterValidator(_env_name), Field(json_schema_extra={"pattern": f"^{_LABEL.pattern}$"})]
Text = Annotated[str, AfterValidator(_text), Field(min_length=1)]
EnvValue = Annotated[str, AfterValidator(_text)]
Duration = Annotated[timedelta, BeforeValidator(duration), WithJsonSchema(_DURATION_SCHEMA)]
Interval = Annotated[timedelta, BeforeValidator(duration), AfterValidator(_positive), WithJsonSchema(_DURATION_SCHEMA)]
Limit = Annotated[Any, BeforeValidator(_limit), WithJsonSchema({"type": ["number", "string"], "examples": ["1%", "200ms", 3]})]
Url = Annotated[str, AfterValidator(_url), Field(json_schema_extra={"pattern": "^https?://"})]
Quorum = Annotated[
    tuple[int, int], BeforeValidator(_quorum), WithJsonSchema({"type": "string", "pattern": f"^{_QUORUM.pattern}$", "examples": ["3 of 5"]})
]
Share = Annotated[float, BeforeValidator(_share), WithJsonSchema({"type": ["number", "string"], "examples": ["10%", 0.1]})]
Proportion = Annotated[float, BeforeValidator(_proportion), WithJsonSchema({"type": ["number", "string"], "examples": ["99%", 0.99]})]


Program = Annotated[list[Text], BeforeValidator(_program), Field(min_length=1)]


class CommandPart(Part):
    """A program to run: a list of arguments, never a shell line."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"command": ["./smoke.sh", "--fast"]}]})
    command: Program
    timeout: Interval = timedelta(seconds=60)
    env: dict[EnvName, EnvValue] = {}
