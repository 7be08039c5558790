"""Two samples by their ranks, for one look: the Mann-Whitney U test, with the size of the effect. Pure. Needs the extra `stats` (scipy).

scipy is imported inside, because few rule files need it. Must not live here: what is compared and when (`triggers.canary`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

_FEW = 200
"""Of more values than these, as many quantiles stand for them in the shift, which needs every difference."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`u`: in how many of all comparisons of a first with a second value the first is larger, equal ones counted half.

    `effect`: `u` as a share of all comparisons, the common language effect size (0.5: alike; Cliff's delta is `2 * effect - 1`). `shift`: the
    Hodges-Lehmann estimate of how much larger the first is.
    """

    u: float
    effect: float
    shift: float


def is_available() -> bool:
    """Whether scipy is installed. It is imported for good: that takes a second, which a file that needs it pays when it is loaded, and no cycle."""
    try:
        import scipy.stats  # noqa: F401, PLC0415 (an extra: only looked for here)
    except ImportError:
        return False
    return True


def chance(first: Sequence[float], second: Sequence[float]) -> float:
    """The chance of at least so large a U where both are of one distribution: one-sided, with a correction for ties and continuity.

    Exact where one of them has at most 8 values and none are equal, by the normal approximation elsewhere: scipy's `mannwhitneyu` with
    `method="auto"`. After Mann and Whitney (1947). Both must be finite and not empty.
    """
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 (an extra)

    if min(*first, *second) == max(*first, *second):  # nothing to rank: scipy's approximation divides by zero
        return 1.0
    return float(mannwhitneyu(first, second, alternative="greater", method="auto").pvalue)


def compared(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """How much larger the values of `first` are than those of `second`. The shift is the median of all differences, after Hodges and Lehmann (1963);
    of more than 200 values the differences of 200 quantiles. Both must be finite and not empty.
    """
    import numpy as np  # noqa: PLC0415 (comes with the extra)

    left, right = np.sort(np.asarray(first, dtype=float)), np.sort(np.asarray(second, dtype=float))
    u = float(np.searchsorted(right, left, "left").sum() + np.searchsorted(right, left, "right").sum()) / 2
    few = [one if len(one) <= _FEW else one[((np.arange(_FEW) + 0.5) * len(one) / _FEW).astype(int)] for one in (left, right)]
    differences = np.subtract.outer(few[0] / 4, few[1] / 4)  # a quarter: the largest values there are have no difference that is a number
    return Comparison(u, u / (len(left) * len(right)), 4 * float(np.median(differences)))


def without_outliers(values: Sequence[float], beyond: float) -> list[float]:
    """The values at most `beyond` interquartile ranges below the first quartile or above the third (Tukey's fences; quartiles interpolated)."""
    import numpy as np  # noqa: PLC0415 (comes with the extra)

    low, high = (float(one) for one in np.quantile(np.asarray(values) / 4, [0.25, 0.75]))  # a quarter, as above
    reach = beyond * (high - low)
    kept = [value for value in values if low - reach <= value / 4 <= high + reach]
    return kept or list(values)  # of two values both may be outside
