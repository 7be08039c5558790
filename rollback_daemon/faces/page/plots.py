"""The signals of one rollout with their limits and their last values, for its page.

Lives here: the values and the words beside a picture. Must not live here: drawing (`sparkline`), keeping (`faces.trails`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rollback_daemon.durations import format_coarse, format_number
from rollback_daemon.faces.limit_lines import Limit, Line
from rollback_daemon.faces.page.sparkline import Sparkline, sparkline
from rollback_daemon.faces.trails import Trails
from rollback_daemon.rules.measures import Op
from rollback_daemon.rules.reading import look
from rollback_daemon.signals.observation import Failed, Value, show_labels
from rollback_daemon.watch import Watch


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit in words, of which trigger or gate, and whether it is past it now."""

    of: str
    words: str
    past: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """One signal. `value` is the newest in words, `why` why there is none or what else is known; `said` is the picture in words."""

    name: str
    expr: str
    unit: str
    value: str
    why: str
    tone: str
    bounds: tuple[Bound, ...]
    picture: Sparkline | None
    said: str


def plots(watch: Watch, trails: Trails) -> Iterator[Plot]:
    """Every signal, in the order of the rule file."""
    times, found = trails.of(watch.rollout.name)
    seen = watch.observations
    for line, values in found:
        worst, why = None, "nothing has been evaluated yet"
        if seen is not None:
            worst, why = _newest(line, seen)
        yield _plot(line, times, values, worst, why)


def _newest(line: Line, seen: tuple[object, object]) -> tuple[float | None, str]:
    at, observations = seen
    answer = look(line.signal, observations, at)  # type: ignore[arg-type]  # as the watch has them
    if not isinstance(answer, Value):
        return None, f"query failed: {answer.why}" if isinstance(answer, Failed) else answer.why
    labels, value = line.worst(answer)
    more = f"of {len(answer.series)} series, nearest to the limit: {show_labels(labels)}" if len(answer.series) > 1 else show_labels(labels)
    note = answer.notes.get(labels, "")
    return value, "; ".join(filter(None, [more, note]))


def _plot(line: Line, times: Sequence[float], values: Sequence[float], value: float | None, why: str) -> Plot:
    signal = line.signal
    bounds = tuple(_bound(limit, value) for limit in line.limits)
    past = any(bound.past and not limit.must for bound, limit in zip(bounds, line.limits, strict=True))
    tone = "warn" if value is None else "bad" if past else "warn" if any(bound.past for bound in bounds) else "good" if bounds else "plain"
    shown = "unknown" if value is None else format_number(value)
    picture = sparkline(times, values, [figure for limit in line.limits for figure in _figures(limit)])
    return Plot(signal.subject, signal.expr, signal.unit, shown, why, tone, bounds, picture, _said(times, values, shown))


def _bound(limit: Limit, value: float | None) -> Bound:
    words = f"must be {limit.words}" if limit.must else f"limit {limit.words}"
    return Bound(limit.of, words, value is not None and limit.breach.holds(value))


def _figures(limit: Limit) -> tuple[float, ...]:
    both = limit.breach.op in {Op.OUTSIDE, Op.WITHIN}
    return (limit.breach.limit, limit.breach.upper) if both else (limit.breach.limit,)


def _said(times: Sequence[float], values: Sequence[float], shown: str) -> str:
    known = [value for value in values if not math.isnan(value)]
    if len(times) < 2 or not known:
        return "no values yet"
    span = format_coarse(timedelta(seconds=round(times[-1] - times[0])))
    unseen = len(values) - len(known)
    missing = f", not seen in {unseen} of {len(values)} evaluations" if unseen else ""
    return f"last {span}: {format_number(min(known))} to {format_number(max(known))}, now {shown}{missing}"
