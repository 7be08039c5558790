"""How far a rollout is from the nearest of its limits, so that triggers on seconds and on shares can be put in one order.

Lives here: that figure. Pure. Must not live here: which trigger has fired (the judge).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rollback_daemon.durations import format_number
from rollback_daemon.judge.state import TriggerJudgement
from rollback_daemon.rules.measures import Condition, Op
from rollback_daemon.signals.observation import show_labels

_WHOLES = {"": 1.0, "ratio": 1.0, "%": 100.0, "percent": 100.0}
"""What everything is, in units of shares."""


@dataclass(frozen=True, slots=True)
class Headroom:
    """`left`: 1 is as far from the limit as can be, 0 at it, negative past it. `sentence`: `error_rate 0.004, limit > 0.01`."""

    alert: str
    left: float
    sentence: str


def worst(triggers: Iterable[TriggerJudgement]) -> Headroom | None:
    """The least of the triggers that are armed; None where none of them has a limit on a value that is known."""
    found = [headroom for one in triggers if one.armed and not one.trigger.dry_run and (headroom := of(one))]
    return min(found, key=lambda one: one.left, default=None)


def of(one: TriggerJudgement) -> Headroom | None:
    """That of the series of one trigger that is nearest to its limit."""
    condition, test = one.trigger.test.condition, one.trigger.test
    if condition is None or condition.op in {Op.EQUAL, Op.NOT_EQUAL}:
        return None
    known = [(labels, reading.value) for labels, reading in one.assessment.series.items() if reading.value is not None]
    if not known:
        return None
    unit = next((signal.unit for signal in test.signals()), "")
    labels, value = max(known, key=lambda pair: condition.margin(pair[1]))
    return Headroom(one.trigger.name, left(condition, value, unit), f"{test.subject}{show_labels(labels)} {format_number(value)}, limit {test.limit}")


def left(breach: Condition, value: float, unit: str = "") -> float:
    """What is left to the limit, as a share of the way: from 0 up to it; for "below" of a share (a success rate) from the whole down to it; and
    within a range from its middle. Where the limit is 0 there is no way: all is left, or nothing.
    """
    margin = breach.margin(value)
    scale = _way(breach, value, unit)
    if scale <= 0:
        return -1.0 if breach.holds(value) else 1.0
    share = max(-1.0, min(1.0, -margin / scale))
    return min(share, -0.001) if breach.holds(value) and share >= 0 else share


def _way(breach: Condition, value: float, unit: str) -> float:
    whole = _WHOLES.get(unit)
    if breach.op in {Op.OUTSIDE, Op.WITHIN}:
        return (breach.upper - breach.limit) / 2
    if breach.op in {Op.BELOW, Op.AT_MOST} and whole and whole / 2 <= breach.limit < whole and value <= whole:
        return whole - breach.limit
    return abs(breach.limit)
