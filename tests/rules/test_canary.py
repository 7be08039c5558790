"""The trigger kind `canary`: when a pair is taken, which values belong together, and what is made of them."""

import json
import math
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.rules.measures import Condition, Needs, OnNoData, Op, Signal
from rollback_daemon.rules.reading import Assessment, Health, Memory, Verdict, worst
from rollback_daemon.rules.statistics.judging import Direction, Tolerance
from rollback_daemon.rules.triggers import Check, Violations
from rollback_daemon.rules.triggers.canary import MOST_SERIES, Canary, Method
from rollback_daemon.signals.observation import NOTHING, Failed, Failure, Labels, NoData, Observation, Value

START = datetime(2024, 1, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GAP = timedelta(seconds=45)
A: Labels = (("zone", "a"),)
B: Labels = (("zone", "b"),)
EMPTY, NAN, LITTLE = NoData(NOTHING), NoData("the value is NaN"), NoData("too little traffic: 3 < 100")
FAILED = Failed(Failure.TIMEOUT, "no answer")
SEQUENTIAL = Canary(Signal("errors", "new"), Signal("errors before", "old"), Tolerance())
RANKS = replace(SEQUENTIAL, method=Method.MANN_WHITNEY, at_least=50)

Seen = tuple[Observation | float, Observation | float]


def value(seen: Observation | float) -> Observation:
    return Value({(): float(seen)}) if isinstance(seen, (int, float)) else seen


def judged(
    kind: Canary, seen: Iterable[Seen], apart: timedelta = MINUTE, memory: Memory | None = None, start: datetime = START
) -> tuple[Assessment, Memory]:
    """The last of a row of evaluations."""
    memory, last = memory or {}, Assessment()
    for number, (new, old) in enumerate(seen):
        last, memory = kind.assess({"new": value(new), "old": value(old)}, memory, start + number * apart, GAP)
    return last, memory


def noisy(new: float, old: float, count: int = 60, seed: int = 1) -> list[Seen]:
    chance = random.Random(seed)
    return [(new * chance.uniform(0.9, 1.1), old * chance.uniform(0.9, 1.1)) for _ in range(count)]


def verdict(kind: Canary, seen: Iterable[Seen]) -> Verdict:
    return worst(judged(kind, seen)[0])


# what is bad


@pytest.mark.parametrize("kind", [SEQUENTIAL, RANKS])
@pytest.mark.parametrize(
    ("direction", "more", "less"),
    [
        (Direction.INCREASE, Verdict.BREACHED, Verdict.CLEAR),
        (Direction.DECREASE, Verdict.CLEAR, Verdict.BREACHED),
        (Direction.EITHER, Verdict.BREACHED, Verdict.BREACHED),
    ],
)
def test_a_difference_is_bad_in_its_direction_only(kind: Canary, direction: Direction, more: Verdict, less: Verdict) -> None:
    kind = replace(kind, tolerance=Tolerance(direction))
    assert (verdict(kind, noisy(2, 1)), verdict(kind, noisy(0.5, 1)), verdict(kind, noisy(1, 1))) == (more, less, Verdict.CLEAR)


@pytest.mark.parametrize("kind", [SEQUENTIAL, RANKS])
def test_a_difference_within_the_tolerance_is_none_however_long_it_lasts(kind: Canary) -> None:
    assert verdict(kind, noisy(1.2, 1, 100)) is Verdict.CLEAR
    assert verdict(replace(kind, tolerance=Tolerance(amount=0.1)), noisy(1.2, 1, 100)) is Verdict.BREACHED


@pytest.mark.parametrize("kind", [SEQUENTIAL, RANKS])
def test_a_tolerance_is_a_share_of_the_control_or_an_amount(kind: Canary) -> None:
    amount = replace(kind, tolerance=Tolerance(amount=50.0, relative=False))
    assert (verdict(amount, noisy(1040, 1000)), verdict(amount, noisy(1200, 1000))) == (Verdict.CLEAR, Verdict.BREACHED)
    assert verdict(kind, [(-70.0, -100.0)] * 60) is Verdict.BREACHED  # a share of its size, also below 0
    assert verdict(kind, [(-80.0, -100.0)] * 60) is Verdict.CLEAR


@pytest.mark.parametrize("kind", [SEQUENTIAL, RANKS])
def test_groups_that_are_constant_and_equal_are_clear(kind: Canary) -> None:
    assert verdict(kind, [(0.0, 0.0)] * 60) is Verdict.CLEAR
    assert judged(replace(kind, tolerance=Tolerance(amount=0.0)), [(7.0, 7.0)] * 60)[0].series[()].value == 1


@pytest.mark.parametrize("kind", [SEQUENTIAL, RANKS])
def test_anything_is_more_than_nothing(kind: Canary) -> None:
    assert verdict(kind, [(0.01, 0.0)] * 60) is Verdict.BREACHED


@pytest.mark.parametrize("kind", [SEQUENTIAL, RANKS])
def test_infinity_is_above_everything_but_itself(kind: Canary) -> None:
    breached, memory = judged(kind, [(math.inf, 1.0)] * 60)
    assert worst(breached) is Verdict.BREACHED
    assert breached.series[()].why.startswith("experiment +Inf, control 1 by the medians; 60 pairs")
    assert json.loads(json.dumps(memory, allow_nan=False)) == memory
    assert verdict(kind, [(math.inf, math.inf)] * 60) is Verdict.CLEAR
    assert verdict(kind, [(1.0, math.inf), (-math.inf, 2.0)] * 30) is Verdict.CLEAR


def test_what_is_shown_has_the_medians_the_pairs_and_the_chance_beside_its_limit() -> None:
    reading = judged(SEQUENTIAL, [(0.03, 0.01)] * 30)[0].series[()]
    assert reading.why == "experiment 0.03, control 0.01, +200% by the medians; 30 pairs, 30 of the last 30 past the tolerance"
    assert (SEQUENTIAL.subject, SEQUENTIAL.limit) == ("p for errors more than 25% above control", "<= 0.01")
    assert reading.value == 0.0001  # 100 times the evidence that is needed: no more is kept
    reading = judged(RANKS, noisy(3, 1))[0].series[()]
    assert reading.value is not None
    assert reading.value < 1e-15
    assert "60 pairs, shift +2.02, above control in 100% of comparisons" in reading.why


def test_a_harm_that_is_over_is_seen_to_be_over() -> None:
    _, memory = judged(SEQUENTIAL, [(3.0, 1.0)] * 200)
    after, _ = judged(SEQUENTIAL, [(1.0, 1.0)] * 20, memory=memory, start=START + 200 * MINUTE)
    assert worst(after) is Verdict.CLEAR


def test_infinite_values_on_both_sides_are_judged_by_ranks_too() -> None:
    seen: list[Seen] = [(math.inf if number % 2 else -math.inf, -math.inf if number % 3 else math.inf) for number in range(60)]
    for beyond in (None, 0.1, 3.0):
        reading = judged(replace(RANKS, beyond=beyond), seen)[0].series[()]
        assert reading.verdict is Verdict.CLEAR
        assert "nan" not in reading.why


def test_values_far_out_may_be_left_out_for_the_ranks() -> None:
    seen: list[Seen] = [*noisy(1, 1, 50), *[(500.0, 1.0)] * 10]
    kind = replace(RANKS, tolerance=Tolerance(amount=0.0))
    kept, left_out = judged(kind, seen)[0].series[()], judged(replace(kind, beyond=3.0), seen)[0].series[()]
    assert kept.value is not None
    assert left_out.value is not None
    assert kept.value < left_out.value


# when a pair is taken


def pairs(memory: Memory) -> list[int]:
    return [one["pairs"] for one in memory["series"]]


def test_with_too_few_pairs_it_is_collecting_which_is_neither_clear_nor_blind() -> None:
    seen = noisy(1, 1)
    for kind in (SEQUENTIAL, RANKS):
        before, after = judged(kind, seen[: kind.at_least - 1])[0], judged(kind, seen[: kind.at_least])[0]
        assert (worst(before), before.health) == (Verdict.UNKNOWN, Health.COLLECTING)
        assert before.why == f"has {kind.at_least - 1} of {kind.at_least} samples, one each 1m"
        assert (worst(after), after.health) == (Verdict.CLEAR, Health.OK)


def test_evidence_is_not_kept_waiting_by_the_samples_that_being_clear_takes() -> None:
    assert verdict(replace(SEQUENTIAL, at_least=50), [(3.0, 1.0)] * 20) is Verdict.BREACHED
    assert verdict(RANKS, [(3.0, 1.0)] * 49) is Verdict.UNKNOWN


def test_one_pair_is_taken_in_each_every_of_the_clock() -> None:
    kind = replace(SEQUENTIAL, every=5 * MINUTE)
    assert pairs(judged(kind, [(1.0, 1.0)] * 11)[1]) == [3]  # at 0, 5 and 10 minutes
    assert pairs(judged(kind, [(1.0, 1.0)] * 4, start=START + 3 * MINUTE)[1]) == [2]  # at 3 and 5


def test_no_pair_rests_on_the_time_before_the_stage_nor_on_the_data_of_the_last() -> None:
    kind = replace(SEQUENTIAL, every=5 * MINUTE, window=5 * MINUTE)
    memory: Memory = {}
    taken = []
    for number, seen in enumerate([1.0] * 6 + [EMPTY] * 7 + [1.0] * 10):
        _, memory = kind.assess({"new": value(seen), "old": value(1.0)}, memory, START + 2 * MINUTE + number * MINUTE, GAP)
        taken += [number] if memory["taken"] == (START + 2 * MINUTE + number * MINUTE).isoformat() else []
    assert taken == [5, 13, 18]  # minute 7 of the clock, then 15 (10 was not seen), and 20


def test_the_same_evaluation_is_not_counted_twice() -> None:
    seen = {"new": value(1.0), "old": value(1.0)}
    memory: Memory = {}
    for _ in range(5):
        _, memory = SEQUENTIAL.assess(seen, memory, START, GAP)
    assert pairs(memory) == [1]


def test_a_clock_that_was_set_back_far_does_not_stop_it() -> None:
    _, memory = judged(SEQUENTIAL, [(1.0, 1.0)] * 5)
    _, memory = judged(SEQUENTIAL, [(1.0, 1.0)] * 5, memory=memory, start=START - timedelta(hours=1))
    assert pairs(memory) == [10]


@given(
    st.lists(st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)), min_size=1, max_size=20),
    st.integers(0, 20),
    st.sampled_from(Direction),
)
def test_a_restart_is_no_difference(seen: list[Seen], at: int, direction: Direction) -> None:
    kind = replace(SEQUENTIAL, tolerance=Tolerance(direction), samples=8)
    whole = judged(kind, seen)
    _, memory = judged(kind, seen[:at])
    kept = json.loads(json.dumps(memory, allow_nan=False))
    if seen[at:]:
        assert judged(kind, seen[at:], memory=kept, start=START + at * MINUTE) == whole
    else:
        assert kept == whole[1]


@pytest.mark.parametrize(
    "other", [replace(SEQUENTIAL, tolerance=Tolerance(Direction.EITHER)), RANKS, replace(SEQUENTIAL, control=Signal("o", "older"))]
)
def test_evidence_for_another_rule_is_none_for_this_one(other: Canary) -> None:
    _, memory = judged(other, [(3.0, 1.0)] * 40)
    assert judged(SEQUENTIAL, [(3.0, 1.0)], memory=memory, start=START + timedelta(hours=1))[0].why == "has 1 of 20 samples, one each 1m"
    assert judged(SEQUENTIAL, [(3.0, 1.0)], memory={"counted_at": "2024", "run": 3})[0].health is Health.COLLECTING  # of another kind


def test_memory_does_not_grow() -> None:
    kind = replace(SEQUENTIAL, samples=30)
    memory = judged(kind, noisy(1, 1, 400))[1]
    assert [len(one["experiment"]) for one in memory["series"]] == [30]
    for number in range(0, 9 * MOST_SERIES, MOST_SERIES):
        new = Value({(("pod", str(number + one)),): 1.0 for one in range(MOST_SERIES)})
        _, memory = kind.assess({"new": new, "old": value(1.0)}, memory, START + (400 + number) * MINUTE, GAP)
    assert len(memory["series"]) <= 2 * MOST_SERIES
    too_many = Value({(("pod", str(one)),): 1.0 for one in range(MOST_SERIES + 1)})
    assessment, _ = kind.assess({"new": too_many, "old": value(1.0)}, memory, START + timedelta(days=9), GAP)
    assert (assessment.health, assessment.why[:10]) == (Health.NO_DATA, "101 series")


# what is not seen


@pytest.mark.parametrize(
    ("seen", "health", "why"),
    [
        ((FAILED, 1.0), Health.ERROR, "experiment: no answer"),
        ((EMPTY, FAILED), Health.ERROR, "control: no answer"),
        ((EMPTY, 1.0), Health.NO_DATA, f"experiment: {NOTHING}"),
        ((1.0, NAN), Health.NO_DATA, "control: the value is NaN"),
    ],
)
def test_what_is_not_seen_adds_nothing_and_is_unknown_whatever_was_known(seen: Seen, health: Health, why: str) -> None:
    _, before = judged(SEQUENTIAL, [(3.0, 1.0)] * 30)
    assessment, after = judged(SEQUENTIAL, [seen], memory=before, start=START + 31 * MINUTE)
    assert (assessment.health, assessment.why, worst(assessment)) == (health, why, Verdict.UNKNOWN)
    assert after == before


@pytest.mark.parametrize(
    ("seen", "counts"),
    [((NAN, 1.0), True), ((EMPTY, 1.0), True), ((1.0, EMPTY), True), ((LITTLE, 1.0), False), ((EMPTY, EMPTY), False), ((FAILED, 1.0), False)],
)
def test_nothing_may_count_as_zero_where_the_other_group_has_a_value(seen: Seen, counts: bool) -> None:
    kind = replace(SEQUENTIAL, zero=True)
    assert len(judged(kind, [seen])[1]["series"]) == counts
    assert not judged(SEQUENTIAL, [seen])[1]["series"]


def test_traffic_that_has_gone_is_a_decrease_to_zero() -> None:
    kind = replace(SEQUENTIAL, tolerance=Tolerance(Direction.DECREASE), zero=True)
    assert verdict(kind, [(EMPTY, 100.0)] * 30) is Verdict.BREACHED


def test_too_little_traffic_of_a_signal_is_unknown() -> None:
    kind = replace(SEQUENTIAL, experiment=Signal("errors", "new", needs=Needs("count", 100)), zero=True)
    assessment, memory = kind.assess({"new": value(1.0), "old": value(1.0), "count": value(3.0)}, {}, START, GAP)
    assert (assessment.health, assessment.why, memory["series"]) == (Health.NO_DATA, "experiment: too little traffic: 3 < 100", [])


def test_no_data_means_what_the_experiment_says_and_collecting_never_does() -> None:
    kind = replace(SEQUENTIAL, experiment=Signal("errors", "new", no_data=OnNoData.BREACH))
    assert verdict(kind, [(EMPTY, 1.0)]) is Verdict.BREACHED
    assert verdict(kind, [(1.0, 1.0)]) is Verdict.UNKNOWN
    assert verdict(kind, [(FAILED, 1.0)]) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (Value({A: 1.0}), EMPTY),
        (Value({A: 1.0}), NAN),
        (Value({A: 1.0}), Value({B: 1.0})),
        (Value({A: 1.0, B: 1.0}), Value({A: 1.0})),
        (Value({(("n", str(number)),): 1.0 for number in range(MOST_SERIES + 1)}), 1.0),
    ],
)
def test_what_only_the_control_lacks_is_unknown_whatever_the_experiment_says(new: Observation, old: Observation | float) -> None:
    kind = replace(SEQUENTIAL, experiment=Signal("errors", "new", no_data=OnNoData.BREACH))
    assert verdict(kind, [(new, old)] * 30) is Verdict.UNKNOWN


# which values belong together


def each(kind: Canary, new: Value, old: Value, count: int = 30) -> dict[Labels, Verdict]:
    return {labels: one.verdict for labels, one in judged(kind, [(new, old)] * count)[0].series.items()}


def test_series_are_held_against_the_control_of_equal_labels_each_on_its_own() -> None:
    assert each(SEQUENTIAL, Value({A: 3.0, B: 3.0}), Value({A: 1.0, B: 3.0})) == {A: Verdict.BREACHED, B: Verdict.CLEAR}


def test_a_control_without_labels_serves_all_series() -> None:
    assert each(SEQUENTIAL, Value({A: 3.0, B: 1.0}), Value({(): 1.0})) == {A: Verdict.BREACHED, B: Verdict.CLEAR}


@pytest.mark.parametrize("old", [Value({A: 1.0}), Value({A: 1.0}, {B: "the value is NaN"})])
def test_a_series_without_a_control_is_unknown_and_no_reason_against_the_others(old: Value) -> None:
    new = Value({A: 3.0, B: 3.0})
    assert each(SEQUENTIAL, new, old) == {A: Verdict.BREACHED, B: Verdict.UNKNOWN}
    assert each(replace(SEQUENTIAL, zero=True), new, old) == {A: Verdict.BREACHED, B: Verdict.BREACHED}


def test_a_series_of_the_control_alone_is_none_of_the_experiment_unless_nothing_is_zero() -> None:
    new, old = Value({A: 1.0}), Value({A: 1.0, B: 5.0})
    assert each(SEQUENTIAL, new, old) == {A: Verdict.CLEAR}
    lost = replace(SEQUENTIAL, tolerance=Tolerance(Direction.DECREASE), zero=True)
    assert each(lost, new, old) == {A: Verdict.CLEAR, B: Verdict.BREACHED}


def test_a_series_that_is_new_is_collected_from_its_beginning() -> None:
    _, memory = judged(SEQUENTIAL, [(Value({A: 1.0}), 1.0)] * 30)
    assessment, memory = judged(SEQUENTIAL, [(Value({A: 1.0, B: 1.0}), 1.0)], memory=memory, start=START + 30 * MINUTE)
    assert {labels: one.verdict for labels, one in assessment.series.items()} == {A: Verdict.CLEAR, B: Verdict.UNKNOWN}
    assert (assessment.health, pairs(memory)) == (Health.COLLECTING, [31, 1])


def test_the_ranks_look_at_the_last_samples_only() -> None:
    kind, much, alike = replace(RANKS, at_least=35, samples=40), noisy(3, 1, 60), noisy(1, 1, 60)
    assert verdict(kind, [*alike, *much]) is Verdict.BREACHED
    assert verdict(kind, [*much, *alike]) is Verdict.CLEAR


def test_a_trigger_that_becomes_another_kind_starts_to_count() -> None:
    counting = Violations("errors", (Check(SEQUENTIAL.experiment, Condition(Op.ABOVE, 1)),), Condition(Op.AT_LEAST, 2))
    _, memory = judged(SEQUENTIAL, [(3.0, 1.0)] * 3)
    assert counting.assess({"new": value(3.0)}, memory, START, GAP)[0].series[()].value == 1
