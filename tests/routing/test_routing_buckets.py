"""Buckets: the same for ever and everywhere, even, and only ever opened."""

import os
import random
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.routing.assistant import ASSISTANT_V3
from rollback_daemon.routing.buckets import BUCKETS, bucket_of, threshold_of
from rollback_daemon.routing.routes import EXPERIMENT, route, standing

VECTORS = [
    ("assistant-v3", "session-1", 62405),
    ("assistant-v3", "session-2", 26290),
    ("assistant-v3", "", 14572),
    ("checkout", "session-1", 7182),
    ("checkout", "ana@example.com", 79285),
    ("checkout", "Zoë", 69483),
    ("checkout", "🦀", 49226),
    ("s", "1b4e28ba-2fa1-11d2-883f-0016d3cca427", 11211),
]
SESSIONS = 100_000
PERCENTAGES = (10, 25, 50, 100)
BINS = 100
NOT_EVEN = 149  # of 99 degrees of freedom, one even draw in a thousand lies above
SCRIPT = "import sys; from rollback_daemon.routing.buckets import bucket_of; print([bucket_of('s', f'k{n}') for n in range(500)])"

_random = random.Random(7)
KEYS: dict[str, Callable[[int], str]] = {
    "counted, of one width": lambda number: f"session-{number:08d}",
    "in steps": lambda number: str(1_700_000_000_000 + number * 1000),
    "UUIDs": lambda _: str(uuid.UUID(int=_random.getrandbits(128), version=4)),
    "addresses": lambda number: f"user{number}@example.com",
}


@pytest.mark.parametrize(("salt", "key", "bucket"), VECTORS)
def test_the_buckets_of_the_documentation_are_what_they_always_were(salt: str, key: str, bucket: int) -> None:
    assert bucket_of(salt, key) == bucket


@pytest.mark.parametrize("kind", KEYS)
def test_no_structure_of_keys_skews_the_shares(kind: str) -> None:
    counts = Counter(bucket_of("assistant-v3", KEYS[kind](number)) * BINS // BUCKETS for number in range(SESSIONS))
    for percent in PERCENTAGES:
        assert abs(sum(counts[bin_] for bin_ in range(percent)) / SESSIONS - percent / 100) < 0.005
    even = SESSIONS / BINS
    assert sum((counts[bin_] - even) ** 2 / even for bin_ in range(BINS)) < NOT_EVEN


def test_a_hundred_thousand_sessions_keep_their_side_while_the_percentage_grows() -> None:
    *steps, last = [standing(ASSISTANT_V3, {"assistant_engine": "v3_canary", "ai_assistant_v3_canary_percent": percent}) for percent in PERCENTAGES]
    patterns = Counter(
        tuple(route(ASSISTANT_V3, at, None, {"session_name": f"session-{number}"}).side == EXPERIMENT for at in steps) for number in range(SESSIONS)
    )
    assert all(sides == tuple(sorted(sides)) for sides in patterns)  # once in, in
    for place, percent in enumerate(PERCENTAGES[:-1]):
        assert abs(sum(count for sides, count in patterns.items() if sides[place]) / SESSIONS - percent / 100) < 0.005
    assert last.open == BUCKETS  # and at 100 % all are in


def test_two_rollouts_do_not_pick_the_same_people() -> None:
    first, second = ({n for n in range(SESSIONS) if bucket_of(salt, str(n)) < threshold_of(10)} for salt in ("assistant-v3", "checkout"))
    assert abs(len(first & second) / SESSIONS - 0.01) < 0.002


def test_other_processes_agree() -> None:
    expected = str([bucket_of("s", f"k{number}") for number in range(500)])
    for seed in ("0", "4711"):
        done = subprocess.run([sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


@given(salt=st.text(st.characters(exclude_categories=["Cs"])), key=st.text(st.characters(exclude_categories=["Cs"])))
def test_every_key_has_a_bucket(salt: str, key: str) -> None:
    assert 0 <= bucket_of(salt, key) < BUCKETS


@given(low=st.integers(0, 100_000), high=st.integers(0, 100_000))
def test_a_higher_percentage_never_closes_a_bucket(low: int, high: int) -> None:
    low, high = sorted((low, high))
    assert threshold_of(low / 1000) <= threshold_of(high / 1000)
    assert threshold_of(low / 1000) == threshold_of(str(low / 1000)) == low  # a thousandth of a per cent is one bucket


@pytest.mark.parametrize(
    ("percent", "buckets"),
    [(0, 0), (100, BUCKETS), (10, 10_000), (12.5, 12_500), ("25", 25_000), ("25%", 25_000), ("0.0019", 1), (99.9999, 99_999), ("100.0", BUCKETS)],
)
def test_a_percentage_opens_so_many_buckets(percent: FlagValue, buckets: int) -> None:
    assert threshold_of(percent) == buckets


@pytest.mark.parametrize("percent", [-1, 100.001, "101", "ten", "", " 5", "1e1", True, None, float("nan"), float("inf"), ("10",)])
def test_what_is_no_percentage_is_refused(percent: FlagValue) -> None:
    with pytest.raises(ValueError, match="is no percentage"):
        threshold_of(percent)
