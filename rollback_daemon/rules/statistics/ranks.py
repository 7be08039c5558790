"""Two samples by their ranks, for one look: the Mann-Whitney U test, with the size of the effect. Pure. Needs the extra `stats` (scipy).

scipy is imported inside, because few rule files need it. Must not live here: what is compared and when (`triggers.canary`).
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """`u`: in how many of all comparisons of a first with a second value the first is larger, equal ones counted half.

    `p`: the chance of at least so large a `u` where both are of one distribution. `effect`: `u` as a share of all comparisons, the common
    language effect size (0.5: alike; Cliff's delta is `2 * effect - 1`). `shift`: the Hodges-Lehmann estimate of how much larger the first is.
    """

    u: float
    p: float
    effect: float
    shift: float


def is_available() -> bool:
    """Whether scipy is installed. It is imported for good: that takes a second, which a file that needs it pays when it is loaded, and no cycle."""
    try:
        import scipy.stats  # noqa: F401, PLC0415 (an extra: only looked for here)
    except ImportError:
        return False
    return True


def compared(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Whether the values of `first` are larger than those of `second`: one-sided, with a correction for ties and continuity.

    Exact where one of them has at most 8 values and none are equal, by the normal approximation elsewhere: scipy's `mannwhitneyu` with
    `method="auto"`. After Mann and Whitney (1947); the shift after Hodges and Lehmann (1963), the median of all differences. Both must be finite
    and not empty.
    """
    import numpy as np  # noqa: PLC0415 (comes with the extra)
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 (an extra)

    left, right = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    with np.errstate(over="ignore", invalid="ignore"):
        shift = float(np.median(np.subtract.outer(left, right)))
    if min(left.min(), right.min()) == max(left.max(), right.max()):  # nothing to rank: scipy's approximation divides by zero
        return Comparison(len(left) * len(right) / 2, 1.0, 0.5, 0.0)
    found = mannwhitneyu(left, right, alternative="greater", method="auto")
    return Comparison(float(found.statistic), float(found.pvalue), float(found.statistic) / (len(left) * len(right)), shift)


def without_outliers(values: Sequence[float], beyond: float) -> list[float]:
    """The values at most `beyond` interquartile ranges below the first quartile or above the third (Tukey's fences; quartiles interpolated)."""
    import numpy as np  # noqa: PLC0415 (comes with the extra)

    low, high = (float(one) for one in np.quantile(values, [0.25, 0.75]))
    reach = beyond * (high - low)
    return [value for value in values if low - reach <= value <= high + reach]
