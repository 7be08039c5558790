"""The statistics of `canary`: published worked examples, agreement with scipy, and what a sequential test promises."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from rollback_daemon.rules.statistics import judging, ranks, sequential
from rollback_daemon.rules.statistics.judging import Direction, Tolerance
from tests.rules.streams import ranked

FINITE = st.floats(-1e6, 1e6)
SAMPLE = st.lists(FINITE, min_size=2, max_size=30)

# for one look: ranks


def test_permeability_of_a_membrane_as_in_the_help_of_wilcox_test() -> None:
    """Hollander and Wolfe (1973), 69f., in R's help: W = 35, p = 0.1272, one-sided and exact."""
    term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    early = [1.15, 0.88, 0.90, 0.74, 1.21]
    found = ranks.compared(term, early)
    assert (found.u, round(ranks.chance(term, early), 4), round(found.shift, 3)) == (35, 0.1272, 0.305)
    assert found.effect == 35 / 50


def test_age_at_diagnosis_as_in_the_help_of_mannwhitneyu() -> None:
    """U = 17 and 3 of 20; p = 0.11 for both sides, and half of that for one."""
    men, women = [19.0, 22.0, 16.0, 29.0, 24.0], [20.0, 11.0, 17.0, 12.0]
    assert (ranks.compared(men, women).u, ranks.compared(women, men).u) == (17, 3)
    assert ranks.chance(men, women) == pytest.approx(0.1111111111111111 / 2)


def test_the_shift_is_that_of_wilcox_test_with_conf_int() -> None:
    """W = 53, p = 0.02813 for both sides, and a difference in location of 19.5, as R answers."""
    first, second = [7.0, 14, 22, 36, 40, 48, 49, 52], [3.0, 5, 6, 10, 17, 18, 20, 39]
    found = ranks.compared(first, second)
    assert (found.u, found.shift, round(2 * ranks.chance(first, second), 5)) == (53, 19.5, 0.02813)


def test_ties_have_the_estimate_of_the_depression_scores() -> None:
    """Hollander, Wolfe and Chicken: R estimates 0.5600562 by the root of its approximation, the median of all differences is 0.56."""
    first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    second = [0.878, 0.647, 0.598, 2.050, 1.060, 1.290, 1.060, 3.140, 1.290]
    assert ranks.compared(first, second).shift == pytest.approx(0.56)


@given(SAMPLE, SAMPLE)
def test_u_p_and_effect_are_those_of_scipy_and_of_counting(first: list[float], second: list[float]) -> None:
    found = ranks.compared(first, second)
    counted = sum((one > other) + (one == other) / 2 for one in first for other in second)
    assert found.u == pytest.approx(counted)
    assert found.effect == pytest.approx(counted / (len(first) * len(second)))
    if len({*first, *second}) > 1:
        assert ranks.chance(first, second) == pytest.approx(float(stats.mannwhitneyu(first, second, alternative="greater").pvalue))


def test_of_two_groups_that_are_constant_and_equal_nothing_is_said() -> None:
    assert ranks.compared([1.0] * 50, [1.0] * 50) == ranks.Comparison(1250, 0.5, 0.0)
    assert ranks.chance([1.0] * 50, [1.0] * 50) == 1


def test_outliers_are_what_is_outside_of_tukeys_fences() -> None:
    values = [1.0, 2, 3, 4, 5, 6, 7, 8, 9]  # quartiles 3 and 7: with 1.5 of them the fences are at -3 and 13
    assert ranks.without_outliers([*values, 13.5], 1.5) == [*values, 13.5]
    assert ranks.without_outliers([*values, 30.0, -40.0], 1.5) == values
    assert ranks.without_outliers([2.0] * 9 + [3.0], 3) == [2.0] * 9
    assert ranks.without_outliers([0.0, 10.0], 0.1) == [0.0, 10.0], "never all of them"


def test_the_shift_of_many_values_is_that_of_all_but_for_a_little() -> None:
    chance = np.random.default_rng(4)
    first, second = chance.lognormal(0.3, 1, 900), chance.lognormal(0, 1, 700)
    assert ranks.compared(first, second).shift == pytest.approx(float(np.median(np.subtract.outer(first, second))), rel=0.01)


# for ever: bets


def played(signs: list[int], sizes: list[float] | None = None) -> tuple[list[float], float]:
    stakes: list[float] = list(sequential.START)
    for number, sign in enumerate(signs, 1):
        rank = sequential.rank_among(sizes[number - 1], sizes[: number - 1]) if sizes else 1.0
        stakes = sequential.played(stakes, number, sign, rank)
    return stakes, sequential.evidence(stakes, len(signs))


@given(st.lists(st.tuples(st.integers(-1, 1), st.floats(0, 100)), max_size=30), st.floats(0, 100))
def test_the_next_pair_changes_nothing_on_average_where_above_is_as_likely_as_below(past: list[tuple[int, float]], size: float) -> None:
    signs, sizes = [sign for sign, _ in past], [one for _, one in past]
    before = played(signs, sizes)[1]
    above, below = (played([*signs, sign], [*sizes, size])[1] for sign in (1, -1))
    assert (above + below) / 2 == pytest.approx(before)
    assert played([*signs, 0], [*sizes, 0.0])[1] == pytest.approx(before)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), min_size=1, max_size=12))
def test_over_all_ways_in_which_alike_groups_may_fall_the_evidence_is_1(pairs: list[tuple[bool, float]]) -> None:
    """Each of the 2^n patterns of signs is as likely as any other: the martingale, counted out (here for the sizes of the first six)."""
    sizes = [size for _, size in pairs[:6]]
    patterns = [[1 if number >> place & 1 else -1 for place in range(len(sizes))] for number in range(2 ** len(sizes))]
    assert sum(played(pattern, sizes)[1] for pattern in patterns) / len(patterns) == pytest.approx(1)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_bets_on_signs_come_near_the_beta_mixture_in_closed_form(above: list[bool]) -> None:
    """With all stakes at the start, evenly over bets of 0-1: 2^(n+1) B(s+1, f+1) P(Beta(s+1, f+1) > 1/2)."""
    right, wrong = sum(above), len(above) - sum(above)
    exact = math.exp((len(above) + 1) * math.log(2) + special.betaln(right + 1, wrong + 1)) * special.betaincc(right + 1, wrong + 1, 0.5)
    ours = sum(math.prod(1 + bet if one else 1 - bet for one in above) for bet in sequential.BETS) / len(sequential.BETS)
    assert math.log(ours) == pytest.approx(math.log(exact), abs=0.7)  # ten bets for all of them: never off by more than a factor of two
    stakes = [0.0] * sequential.STAKES
    for number, one in enumerate(above, 1):
        stakes = sequential.played(stakes, number, 1 if one else -1, 1.0)
    assert sequential.evidence(stakes, len(above)) >= ours / 2  # half of the stakes are there from the start


def test_stakes_begin_bit_by_bit_and_are_1_together() -> None:
    begun = 0.0
    for number in range(1, 2000):
        begun += sequential.begins(number)
        assert begun + sequential.idle(number) == pytest.approx(1)
    assert sequential.idle(0) == 1


def test_what_begins_late_is_found_far_sooner_than_after_as_many_pairs_as_were_quiet() -> None:
    signs = [-1, 1] * 250 + [1] * 30
    found = next(number for number in range(len(signs)) if played(signs[:number])[1] >= 100)
    assert 510 < found <= 530


def test_at_an_error_rate_of_1_percent_it_takes_ten_pairs_at_least() -> None:
    assert [played([1] * number)[1] >= 100 for number in (9, 10)] == [False, True]


@given(st.lists(st.floats(0, 1e6), min_size=11, max_size=20), st.floats(1, 1e6))
def test_what_is_capped_has_no_more_than_that_and_loses_alike(stakes: list[float], most: float) -> None:
    capped = sequential.capped(stakes, most)
    assert sum(capped) <= most * (1 + 1e-9)
    assert all(one <= other * (1 + 1e-9) for one, other in zip(capped, stakes, strict=True))


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.5]), min_size=1, max_size=20))
def test_ranks_rise_with_the_size_and_are_those_of_the_streams(sizes: list[float]) -> None:
    each = [sequential.rank_among(size, sizes[:number]) for number, size in enumerate(sizes)]
    assert each == pytest.approx(list(ranked(np.array([sizes]))[0]))
    of_all = [sequential.rank_among(size, sizes) for size in (0.0, 1.0, 2.0, 3.5, 9.0)]
    assert of_all == sorted(of_all)
    assert 0 < min(of_all) <= max(of_all) == 1


# one pair more


PAIRS = st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=25)


def record_of(pairs: list[tuple[float, float]], tolerance: Tolerance, *, through_json: bool = False) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for pair in pairs:
        record = judging.sequentially(record, pair, tolerance, 0.01, 10)
        record = json.loads(json.dumps(record, allow_nan=False)) if through_json else record
    return record


@given(PAIRS, st.sampled_from(Direction), st.floats(0, 2), st.booleans())
def test_a_record_written_down_after_every_pair_is_the_same(
    pairs: list[tuple[float, float]], direction: Direction, amount: float, relative: bool
) -> None:
    tolerance = Tolerance(direction, amount, relative)
    assert record_of(pairs, tolerance) == record_of(pairs, tolerance, through_json=True)


@given(PAIRS, st.floats(0, 2), st.booleans())
def test_what_is_an_increase_of_one_is_a_decrease_of_its_opposite(pairs: list[tuple[float, float]], amount: float, relative: bool) -> None:
    up = record_of(pairs, Tolerance(Direction.INCREASE, amount, relative))
    down = record_of([(-one, -other) for one, other in pairs], Tolerance(Direction.DECREASE, amount, relative))
    assert (up["p"], up["stakes"]) == (down["p"], down["stakes"])


@given(PAIRS)
def test_more_tolerance_is_never_more_past_it(pairs: list[tuple[float, float]]) -> None:
    for pair in pairs:
        little, much = (max(Tolerance(Direction.EITHER, amount).excesses(pair)) for amount in (0.1, 0.5))
        assert much <= little


@given(PAIRS)
def test_both_ways_cost_a_factor_of_two_at_most(pairs: list[tuple[float, float]]) -> None:
    either, *one = (record_of(pairs, Tolerance(direction))["p"] for direction in (Direction.EITHER, Direction.INCREASE, Direction.DECREASE))
    assert either <= 2 * min(one) * 1.1 + 1e-12  # two digits, rounded up


def test_what_is_shown_is_never_less_than_what_was_computed() -> None:
    record: dict[str, Any] = {}
    for number in range(1, 12):
        record = judging.sequentially(record, (2.0, 1.0), Tolerance(), 1e-6, 10)
        exact = 1 / sequential.evidence(record["stakes"][0], number)
        assert min(1.0, exact) <= record["p"] <= max(1.1 * exact, exact)


def test_to_look_both_ways_is_paid_for_by_both() -> None:
    """The chance of either is at most the sum of both: twice the smaller of two chances, or the mean of what both bets have won."""
    pairs = [(1.0 + number % 3, 1.0) for number in range(20)]
    sequentially, by_ranks = {}, {}
    for direction in Direction:
        record: dict[str, Any] = {}
        ranked_record: dict[str, Any] = {}
        for pair in pairs:
            record = judging.sequentially(record, pair, Tolerance(direction, 0.0), 0.01, 50)
            ranked_record = judging.by_ranks(ranked_record, pair, Tolerance(direction, 0.0), (20, 50), None)
        sequentially[direction], by_ranks[direction] = record["p"], ranked_record["p"]
    assert sequentially[Direction.DECREASE] == 1
    assert sequentially[Direction.EITHER] == pytest.approx(2 * sequentially[Direction.INCREASE], rel=0.1)
    assert by_ranks[Direction.EITHER] == pytest.approx(2 * by_ranks[Direction.INCREASE], rel=0.1)
