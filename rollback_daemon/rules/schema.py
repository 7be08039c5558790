"""How a rule file is written: its keys and their types, and nothing that needs two keys to be told (that is `build`'s).

The JSON Schema that `rollbackd schema` prints is made from these classes.
"""

import functools
import operator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, create_model

from rollback_daemon.documents.complaints import closest
from rollback_daemon.flags.store import FlagValue, Scalar
from rollback_daemon.flags.stores import STORES
from rollback_daemon.rules.kinds import Kind
from rollback_daemon.rules.model import Action, ActionKind
from rollback_daemon.rules.schema_actions import ActionPart
from rollback_daemon.rules.schema_aftercare import FollowUpPart, HookPart, LevelPart, MaxRollbacksPart, ResumePart, VerifyPart, WayPart
from rollback_daemon.rules.schema_budgets import ErrorsPart, NoData, NoDataPart
from rollback_daemon.rules.schema_duties import OnDriftPart, PreflightPart, RehearsalPart, RequiresPart, ScorecardPart
from rollback_daemon.rules.schema_evidence import Declaration
from rollback_daemon.rules.schema_measures import Expr, GatePart, Limits, RelativeTo, SignalPart
from rollback_daemon.rules.triggers import KEYED
from rollback_daemon.schema import CommandPart, Duration, Interval, LabelName, Name, Part, Share, Text

Promote = Literal["manual", "automatic"]


def flag_value(value: Any) -> FlagValue:
    """A flag's value as written, a list as a tuple. Raises ValueError for what no flag can hold."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, (str, bool, int, float, type(None))) for one in values):
        raise ValueError("must be text, a number, true or false, or a list of these")
    return tuple(value) if isinstance(value, list) else value


Flag = Annotated[Scalar | tuple[Scalar, ...], BeforeValidator(flag_value)]


class StagePart(Part):
    """A rung of the ladder: what it sets on top of the rungs below it."""

    stage: Name
    exposure: Share
    set: dict[Text, Flag] = Field(min_length=1)
    soak: Duration = timedelta()
    requires: RequiresPart = Field(default_factory=RequiresPart)
    promote: Promote | None = None


class _Alert(Part):
    """What every trigger has, with Prometheus' own words."""

    alert: Name
    for_: Duration = Field(default=timedelta(), alias="for")
    keep_firing_for: Duration = timedelta()
    initial_delay: Duration = timedelta()
    escalate_after: Interval | None = None
    action: ActionPart = Action(ActionKind.ROLLBACK)
    severity: Text | None = None
    stages: list[str] | None = Field(default=None, min_length=1)
    dry_run: bool = False
    errors: ErrorsPart | None = None
    labels: dict[LabelName, str | None] = {}
    annotations: dict[LabelName, str] = {}


class ThresholdPart(_Alert, Limits):
    """A limit on a signal, or a Prometheus alerting expression."""

    model_config = ConfigDict(title="threshold trigger")
    signal: str | None = None
    expr: Expr | None = None
    relative_to: RelativeTo | None = None
    no_data: NoData | None = None


class KeyedPart(_Alert):
    """A trigger of a kind with a key of its own, which knows itself what lack of data counts as."""

    no_data: NoDataPart | None = None


_WITHOUT_KIND = {field.alias or name for name, field in ThresholdPart.model_fields.items()}


def _keyed(name: str, kind: Kind) -> Any:
    """What is written of a kind with a key of its own: that key beside those of every trigger."""
    form: dict[str, Any] = {name: (kind.form, ...)}
    part = create_model(
        f"{name.title().replace('_', '')}Part", __base__=KeyedPart, __cls_kwargs__={"title": _tag(name)}, __doc__=kind.test.__doc__, **form
    )
    return Annotated[part, Tag(_tag(name))]


def _tag(kind: str) -> str:
    return f"{kind} trigger"


def _kind(value: Any) -> str:
    """The kind is told by its own key before anything is validated, so that one misspelt key gives one error."""
    keys = {*value} if isinstance(value, dict) else set()
    known = next((key for key in KEYED if key in keys), None)
    if known is None and not keys & {"signal", "expr"}:  # the key itself may be misspelt
        meant = (closest(str(key), [*_WITHOUT_KIND, *KEYED]) for key in keys - _WITHOUT_KIND)
        known = next((key for key in meant if key in KEYED), None)
    return _tag(known or "threshold")


if TYPE_CHECKING:
    TriggerPart = ThresholdPart | KeyedPart  # which one of the latter it is, the registry knows
else:
    TriggerPart = Annotated[
        functools.reduce(operator.or_, [Annotated[ThresholdPart, Tag(_tag("threshold"))], *(_keyed(*one) for one in KEYED.items())]),
        Discriminator(_kind),
    ]


class FlagsPart(Part):
    """Where the flags are changed."""

    store: Annotated[str, Field(json_schema_extra={"enum": [*STORES]})]
    path: Text
    backups: int = Field(default=10, ge=0)
    after_change: CommandPart | None = None
    on_drift: OnDriftPart = Field(default_factory=OnDriftPart)


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
    promote: Promote = "manual"
    max_growth: float | None = Field(default=None, gt=1, allow_inf_nan=False)
    break_glass: list[Name] = []
    flags: FlagsPart
    baseline: dict[Text, Flag] = Field(min_length=1)
    stages: list[StagePart] = Field(min_length=1)
    evidence: dict[Name, Declaration] = {}
    signals: dict[Name, SignalPart] = {}
    gates: list[GatePart] = []
    triggers: list[TriggerPart] = Field(min_length=1)
    rehearsal: RehearsalPart | None = None
    verify: list[VerifyPart] = []
    ways_back: list[WayPart] = Field(default=["flags"], min_length=1)
    cooldown: Duration = timedelta()
    max_rollbacks: MaxRollbacksPart | None = None
    resume: ResumePart | None = None
    escalation: list[LevelPart] = []
    hooks: list[HookPart] = []
    follow_up: FollowUpPart | None = None
    scorecard: ScorecardPart = Field(default_factory=ScorecardPart)
    preflight: PreflightPart = Field(default_factory=PreflightPart)
