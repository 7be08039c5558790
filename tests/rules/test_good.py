"""What the rule files in `good/` mean."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rollback_daemon import documents
from rollback_daemon.flags.stores import STORES
from rollback_daemon.rules.load import DEFAULT_INTERVAL, load, load_all
from rollback_daemon.rules.model import Action, ActionKind, Command, Condition, Needs, OnNoData, Op, Rollout, Signal, Trigger
from rollback_daemon.rules.schema import RuleFile
from rollback_daemon.rules.triggers import Threshold, Violations

GOOD = Path(__file__).parent / "good"
FILES = sorted(GOOD.glob("*.yml"))
MINUTE = timedelta(minutes=1)


@pytest.fixture
def everything() -> Rollout:
    return load(GOOD / "everything.yml")


@pytest.fixture
def anchors() -> Rollout:
    return load(GOOD / "anchors.yml")


def trigger(rollout: Rollout, name: str) -> Trigger:
    return next(one for one in rollout.triggers if one.name == name)


def threshold(rollout: Rollout, name: str) -> Threshold:
    test = trigger(rollout, name).test
    assert isinstance(test, Threshold)
    return test


def test_all_good_files_can_stand_beside_one_another() -> None:
    assert [rollout.name for rollout in load_all(FILES)] == ["anchors", "least", "everything"]
    assert {rollout.flags.store for rollout in load_all(FILES)} == set(STORES)


def test_every_key_of_the_format_is_in_a_good_file() -> None:
    written = {key for file in FILES for key in _keys(yaml.safe_load(file.read_text(encoding="utf-8")))}
    assert _known_keys(RuleFile.model_json_schema()) <= written


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_good_files_fit_the_json_schema(file: Path) -> None:
    jsonschema.validate(documents.read(file).value, RuleFile.model_json_schema())


def _keys(value: Any) -> set[str]:
    here = {str(key) for key in value} if isinstance(value, dict) else set()
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return here | {key for part in inside for key in _keys(part)}


def _known_keys(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {key for part in schema for key in _known_keys(part)}
    if not isinstance(schema, dict):
        return set()
    here = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return here | {key for part in schema.values() for key in _known_keys(part)}


# the ladder


def test_the_file_itself(everything: Rollout) -> None:
    assert (everything.name, everything.owner, everything.labels) == ("everything", "team-shop", {"tier": "gold"})
    assert everything.runbook_url == "https://runbooks.example.com/everything"
    assert (everything.enforce, everything.interval, everything.max_gap) == (False, timedelta(seconds=30), 2 * MINUTE)
    assert everything.flags.path == str(GOOD / "flags" / "live.json")
    assert everything.flags.after_change == Command(("systemctl", "reload", "shop"), timedelta(seconds=20))
    assert everything.flags.backups == 3


def test_a_stage_has_the_flags_of_the_baseline_and_of_every_stage_up_to_it(everything: Rollout) -> None:
    assert [(stage.name, stage.number, stage.exposure, stage.soak) for stage in everything.stages] == [
        ("baseline", 0, 0.0, timedelta()),
        ("canary", 1, 0.1, timedelta(hours=36)),
        ("half", 2, 0.5, timedelta()),
        ("full", 3, 1.0, timedelta()),
    ]
    assert [dict(stage.flags) for stage in everything.stages] == [
        {"/checkout/enabled": False, "/checkout/share": 0, "/a~1b/m~0n": "off", "plain": 0.5},
        {"/checkout/enabled": True, "/checkout/share": 10, "/a~1b/m~0n": "off", "plain": 0.5},
        {"/checkout/enabled": True, "/checkout/share": 50, "/a~1b/m~0n": "on", "plain": 0.5},
        {"/checkout/enabled": True, "/checkout/share": 100, "/a~1b/m~0n": "on", "plain": 1.5},
    ]


def test_flag_values_keep_their_types(everything: Rollout) -> None:
    assert [type(value) for value in everything.stages[0].flags.values()] == [bool, int, str, float]


def test_what_is_left_out_has_its_default() -> None:
    rollout = load(GOOD / "dotenv.yml")
    assert rollout.interval == DEFAULT_INTERVAL
    assert rollout.max_gap == 3 * DEFAULT_INTERVAL
    assert (rollout.enforce, rollout.flags.backups, rollout.flags.after_change, rollout.runbook_url) == (True, 10, None, "")
    assert load(GOOD / "dotenv.yml", MINUTE).max_gap == 3 * MINUTE
    (down,) = rollout.triggers
    assert down.action == Action(ActionKind.ROLLBACK)
    assert (down.severity, down.stages, down.for_, down.dry_run) == ("warning", frozenset({"canary"}), timedelta(), False)


def test_words_that_yaml_readers_do_not_agree_on_are_text() -> None:
    rollout = load(GOOD / "dotenv.yml")
    assert rollout.owner == "on"
    assert dict(rollout.stages[0].flags) == {"USE_X": "off", "START": "22:30", "CODE": "012", "EMPTY": ""}
    assert rollout.triggers[0].labels == {"severity": "warning", "since": "2024-01-31", "code": "0x1F"}


# what is measured


def test_signals(everything: Rollout) -> None:
    errors, latency, share, memory = everything.signals
    assert errors.needs == Needs("sum(increase(requests_total[5m]))", 100)
    assert latency == Signal("latency", "latency_milliseconds", "ms", OnNoData.BREACH, None, timedelta(seconds=90))
    assert (share.no_data, memory.no_data) == (OnNoData.IGNORE, OnNoData.HOLD)


def test_limits_are_in_the_unit_of_their_signal(everything: Rollout) -> None:
    assert [gate.condition for gate in everything.gates] == [
        Condition(Op.BELOW, 0.001),
        Condition(Op.AT_MOST, 200),
        Condition(Op.AT_LEAST, 98),
        Condition(Op.ABOVE, 0),
        Condition(Op.WITHIN, 0, 500),
        Condition(Op.OUTSIDE, -5, 5),
    ]
    assert threshold(everything, "LatencyHigh").condition == Condition(Op.ABOVE, 500)
    assert threshold(everything, "ShareLow").condition == Condition(Op.BELOW, 95)
    assert threshold(everything, "MemoryHigh").condition == Condition(Op.AT_LEAST, 1.5 * 1024**3)
    assert threshold(everything, "MemoryLow").condition == Condition(Op.AT_MOST, 1e6)


def test_every_key_of_a_trigger(everything: Rollout) -> None:
    errors = trigger(everything, "ErrorsHigh")
    assert errors.action == Action(ActionKind.ROLLBACK, "baseline")
    assert (errors.for_, errors.keep_firing_for, errors.initial_delay) == (5 * MINUTE, 2 * MINUTE, MINUTE)
    assert (errors.severity, errors.stages, errors.dry_run) == ("critical", frozenset({"canary", "half"}), False)
    assert errors.labels == {"severity": "critical", "team": "shop"}
    assert errors.annotations == {"summary": "{{ $value | humanizePercentage }}"}
    assert threshold(everything, "ErrorsHigh").signal.no_data is OnNoData.BREACH
    assert everything.signals[0].no_data is OnNoData.HOLD
    assert trigger(everything, "MemoryHigh").dry_run
    assert trigger(everything, "MemoryLow").stages == {"full", "baseline"}


def test_a_pasted_alert_is_split_at_its_top_comparison(everything: Rollout) -> None:
    test = threshold(everything, "Pasted")
    assert test.expr == everything.signals[0].expr
    assert test.condition == Condition(Op.ABOVE, 0.05)
    assert test.signal.no_data is OnNoData.DROP
    assert trigger(everything, "Pasted").severity == "critical"


def test_what_cannot_be_split_is_evaluated_as_prometheus_does(everything: Rollout) -> None:
    test = threshold(everything, "AsPrometheusDoes")
    assert (test.expr, test.condition, test.signal.no_data) == ("errors_total > on (job) limits", None, OnNoData.DROP)


def test_an_expression_with_a_limit_of_its_own_is_a_signal(everything: Rollout) -> None:
    queue, drift = threshold(everything, "QueueOdd"), threshold(everything, "DriftSmall")
    assert (queue.expr, queue.condition, queue.signal.no_data) == ("max(queue_length)", Condition(Op.OUTSIDE, 0, 1000), OnNoData.HOLD)
    assert (drift.condition, drift.signal.no_data) == (Condition(Op.WITHIN, -0.001, 0.001), OnNoData.IGNORE)


def test_violations_count_gates_that_do_not_hold_or_a_signal_that_meets_a_limit(everything: Rollout) -> None:
    repeated, flapping = trigger(everything, "Repeated").test, trigger(everything, "Flapping").test
    assert isinstance(repeated, Violations)
    assert repeated.checks == tuple((gate.signal, gate.condition.negated) for gate in everything.gates)
    assert (repeated.needed, repeated.out_of, repeated.every) == (Condition(Op.ABOVE, 3), None, MINUTE)
    assert isinstance(flapping, Violations)
    assert flapping.checks == ((everything.signals[0], Condition(Op.OUTSIDE, 0, 0.01)),)
    assert (flapping.needed, flapping.out_of, flapping.every) == (Condition(Op.AT_LEAST, 3), 5, None)


# anchors


def test_what_stands_in_a_mapping_wins_over_what_is_merged(anchors: Rollout) -> None:
    assert [dict(stage.flags) for stage in anchors.stages] == [
        {"on": False, "/limits/rate": 5, "mode": "no"},
        {"on": True, "/limits/rate": 5, "mode": "no"},
        {"on": True, "/limits/rate": 5, "mode": "no"},
        {"on": True, "/limits/rate": 5, "mode": "yes"},
    ]
    assert [(stage.name, stage.exposure, stage.soak) for stage in anchors.stages[1:3]] == [
        ("canary", 0.1, timedelta(hours=1)),
        ("half", 0.5, timedelta(hours=1)),
    ]


def test_merged_triggers_and_signals(anchors: Rollout) -> None:
    assert [signal.expr for signal in anchors.signals] == ["error_ratio", "latency_seconds"]
    assert [signal.max_age for signal in anchors.signals] == [MINUTE, MINUTE]
    assert trigger(anchors, "LatencyHigh").for_ == 5 * MINUTE
    assert threshold(anchors, "LatencyHigh").condition == Condition(Op.ABOVE, 0.5)
    assert threshold(anchors, "ErrorsHigh").condition == Condition(Op.ABOVE, 1)
    assert trigger(anchors, "LatencyHigh").labels["team"] == "team-shop"


def test_the_digest_changes_with_the_text(tmp_path: Path) -> None:
    text = (GOOD / "dotenv.yml").read_text(encoding="utf-8")
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    (tmp_path / "b.yml").write_text(f"{text}# more\n", encoding="utf-8")
    assert load(tmp_path / "a.yml").digest == load(GOOD / "dotenv.yml").digest != load(tmp_path / "b.yml").digest
