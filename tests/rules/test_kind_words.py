"""What people read of a trigger of each kind: in its alert, on the page, in the metric of its limit, and in what is plotted after an incident."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.faces.alerts import active
from rollback_daemon.faces.views import trigger_view
from rollback_daemon.judge import machine
from rollback_daemon.judge.state import Sight, State
from rollback_daemon.signals.observation import Observation
from tests.rules.kinds import EMPTY, NOW, one, rollout

BURN = {"objective": "99.9%", "errors": "e", "total": "t", "windows": [{"long": "1h", "short": "5m", "factor": 14.4}]}
RATIO = "(sum(rate(e[{0}])) or 0 * sum(rate(t[{0}]))) / sum(rate(t[{0}]))"
RANGE = "(disk)[1h:15s]"
DISK: dict[str, Observation] = {
    "disk": one(0.5),
    f"predict_linear({RANGE}, 14400)": one(1.3),
    f"deriv({RANGE})": one(0.2 / 3600),
    f"count_over_time({RANGE})": one(240),
}
CASES: list[tuple[dict[str, Any], dict[str, Observation], str]] = [
    (
        {"burn_rate": BURN},
        {RATIO.format("1h"): one(0.0202), RATIO.format("5m"): one(0.0171)},
        "burn rate of 99.9% / its factor 1.1875 > 1 (20.2 over 1h and 17.1 over 5m, factor 14.4)",
    ),
    ({"absent": 'up{job="shop"}'}, {'up{job="shop"}': EMPTY}, 'series of up{job="shop"} 0 < 1'),
    (
        {"increase": {"signal": "cost", "over": {"control": "old"}, "above": "10%"}},
        {"cost": one(12), "old": one(10)},
        "growth of cost over its control 0.2 > 0.1 (12, control 10)",
    ),
    (
        {"increase": {"signal": "cost", "over": {"control": "old"}, "above": 1}},
        {"cost": one(12), "old": one(10)},
        "cost - its control 2 > 1 (12, control 10)",
    ),
    (
        {"forecast": {"signal": "disk", "above": "90%", "within": "4h", "fit": "1h"}},
        DISK,
        "disk in 4h 1.3 > 0.9 (now 0.5, +0.2 an hour, reaches 0.9 in 2h)",
    ),
]


@pytest.mark.parametrize(("trigger", "answers", "sentence"), CASES, ids=[next(iter(case[0])) for case in CASES])
def test_a_kind_is_told_with_the_value_beside_its_limit(
    tmp_path: Path, trigger: Mapping[str, Any], answers: dict[str, Observation], sentence: str
) -> None:
    file = rollout(tmp_path, trigger)
    step = machine.step(file, State(), Sight(answers, {"on": "yes"}), NOW)
    (alert,) = active(file, step.state, step.judgement, external_url="http://guard.example.com/", external_labels={})
    assert alert.annotations["summary"] == f"T: {sentence}"
    (judged,) = step.judgement.triggers
    shown = json.loads(json.dumps(trigger_view(judged, NOW)))
    assert [one["sentence"] for one in shown["series"]] == [f"T: {sentence}"]
    assert (shown["phase"], shown["limit"]) == ("firing", str(judged.trigger.test.condition))
    assert [*judged.trigger.test.plotted()]
