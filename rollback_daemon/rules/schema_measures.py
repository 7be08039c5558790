"""How signals, limits and gates are written: keys and their types. Must not live here: what needs two keys to be told, the ladder (`schema`)."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from rollback_daemon.rules import promql
from rollback_daemon.schema import Duration, Interval, Limit, Name, Part, Proportion, Text, Url


def _expr(text: str) -> str:
    promql.require_vector(text)
    return text


def _two(value: Any) -> Any:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("must be the two ends of a range: [low, high]")
    return value


def _triggers(value: Any) -> Any:
    names = [value] if value in ("all", "rollback") else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("must be all, rollback, or a list of alert names")
    return value


def _some(share: float) -> float:
    if not share:
        raise ValueError("must be more than 0; for a gate that blocks nothing, say blocking: false")
    return share


Expr = Annotated[str, Field(min_length=1), AfterValidator(_expr)]
Range = Annotated[list[Limit], BeforeValidator(_two), Field(min_length=2, max_length=2)]
Triggers = Annotated[
    Any,
    BeforeValidator(_triggers),
    WithJsonSchema({"anyOf": [{"enum": ["all", "rollback"]}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


_BASELINE, _CONTROL = "against the baseline", "against a control"


class ControlPart(Part):
    """What a signal is held against, measured now: the old version beside the new one, for instance."""

    model_config = ConfigDict(title=_CONTROL)
    control: Expr


def _relative_to(value: Any) -> Any:
    if value == "baseline" or isinstance(value, (dict, ControlPart)):
        return value
    raise ValueError(f'must be "baseline", not "{value}"' if isinstance(value, str) else 'must be "baseline" or {control: EXPR}')


RelativeTo = Annotated[
    Annotated[Literal["baseline"], Tag(_BASELINE)] | Annotated[ControlPart, Tag(_CONTROL)],
    Discriminator(lambda value: _BASELINE if isinstance(value, str) else _CONTROL),
    BeforeValidator(_relative_to),
]
"""What a limit is held against. The two forms are told apart before they are validated, so that a mistake in one is one mistake."""


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


class BaselinePart(Part):
    """What the signal was in the time before a stage began."""

    window: Interval
    at_least: Interval | None = None
    statistic: Literal["mean", "median", "max", "min"] = "mean"


class SignalPart(Part):
    """What is measured, one value for each label set: a PromQL query, HTTP endpoints that answer or do not, or a figure of evidence."""

    expr: Expr | None = None
    http: list[Url] | None = Field(default=None, min_length=1)
    evidence: Name | None = None
    field: Text | None = None
    unit: str = ""
    no_data: Literal["hold", "breach", "ignore"] = "hold"
    needs: NeedsPart | None = None
    max_age: Interval | None = None
    baseline: BaselinePart | None = None


class GatePart(Limits):
    """What must hold before a promotion."""

    gate: Name
    signal: str | None = None
    expr: Expr | None = None
    triggers: Triggers = None
    relative_to: RelativeTo | None = None
    for_: Duration = Field(default=timedelta(), alias="for")
    share: Annotated[Proportion, AfterValidator(_some)] | None = None
    min_data: Duration = timedelta()
    stages: list[str] | None = Field(default=None, min_length=1)
    blocking: bool = True
