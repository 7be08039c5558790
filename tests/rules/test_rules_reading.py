"""An observation against a condition: breached, clear or unknown, and what a trigger kind counts."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.rules.measures import Condition, Needs, OnNoData, Op, Signal
from rollback_daemon.rules.reading import Assessment, Health, Memory, Reading, Verdict, compare, look, worst
from rollback_daemon.rules.triggers import Check, Threshold, Violations
from rollback_daemon.signals.observation import Failed, Failure, Labels, NoData, Observation, Value

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
INTERVAL = timedelta(seconds=15)
MAX_GAP = 3 * INTERVAL
ABOVE_1 = Condition(Op.ABOVE, 1)
A: Labels = (("instance", "a"),)
B: Labels = (("instance", "b"),)
EMPTY = NoData("the query returned nothing")
FAILED = Failed(Failure.TIMEOUT, "no answer")


def value(number: float, labels: Labels = ()) -> Value:
    return Value({labels: number})


# one observation


@pytest.mark.parametrize(
    ("op", "meets", "fails"),
    [
        (Op.ABOVE, [1.1], [1, 0.9]),
        (Op.BELOW, [0.9], [1, 1.1]),
        (Op.AT_LEAST, [1, 1.1], [0.9]),
        (Op.AT_MOST, [1, 0.9], [1.1]),
        (Op.EQUAL, [1], [0.9, 1.1]),
        (Op.NOT_EQUAL, [0.9, 1.1], [1]),
        (Op.OUTSIDE, [0.9, 2.1], [1, 1.5, 2]),
        (Op.WITHIN, [1, 1.5, 2], [0.9, 2.1]),
    ],
)
def test_conditions_at_their_limits(op: Op, meets: list[float], fails: list[float]) -> None:
    condition = Condition(op, 1, 2)
    assert all(condition.holds(number) for number in meets)
    assert not any(condition.holds(number) for number in fails)


@given(st.sampled_from(Op), st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_condition_or_its_negation_holds_and_never_both(op: Op, limit: float, upper: float, number: float) -> None:
    condition = Condition(op, limit, upper)
    assert condition.holds(number) != condition.negated.holds(number)
    assert condition.negated.negated == condition


def test_each_series_is_read_on_its_own() -> None:
    seen = Value({A: 2.0, B: 0.5}, {(): "the value is NaN"})
    readings = compare(seen, ABOVE_1, OnNoData.HOLD).series
    assert readings == {A: Reading(Verdict.BREACHED, 2.0), B: Reading(Verdict.CLEAR, 0.5), (): Reading(Verdict.UNKNOWN, None, "the value is NaN")}


def test_infinity_is_a_value() -> None:
    assert worst(compare(value(float("inf")), ABOVE_1, OnNoData.HOLD)) is Verdict.BREACHED
    assert worst(compare(value(float("-inf")), ABOVE_1, OnNoData.HOLD)) is Verdict.CLEAR


def test_without_a_condition_every_series_is_a_breach_even_at_0_and_an_empty_answer_is_clear() -> None:
    assert worst(compare(value(0.0), None, OnNoData.DROP)) is Verdict.BREACHED
    empty = compare(EMPTY, None, OnNoData.DROP)
    assert (worst(empty), empty.health) == (Verdict.CLEAR, Health.OK)


def test_without_a_condition_nan_and_failures_are_still_unknown() -> None:
    assert worst(compare(NoData("the value is NaN"), None, OnNoData.DROP)) is Verdict.UNKNOWN
    assert worst(compare(FAILED, None, OnNoData.DROP)) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [(OnNoData.HOLD, Verdict.UNKNOWN), (OnNoData.BREACH, Verdict.BREACHED), (OnNoData.IGNORE, Verdict.CLEAR), (OnNoData.DROP, Verdict.UNKNOWN)],
)
def test_no_data_is_what_the_rule_says(policy: OnNoData, verdict: Verdict) -> None:
    assessment = compare(EMPTY, ABOVE_1, policy)
    assert (assessment.health, assessment.why) == (Health.NO_DATA, "the query returned nothing")
    assert worst(assessment) is verdict


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [(OnNoData.HOLD, Verdict.UNKNOWN), (OnNoData.BREACH, Verdict.BREACHED), (OnNoData.IGNORE, Verdict.CLEAR), (OnNoData.DROP, Verdict.UNKNOWN)],
)
def test_so_is_a_single_series_without_a_value(policy: OnNoData, verdict: Verdict) -> None:
    assert worst(compare(Value({A: 0.0}, {B: "the value is NaN"}), ABOVE_1, policy)) is verdict


def test_a_failed_query_is_an_error_and_says_why() -> None:
    assessment = compare(FAILED, ABOVE_1, OnNoData.HOLD)
    assert (assessment.health, assessment.why, assessment.series) == (Health.ERROR, "no answer", {})


@pytest.mark.parametrize("policy", [OnNoData.BREACH, OnNoData.IGNORE])
def test_a_failed_query_is_unknown_whatever_the_rule_says(policy: OnNoData) -> None:
    assert worst(compare(FAILED, ABOVE_1, policy)) is Verdict.UNKNOWN


@given(st.lists(st.sampled_from(Verdict), max_size=4))
def test_the_worst_of_several_series_is_a_breach_then_an_unknown(verdicts: list[Verdict]) -> None:
    assessment = Assessment({(("series", str(number)),): Reading(verdict) for number, verdict in enumerate(verdicts)})
    order = [Verdict.BREACHED, Verdict.UNKNOWN, Verdict.CLEAR]
    assert worst(assessment) is min([*verdicts, Verdict.CLEAR], key=order.index)


# a signal's own demands


def seen_by(signal: Signal, answers: Mapping[str, Observation]) -> Observation:
    return look(signal, answers, NOW)


def test_a_query_that_was_not_asked_is_no_data() -> None:
    assert isinstance(seen_by(Signal("s", "x"), {}), NoData)


def test_samples_older_than_max_age_are_no_data() -> None:
    signal = Signal("s", "x", max_age=timedelta(minutes=1))
    taken = NOW.timestamp()
    assert seen_by(signal, {"x": value(5), signal.age_query: value(taken - 60)}) == value(5)
    assert seen_by(signal, {"x": value(5), signal.age_query: value(taken - 61)}) == NoData("the sample is older than 1m")
    assert isinstance(seen_by(signal, {"x": value(5), signal.age_query: EMPTY}), NoData)
    assert seen_by(signal, {"x": value(5), signal.age_query: FAILED}) == FAILED


def test_only_the_old_series_are_unknown() -> None:
    signal = Signal("s", "x", max_age=timedelta(minutes=1))
    answers = {"x": Value({A: 1.0, B: 2.0}), signal.age_query: Value({A: NOW.timestamp(), B: NOW.timestamp() - 100})}
    assert seen_by(signal, answers) == Value({A: 1.0}, {B: "the sample is older than 1m"})


@pytest.mark.parametrize(
    ("traffic", "seen"),
    [
        (value(100), value(5, A)),
        (value(99), NoData("too little traffic: 99 < 100")),
        (value(100, A), value(5, A)),
        (Value({B: 100.0, (): 3.0}), NoData("traffic unknown: no such series")),
        (EMPTY, NoData("traffic unknown: the query returned nothing")),
        (FAILED, FAILED),
    ],
)
def test_with_too_little_traffic_there_is_no_data(traffic: Observation, seen: Observation) -> None:
    signal = Signal("s", "x", needs=Needs("y", 100))
    assert seen_by(signal, {"x": value(5, A), "y": traffic}) == seen


def test_every_demand_is_a_question() -> None:
    signal = Signal("s", "x", needs=Needs("y", 100), max_age=timedelta(minutes=1))
    assert list(signal.questions()) == ["x", "y", "timestamp(x)"]
    assert list(Threshold(signal, ABOVE_1).questions()) == ["x", "y", "timestamp(x)"]


def test_a_threshold_remembers_nothing() -> None:
    assessment, memory = Threshold(Signal("s", "x"), ABOVE_1).assess({"x": value(2)}, {}, NOW, MAX_GAP)
    assert (worst(assessment), memory) == (Verdict.BREACHED, {})


def test_every_kind_has_words_for_people() -> None:
    threshold = Threshold(Signal("errors", "x"), ABOVE_1)
    assert (threshold.subject, threshold.limit, threshold.expr) == ("errors", "> 1", "x")
    assert Threshold(Signal("errors", "x"), None).limit == ""
    counted = Violations(
        "gates", (Check(Signal("a", "x"), ABOVE_1), Check(Signal("b", "y"), ABOVE_1)), Condition(Op.ABOVE, 3), None, timedelta(minutes=1)
    )
    assert (counted.subject, counted.limit, counted.expr) == ("violations of gates in a row (one each 1m)", "> 3", "")
    assert list(counted.questions()) == ["x", "y"]
    some = Violations("a > 1", (Check(Signal("a", "x"), ABOVE_1),), Condition(Op.AT_LEAST, 3), 5)
    assert (some.subject, some.expr) == ("violations of a > 1 (out of the last 5)", "x")


# counting


MORE_THAN_3 = Condition(Op.ABOVE, 3)
AT_LEAST_3 = Condition(Op.AT_LEAST, 3)
ANSWERS: Mapping[str, Observation] = {"b": value(2), "c": value(0), "?": EMPTY, "!": FAILED}


def counting(needed: Condition, out_of: int | None = None, every: timedelta | None = None) -> Violations:
    return Violations("errors > 1", (Check(Signal("errors", "x"), ABOVE_1),), needed, out_of, every)


def read(kind: Violations, seen: str, times: Sequence[float] | None = None) -> str:
    """What is read of a row of cycles, `b`reached, `c`lear, unknown (`?`) or failed (`!`), 15 s apart unless `times` (in seconds) tells otherwise."""
    memory: Memory = {}
    verdicts = ""
    for number, letter in enumerate(seen):
        now = NOW + timedelta(seconds=times[number]) if times else NOW + number * INTERVAL
        assessment, memory = kind.assess({"x": ANSWERS[letter]}, memory, now, MAX_GAP)
        verdicts += {Verdict.BREACHED: "B", Verdict.CLEAR: "c", Verdict.UNKNOWN: "?"}[worst(assessment)]
    return verdicts


def test_more_than_3_trips_on_the_4th() -> None:
    assert read(counting(MORE_THAN_3), "bbbbb") == "cccBB"


def test_at_least_3_trips_on_the_3rd() -> None:
    assert read(counting(AT_LEAST_3), "bbbb") == "ccBB"


def test_more_than_0_trips_at_once() -> None:
    assert read(counting(Condition(Op.ABOVE, 0)), "cbc") == "cBc"


def test_a_clear_one_starts_the_count_over() -> None:
    assert read(counting(AT_LEAST_3), "bbcbbb") == "cccccB"


def test_an_unknown_one_neither_counts_nor_starts_the_count_over() -> None:
    assert read(counting(AT_LEAST_3), "bb?b") == "cc?B"
    assert read(counting(AT_LEAST_3), "bb!b") == "cc?B"
    assert read(counting(AT_LEAST_3), "?b?b?b") == "?c?c?B"


def test_the_count_starts_over_after_a_gap_longer_than_max_gap() -> None:
    assert read(counting(AT_LEAST_3), "bbb", [0, 15, 60]) == "ccB"
    assert read(counting(AT_LEAST_3), "bbb", [0, 15, 61]) == "ccc"
    assert read(counting(AT_LEAST_3), "bb???b") == "cc???c"


def test_some_out_of_the_last_that_were_known() -> None:
    assert read(counting(AT_LEAST_3, out_of=5), "bcbcb") == "ccccB"
    assert read(counting(AT_LEAST_3, out_of=5), "bcb?cb") == "ccc?cB"
    assert read(counting(AT_LEAST_3, out_of=5), "bbcccb") == "cccccc"
    assert read(counting(AT_LEAST_3, out_of=3), "bbbcb") == "ccBcc"


def test_every_minute_counts_once_at_its_first_known_evaluation() -> None:
    kind = counting(AT_LEAST_3, every=timedelta(minutes=1))
    assert read(kind, "bbbb" * 3) == "cccc" + "cccc" + "BBBB"
    assert read(kind, "bccc" * 3) == "cccc" + "cccc" + "BBBB"  # the later ones of the minute do not count
    assert read(kind, "?bcc" * 3) == "?ccc" + "?ccc" + "?BBB"


def test_with_every_the_gap_that_starts_the_count_over_is_three_times_as_long() -> None:
    kind = counting(AT_LEAST_3, every=timedelta(minutes=1))
    assert read(kind, "bbb", [0, 60, 240]) == "ccB"
    assert read(kind, "bbb", [0, 60, 241]) == "ccc"


def test_any_gate_that_is_violated_counts_even_beside_one_that_is_unknown() -> None:
    kind = Violations("gates", (Check(Signal("a", "x"), ABOVE_1), Check(Signal("b", "y"), ABOVE_1)), Condition(Op.AT_LEAST, 1))
    assert worst(kind.assess({"x": EMPTY, "y": value(2)}, {}, NOW, MAX_GAP)[0]) is Verdict.BREACHED
    unknown = kind.assess({"x": value(0), "y": FAILED}, {}, NOW, MAX_GAP)[0]
    assert (worst(unknown), unknown.health) == (Verdict.UNKNOWN, Health.ERROR)
    assert "b: no answer" in unknown.why
    assert worst(kind.assess({"x": value(0), "y": value(0)}, {}, NOW, MAX_GAP)[0]) is Verdict.CLEAR


@given(st.text(alphabet="bc?", max_size=30).filter(lambda seen: "???" not in seen), st.integers(1, 5))
def test_in_a_row_counts_as_the_words_say(seen: str, needed: int) -> None:
    assert read(counting(Condition(Op.AT_LEAST, needed)), seen) == _oracle(seen, lambda known: len(known) - len(known.rstrip("b")) >= needed)


@given(st.text(alphabet="bc?", max_size=30).filter(lambda seen: "???" not in seen), st.integers(1, 5), st.integers(0, 4))
def test_out_of_counts_as_the_words_say(seen: str, needed: int, more: int) -> None:
    kind = counting(Condition(Op.AT_LEAST, needed), out_of=needed + more)
    assert read(kind, seen) == _oracle(seen, lambda known: known[-(needed + more) :].count("b") >= needed)


def _oracle(seen: str, trips: Callable[[str], bool]) -> str:
    known = [seen[: number + 1].replace("?", "") for number in range(len(seen))]
    return "".join("?" if letter == "?" else "B" if trips(before) else "c" for letter, before in zip(seen, known, strict=True))


@given(st.text(alphabet="bc?!", max_size=20), st.integers(0, 19))
def test_what_is_remembered_survives_being_written_down(seen: str, at: int) -> None:

    kind = counting(AT_LEAST_3, out_of=5)
    memory: Memory = {}
    for number, letter in enumerate(seen):
        _, memory = kind.assess({"x": ANSWERS[letter]}, memory, NOW + number * INTERVAL, MAX_GAP)
        if number == at:
            assert json.loads(json.dumps(memory)) == memory


def test_an_evaluation_that_was_counted_is_not_counted_again() -> None:
    """After a reload or a restart the same aligned time may be evaluated once more."""
    signal = Signal("errors", "errors")
    kind = Violations("errors", (Check(signal, Condition(Op.ABOVE, 1)),), Condition(Op.ABOVE, 3))
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    memory: Memory = {}
    for _ in range(10):
        assessment, memory = kind.assess({"errors": Value({(): 2.0})}, memory, now, timedelta(minutes=1))
    assert [one.value for one in assessment.series.values()] == [1]
