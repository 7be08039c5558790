"""One pair more, and what is known then: the record of one series, from the pair before to this one. Pure.

A record is plain JSON: `pairs` (how many there were), `experiment` and `control` (the last of them), `stakes` (of `sequential`: one list for each
direction), `p` and the sentence `why`. Must not live here: time, series, a verdict (`triggers.canary`).
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from enum import StrEnum
from statistics import median
from typing import Any

from rollback_daemon.durations import format_number
from rollback_daemon.rules.statistics import ranks, sequential
from rollback_daemon.rules.statistics.pairs import Pair

_LARGEST = sys.float_info.max
_UP_TO_TWO_DIGITS = Context(prec=2, rounding=ROUND_CEILING)
_BEYOND_DOUBT = 100  # times the evidence that is needed: more is given away, so that what is over can be seen to be over


class Direction(StrEnum):
    """Which difference is bad."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A difference in `direction` that is still well: a share of the control's value where `relative`, else an amount. 0 or more."""

    direction: Direction = Direction.INCREASE
    amount: float = 0.25
    relative: bool = True

    def excesses(self, pair: Pair) -> list[float]:
        """By how much the pair is past what is tolerated, one figure for each direction that is bad; negative where it is not."""
        value, control = pair
        low, high = self.bounds(control)
        if self.direction is Direction.INCREASE:
            return [_difference(value, high)]
        below = _difference(low, value)
        return [below] if self.direction is Direction.DECREASE else [_difference(value, high), below]

    def bounds(self, control: float) -> tuple[float, float]:
        """From where to where the experiment's value is well, beside this one of the control."""
        reach = min(_LARGEST, abs(control) * self.amount if self.relative else self.amount)
        return _difference(control, reach), _difference(control, -reach)

    def __str__(self) -> str:
        much = f"{format_number(100 * self.amount)}%" if self.relative else format_number(self.amount)
        if not self.amount:
            return {Direction.INCREASE: "above control", Direction.DECREASE: "below control", Direction.EITHER: "unlike control"}[self.direction]
        words = {Direction.INCREASE: "above", Direction.DECREASE: "below", Direction.EITHER: "away from"}
        return f"more than {much} {words[self.direction]} control"


def sequentially(record: Mapping[str, Any], pair: Pair, tolerance: Tolerance, error_rate: float, keep: int) -> dict[str, Any]:
    """The record after `pair` by the test that may be looked at for ever; the last `keep` pairs stay, for ranks and medians."""
    left, right = record.get("experiment", []), record.get("control", [])
    past = [tolerance.excesses(one) for one in zip(left, right, strict=True)]
    number = record.get("pairs", 0) + 1
    stakes, evidences, excesses = [], [], tolerance.excesses(pair)
    for side, excess in enumerate(excesses):
        sign = (excess > 0) - (excess < 0)
        rank = sequential.rank_among(abs(excess), [abs(one[side]) for one in past])
        before = record["stakes"][side] if record else sequential.START
        stakes.append(sequential.capped(sequential.played(before, number, sign, rank), _BEYOND_DOUBT / error_rate))
        evidences.append(sequential.evidence(stakes[-1], number))
    p = min(1.0, len(evidences) / sum(evidences))
    kept = {"pairs": number, "experiment": [*left, pair[0]][-keep:], "control": [*right, pair[1]][-keep:]}
    beyond = sum(max(one) > 0 for one in [*past, excesses][-keep:])
    return {**kept, "stakes": stakes, "p": _shown(p), "why": _why(kept, f"{beyond} of the last {len(kept['control'])} past the tolerance")}


def by_ranks(record: Mapping[str, Any], pair: Pair, tolerance: Tolerance, enough: tuple[int, int], beyond: float | None) -> dict[str, Any]:
    """The record after `pair` by the Mann-Whitney U test of the last pairs; `enough`: how many are needed, and how many are kept.

    For `either` the smaller of the two chances counts twice. With too few pairs there is no `p`.
    """
    at_least, keep = enough
    left, right = [*record.get("experiment", []), pair[0]][-keep:], [*record.get("control", []), pair[1]][-keep:]
    kept = {"pairs": min(record.get("pairs", 0) + 1, keep), "experiment": left, "control": right}
    if len(left) < at_least:
        return kept
    if beyond is not None:
        left, right = ranks.without_outliers(left, beyond), ranks.without_outliers(right, beyond)
    sides = [ranks.chance(*two) for two in _shifted(left, right, tolerance)]
    found = ranks.compared(left, right)
    size = f"shift {found.shift:+.3g}, above control in {found.effect:.0%} of comparisons"
    return {**kept, "p": _shown(min(1.0, len(sides) * min(sides))), "why": _why({**kept, "experiment": left, "control": right}, size)}


def _shifted(left: Sequence[float], right: Sequence[float], tolerance: Tolerance) -> list[tuple[Sequence[float], Sequence[float]]]:
    """What must be larger than what, for each direction that is bad."""
    bounds = [tolerance.bounds(one) for one in right]
    sides: list[tuple[Sequence[float], Sequence[float]]] = []
    if tolerance.direction is not Direction.DECREASE:
        sides.append((left, [high for _, high in bounds]))
    if tolerance.direction is not Direction.INCREASE:
        sides.append(([low for low, _ in bounds], left))
    return sides


def _why(kept: Mapping[str, Any], said: str) -> str:
    """`experiment 0.031, control 0.012, +158% by the medians; 83 pairs, …`."""
    value, control = median(kept["experiment"]), median(kept["control"])
    much = f", {value / control - 1:+.0%}" if 0 < control < _LARGEST and abs(value) < _LARGEST else ""
    return f"experiment {_figure(value)}, control {_figure(control)}{much} by the medians; {kept['pairs']} pairs, {said}"


def _figure(value: float) -> str:
    return f"{value:.3g}" if abs(value) < _LARGEST else "+Inf" if value > 0 else "-Inf"


def _difference(left: float, right: float) -> float:
    return max(-_LARGEST, min(_LARGEST, left - right))


def _shown(p: float) -> float:
    """Two digits, rounded up: what is shown beside the limit is what is compared with it, and promises no more than it holds."""
    return float(_UP_TO_TWO_DIGITS.plus(Decimal(repr(p))))
