"""What the tests of single kinds of trigger share: a trigger made from its written form, and words for what it says of some answers."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Assessment, Health, TriggerKind
from rollback_daemon.signals.observation import NOTHING, Failed, Failure, Labels, NoData, Observation, Value

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAX_GAP = timedelta(minutes=2)
EMPTY = NoData(NOTHING)
NAN = NoData("the value is NaN")
FAILED = Failed(Failure.TIMEOUT, "no answer")
A: Labels = (("s", "a"),)
B: Labels = (("s", "b"),)


def rollout(folder: Path, trigger: Mapping[str, Any], **more: Any) -> Rollout:
    """A file with this trigger, and signals to be used in it."""
    written = {
        "rollout": "kinds",
        "owner": "nobody",
        "flags": {"store": "json", "path": "flags.json"},
        "baseline": {"on": "no"},
        "stages": [{"stage": "canary", "exposure": "10%", "set": {"on": "yes"}, "soak": "1h"}],
        "signals": {
            "cost": {"expr": "cost", "unit": "MB", "baseline": {"window": "1h"}},
            "disk": {"expr": "disk"},
            "young": {"expr": "young", "max_age": "1m"},
        },
        "triggers": [{"alert": "T", **trigger}],
        **more,
    }
    file = folder / "kinds.yml"
    file.write_text(json.dumps(written), encoding="utf-8")  # JSON is YAML, too
    return load(file)


def kind(folder: Path, trigger: Mapping[str, Any]) -> TriggerKind:
    """What judges in that trigger."""
    return rollout(folder, trigger).triggers[0].test


def assessed(test: TriggerKind, answers: Mapping[str, Observation]) -> Assessment:
    return test.assess(answers, {}, NOW, MAX_GAP)[0]


def said(test: TriggerKind, answers: Mapping[str, Observation], labels: Labels = ()) -> str:
    """`breached 1.4 (why)` of one series; of an answer without series its health."""
    assessment = assessed(test, answers)
    reading = assessment.series.get(labels)
    if reading is None:
        return f"{assessment.health} ({assessment.why})" if assessment.health is not Health.OK else "no series"
    value = "" if reading.value is None else f" {reading.value:g}"
    return f"{reading.verdict}{value}" + (f" ({reading.why})" if reading.why else "")


def one(number: float) -> Value:
    return Value({(): number})
