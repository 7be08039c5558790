"""How a rule file is written: its keys and their types, and nothing that needs two keys to be told (that is `build`'s).

The JSON Schema that `rollbackd schema` prints is made from these classes.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from rollback_daemon.flags.store import Scalar
from rollback_daemon.flags.stores import STORES
from rollback_daemon.rules import promql
from rollback_daemon.rules.model import Action, ActionKind
from rollback_daemon.schema import CommandPart, Duration, Interval, LabelName, Limit, Name, Part, Share, Text


def _expr(text: str) -> str:
    promql.require_vector(text)
    return text


def _scalar(value: Any) -> Scalar:
    if not isinstance(value, (str, bool, int, float, type(None))):
        raise ValueError("must be a single value: text, a number, true or false")
    return value


Expr = Annotated[str, Field(min_length=1), AfterValidator(_expr)]


def _two(value: Any) -> Any:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("must be the two ends of a range: [low, high]")
    return value


Range = Annotated[list[Limit], BeforeValidator(_two), Field(min_length=2, max_length=2)]
FlagValue = Annotated[Scalar, BeforeValidator(_scalar)]


class Limits(Part):
    """A condition: exactly one of these. `outside` and `within` take both ends, which belong to the range."""

    above: Limit = None
    below: Limit = None
    at_least: Limit = None
    at_most: Limit = None
    outside: Range | None = None
    within: Range | None = None


class NeedsPart(Part):
    """The least traffic with which the signal means something."""

    expr: Expr
    at_least: Limit


class SignalPart(Part):
    """A named PromQL query giving one value for each label set."""

    expr: Expr
    unit: str = ""
    no_data: Literal["hold", "breach", "ignore"] = "hold"
    needs: NeedsPart | None = None
    max_age: Interval | None = None


class StagePart(Part):
    """A rung of the ladder: what it sets on top of the rungs below it."""

    stage: Name
    exposure: Share
    set: dict[Text, FlagValue] = Field(min_length=1)
    soak: Duration = timedelta()


class GatePart(Limits):
    """What must hold before a promotion."""

    gate: Name
    signal: str | None = None
    expr: Expr | None = None


def _action(value: Any) -> Action:
    if isinstance(value, str) and value in set(ActionKind):
        return Action(ActionKind(value))
    if isinstance(value, dict) and set(value) == {"rollback"} and isinstance(value["rollback"], str):
        return Action(ActionKind.ROLLBACK, value["rollback"])
    usage = f"use one of {', '.join(ActionKind)}, or {{rollback: STAGE}}"
    names = list(value) if isinstance(value, dict) else [value]
    if names == ["rollback"]:
        raise ValueError(f"the stage to go back to must be text; {usage}")
    if len(names) == 1 and isinstance(names[0], str):
        raise ValueError(f'unknown action "{names[0]}"; {usage}')
    raise ValueError(f"must be an action; {usage}")


_ACTION_SCHEMA = {
    "anyOf": [
        {"enum": [kind.value for kind in ActionKind]},
        {"type": "object", "properties": {"rollback": {"type": "string"}}, "required": ["rollback"], "additionalProperties": False},
    ]
}


class _Alert(Part):
    """What every trigger has, with Prometheus' own words."""

    alert: Name
    for_: Duration = Field(default=timedelta(), alias="for")
    keep_firing_for: Duration = timedelta()
    initial_delay: Duration = timedelta()
    action: Annotated[Action, BeforeValidator(_action), WithJsonSchema(_ACTION_SCHEMA)] = Action(ActionKind.ROLLBACK)
    severity: Text | None = None
    stages: list[str] | None = Field(default=None, min_length=1)
    dry_run: bool = False
    labels: dict[LabelName, str | None] = {}
    annotations: dict[LabelName, str] = {}


class ThresholdPart(_Alert, Limits):
    """A limit on a signal, or a Prometheus alerting expression."""

    model_config = ConfigDict(title="threshold trigger")
    signal: str | None = None
    expr: Expr | None = None
    no_data: Literal["hold", "breach", "ignore", "drop"] | None = None


class ViolationsOf(Part):
    """What is counted, and how many make a breach: `more_than` or `at_least`."""

    of: Literal["gates"] | None = None
    signal: str | None = None
    above: Limit = None
    below: Limit = None
    at_most: Limit = None
    outside: Range | None = None
    within: Range | None = None
    more_than: int | None = Field(default=None, ge=0)
    at_least: int | None = Field(default=None, ge=1)
    out_of: int | None = Field(default=None, ge=1, le=10_000)
    every: Interval | None = None


class ViolationsPart(_Alert):
    """Several violations, in a row or N out of M."""

    model_config = ConfigDict(title="violations trigger")
    violations: ViolationsOf


def _kind(value: Any) -> str:
    """The kind is told by its own key before anything is validated, so that one misspelt key gives one error."""
    return "violations trigger" if isinstance(value, dict) and "violations" in value else "threshold trigger"


TriggerPart = Annotated[
    Annotated[ThresholdPart, Tag("threshold trigger")] | Annotated[ViolationsPart, Tag("violations trigger")],
    Discriminator(_kind),
]


class FlagsPart(Part):
    """Where the flags are changed."""

    store: Annotated[str, Field(json_schema_extra={"enum": [*STORES]})]
    path: Text
    backups: int = Field(default=10, ge=0)
    after_change: CommandPart | None = None


class RuleFile(Part):
    """One rollout: one file in `rules/`."""

    model_config = ConfigDict(title="rollbackd rule file")
    rollout: Name
    owner: Text
    runbook_url: Text | None = None
    mode: Literal["enforce", "observe"] = "enforce"
    interval: Interval | None = None
    max_gap: Interval | None = None
    labels: dict[LabelName, str] = {}
    flags: FlagsPart
    baseline: dict[Text, FlagValue] = Field(min_length=1)
    stages: list[StagePart] = Field(min_length=1)
    signals: dict[Name, SignalPart] = {}
    gates: list[GatePart] = []
    triggers: list[TriggerPart] = Field(min_length=1)
