"""A pasted alerting rule and the same rule inside Prometheus are pending and fire and resolve at the same evaluations.

The history goes into a real Prometheus, whose answers our judge is given at every evaluation of the history; the same history and the same rules
go to promtool of the same version, which runs Prometheus' own rule engine. `make oracle` looks at ten times as many cases as the tests do.

Known to differ, and left out: NaN with `!=` or in an expression that is not split is a breach to Prometheus, and unknown here; two series that
differ only in their name are an error there, and unknown here.
"""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings

from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.lab.toolset import Toolset, toolsets
from rollback_daemon.rules.triggers import Threshold
from rollback_daemon.signals.prometheus import Prometheus
from tests.oracle.histories import LENGTH, NOT_WITH_NAN, SPLIT, WHOLE, History, Rule, histories
from tests.oracle.referee import Phases, Slots, Tally, judged, objections, rollout_of, unsplit

CASES = int(os.environ.get("ORACLE_CASES", "200"))
EACH = -(-CASES // max(1, len(toolsets())))
MINUTE = timedelta(minutes=1)
NAN = float("nan")
patient = settings(max_examples=EACH, deadline=None, suppress_health_check=list(HealthCheck))
sparing = settings(patient, max_examples=max(1, EACH // 10))


def fixed(expr: str, points: Sequence[float | str], for_: timedelta = 2 * MINUTE, keep_firing_for: timedelta = timedelta()) -> History:
    """One series, one point a minute, one rule; nothing after the points."""
    padded = [*points, *["gap"] * (LENGTH // MINUTE + 1 - len(points))]
    return History(MINUTE, MINUTE, {"m": padded}, [Rule("Fixed", expr, for_, keep_firing_for)])


def in_letters(phases: list[Phases]) -> str:
    """The first minutes: - is inactive, p pending, F firing."""
    letters = {TriggerPhase.PENDING: "p", TriggerPhase.FIRING: "F"}
    return "".join(letters[next(iter(one.values()))] if one else "-" for one in phases[:16])


@pytest.mark.every_prometheus
@patient
@given(history=histories())
def test_a_pasted_rule_fires_and_resolves_when_prometheus_does(
    history: History, slots: Slots, client: Prometheus, promtool: Path, folder: Path, tally: Tally
) -> None:
    phases = judged(rollout_of(history, folder), client, slots.put(history))
    for phase in TriggerPhase:
        event(f"{phase}: {any(phase in one.values() for one in phases)}")
    tally.count(history, phases)
    assert objections(history, phases, promtool, folder) == ""


@pytest.mark.every_prometheus
@sparing
@given(history=histories((*SPLIT, "m != 10", "10 != m"), with_nan=False))
def test_splitting_an_expression_changes_no_decision(history: History, slots: Slots, client: Prometheus, folder: Path) -> None:
    rollout, start = rollout_of(history, folder), slots.put(history)
    assert judged(rollout, client, start) == judged(unsplit(rollout, history), client, start)


@pytest.mark.every_prometheus
@pytest.mark.parametrize(
    ("history", "seen"),
    [
        (fixed("m > 10", [5, 20, 20, 20, 20, 5, 20, 5]), "-ppFF-p---------"),
        (fixed("m > 10", [20, 20, 20, 5, 5, 5, 5], keep_firing_for=2 * MINUTE), "ppFFF-----------"),
        (fixed("m > 10", [20, 20, 20, 5, 20, 5, 5, 5, 5], keep_firing_for=2 * MINUTE), "ppFFFFF---------"),
        (fixed("m > 10", [20, "gap", "gap", 20, "stale", 20, "stale"]), "ppFF-p----------"),
        (fixed("m > 10", [20, "gap", "gap", 20, "stale", 20, "stale"], keep_firing_for=MINUTE), "ppFFFFF---------"),
        (fixed("m > 10", [20, NAN, 20, 20, 20, 5]), "p-ppF-----------"),
        (fixed("m > 10", [20, 20, 5, 20, 5], for_=timedelta(seconds=1)), "pF-p------------"),
        (fixed("m > 10", [20, 5, 20, 5], for_=timedelta()), "F-F-------------"),
        (fixed("absent(m)", [1, "stale"]), "-ppFFFFFFFFFFFFF"),
    ],
)
def test_known_histories_are_judged_as_prometheus_judges_them(
    history: History, seen: str, slots: Slots, client: Prometheus, promtool: Path, folder: Path
) -> None:
    phases = judged(rollout_of(history, folder), client, slots.put(history))
    assert in_letters(phases) == seen
    assert objections(history, phases, promtool, folder) == ""


@pytest.mark.every_prometheus
def test_a_sample_just_five_minutes_old_counts_for_prometheus_2_and_not_for_3(
    toolset: Toolset, slots: Slots, client: Prometheus, promtool: Path, folder: Path
) -> None:
    history = fixed("m > 10", [20], for_=timedelta())
    phases = judged(rollout_of(history, folder), client, slots.put(history))
    assert in_letters(phases) == ("FFFFFF----------" if toolset.version.startswith("2.") else "FFFFF-----------")
    assert objections(history, phases, promtool, folder) == ""


@pytest.mark.every_prometheus
def test_the_referee_objects_to_a_wrong_phase(promtool: Path, folder: Path, slots: Slots, client: Prometheus) -> None:
    history = fixed("m > 10", [5, 20, 20, 20])
    phases = judged(rollout_of(history, folder), client, slots.put(history))
    assert objections(history, phases, promtool, folder) == ""
    phases[3] = dict.fromkeys(phases[3], TriggerPhase.PENDING)
    assert 'alertstate="firing"' in objections(history, phases, promtool, folder)


@pytest.mark.every_prometheus
def test_not_a_number_that_differs_is_unknown_here_and_a_breach_to_prometheus(promtool: Path, folder: Path, slots: Slots, client: Prometheus) -> None:
    history = fixed("m != 10", [NAN] * 5)
    phases = judged(rollout_of(history, folder), client, slots.put(history))
    assert not any(phases)
    assert 'alertstate="firing"' in objections(history, phases, promtool, folder)


def test_the_expressions_are_split_as_this_file_says(folder: Path) -> None:
    rules = [Rule(f"Rule{index}", expr, MINUTE, MINUTE) for index, expr in enumerate((*SPLIT, *WHOLE, *NOT_WITH_NAN))]
    rollout = rollout_of(History(MINUTE, MINUTE, {}, rules), folder)
    split = {rule.expr for rule, one in zip(rules, rollout.triggers, strict=True) if isinstance(one.test, Threshold) and one.test.condition}
    assert split == {*SPLIT, "m != 10", "10 != m"}
