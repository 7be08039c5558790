"""Many streams of pairs at once, through the very functions of the sequential test: for false alarms, and for delays in `make bench`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollback_daemon.rules.statistics import sequential

KEPT = 200


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of each stream: the most evidence there ever was, and the first look at which there was enough (0: never)."""

    most: Any
    found: Any


def differences(experiment: Any, control: Any, tolerance: float = 0.0) -> Any:
    """By how much each value is above the control's and what is tolerated, a row for each stream."""
    return np.asarray(experiment) - np.asarray(control) * (1 + tolerance)


def ran(excesses: Any, enough: float = 100.0) -> Ran:
    """All streams side by side, one look after each pair."""
    signs, ranks = np.sign(excesses), ranked(excesses)
    streams = excesses.shape[0]
    stakes: Sequence[Any] = [np.zeros(streams) for _ in sequential.START]
    most, found = np.ones(streams), np.zeros(streams, dtype=int)
    for number in range(1, excesses.shape[1] + 1):
        stakes = sequential.played(stakes, number, signs[:, number - 1], ranks[:, number - 1])
        evidence = sequential.evidence(stakes, number)
        most = np.maximum(most, evidence)
        found = np.where((found == 0) & (evidence >= enough), number, found)
    return Ran(most, found)


def ranked(excesses: Any, kept: int = KEPT) -> Any:
    """`sequential.rank_among` for each pair of each stream, among the `kept` pairs before it."""
    sizes = np.abs(excesses)
    ranks = np.ones_like(sizes)
    for number in range(1, sizes.shape[1]):
        recent, size = sizes[:, max(0, number - kept) : number], sizes[:, number : number + 1]
        ranks[:, number] = ((recent < size).sum(axis=1) + (recent == size).sum(axis=1) / 2 + 1) / (recent.shape[1] + 1)
    return ranks
