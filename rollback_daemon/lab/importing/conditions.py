"""Conditions of Argo's analyses (`result[0] >= 0.95 && !isNaN(result[0])`): what they say of a result, and the limit that says the same.

A condition is tried out: on an empty result, on NaN, at every figure in it, between them and beyond. From what it says there follow the limit,
whether one bad series is enough, and what an empty result means. Failure is looked at before success, neither is inconclusive (Argo Rollouts,
utils/evaluate). Pure. Must not live here: the language of conditions (`expressions`), templates (`argo`).
"""

import ast
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollback_daemon.lab.importing.expressions import Undefined, Unmappable, figures_in, parsed, truth

_MOST_FIGURES = 20


class Outcome(StrEnum):
    """What a measurement is."""

    SUCCESS = "succeeds"
    FAILURE = "fails"
    INCONCLUSIVE = "is inconclusive"
    ERROR = "is an error"


class Reach(StrEnum):
    """How many series must be bad for a failure."""

    ANY = "any"
    FIRST = "first"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Meaning:
    """A failure is where the value is `limit` (`above`, `below`, `at_least`, `at_most`, `outside`, `within`, `==`, `!=`) of `figures`.

    `edges`: at these figures it is otherwise. `empty`, `nan`: the outcome there. `undecided`: some values are inconclusive.
    """

    limit: str
    figures: tuple[float, ...]
    reach: Reach
    empty: Outcome
    nan: Outcome
    undecided: bool = False
    edges: tuple[float, ...] = ()
    scalar: bool = False


def meaning(success: str, failure: str) -> Meaning:
    """What the two conditions (empty where there is none) say together. Raises Unmappable."""
    conditions = [parsed(one) if one else None for one in (success, failure)]
    figures = sorted({figure for tree in conditions if tree for figure in figures_in(tree)})
    if len(figures) > _MOST_FIGURES:
        raise Unmappable("has too many figures")

    def tried(result: Any) -> Outcome:
        return _outcome(conditions[0], conditions[1], result)

    points = _points(figures)
    scalar = all(tried([point]) is Outcome.ERROR for point in points)
    found = [tried(point if scalar else [point]) for point in points]
    if Outcome.ERROR in found:
        raise Unmappable("is no comparison of the result with figures" if set(found) == {Outcome.ERROR} else "is an error for some values")
    limit, used, edges = _limit([one is Outcome.FAILURE for one in found], figures)
    bad = next(point for point, one in zip(points, found, strict=True) if one is Outcome.FAILURE)
    good = next(point for point, one in zip(points, found, strict=True) if one is not Outcome.FAILURE)
    return Meaning(
        limit,
        used,
        Reach.ANY if scalar else _reach(tried([bad, good]), tried([good, bad])),
        tried([]),
        tried(math.nan if scalar else [math.nan]),
        Outcome.INCONCLUSIVE in found,
        edges,
        scalar,
    )


def _points(figures: Sequence[float]) -> list[float]:
    """Below the first figure, then each figure and a point above it."""
    if not figures:
        return [0.0]
    room = [max(1.0, abs(figure)) for figure in figures]
    between = [(low + high) / 2 for low, high in itertools.pairwise(figures)]
    above = [*between, figures[-1] + room[-1]]
    return [figures[0] - room[0], *(point for pair in zip(figures, above, strict=True) for point in pair)]


def _reach(first_bad: Outcome, second_bad: Outcome) -> Reach:
    fails = [one is Outcome.FAILURE for one in (first_bad, second_bad)]
    return Reach.ANY if all(fails) else Reach.FIRST if any(fails) else Reach.ALL


def _limit(fails: Sequence[bool], figures: Sequence[float]) -> tuple[str, tuple[float, ...], tuple[float, ...]]:
    """The limit that is a failure at just these points: below the first figure, at it, above it, at the next one and so on."""
    around = {figure: (fails[2 * index], fails[2 * index + 1], fails[2 * index + 2]) for index, figure in enumerate(figures)}
    turning = {figure: three for figure, three in around.items() if len(set(three)) > 1}
    if not turning:
        raise Unmappable("always fails" if fails[0] else "never fails")
    used, shape = tuple(turning), tuple(turning.values())
    if len(shape) == 1:
        single = {
            (False, False, True): "above",
            (False, True, True): "at_least",
            (True, False, False): "below",
            (True, True, False): "at_most",
            (True, False, True): "!=",
            (False, True, False): "==",
        }
        return single[shape[0]], used, ()
    if len(shape) == 2:
        sides = (shape[0][0], shape[0][2], shape[1][2])
        if sides in {(True, False, True), (False, True, False)}:
            name, at_edge = ("outside", False) if sides[0] else ("within", True)
            return name, used, tuple(figure for figure, three in turning.items() if three[1] is not at_edge)
    raise Unmappable("fails in a way that no single limit can say")


def _outcome(success: ast.expr | None, failure: ast.expr | None, result: Any) -> Outcome:
    try:
        succeeded = truth(success, result) if success else None
        failed = truth(failure, result) if failure else not succeeded
    except Undefined:
        return Outcome.ERROR
    if failed:
        return Outcome.FAILURE
    return Outcome.INCONCLUSIVE if succeeded is False else Outcome.SUCCESS
