"""The answers of two groups as pairs of values that belong together: the experiment's and the control's, one pair for each label set. Pure.

Must not live here: what a pair means (`sequential`, `ranks`), when one is taken (`triggers.canary`).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from rollback_daemon.signals.observation import NOTHING, Failed, Labels, NoData, Observation, Value

Pair = tuple[float, float]
"""The experiment's value and the control's, both finite: an infinite one is the largest there is, which ranks alike and can be written down."""

NAN = "the value is NaN"
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Pairs:
    """A pair for each label set of the experiment that has both, and why others have not."""

    known: Mapping[Labels, Pair]
    unknown: Mapping[Labels, str] = field(default_factory=dict)


def paired(experiment: Observation, control: Observation, *, zero: bool = False) -> Pairs | NoData | Failed:
    """Each series of the experiment with the control's of equal labels, or with the control's single one without labels.

    `zero`: where one group has nothing or NaN while the other has a value, it counts as 0. Too little traffic, old samples and failures never do.
    """
    for group, seen in (("experiment", experiment), ("control", control)):
        if isinstance(seen, Failed):
            return Failed(seen.reason, f"{group}: {seen.why}")
    if isinstance(experiment, Value) and isinstance(control, Value):
        return _matched(experiment, control, zero=zero)
    if zero and isinstance(control, Value) and isinstance(experiment, NoData) and _lacks(experiment.why):
        return Pairs({labels: (0.0, _finite(value)) for labels, value in control.series.items()})
    if zero and isinstance(experiment, Value) and isinstance(control, NoData) and _lacks(control.why):
        return Pairs({labels: (_finite(value), 0.0) for labels, value in experiment.series.items()}, experiment.unknown)
    group, lost = ("experiment", experiment) if isinstance(experiment, NoData) else ("control", control)
    return NoData(f"{group}: {lost.why if isinstance(lost, NoData) else ''}")


def _matched(experiment: Value, control: Value, *, zero: bool) -> Pairs:
    one_for_all = {*control.series, *control.unknown} == {()}
    asked = [*experiment.series, *experiment.unknown]
    if zero and not one_for_all:
        asked += [labels for labels in control.series if labels not in experiment.series and labels not in experiment.unknown]
    known: dict[Labels, Pair] = {}
    unknown: dict[Labels, str] = {}
    for labels in asked:
        left = _value(experiment, labels, zero=zero)
        right = _value(control, () if one_for_all else labels, zero=zero)
        if isinstance(left, str):
            unknown[labels] = f"experiment: {left}"
        elif isinstance(right, str):
            unknown[labels] = f"control: {right}"
        elif left is not None or right is not None:
            known[labels] = _finite(left or 0.0), _finite(right or 0.0)
        else:
            unknown[labels] = "neither group has a value"
    return Pairs(known, unknown)


def _value(group: Value, labels: Labels, *, zero: bool) -> float | str | None:
    """The group's value; None where it lacks one and that counts as 0; else why there is none."""
    if labels in group.series:
        return group.series[labels]
    why = group.unknown.get(labels, "no such series")
    return None if zero and (labels not in group.unknown or _lacks(why)) else why


def _lacks(why: str) -> bool:
    return why in {NOTHING, NAN}


def _finite(value: float) -> float:
    return max(-_LARGEST, min(_LARGEST, value))
