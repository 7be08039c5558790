"""The trigger kind `increase`, and thresholds and gates held against a control."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.judge import gates
from rollback_daemon.rules import promql
from rollback_daemon.rules.advice import understood, warnings
from rollback_daemon.rules.reading import Verdict
from rollback_daemon.signals.observation import NoData, Observation, Value
from tests.rules.kinds import EMPTY, FAILED, NOW, A, B, kind, one, rollout, said

BASE = "baseline of cost"


@pytest.mark.parametrize(
    ("limit", "value", "base", "what"),
    [
        ({"above": "10%"}, 11.0, 10.0, "clear 0.1 (11, baseline 10)"),
        ({"above": "10%"}, 12.0, 10.0, "breached 0.2 (12, baseline 10)"),
        ({"below": "-20%"}, 7.5, 10.0, "breached -0.25 (7.5, baseline 10)"),
        ({"above": "100kB"}, 10.2, 10.0, "breached 0.2 (10.2, baseline 10)"),
        ({"above": 1}, 11.0, 0.0, "breached 11 (11, baseline 0)"),
        ({"above": "10%"}, 11.0, 0.0, "no_data (its baseline is 0)"),
        ({"above": "10%"}, 11.0, -1.0, "no_data (its baseline is -1)"),
        ({"above": 1}, 11.0, float("inf"), "no_data (its baseline is +Inf)"),
    ],
)
def test_a_value_is_so_much_over_its_baseline(tmp_path: Path, limit: dict[str, Any], value: float, base: float, what: str) -> None:
    test = kind(tmp_path, {"increase": {"signal": "cost", "over": "baseline", **limit}})
    assert said(test, {"cost": one(value), BASE: one(base)}) == what


@pytest.mark.parametrize(
    ("control", "what"),
    [
        (one(10), "breached 0.2 (12, control 10)"),
        (Value({A: 10.0, B: 5.0}), "breached 0.2 (12, control 10)"),
        (Value({B: 5.0, (): 1.0}), "no_data (no control: no such series)"),
        (Value({B: 5.0}, {A: "the value is NaN"}), "no_data (no control: the value is NaN)"),
        (one(0), "no_data (its control is 0)"),
        (EMPTY, "no_data (no control: the query returned nothing)"),
        (NoData("the value is NaN"), "no_data (no control: the value is NaN)"),
        (FAILED, "error (no answer)"),
    ],
)
def test_a_control_is_asked_and_matched_by_labels_or_serves_all(tmp_path: Path, control: Observation, what: str) -> None:
    test = kind(tmp_path, {"increase": {"signal": "cost", "over": {"control": "old"}, "above": "10%"}})
    assert said(test, {"cost": Value({A: 12.0}), "old": control}, A) == what
    assert [*test.questions()] == ["cost", "old"]


@pytest.mark.parametrize(
    ("over", "limit", "expr"),
    [
        ("baseline", "10%", ""),
        ({"control": "old"}, "10%", "(((cost) - (old)) / ((old) > 0)) > 0.1"),
        ({"control": "sum(old)"}, "10%", "(((cost) - scalar(sum(old))) / scalar((sum(old)) > 0)) > 0.1"),
        ({"control": "sum by (s) (old)"}, 5, "((cost) - (sum by (s) (old))) > 5.0"),
        ({"control": "10"}, "10%", "(((cost) - (10)) / (10)) > 0.1"),
        ({"control": "scalar(old)"}, "10%", "(((cost) - (scalar(old))) / (scalar(old))) > 0.1"),
        ({"control": "topk(1, old)"}, 5, "((cost) - (topk(1, old))) > 5.0"),
        ({"control": "vector(2)"}, 5, "((cost) - scalar(vector(2))) > 5.0"),
        ({"control": "sum(old) # all"}, 5, "((cost) - scalar(sum(old) # all\n)\n) > 5.0"),
    ],
)
def test_only_over_a_control_it_is_an_alert_of_prometheus(tmp_path: Path, over: Any, limit: Any, expr: str) -> None:
    written = kind(tmp_path, {"increase": {"signal": "cost", "over": over, "above": limit}}).alert_expr
    assert written == expr
    if written:
        promql.require_vector(written)


def test_only_what_is_held_against_a_baseline_waits_for_one(tmp_path: Path) -> None:
    over = {over: [*rollout(tmp_path, {"increase": {"signal": "cost", "over": how, "above": "10%"}}).relative_signals()] for over, how in HOW.items()}
    assert [len(signals) for signals in over.values()] == [1, 0]


HOW: dict[str, Any] = {"baseline": "baseline", "control": {"control": "old"}}


def test_what_is_breached_by_no_change_at_all_is_warned_of(tmp_path: Path) -> None:
    told = [one.text for one in warnings(rollout(tmp_path, {"increase": {"signal": "cost", "over": "baseline", "below": "10%"}}))]
    assert [text for text in told if text.startswith("is breached where nothing has changed")]


def test_a_threshold_may_be_held_against_a_control_as_a_multiple_or_an_amount(tmp_path: Path) -> None:
    share = kind(tmp_path, {"signal": "cost", "above": "110%", "relative_to": {"control": "old"}})
    assert said(share, {"cost": one(12), "old": one(10)}) == "breached 1.2 (12, control 10)"
    own = rollout(tmp_path, {"expr": "new", "above": 1, "relative_to": {"control": "old"}})
    assert said(own.triggers[0].test, {"new": one(12), "old": one(10)}) == "breached 2 (12, control 10)"
    assert understood(own)[0].startswith("T: T - its control > 1, at once")


def test_a_gate_may_be_held_against_a_control_at_every_stage(tmp_path: Path) -> None:
    gate = {"gate": "Like", "signal": "cost", "below": "110%", "relative_to": {"control": "old"}}
    (like,) = rollout(tmp_path, {"expr": "up == 0"}, gates=[gate]).gates
    assert like.stages == {"baseline", "canary"}
    judged = gates.judge_gate(like, {"cost": one(12), "old": one(10)}, "canary", NOW)
    assert judged.verdict is Verdict.BREACHED
    assert gates.gate_sentence(judged) == "Like: cost / its control 1.2 (12, control 10), must be < 1.1"
    assert gates.judge_gate(like, {"cost": one(12)}, "canary", NOW + timedelta(minutes=1)).verdict is Verdict.UNKNOWN
