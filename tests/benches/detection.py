"""How soon a canary sees a difference: pairs until it fires at an error rate of 1 %, beside what plainer tests of the same promise would take."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rich.table import Table

from rollback_daemon.rules.statistics import sequential
from tests.rules.streams import differences, ran, ranked

STREAMS = 400
LOOKS = 600
ENOUGH = 100.0
_LATE = 300


def _normal(effect: float) -> Callable[[Any], Any]:
    shape = STREAMS, LOOKS
    return lambda random: differences(random.normal(effect, 1, shape), random.normal(0, 1, shape))


def _skewed(factor: float, tolerance: float) -> Callable[[Any], Any]:
    shape = STREAMS, LOOKS
    return lambda random: differences(factor * random.lognormal(0, 0.5, shape), random.lognormal(0, 0.5, shape), tolerance)


def _counts(factor: float) -> Callable[[Any], Any]:
    shape = STREAMS, LOOKS
    return lambda random: differences(random.poisson(10 * factor, shape), random.poisson(10, shape), 0.25)


def _late(factor: float) -> Callable[[Any], Any]:
    return lambda random: np.where(np.arange(LOOKS) < _LATE, _counts(1)(random), _counts(factor)(random))


EFFECTS: Mapping[str, Callable[[Any], Any]] = {
    "normal, 0.5 standard deviations": _normal(0.5),
    "normal, 1": _normal(1),
    "normal, 2": _normal(2),
    "normal, 4": _normal(4),
    "skewed, +50 %, 25 % tolerated": _skewed(1.5, 0.25),
    "skewed, twice, 25 % tolerated": _skewed(2, 0.25),
    "about 10 errors in each, +50 %": _counts(1.5),
    "about 10 errors in each, twice": _counts(2),
    "about 10 errors in each, three times": _counts(3),
    f"the same, after {_LATE} pairs alike": _late(3),
}


def detection() -> Table:
    """A line for each effect: the median and the ninth decile of the pairs until it fires."""
    table = Table("effect", "canary", "signs only", "ranks only", "all stakes at the start", title="canary: pairs until it fires (median, 90 %)")
    for number, (name, made) in enumerate(EFFECTS.items()):
        excesses = made(np.random.default_rng(number))
        since = _LATE if "after" in name else 0
        signs, ranks = np.sign(excesses), ranked(excesses)
        later = [_first(half, since) for half in (_halves(signs, ranks))]
        table.add_row(name, _shown(ran(excesses, ENOUGH).found, since), *later, _first(_at_the_start(signs, ranks), since))
    return table


def _halves(signs: Any, ranks: Any) -> list[Any]:
    """The evidence after each pair, had all stakes been laid on signs, or all on ranks."""
    stakes: list[Any] = [np.zeros(STREAMS) for _ in sequential.START]
    found: list[list[Any]] = [[], []]
    for number in range(1, LOOKS + 1):
        stakes = sequential.played(stakes, number, signs[:, number - 1], ranks[:, number - 1])
        for half, stake in zip(found, (stakes[: len(sequential.BETS)], stakes[len(sequential.BETS) :]), strict=True):
            half.append(2 * sum(stake) + sequential.idle(number))
    return [np.array(half).T for half in found]


def _at_the_start(signs: Any, ranks: Any) -> Any:
    """The evidence after each pair, had all stakes begun with the first."""
    won = [np.cumprod(1 + bet * one, axis=1) for bet in sequential.BETS for one in (signs, signs * ranks)]
    return sum(won) / len(won)


def _first(evidence: Any, since: int) -> str:
    enough = evidence >= ENOUGH
    return _shown(np.where(enough.any(axis=1), enough.argmax(axis=1) + 1, 0), since)


def _shown(found: Any, since: int) -> str:
    """`14, 20`, counted from the pair with which the effect began; what was not found at all took longer than there were pairs."""
    took = np.where(found > 0, found - since, np.inf)
    figures = (np.quantile(took, part, method="inverted_cdf") for part in (0.5, 0.9))
    return ", ".join(f"{figure:.0f}" if np.isfinite(figure) else f"over {LOOKS - since}" for figure in figures)
