"""Flagger's MetricTemplates and Canaries: inclusive ranges, variables, and how checks are counted here."""

from datetime import timedelta
from pathlib import Path

from rollback_daemon.lab.importing import gather
from rollback_daemon.lab.importing.draft import Wanted
from rollback_daemon.rules.measures import Condition, Op
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.triggers import Threshold, Violations
from tests.lab.importer import carried, said

HERE = Path(__file__).parent / "imports"
TEMPLATE = (
    "kind: MetricTemplate\nmetadata: {name: lost}\nspec:\n  provider: {type: prometheus}\n  query: rate(lost{app='{{ service }}'}[{{ interval }}])\n"
)
CANARY = """
kind: Canary
apiVersion: flagger.app/v1beta1
metadata: {name: shop}
spec:
  targetRef: {name: shop}
  canaryAnalysis:
    interval: 5s
    metrics: [{name: lost, templateRef: {name: lost}, thresholdRange: {max: 1}}]
"""


def violations(rollout: Rollout, name: str) -> Violations:
    test = next(trigger.test for trigger in rollout.triggers if trigger.name == name)
    assert isinstance(test, Violations)
    return test


def test_ranges_are_inclusive_and_failed_checks_are_counted(tmp_path: Path) -> None:
    rollout, draft = carried(tmp_path, HERE / "flagger.yaml")
    limits = {trigger.name: violations(rollout, trigger.name).checks[0].violation for trigger in rollout.triggers}
    assert limits == {
        "404s_percentage": Condition(Op.OUTSIDE, 0, 5),
        "inline": Condition(Op.ABOVE, 0.5),
        "least": Condition(Op.BELOW, 3),
        "old": Condition(Op.ABOVE, 7),
    }
    counted = violations(rollout, "inline")
    assert (counted.needed, counted.every) == (Condition(Op.AT_LEAST, 10), timedelta(minutes=1))
    assert (draft.carried, draft.total) == (4, 7)


def test_variables_come_from_the_canary(tmp_path: Path) -> None:
    rollout, _ = carried(tmp_path, HERE / "flagger.yaml")
    asked = violations(rollout, "404s_percentage").expr
    assert asked == '100 - sum(rate(requests_total{namespace="prod",workload="shop",code!="404"}[2m]))'


def test_what_counts_otherwise_is_told_by_place(tmp_path: Path) -> None:
    _, draft = carried(tmp_path, HERE / "flagger.yaml")
    assert said(draft, HERE) == (HERE / "flagger.txt").read_text().splitlines()


def test_a_template_alone_is_a_signal_whose_limit_is_to_be_written(tmp_path: Path) -> None:
    (tmp_path / "lost.yml").write_text(TEMPLATE)
    rollout, draft = carried(tmp_path, tmp_path / "lost.yml", Wanted(arguments={"service": "shop"}))
    assert [signal.expr for signal in rollout.signals] == ["rate(lost{app='shop'}[1m])"]
    assert draft.triggers == [{"alert": "lost", "signal": "lost", "above": "FILL-IN", "action": "alert"}]


def test_a_variable_without_a_value_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "lost.yml").write_text(f"{TEMPLATE}---\n{CANARY}".replace("service", "namespace"))
    draft = carried_nothing(tmp_path / "lost.yml")
    assert draft == ['lost.yml:5:10: spec.query: left out: the variable "namespace" has no value; give it by --arg namespace=…']


def test_without_a_threshold_the_first_failed_check_is_too_much(tmp_path: Path) -> None:
    (tmp_path / "lost.yml").write_text(f"{TEMPLATE}---\n{CANARY}")
    rollout, _ = carried(tmp_path, tmp_path / "lost.yml")
    test = rollout.triggers[0].test
    assert isinstance(test, Threshold)
    assert test.condition == Condition(Op.ABOVE, 1)


def carried_nothing(file: Path) -> list[str]:
    """The notes of a file of which nothing was carried over."""
    draft = gather([file], Wanted())
    draft.settle(whole=True)
    assert draft.carried == 0
    return said(draft, file.parent)
