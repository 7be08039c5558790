"""How what follows a rollback, or completion, is written: verification, ways back, limits, escalation, hooks, follow-ups.

Lives here: keys and their types. Must not live here: what needs two keys to be told (`build_aftercare`), the ladder (`schema`).
"""

from datetime import timedelta
from typing import Annotated, Any, Literal

import regex
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from rollback_daemon.rules.aftercare import HOOK_EVENTS
from rollback_daemon.rules.schema_duties import CommandStepPart, HttpStepPart
from rollback_daemon.schema import CommandPart, Duration, EnvName, EnvValue, Interval, Name, Part, Program, Text, Url


def _pattern(text: str) -> str:
    try:
        pattern = regex.compile(text)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f'"{text}" is no regular expression: {error}') from None
    if pattern.search(""):
        raise ValueError(f'"{text}" is found in every line, even in an empty one; write what must not appear')
    return text


Pattern = Annotated[Text, AfterValidator(_pattern), Field(json_schema_extra={"format": "regex"})]


class LogStepPart(Part):
    """A pattern that must not appear in a log from the transition on."""

    model_config = ConfigDict(title="log step")
    log: Text
    without: Pattern


def _gates(value: Any) -> Any:
    if value == "gates" or (isinstance(value, list) and value):
        return value
    raise ValueError('must be "gates", for every blocking one about a signal, or a list of names of gates')


class SignalsStepPart(Part):
    """Gates that must pass again for a time."""

    model_config = ConfigDict(title="signals step")
    signals: Annotated[Literal["gates"] | Annotated[list[Name], Field(min_length=1)], BeforeValidator(_gates)]
    for_: Interval = Field(alias="for")
    within: Interval | None = None


_STEPS = {"http": "http step", "command": "command step", "log": "log step", "signals": "signals step"}
_BESIDE = {"expect": "http step", "env": "command step", "without": "log step", "for": "signals step", "within": "signals step"}


def _kind_of_proof(value: Any) -> str:
    """Told by its own key; where that is misspelt, by what stands beside it."""
    return next((kind for key, kind in (_STEPS | _BESIDE).items() if isinstance(value, dict) and key in value), "command step")


ProofPart = Annotated[
    Annotated[HttpStepPart, Tag("http step")]
    | Annotated[CommandStepPart, Tag("command step")]
    | Annotated[LogStepPart, Tag("log step")]
    | Annotated[SignalsStepPart, Tag("signals step")],
    Discriminator(_kind_of_proof),
]


class _AtStages(Part):
    """A step of a verification may be one for rollbacks that end at some stages only."""

    stages: list[str] | None = Field(default=None, min_length=1)


class VerifyHttpPart(HttpStepPart, _AtStages):
    """A GET that must be answered with 2xx after a rollback."""

    model_config = ConfigDict(title="http step")


class VerifyCommandPart(CommandStepPart, _AtStages):
    """A program that must succeed after a rollback."""

    model_config = ConfigDict(title="command step")


class VerifyLogPart(LogStepPart, _AtStages):
    """A pattern that must not appear in a log after a rollback."""

    model_config = ConfigDict(title="log step")


class VerifySignalsPart(SignalsStepPart, _AtStages):
    """Gates that must pass again after a rollback."""

    model_config = ConfigDict(title="signals step")


VerifyPart = Annotated[
    Annotated[VerifyHttpPart, Tag("http step")]
    | Annotated[VerifyCommandPart, Tag("command step")]
    | Annotated[VerifyLogPart, Tag("log step")]
    | Annotated[VerifySignalsPart, Tag("signals step")],
    Discriminator(_kind_of_proof),
]


class FurtherPart(Part):
    """Further down, after a person had time to look."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rollback": "baseline"}]})
    rollback: Text
    after: Duration = timedelta()


class ThenPart(Part):
    """Stepping down further."""

    model_config = ConfigDict(title="further way")
    then: FurtherPart


class CommandWayPart(CommandPart):
    """A program that takes it back."""

    model_config = ConfigDict(title="command way")


_WAYS = ("flags", "backup")
_WAYS_USAGE = "use flags, backup, {command: [PROGRAM, ARGUMENT]} or {then: {rollback: STAGE}}"


def _word(value: Any) -> Any:
    if value in _WAYS:
        return value
    raise ValueError(f'unknown way back "{value}"; {_WAYS_USAGE}' if isinstance(value, str) else f"must be a way back; {_WAYS_USAGE}")


def _kind_of_way(value: Any) -> str:
    if not isinstance(value, dict):
        return "way"
    return "further way" if "then" in value or ("rollback" in value and "command" not in value) else "command way"


WayPart = Annotated[
    Annotated[Literal["flags", "backup"], BeforeValidator(_word), Tag("way")]
    | Annotated[CommandWayPart, Tag("command way")]
    | Annotated[ThenPart, Tag("further way")],
    Discriminator(_kind_of_way),
]


class MaxRollbacksPart(Part):
    """So many rollbacks by triggers within that time, and the rollout is frozen."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"count": 3, "in": "24h"}]})
    count: int = Field(ge=1, le=100)
    in_: Interval = Field(alias="in")


class ResumePart(Part):
    """What whoever resumes after a rollback needs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"requires": "postmortem"}]})
    requires: Literal["postmortem"]


class ScheduledPart(Part):
    """A rollback as the last level of an escalation."""

    model_config = ConfigDict(title="scheduled rollback")
    rollback: Text
    in_: Duration = Field(alias="in")


LevelPart = Annotated[
    Annotated[Name, Tag("level")] | Annotated[ScheduledPart, Tag("scheduled rollback")],
    Discriminator(lambda value: "scheduled rollback" if isinstance(value, dict) else "level"),
]


class HookPart(Part):
    """Who is told of events: a program, or an HTTP endpoint."""

    hook: Name
    on: list[Annotated[str, Field(json_schema_extra={"enum": [*HOOK_EVENTS]})]] = Field(min_length=1)
    command: Program | None = None
    env: dict[EnvName, EnvValue] = {}
    http: Url | None = None
    secret_file: Text | None = None
    timeout: Interval | None = None


class FollowUpPart(Part):
    """Checks so long after completion."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"after": ["1d", "7d", "30d"]}]})
    after: list[Interval] = Field(default=[timedelta(days=1), timedelta(days=7), timedelta(days=30)], min_length=1)
    checks: list[ProofPart] = []
