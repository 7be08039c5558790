"""How evidence that comes by itself is written: a folder that it is laid into, a command that makes it, a file that grows.

Must not live here: kinds of evidence (`schema_evidence`), what needs two keys to be told (`build_evidence`).
"""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Tag

from rollback_daemon.schema import CommandPart, Interval, Part, Text


def _file_name(pattern: str) -> str:
    if "/" in pattern or pattern in {".", ".."}:
        raise ValueError(f'"{pattern}" is no pattern of file names; what lies in folders of the folder is never looked at')
    return pattern


class InboxPart(Part):
    """A folder that files are laid into."""

    model_config = ConfigDict(title="watched folder")
    folder: Text
    files: Annotated[Text, AfterValidator(_file_name)] = "*"


class ScheduledPart(CommandPart):
    """A command that is run again and again."""

    model_config = ConfigDict(title="scheduled command", json_schema_extra={"examples": [{"command": ["./soak.sh"], "every": "6h", "timeout": "1h"}]})
    every: Interval
    timeout: Interval = timedelta(minutes=10)
    result: Text | None = None


class FollowedPart(Part):
    """A file that grows."""

    model_config = ConfigDict(title="followed file")
    follow: Text


_PARTS: dict[str, type[Part]] = {"folder": InboxPart, "command": ScheduledPart, "follow": FollowedPart}
_USAGE = "{folder: PATH}, {command: [PROGRAM, ...], every: 6h} or {follow: PATH}"


def _known(value: Any) -> Any:
    """The way is told before anything is validated, so that a mistake in it is one mistake."""
    if isinstance(value, dict) and sum(key in value for key in _PARTS) != 1:
        raise ValueError(f"must say in one way where it comes from: {_USAGE}")
    if not isinstance(value, (dict, Part)):
        raise ValueError(f"must say where it comes from: {_USAGE}")
    return value


def _tag(part: type[Part]) -> str:
    return str(part.model_config.get("title"))


def _way(value: Any) -> str:
    return _tag(type(value) if isinstance(value, Part) else next(part for key, part in _PARTS.items() if key in value))


SourcePart = Annotated[
    Annotated[InboxPart, Tag(_tag(InboxPart))]
    | Annotated[ScheduledPart, Tag(_tag(ScheduledPart))]
    | Annotated[FollowedPart, Tag(_tag(FollowedPart))],
    Discriminator(_way),
    BeforeValidator(_known),
]
"""Where evidence comes from by itself."""
