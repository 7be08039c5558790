"""An hour (or ORACLE_HOURS) of made-up series, and pasted alerting rules to judge them by: what the property tests against Prometheus draw from.

Values are chosen around the limits, gaps around the five minutes that a sample counts, so that every comparison and every boundary is hit.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import strategies as st

from rollback_daemon.durations import format_duration
from rollback_daemon.lab.remote_write import STALE, Sample, Series

LENGTH = timedelta(hours=float(os.environ.get("ORACLE_HOURS", "1")))
_GAP = "gap"
_VALUES = (10.0, 10.5, 9.5, 20.0, 5.0, -3.0, float("inf"), float("-inf"))

SPLIT = (
    "m > 10",
    "10 < m",
    "m >= 10",
    "9.5 >= m",
    "m < 10",
    "m == 10",
    "-(-10) == m",
    "(m) > (5 + 5)",
    "-m < -10",
    "sum(m) > 15",
    "sum without (s) (m) <= 15",
    "max by (s) (m) > 10",
    "quantile(0.5, m) > 10",
    "count(m) < 2",
    "m offset 1m > 10",
    "abs(m - 10) <= 0.5",
    "m / on (s) n > 1",
    "avg_over_time(m[2m]) > 10",
    "max_over_time(m[1m]) >= 10",
    "min_over_time(m[5m]) < 9.5",
    "last_over_time(m[10m]) > 10",
    "avg_over_time(m[3m:1m]) > 10",
    "changes(m[5m]) > 2",
    "rate(c_total[2m]) > 0.02",
    "increase(c_total[1m]) == 0",
    "resets(c_total[10m]) >= 1",
)
"""Expressions that are split at their top comparison."""
WHOLE = (
    "m > 10 and m < 20",
    "m > bool 10",
    "absent(m)",
    'absent(m{s="a"})',
    "absent_over_time(m[2m])",
    "m > on (s) n",
    "count(m > 9.5) > 1",
    "sum(m > 10) > 20",
    "m == 10 or m > 15",
    "m > 10 unless on (s) n > 10",
    "m > scalar(sum(n))",
    "m < 10 or absent(n)",
    "vector(1) and on () m > 10",
)
"""Expressions that are asked as they stand: an empty answer may mean that all is well."""
NOT_WITH_NAN = ("m != 10", "10 != m", "m", "n or m > 10", "m unless m < 10")
"""Expressions that may yield NaN, which is a breach to Prometheus and unknown here."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule as one pastes it."""

    alert: str
    expr: str
    for_: timedelta
    keep_firing_for: timedelta

    def as_yaml(self) -> dict[str, str]:
        """What stands in a rule file of Prometheus, and in one of ours."""
        return {
            "alert": self.alert,
            "expr": self.expr,
            "for": format_duration(self.for_),
            "keep_firing_for": format_duration(self.keep_firing_for),
        }


@dataclass(frozen=True, slots=True)
class History:
    """`series` maps a series (`m{s="a"}`) to its points, one each `step` from the first evaluation on: a value, "stale" or "gap"."""

    step: timedelta
    interval: timedelta
    series: Mapping[str, Sequence[float | str]]
    rules: Sequence[Rule]

    def written(self, start: float) -> Iterator[Series]:
        """As samples, the first point at `start` (Unix seconds)."""
        for name, points in self.series.items():
            metric, _, rest = name.partition("{")
            labels = {"__name__": metric} | ({"s": rest.split('"')[1]} if rest else {})
            yield Series(labels, list(self._samples(points, start)))

    def notation(self) -> list[dict[str, str]]:
        """As `input_series` of promtool."""
        return [{"series": name, "values": " ".join(map(_point, points))} for name, points in self.series.items()]

    def _samples(self, points: Sequence[float | str], start: float) -> Iterator[Sample]:
        for index, point in enumerate(points):
            if point != _GAP:
                yield start + index * self.step.total_seconds(), point


def _point(point: float | str) -> str:
    if isinstance(point, str):
        return "stale" if point == STALE else "_"
    return {"inf": "Inf", "-inf": "-Inf", "nan": "NaN"}.get(str(point), str(point))


@st.composite
def _points(draw: st.DrawFn, count: int, values: Sequence[float]) -> list[float | str]:
    """Stretches of one value, of nothing, of staleness, until there are `count` points."""
    points: list[float | str] = []
    choices: Sequence[float | str] = (*values, *values[:5], _GAP, _GAP, STALE)
    while len(points) < count:
        what: float | str = draw(st.sampled_from(choices))
        length = draw(st.integers(1, 6) | st.integers(1, 30))
        points.append(what)
        points += [_GAP if what == STALE else what] * (length - 1)
    return points[:count]


@st.composite
def _counter(draw: st.DrawFn, count: int) -> list[float | str]:
    """A counter that stands, grows, vanishes, and starts anew."""
    total, points = 0.0, list[float | str]()
    while len(points) < count:
        what = draw(st.sampled_from([0, 0, 1, 3, _GAP, "reset"]))
        for _ in range(draw(st.integers(1, 15))):
            total = 0.0 if what == "reset" else total + what if isinstance(what, int) else total
            points.append(_GAP if what == _GAP else total)
    return points[:count]


@st.composite
def _rules(draw: st.DrawFn, interval: timedelta, exprs: Sequence[str]) -> list[Rule]:
    chosen = draw(st.lists(st.sampled_from(exprs), min_size=4, max_size=4, unique=True))
    held = st.sampled_from(
        [timedelta(), interval / 2, interval, 2 * interval, 3 * interval + timedelta(seconds=1), 5 * interval, timedelta(minutes=7)]
    )
    kept = st.sampled_from([timedelta(), timedelta(), interval / 3, interval, 3 * interval, timedelta(minutes=10)])
    return [Rule(f"Rule{index}", expr, draw(held), draw(kept)) for index, expr in enumerate(chosen * 2)]


@st.composite
def histories(draw: st.DrawFn, exprs: Sequence[str] = (), *, with_nan: bool | None = None) -> History:
    """Some history; `exprs` are the expressions to draw from, all of them when left out."""
    nan = draw(st.booleans()) if with_nan is None else with_nan
    step = timedelta(seconds=draw(st.sampled_from([60, 30, 15])))
    interval = timedelta(seconds=draw(st.sampled_from([60, 60, 30])))
    count = LENGTH // step + 1
    values = (*_VALUES, *([float("nan")] if nan else []))
    gauges = draw(st.sampled_from([('m{s="a"}', 'm{s="b"}', 'n{s="a"}'), ('m{s="a"}',), ('m{s="a"}', 'm{s="b"}', 'm{s="c"}', 'n{s="b"}')]))
    series: dict[str, Sequence[float | str]] = {name: draw(_points(count, values)) for name in gauges}
    series['c_total{s="a"}'] = draw(_counter(count))
    usable = exprs or (*SPLIT, *WHOLE, *(() if nan else NOT_WITH_NAN))
    return History(step, interval, series, draw(_rules(interval, usable)))
