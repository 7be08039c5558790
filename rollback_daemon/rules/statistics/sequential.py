"""A test of pairs whose error rate holds however often it is looked at. Pure.

Bets are laid on which of the two groups is above in the next pair, at odds that are fair where the groups are alike; who wins much has evidence.
With `sign` the sign of a pair's difference (1, 0 or -1) and `rank` the share of the recent differences that are no larger (0-1), a stake `b`
becomes `b * (1 + bet * sign)` or `b * (1 + bet * rank * sign)`. The stakes are spread evenly over `BETS` and over these two kinds of bet, and over
the time at which they begin: half of them with the first pair, the share `1 / (2 (n - 1) n)` with the n-th. What has not begun yet lies idle.
`evidence` is the sum of it all; it starts at 1.

Source: bets on signs and signed ranks are the sign and Wilcoxon e-tests of Vovk and Wang, "Nonparametric e-tests of symmetry" (2024), the first
with a mixture over the bet, after Robbins and Ville. Stakes that begin later are the Shiryaev-Roberts kind of detector of Shin, Ramdas and Rinaldo,
"E-detectors" (2024), here with weights that sum to 1, so that the chance of *any* false alarm stays bounded. Averages of such processes are
such processes: Ramdas, Gruenwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid inference" (2023).

What it promises: `evidence` is a nonnegative martingale where, given all pairs before, swapping the two groups of the next pair changes nothing, and
falls on average where the experiment is lower than that. By Ville's inequality it then ever reaches `1 / error_rate` with probability
`error_rate` at most: any distribution, ties, outliers, any number of looks. It does not hold where a pair tells the next one (samples that
share raw data), nor for small counts against a control that hardly varies: a count of 0.9 on average is above 0.9 in three samples out of five.

Chosen among exact ones by the delay until detection (`make bench`): signs alone need 1.4 times as many pairs for a small effect, ranks alone
1.4 times as many for a large one, and without later stakes a large effect that begins after 300 quiet pairs takes 6 times as many.

Everything but `capped` works elementwise, on floats or on arrays of many streams. Must not live here: what a pair is (`triggers.canary`).
"""

from collections.abc import Sequence

BETS = tuple((2 * number + 1) / 20 for number in range(10))
"""The shares of a stake that are put at risk: the middles of ten equal parts of 0-1, so that no stake is ever lost whole."""
STAKES = 2 * len(BETS)
START = (0.0,) * STAKES
"""The stakes before the first pair: all of them idle."""


def begins(number: int) -> float:
    """The share of all stakes that begins with the pair of that number, counted from 1."""
    return 0.5 if number == 1 else 0.5 / ((number - 1) * number)


def idle(pairs: int) -> float:
    """The share of all stakes that has not begun after so many pairs."""
    return 0.5 / pairs if pairs else 1.0


def played(stakes: Sequence[float], number: int, sign: float, rank: float) -> list[float]:
    """The stakes after the pair of that number, counted from 1. `sign` is 1, 0 or -1; `rank` is from 0 to 1."""
    more = begins(number) / STAKES
    by_rank = rank * sign
    signs = [(stake + more) * (1 + bet * sign) for stake, bet in zip(stakes[: len(BETS)], BETS, strict=True)]
    return signs + [(stake + more) * (1 + bet * by_rank) for stake, bet in zip(stakes[len(BETS) :], BETS, strict=True)]


def evidence(stakes: Sequence[float], pairs: int) -> float:
    """How many times the first stake is there after so many pairs: 1 at the start, and on average where the groups are alike."""
    return sum(stakes) + idle(pairs)


def capped(stakes: Sequence[float], most: float) -> list[float]:
    """The stakes with no more than `most` in them, the rest given away. What is true of the promise stays true: nobody wins by giving away.

    So evidence of a harm that is over is outweighed in time, and does not stand for as long as it took to pile up.
    """
    held = sum(stakes)
    return [stake * (most / held) for stake in stakes] if held > most else list(stakes)


def rank_among(size: float, recent: Sequence[float]) -> float:
    """The share of the `recent` sizes and `size` itself that are smaller, those that are equal counted half, and itself whole."""
    smaller = sum(one < size for one in recent)
    equal = sum(one == size for one in recent)
    return (smaller + equal / 2 + 1) / (len(recent) + 1)
