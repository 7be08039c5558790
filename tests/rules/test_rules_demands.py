"""What a signal asks of its answer before anything is compared: all endpoints together, a baseline to be held against; and counting series."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.rules import promql
from rollback_daemon.rules.measures import Baseline, Condition, OnNoData, Op, Relative, Signal
from rollback_daemon.rules.reading import Assessment, Health, Reading, Verdict, compare, look, quorum, worst
from rollback_daemon.rules.triggers import Check, Threshold, Violations
from rollback_daemon.signals.observation import Failed, Failure, Labels, NoData, Observation, Value, endpoint_labels

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
ONE, TWO, THREE = "http://127.0.0.1:8001/health", "http://probe:secret@127.0.0.1:8002/health", "https://[::1]:8003/"
HEALTH = Signal("health", "", endpoints=(ONE, TWO, THREE))
UP, DOWN = Value({(): 1.0}), Value({(): 0.0}, warnings=("connection refused",))
FAILED = Failed(Failure.TIMEOUT, "no answer")
COST = Signal("cost", "cost", unit="usd", baseline=Baseline(timedelta(hours=12), timedelta(hours=6), timedelta(minutes=2)))
SHARE, AMOUNT = replace(COST, relative=Relative.SHARE), replace(COST, relative=Relative.AMOUNT)
A: Labels = (("instance", "a"),)
B: Labels = (("instance", "b"),)


def seen(signal: Signal, answers: Mapping[str, Observation]) -> Observation:
    return look(signal, answers, NOW)


# endpoints


def test_the_answers_of_several_endpoints_are_one_with_a_series_for_each() -> None:
    one, two, three = map(endpoint_labels, HEALTH.endpoints)
    answer = seen(HEALTH, {ONE: UP, TWO: DOWN, THREE: FAILED})
    assert answer == Value({one: 1.0, two: 0.0}, {three: "no answer"}, notes={two: "connection refused"})


def test_an_address_is_shown_without_user_and_password() -> None:
    assert endpoint_labels(TWO) == (("endpoint", "http://127.0.0.1:8002/health"),)
    assert endpoint_labels(THREE) == (("endpoint", THREE),)


def test_endpoints_of_which_none_could_be_asked_are_no_data_or_a_failure() -> None:
    assert seen(HEALTH, {}) == NoData("not asked")
    assert seen(HEALTH, {ONE: NoData("not now"), TWO: FAILED, THREE: Value({A: 1.0})}) == FAILED


def test_an_endpoint_is_a_question_and_a_signal_without_a_query_has_no_other() -> None:
    assert list(HEALTH.questions()) == [ONE, TWO, THREE]
    assert list(Signal("NoTrigger", "").questions()) == []


def test_a_comment_at_the_end_of_a_query_does_not_swallow_what_follows() -> None:
    commented = Signal("cost", "cost # of today", baseline=COST.baseline)
    for query in (commented.age_query, *(commented.baseline_questions() or ())):
        promql.require_vector(query)
    assert COST.baseline_questions() == ("avg_over_time((cost)[12h:2m])", "count_over_time((cost)[12h:2m])")


# held against a baseline


def test_a_value_is_a_multiple_of_its_baseline_or_what_it_is_over_it() -> None:
    answers = {"cost": Value({(): 7.0}), COST.baseline_key: Value({(): 3.5})}
    assert seen(SHARE, answers) == Value({(): 2.0}, notes={(): "7, baseline 3.5"})
    assert seen(AMOUNT, answers) == Value({(): 3.5}, notes={(): "7, baseline 3.5"})
    assert seen(COST, answers) == Value({(): 7.0})


def test_one_baseline_without_labels_serves_all_series() -> None:
    answers = {"cost": Value({A: 6.0, B: 3.0}), COST.baseline_key: Value({(): 3.0})}
    assert seen(SHARE, answers) == Value({A: 2.0, B: 1.0}, notes={A: "6, baseline 3", B: "3, baseline 3"})


def test_a_series_without_a_baseline_is_unknown() -> None:
    answers = {"cost": Value({A: 6.0, B: 3.0}), COST.baseline_key: Value({A: 3.0})}
    assert seen(SHARE, answers) == Value({A: 2.0}, {B: "no baseline: no such series"}, notes={A: "6, baseline 3"})
    answers[COST.baseline_key] = Value({A: 3.0}, {B: "only 2h of data"})
    assert seen(SHARE, answers) == Value({A: 2.0}, {B: "no baseline: only 2h of data"}, notes={A: "6, baseline 3"})


def test_without_any_baseline_there_is_no_data() -> None:
    assert seen(SHARE, {"cost": Value({(): 6.0})}) == NoData("no baseline: none was captured")
    assert seen(SHARE, {"cost": Value({(): 6.0}), COST.baseline_key: NoData("only 2h of data")}) == NoData("no baseline: only 2h of data")
    assert seen(SHARE, {"cost": FAILED, COST.baseline_key: Value({(): 6.0})}) == FAILED


@pytest.mark.parametrize("base", [0.0, -3.0, math.inf])
def test_a_multiple_of_nothing_is_unknown(base: float) -> None:
    answers = {"cost": Value({(): 6.0}), COST.baseline_key: Value({(): base})}
    shown = {0.0: "0", -3.0: "-3", math.inf: "+Inf"}[base]
    assert seen(SHARE, answers) == NoData(f"its baseline is {shown}")
    if math.isfinite(base):
        assert seen(AMOUNT, answers) == Value({(): 6.0 - base}, notes={(): f"6, baseline {shown}"})


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.sampled_from(Relative))
def test_a_value_held_against_its_baseline_is_never_nan(value: float, base: float, relative: Relative) -> None:
    answer = seen(replace(COST, relative=relative), {"cost": Value({(): value}), COST.baseline_key: Value({(): base})})
    assert isinstance(answer, NoData) or not math.isnan(next(iter(answer.series.values())))  # type: ignore[union-attr]  # no query failed


def test_what_a_value_was_held_against_is_said_beside_it_also_where_it_is_clear() -> None:
    answers = {"cost": Value({A: 6.0, B: 3.0}), COST.baseline_key: Value({(): 3.0})}
    spike = Threshold(SHARE, Condition(Op.ABOVE, 1.5))
    assessment, _ = spike.assess(answers, {}, NOW, timedelta(minutes=1))
    assert assessment.series == {A: Reading(Verdict.BREACHED, 2.0, "6, baseline 3"), B: Reading(Verdict.CLEAR, 1.0, "3, baseline 3")}
    assert (spike.subject, spike.limit, Threshold(AMOUNT, None).subject) == ("cost / its baseline", "> 1.5", "cost - its baseline")
    assert [*spike.signals()] == [SHARE]


# so many of so many


def judged(*verdicts: Verdict) -> Assessment:
    return Assessment({(("endpoint", str(number)),): Reading(verdict) for number, verdict in enumerate(verdicts)})


BREACHED, CLEAR, UNKNOWN = Verdict.BREACHED, Verdict.CLEAR, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        ([CLEAR] * 5, CLEAR),
        ([CLEAR] * 4 + [BREACHED], CLEAR),
        ([CLEAR] * 4 + [UNKNOWN], CLEAR),
        ([CLEAR] * 4, CLEAR),
        ([CLEAR] * 3 + [UNKNOWN, BREACHED], UNKNOWN),
        ([CLEAR] * 3 + [BREACHED], UNKNOWN),
        ([], UNKNOWN),
        ([CLEAR] * 3 + [BREACHED] * 2, BREACHED),
        ([BREACHED] * 2, BREACHED),
        ([CLEAR] * 6, UNKNOWN),
    ],
)
def test_four_of_five(verdicts: list[Verdict], verdict: Verdict) -> None:
    assert quorum(judged(*verdicts), (4, 5)) is verdict


@given(st.lists(st.sampled_from(Verdict), max_size=8), st.integers(1, 8), st.integers(0, 4))
def test_to_learn_of_a_series_never_turns_what_was_told_around(verdicts: list[Verdict], need: int, more: int) -> None:
    asked = (need, need + more)
    told = quorum(judged(*verdicts), asked)
    for learned in (CLEAR, BREACHED):
        after = quorum(judged(*(learned if one is UNKNOWN else one for one in verdicts)), asked)
        assert told in {after, UNKNOWN}


def test_violations_of_a_gate_that_counts_series_count_by_the_quorum() -> None:
    kind = Violations("gates", (Check(HEALTH, Condition(Op.BELOW, 1), (2, 3)),), Condition(Op.AT_LEAST, 1))
    assert [*kind.signals()] == [HEALTH]
    one_down, _ = kind.assess({ONE: UP, TWO: DOWN, THREE: UP}, {}, NOW, timedelta(minutes=1))
    assert worst(one_down) is CLEAR
    two_down, _ = kind.assess({ONE: UP, TWO: DOWN, THREE: DOWN}, {}, NOW, timedelta(minutes=1))
    assert two_down.series[()] == Reading(BREACHED, 1, "last: health >= 1 on 1 of 3, must be 2")
    away, _ = kind.assess({ONE: UP, TWO: FAILED, THREE: DOWN}, {}, NOW, timedelta(minutes=1))
    assert (worst(away), away.health) == (UNKNOWN, Health.NO_DATA)


def test_violations_of_a_relative_signal_say_what_it_was_held_against() -> None:
    kind = Violations("cost", (Check(SHARE, Condition(Op.ABOVE, 1.5)),), Condition(Op.AT_LEAST, 1))
    breached, _ = kind.assess({"cost": Value({(): 6.0}), COST.baseline_key: Value({(): 3.0})}, {}, NOW, timedelta(minutes=1))
    assert breached.series[()].why == "last: cost / its baseline 2 > 1.5 (6, baseline 3)"


def test_no_data_means_what_the_rule_says_for_a_lost_baseline_too() -> None:
    assessment = compare(seen(SHARE, {"cost": Value({(): 6.0})}), Condition(Op.ABOVE, 2), OnNoData.HOLD)
    assert (worst(assessment), assessment.why) == (UNKNOWN, "no baseline: none was captured")
