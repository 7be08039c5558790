"""What every kind of trigger owes, whoever wrote it: run on each trigger of each good file, and on a new kind as soon as it is registered."""

import copy
import dataclasses
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Trigger
from rollback_daemon.rules.reading import Assessment, Memory, Observations, Verdict, worst
from rollback_daemon.rules.triggers import KEYED, KINDS, name_of
from rollback_daemon.signals.observation import NOTHING, Failed, Failure, Labels, NoData, Observation, Value
from rollback_daemon.signals.questions import is_query

GOOD = Path(__file__).parent / "good"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAX_GAP = timedelta(minutes=2)
FAILED = Failed(Failure.UNREACHABLE, "away")
EMPTY_IS_A_BREACH = {"absent"}
A: Labels = (("s", "a"),)
B: Labels = (("s", "b"),)


def _every() -> Iterator[Any]:
    for file in sorted(GOOD.glob("*.yml")):
        rollout = load(file)
        for trigger in rollout.triggers:
            bases = {signal.baseline_key for signal in rollout.relative_signals()}
            yield pytest.param(trigger, bases, id=f"{name_of(trigger.test)}-{file.stem}-{trigger.name}")


CASES = [*_every()]
every = pytest.mark.parametrize(("trigger", "bases"), CASES)
lean = settings(max_examples=20, deadline=None)

figures = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, 0.01, 1e-300, math.inf, -math.inf])
values: st.SearchStrategy[Observation] = st.one_of(
    st.builds(lambda number: Value({(): number}), figures),
    st.builds(lambda one, other: Value({A: one, B: other}), figures, figures),
    st.builds(lambda number: Value({A: number}, {B: "the value is NaN"}), figures),
    st.sampled_from([NoData(NOTHING), NoData("the value is NaN"), FAILED]),
)


def asked(trigger: Trigger, bases: set[str]) -> list[str]:
    """Everything that its answer may rest on."""
    return [*dict.fromkeys([*trigger.test.questions(), *bases])]


def breached(assessment: Assessment) -> bool:
    return any(reading.verdict is Verdict.BREACHED for reading in assessment.series.values())


def test_every_kind_stands_in_a_good_file() -> None:
    assert {name_of(case.values[0].test) for case in CASES} == set(KINDS)
    assert {name for name, kind in KINDS.items() if kind.form is not None} == set(KEYED)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_a_frozen_dataclass_with_slots(name: str) -> None:
    made = KINDS[name].test
    assert dataclasses.is_dataclass(made)
    assert made.__dataclass_params__.frozen
    assert "__slots__" in vars(made)


@every
def test_it_has_words_for_people(trigger: Trigger, bases: set[str]) -> None:
    test, kind = trigger.test, KINDS[name_of(trigger.test)]
    assert test.subject
    assert test.limit == (str(test.condition) if test.condition else "")
    assert kind.describe(test)
    assert kind.test.__doc__
    assert all(text for _, text in kind.advise(test))


@every
def test_what_it_asks_is_promql(trigger: Trigger, bases: set[str]) -> None:
    questions = [*trigger.test.questions()]
    assert questions or all(signal.evidence for signal in trigger.test.signals())
    for query in [*questions, trigger.test.alert_expr, trigger.test.expr]:
        if query and is_query(query):
            promql_parser.parse(query)
    for signal, breach in trigger.test.plotted():
        assert signal.expr in questions or signal.endpoints or signal.evidence
        assert breach is None or str(breach)


@every
def test_what_cannot_be_seen_is_no_breach(trigger: Trigger, bases: set[str]) -> None:
    for unseen in (FAILED, NoData("the value is NaN"), NoData(NOTHING)):
        if unseen == NoData(NOTHING) and name_of(trigger.test) in EMPTY_IS_A_BREACH:
            continue
        assessment, _ = trigger.test.assess(dict.fromkeys(asked(trigger, bases), unseen), {}, NOW, MAX_GAP)
        assert not breached(assessment)
        if unseen == FAILED:
            assert worst(assessment) is Verdict.UNKNOWN
    assessment, _ = trigger.test.assess({}, {}, NOW, MAX_GAP)
    assert not breached(assessment)


@every
@lean
@given(data=st.data())
def test_it_is_a_function_of_what_it_is_given(trigger: Trigger, bases: set[str], data: st.DataObject) -> None:
    queries = asked(trigger, bases)
    memory: Memory = {}
    for cycle in range(3):
        observations: Observations = dict(zip(queries, data.draw(st.lists(values, min_size=len(queries), max_size=len(queries))), strict=True))
        now, before = NOW + cycle * timedelta(minutes=1), copy.deepcopy(memory)
        first = trigger.test.assess(observations, memory, now, MAX_GAP)
        stored = json.loads(json.dumps(before))
        assert first == trigger.test.assess(observations, stored, now, MAX_GAP), "the same again, also from what was stored"
        assert memory == before, "what it was given is as it was"
        assert all(reading.value is None or not math.isnan(reading.value) for reading in first[0].series.values())
        memory = first[1]
        assert json.loads(json.dumps(memory)) == memory
