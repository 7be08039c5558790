"""How what people and the world owe a rollout is written: requirements, rehearsal, drift, preflight, scorecard.

Lives here: keys and their types. Must not live here: what needs two keys to be told (`build_duties`), the ladder (`schema`).
"""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from rollback_daemon.flags.store import Scalar
from rollback_daemon.rules.schema_measures import Limits
from rollback_daemon.schema import CommandPart, Interval, Limit, Name, Part, Proportion, Quorum, Text, Url

_POINTER = re.compile(r"(/([^~]|~[01])*)?", re.DOTALL)


def _single(value: Any) -> Scalar:
    if not isinstance(value, (str, bool, int, float, type(None))):
        raise ValueError("must be a single value: text, a number, true or false")
    return value


def _pointer(text: str) -> str:
    if not _POINTER.fullmatch(text):
        raise ValueError(f'"{text}" is no JSON Pointer; begin it with "/", and write "~0" for "~" and "~1" for "/" within a name')
    return text


Single = Annotated[Scalar, BeforeValidator(_single)]
Pointer = Annotated[str, AfterValidator(_pointer), Field(json_schema_extra={"pattern": f"^{_POINTER.pattern}$"})]


class OnDriftPart(Part):
    """What follows when somebody else changed the flags."""

    raise_: Literal["revert", "alert"] = Field(default="revert", alias="raise")
    lower: Literal["adopt", "alert"] = "adopt"
    other: Literal["alert", "rollback"] = "alert"


class ApprovalsPart(Part):
    """Whose GO a promotion needs."""

    roles: list[Name] = Field(min_length=1)
    quorum: Quorum | None = None
    expires: Interval = timedelta(hours=24)


class FigurePart(Limits):
    """What a figure must be, where it is not one number."""

    model_config = ConfigDict(title="limits of a figure")


def _kind_of_figure(value: Any) -> str:
    return "limits of a figure" if isinstance(value, (dict, FigurePart)) else "number"


Wanted = Annotated[Annotated[Limit, Tag("number")] | Annotated[FigurePart, Tag("limits of a figure")], Discriminator(_kind_of_figure)]
"""What a figure must be: exactly a number, or within a limit."""


class EvidencePart(Part):
    """A result that must be on record, how old it may be, and how good it must be."""

    model_config = ConfigDict(title="required evidence")
    evidence: Name
    within: Interval | None = None
    figures: dict[Text, Wanted] = {}


def _kind_of_evidence(value: Any) -> str:
    return "required evidence" if isinstance(value, dict) else "name"


class FreshPart(Part):
    """How old the last rehearsal may be."""

    within: Interval


class RequiresPart(Part):
    """What must be on record before the stage is climbed to, and how the configuration must be there."""

    approvals: ApprovalsPart | None = None
    checkpoints: list[Name] = []
    evidence: list[Annotated[Annotated[Name, Tag("name")] | Annotated[EvidencePart, Tag("required evidence")], Discriminator(_kind_of_evidence)]] = []
    rehearsal: FreshPart | None = None
    config: dict[Text, Single] = {}


class HttpStepPart(Part):
    """A GET that must be answered with 2xx, and what its JSON must have."""

    model_config = ConfigDict(title="http step")
    http: Url
    expect: dict[Pointer, Single] = Field(default={}, json_schema_extra={"examples": [{"/feature": False}]})
    timeout: Interval = timedelta(seconds=10)


class CommandStepPart(CommandPart):
    """A program that must succeed."""

    model_config = ConfigDict(title="command step")


def _kind_of_step(value: Any) -> str:
    return "http step" if isinstance(value, dict) and "http" in value else "command step"


StepPart = Annotated[
    Annotated[HttpStepPart, Tag("http step")] | Annotated[CommandStepPart, Tag("command step")],
    Discriminator(_kind_of_step),
]


class RehearsalPart(Part):
    """How a rollback is rehearsed."""

    to: str | None = None
    steps: list[StepPart] = Field(min_length=1)


class ScorePart(Part):
    """A part of the scorecard: points, shared equally by its checks."""

    points: float = Field(gt=0, le=100)
    checks: list[Text] = Field(min_length=1)


class ScorecardPart(Part):
    """How ready is ready."""

    go: float = Field(default=90, ge=0, le=100)
    monitor: float = Field(default=70, ge=0, le=100)
    parts: dict[Name, ScorePart] = {}


class BackupPart(Part):
    """Files of which the newest must not be older."""

    path: Text
    newer_than: Interval


class PreflightPart(Part):
    """What is looked at before day one."""

    services: list[Url] = []
    alert_rules: list[Text] = []
    backups: list[BackupPart] = []
    disk_free: Proportion = 0.2
