"""Prometheus' alerting rules become triggers that load, and everything that could not be carried over is said at its place."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.documents import parse
from rollback_daemon.lab.importing.draft import Draft, NoteKind, Wanted
from rollback_daemon.lab.importing.nodes import Node
from rollback_daemon.lab.importing.prometheus_rules import convert
from rollback_daemon.lab.importing.writing import rule_file, written
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import ActionKind
from tests.lab.importer import carried, said

HERE = Path(__file__).parent / "imports"
SECOND = timedelta(seconds=1)


def test_each_alerting_rule_becomes_a_trigger_with_its_own_words(tmp_path: Path) -> None:
    rollout, _ = carried(tmp_path, HERE / "alerts.yml")
    assert [trigger.name for trigger in rollout.triggers] == ["High_Error_Rate", "Watchdog", "Down", "Down_2", "Both"]
    first = rollout.triggers[0]
    assert (first.for_.total_seconds(), first.keep_firing_for.total_seconds()) == (600, 300)
    assert first.labels == {"severity": "critical", "team": "web", "level": "1"}
    assert first.annotations["on"] == "off"
    assert {trigger.action.kind for trigger in rollout.triggers} == {ActionKind.ALERT}
    assert rollout.interval.total_seconds() == 60


def test_what_differs_is_told_by_place(tmp_path: Path) -> None:
    _, draft = carried(tmp_path, HERE / "alerts.yml")
    assert said(draft, HERE) == (HERE / "alerts.txt").read_text().splitlines()
    assert (draft.carried, draft.total, draft.recording) == (5, 8, 1)


def test_an_expression_that_compares_nothing_never_rolls_back(tmp_path: Path) -> None:
    rollout, _ = carried(tmp_path, HERE / "alerts.yml", Wanted("rollback"))
    assert {trigger.name for trigger in rollout.triggers if trigger.action.kind is ActionKind.ALERT} == {"Watchdog"}


def test_objects_lists_and_several_documents_are_read_together(tmp_path: Path) -> None:
    rollout, draft = carried(tmp_path, HERE / "objects.yaml")
    assert [trigger.name for trigger in rollout.triggers] == ["WebDown", "ShopDown"]
    assert said(draft, HERE) == [
        (
            "objects.yaml:11:38: items[0].spec.groups[0].partial_response_strategy: is Thanos's: here an answer counts as it comes, and a failed "
            "query is never a breach"
        ),
        "objects.yaml:21:17: spec.groups[0].interval: is evaluated every 30s there; a rollout has one interval for all, here 15s",
        "objects.yaml:25:1: is passed over (it is a Service); there is nothing in it to import",
    ]


EXPRESSIONS = [
    "up == 0",
    'sum(rate(a_total{code=~"5.."}[5m]))\n  / sum(rate(a_total[5m])) > 0.05',
    "absent(up)",
    "a > on (job) b",
    "1e-3 < a  # a comment",
    'a{b="\\\\"} != 1',
    "vector(1)",
]
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=40).filter(lambda text: "{{" not in text)
LABELS = st.dictionaries(
    st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in {"stage", "rollout"}), TEXTS, max_size=3
)


@settings(max_examples=30)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"alert": TEXTS, "expr": st.sampled_from(EXPRESSIONS)},
            optional={
                "for": st.sampled_from(["5m", "1h30m", "15s", "0s"]),
                "keep_firing_for": st.just("2m"),
                "labels": LABELS,
                "annotations": LABELS,
            },
        ),
        min_size=1,
        max_size=4,
    )
)
def test_expression_times_labels_and_annotations_are_those_of_the_rule(tmp_path_factory: pytest.TempPathFactory, rules: list[dict[str, Any]]) -> None:
    draft = Draft()
    document = parse("x: 1", "generated.yml")
    convert([Node(document, draft.problems.append, (), {"groups": [{"name": "g", "rules": rules}]})], draft)
    draft.settle(whole=True)
    assert draft.carried == len(rules)
    file = tmp_path_factory.getbasetemp() / "generated.yml"
    file.write_text(written(rule_file(draft, "generated", None, whole=True), draft, "generated.yml"), encoding="utf-8")
    for rule, trigger, told in zip(rules, load(file).triggers, draft.triggers, strict=True):
        assert told["expr"] == rule["expr"].strip()
        assert trigger.for_ == {"5m": 300, "1h30m": 5400, "15s": 15}.get(rule.get("for", ""), 0) * SECOND
        assert trigger.keep_firing_for == (120 * SECOND if "keep_firing_for" in rule else 0 * SECOND)
        assert trigger.labels == {"severity": "warning"} | {name: text for name, text in rule.get("labels", {}).items() if text}
        assert trigger.annotations == rule.get("annotations", {})
    assert not [note for note in draft.notes if note.kind is NoteKind.LEFT_OUT]
