"""`alert_rule_test`: the alerts of one name, as Alertmanager would have them, beside those that are expected.

As with promtool there must be exactly as many as are expected, with the same labels and annotations; `alertname` is not written. But what rollbackd
adds to every alert is compared only where it is given, so that a test of a pasted rule passes as it stands. Lives here: that comparison. Must not
live here: which alerts there are (`faces.alerts`).
"""

from collections.abc import Iterator, Mapping, Sequence

from rollback_daemon.faces.alerts import Alert
from rollback_daemon.lab.testing.expectations import Scene, line_of
from rollback_daemon.lab.testing.results import Failure
from rollback_daemon.lab.testing.schema import AlertTest, ExpectedAlert
from rollback_daemon.rules.model import Trigger

ADDED_LABELS = frozenset({"alertname", "rollout", "stage", "owner", "severity", "level"})
"""Labels of every alert that are rollbackd's; so are those of the whole rule file, and external ones."""
ADDED_ANNOTATIONS = frozenset({"summary", "description", "value", "action", "runbook_url"})
"""Annotations that rollbackd writes where the rule does not."""


def differences(scene: Scene, number: int, test: AlertTest) -> Iterator[Failure]:
    """What is there and not expected, and the other way round."""
    judged = next((one for one in scene.judgement.triggers if one.trigger.name == test.alertname), None)
    actual = [one for one in scene.alerts if one.labels["alertname"] == test.alertname]
    compared = [_compared(scene, judged.trigger if judged else None, one) for one in actual]
    missing, surplus = _matched(test.exp_alerts, compared)
    if missing or surplus:
        line = line_of(scene.case, ("alert_rule_test", number))
        what = f"alerts {test.alertname}"
        expected = [_expected(one) for one in test.exp_alerts]
        yield Failure(line, test.eval_time, what, _told(expected), _told(compared), judged, scene.judgement.at)


_Texts = tuple[Mapping[str, str], Mapping[str, str], frozenset[str], frozenset[str]]
"""Labels, annotations, and which of either need not be expected."""


def _compared(scene: Scene, trigger: Trigger | None, alert: Alert) -> _Texts:
    rollout, written = scene.replay.rollout, scene.case.written
    own = ADDED_LABELS | rollout.labels.keys() | written.external_labels.keys()
    said = trigger.annotations.keys() if trigger else set[str]()
    return alert.labels, alert.annotations, frozenset(own), ADDED_ANNOTATIONS - said


def _expected(one: ExpectedAlert) -> _Texts:
    return one.exp_labels, one.exp_annotations, frozenset(), frozenset()


def _matched(expected: Sequence[ExpectedAlert], actual: Sequence[_Texts]) -> tuple[list[ExpectedAlert], list[_Texts]]:
    """What is left of both once each that is expected has taken one that is there; those that say most choose first."""
    left, missing = list(actual), list[ExpectedAlert]()
    for one in sorted(expected, key=lambda one: -len(one.exp_labels) - len(one.exp_annotations)):
        found = next((there for there in left if _fits(one, there)), None)
        if found is None:
            missing.append(one)
        else:
            left.remove(found)
    return missing, left


def _fits(one: ExpectedAlert, there: _Texts) -> bool:
    labels, annotations, free_labels, free_annotations = there
    return _same(one.exp_labels, labels, free_labels) and _same(one.exp_annotations, annotations, free_annotations)


def _same(expected: Mapping[str, str], actual: Mapping[str, str], free: frozenset[str]) -> bool:
    given = {name: text for name, text in expected.items() if text and name != "alertname"}
    return all(actual.get(name) == text for name, text in given.items()) and actual.keys() - given.keys() <= free | {"alertname"}


def _told(alerts: Sequence[_Texts]) -> str:
    return "; ".join(map(_one, alerts)) if alerts else "none"


def _one(alert: _Texts) -> str:
    labels, annotations, _, _ = alert
    shown = [f"{name}={text!r}" for name, text in sorted(labels.items()) if name != "alertname"]
    said = [f"{name}: {text!r}" for name, text in sorted(annotations.items())]
    return f"{{{', '.join(shown)}}}" + (f" with {', '.join(said)}" if said else "")
