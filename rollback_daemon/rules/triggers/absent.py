"""The trigger kind `absent`: a query that should return something returns nothing.

Meaning and labels are those of Prometheus' function `absent(v)`: breached when the answer has no series at all. The breached series has the labels
that `{name="value"}` in a plain selector fixes, and no others. The value is the number of series (in `absent` it is 1), held against `< 1`.

A failed query is unknown, as everywhere. A series whose value is NaN is there. Of a signal with `max_age` or `needs`, what is too old or too little
is unknown, and not absent: the series are there. An empty answer with a warning beside it (of a part of the data, as Thanos gives) is unknown too.
Unit: a number of series.

When not to use it: for one series out of several that vanishes while others stay (ask for that one by its labels), or for a value that drops to 0,
which is there (`below`). A new metric is absent until it is scraped for the first time: give such a trigger a `for`, or an `initial_delay`.

Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#absent
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from rollback_daemon.rules import demands, promql
from rollback_daemon.rules.kinds import Kind, Setting
from rollback_daemon.rules.measures import Condition, Op, Signal, enclosed
from rollback_daemon.rules.reading import Assessment, Health, Memory, Observations, Reading, Verdict, look
from rollback_daemon.rules.schema_measures import Expr
from rollback_daemon.schema import Part
from rollback_daemon.signals.observation import Failed, Labels, NoData, Value

_NONE = Condition(Op.BELOW, 1)


@dataclass(frozen=True, slots=True)
class Absent:
    """Breached when the answer to the signal's query has no series. `labels`: those of the series that is missing."""

    signal: Signal
    what: str
    labels: Labels = ()

    @property
    def subject(self) -> str:
        return f"series of {self.what}"

    @property
    def limit(self) -> str:
        return str(_NONE)

    @property
    def condition(self) -> Condition:
        return _NONE

    @property
    def expr(self) -> str:
        return self.signal.expr

    @property
    def alert_expr(self) -> str:
        return f"absent{enclosed(self.signal.expr)}"

    def signals(self) -> Iterator[Signal]:
        yield self.signal

    def plotted(self) -> Iterator[tuple[Signal, Condition | None]]:
        yield self.signal, None

    def questions(self) -> Iterator[str]:
        return self.signal.questions()

    def assess(self, observations: Observations, _memory: Memory, now: datetime, _max_gap: timedelta) -> tuple[Assessment, Memory]:
        return self._read(observations, now), {}

    def _read(self, observations: Observations, now: datetime) -> Assessment:
        policy = self.signal.no_data
        match raw := observations.get(self.signal.expr, demands.NOT_ASKED):
            case Failed():
                return Assessment(health=Health.ERROR, why=raw.why, no_data=policy)
            case NoData() if raw.empty and raw.warnings:
                return Assessment(health=Health.NO_DATA, why=f"{raw.why}, with a warning: {', '.join(raw.warnings)}", no_data=policy)
            case NoData() if raw.empty:
                return Assessment({self.labels: Reading(Verdict.BREACHED, 0.0)}, no_data=policy)
            case NoData() if raw == demands.NOT_ASKED:
                return Assessment(health=Health.NO_DATA, why=raw.why, no_data=policy)
            case NoData():
                return Assessment({self.labels: Reading(Verdict.CLEAR, None, raw.why)}, no_data=policy)
            case Value():
                seen = look(self.signal, observations, now)
                if not isinstance(seen, Value):
                    health = Health.ERROR if isinstance(seen, Failed) else Health.NO_DATA
                    return Assessment(health=health, why=seen.why, no_data=policy)
                return Assessment({self.labels: Reading(Verdict.CLEAR, float(len(raw.series) + len(raw.unknown)))}, no_data=policy)


# how it is written


class AbsentOf(Part):
    """What should be there: an expression, also written right under the key, or a signal."""

    expr: Expr | None = None
    signal: str | None = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"title": "absent", "anyOf": [{"type": "string", "minLength": 1}, handler(core_schema)]}


def _in_full(value: Any) -> Any:
    """`absent: EXPR` is `absent: {expr: EXPR}`."""
    if not isinstance(value, (str, dict, AbsentOf)):
        raise ValueError("must be an expression, or {signal: NAME}")
    return {"expr": value} if isinstance(value, str) else value


def _build(of: AbsentOf, setting: Setting) -> Absent:
    if (of.expr is None) == (of.signal is None):
        setting.say((), "needs either expr or signal" + (", not both" if of.expr is not None else ""))
    if of.signal is None:
        expr = of.expr or "vector(0)"
        if of.expr is not None and promql.is_scalar(expr):
            setting.say((), "is a plain number, which is never absent; name series that should be there")
        return Absent(Signal(setting.alert, expr), promql.metric_of(expr) or setting.alert, promql.fixed_labels(expr))
    signal = setting.notes.signal(of.signal, setting.signals, (*setting.at, "signal"))
    if signal.endpoints:
        setting.say(("signal",), f'the signal "{signal.name}" asks over http, and is never absent: an endpoint that does not answer is 0')
    if signal.evidence:
        setting.say(("signal",), f'the signal "{signal.name}" is a figure of evidence; that there is none is told by no_data: {{for: …, then: …}}')
    return Absent(signal, signal.name, promql.fixed_labels(signal.expr) if signal.expr else ())


def _describe(test: Absent) -> str:
    return f"no series of `{test.expr}` at all"


KIND = Kind(Absent, Annotated[AbsentOf, BeforeValidator(_in_full)], _build, _describe)
