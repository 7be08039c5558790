"""How often the sequential test fires though the groups are alike: over 10,000 looks no more often than it says.

CANARY_STREAMS=3000 runs a larger campaign: so many streams of each kind, in batches (a few minutes).
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from rollback_daemon.rules.statistics import judging
from rollback_daemon.rules.statistics.judging import Direction, Tolerance
from tests.rules.streams import differences, ran

LOOKS = 10_000
BATCH = 60
STREAMS = BATCH * max(1, int(os.environ.get("CANARY_STREAMS", "0")) // BATCH)
RATES = (0.01, 0.05, 0.2)
UNLIKELY = 1e-3  # of a right test to be over the bound, in any one of the comparisons below

NIGHT_AND_DAY = 2 + np.sin(np.arange(LOOKS) / 45)  # both groups have more traffic, and more noise, by day

ALIKE: Mapping[str, Callable[[Any, tuple[int, int]], Any]] = {
    "normal": lambda random, shape: differences(random.normal(5, 1, shape), random.normal(5, 1, shape)),
    "lognormal, the tolerance used up": lambda random, shape: differences(1.25 * random.lognormal(0, 1, shape), random.lognormal(0, 1, shape), 0.25),
    "mostly zeros": lambda random, shape: differences(random.poisson(0.1, shape), random.poisson(0.1, shape)),
    "a few values, many ties": lambda random, shape: differences(random.binomial(4, 0.3, shape), random.binomial(4, 0.3, shape)),
    "without a mean": lambda random, shape: differences(random.standard_cauchy(shape), random.standard_cauchy(shape)),
    "noise that comes and goes": lambda random, shape: differences(random.normal(0, NIGHT_AND_DAY, shape), random.normal(0, NIGHT_AND_DAY, shape)),
}


def batch(seed: int) -> Any:
    """Streams of every kind, one kind after the other."""
    random = np.random.default_rng(seed)
    return np.concatenate([made(random, (BATCH, LOOKS)) for made in ALIKE.values()])


@pytest.fixture(scope="module")
def excesses() -> Any:
    return batch(0)


@pytest.fixture(scope="module")
def most(excesses: Any) -> Any:
    """The most evidence that each stream ever had, a row for each kind of stream."""
    batches = (ran(batch(seed) if seed else excesses).most.reshape(len(ALIKE), BATCH) for seed in range(STREAMS // BATCH))
    return np.concatenate(list(batches), axis=1)


@pytest.mark.parametrize("rate", RATES)
def test_of_streams_that_are_alike_no_more_fire_in_10000_looks_than_the_error_rate_says(most: Any, rate: float) -> None:
    assert int((most >= 1 / rate).sum()) <= binom.ppf(1 - UNLIKELY, most.size, rate)


@pytest.mark.parametrize("number", range(len(ALIKE)), ids=list(ALIKE))
def test_that_is_so_for_each_distribution(most: Any, number: int) -> None:
    assert int((most[number] >= 1 / 0.05).sum()) <= binom.ppf(1 - UNLIKELY, STREAMS, 0.05)


def test_a_test_for_one_look_would_not_pass_this(excesses: Any) -> None:
    normal = excesses[:BATCH]
    heights = np.cumsum(np.sign(normal), axis=1) / np.sqrt(np.arange(1, LOOKS + 1))
    assert (heights[:, 29:].max(axis=1) > 2.33).mean() > 5 * 0.01  # 1 % each time, and far more over all of them


def test_what_is_simulated_is_what_the_kind_computes(excesses: Any) -> None:
    for stream in excesses[::BATCH, :200]:
        record: dict[str, Any] = {}
        seen = []
        for value in stream:
            record = judging.sequentially(record, (float(value), 0.0), Tolerance(Direction.INCREASE, 0.0), 1e-9, 200)
            seen.append(record["p"])
        assert min(seen) == pytest.approx(min(1.0, 1 / float(ran(stream[None, :]).most[0])), rel=0.1)  # shown with two digits, rounded up
