"""How a test file is written: promtool's keys in its own spelling, and ours beside them. `rollbackd schema tests` prints the JSON Schema of this.

Lives here: keys and their types. Must not live here: what needs the rule files to be told (`load`), what people do (`act_forms`).
"""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from rollback_daemon.judge.transitions import Phase
from rollback_daemon.lab.testing.act_forms import Act, Short
from rollback_daemon.rules.schema import Flag
from rollback_daemon.schema import Duration, Interval, Name, Part, Share, Text

NO_DATA, FAILED = "no data", "failed"
_WORDS = {"nan": "nan", "inf": "inf", "+inf": "inf", "-inf": "-inf"}


def _number(value: Any) -> float:
    if isinstance(value, str) and value.lower() in _WORDS:
        return float(_WORDS[value.lower()])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number, or Inf, -Inf or NaN")
    return float(value)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value  # as promtool: a single number is a text, too


def _seen(value: Any) -> float | str:
    if value in {NO_DATA, FAILED}:
        return str(value)
    try:
        return _number(value)
    except ValueError:
        raise ValueError(f'must be a number, "{NO_DATA}" or "{FAILED}"') from None


Number = Annotated[float, BeforeValidator(_number), WithJsonSchema({"type": ["number", "string"]})]
Label = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number"]})]
Seen = Annotated[float | str, BeforeValidator(_seen), WithJsonSchema({"type": ["number", "string"], "examples": [0.03, NO_DATA, FAILED]})]
TriggerWord = Literal["inactive", "pending", "firing"]


class SeriesPart(Part):
    """One series, and its values in promtool's notation: one each `interval`, the first at 0."""

    series: Text
    values: Label


class EndpointPart(Part):
    """What an HTTP endpoint of a signal is, in the same notation: 1 it answers well, 0 it does not, `_` nobody could ask it."""

    endpoint: Text
    values: Label


class FollowedPart(Part):
    """What a signal finds that is a figure of a followed file, in the same notation: its value, `_` no data, `stale` the file cannot be read.

    `lines_missing`: beside each value there are lines that cannot be read.
    """

    signal: Text
    values: Label
    lines_missing: bool = False


class ExpectedAlert(Part):
    """One firing alert. What rollbackd adds to every alert is compared only where it is given."""

    exp_labels: dict[str, Label] = {}
    exp_annotations: dict[str, Label] = {}


class AlertTest(Part):
    """Every alert of this name that Alertmanager would have at that time."""

    eval_time: Duration
    alertname: Text
    exp_alerts: list[ExpectedAlert] = []


class ExpectedSample(Part):
    """One series of the answer; `labels` is a series, `histogram` a native one in notation."""

    labels: str = ""
    value: Number = 0.0
    histogram: str = ""


class ExprTest(Part):
    """What an expression yields at that time."""

    expr: Text
    eval_time: Duration
    exp_samples: list[ExpectedSample] = []


class ExpectedTrigger(Part):
    """One trigger, or with `labels` the series of it that has them."""

    phase: TriggerWord | None = None
    value: Seen | None = None
    labels: dict[str, Label] = {}
    health: Literal["ok", "no_data", "error"] | None = None
    armed: bool | None = None


class ExpectedValue(Part):
    """One series of a signal."""

    labels: dict[str, Label] = {}
    value: Seen


_VALUES = {"anyOf": [{"type": ["number", "string"]}, {"type": "array", "items": ExpectedValue.model_json_schema()}]}


def _values(value: Any) -> Any:
    return value if isinstance(value, list) else [{"value": value}]


class RolloutTest(Part):
    """What is so after the last evaluation at or before `eval_time`, and after what people have done until then. Only what is given is compared."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"eval_time": "5m", "stage": "canary", "triggers": {"ErrorsHigh": "firing"}}]})
    eval_time: Duration
    stage: str | None = None
    phase: Literal[tuple(str(phase) for phase in Phase)] | None = None  # type: ignore[valid-type]  # the phases are a closed list elsewhere
    exposure: Share | None = None
    triggers: dict[str, Annotated[ExpectedTrigger, Short("phase")]] = {}
    values: dict[str, Annotated[list[ExpectedValue], BeforeValidator(_values), WithJsonSchema(_VALUES)]] = {}
    gates: dict[str, Literal["passes", "violated", "unknown"]] = {}
    flags: dict[str, Flag] = {}
    decisions: list[Text] | None = None
    blocked_by: list[Text] | None = None
    alerts: list[Text] | None = None
    blind: bool | None = None


class CasePart(Part):
    """One story: what Prometheus sees, what people do, and what must be so."""

    name: str = ""
    interval: Interval | None = None
    input_series: list[SeriesPart] = []
    external_labels: dict[str, Label] = {}
    external_url: str = ""
    alert_rule_test: list[AlertTest] = []
    promql_expr_test: list[ExprTest] = []
    rollout: str | None = None
    stage: str | None = None
    soaked: Duration = timedelta()
    baselines: dict[str, Number] = {}
    endpoints: list[EndpointPart] = []
    followed: list[FollowedPart] = []
    people: list[Act] = []
    rollout_test: list[RolloutTest] = []


class TestFile(Part):
    """A test file of rule files."""

    __test__ = False  # no test of pytest's
    model_config = ConfigDict(title="rollbackd test file")
    rule_files: list[Text] = []
    evaluation_interval: Interval | None = None
    group_eval_order: list[str] = []
    fuzzy_compare: bool = False
    roles: dict[Name, list[Text]] = {}
    tests: list[CasePart] = Field(min_length=1)
