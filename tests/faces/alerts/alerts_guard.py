"""A rollout under the real judge, without a daemon around it: the tests say what is seen, and when, and look at the alerts."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.faces.alerts import Alert, active
from rollback_daemon.flags.store import Scalar
from rollback_daemon.judge import machine
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.state import Happened, Judgement, Sight, State
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.load import load
from rollback_daemon.signals.observation import Failed, Failure, Labels, NoData, Observation, Value

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "http://guard.example.com:9811/"
RULES = """
rollout: checkout
owner: deployment-lead
runbook_url: https://runbooks.example.com/checkout
interval: 15s
flags: {store: json, path: flags.json}
baseline: {new_checkout: false, share: 0}
stages:
  - {stage: canary, exposure: 10%, set: {new_checkout: true, share: 10}, soak: 1h}
  - {stage: half, exposure: 50%, set: {share: 50}, soak: 1h}
signals:
  error_rate: {expr: errors}
  latency: {expr: latency}
gates:
  - {gate: Errors, signal: error_rate, below: 0.1%}
triggers:
  - {alert: ErrorRateHigh, signal: error_rate, above: 1%, for: 1m, severity: critical}
  - {alert: LatencyHigh, signal: latency, above: 500ms, action: alert}
"""
CANARY: dict[str, Scalar] = {"new_checkout": True, "share": 10}
GOOD: dict[str, Observation] = {"errors": Value({(): 0.0}), "latency": Value({(): 0.1})}
BAD: Observation = Value({(): 0.031})
NOTHING: Observation = NoData("it returned nothing")
AWAY: Observation = Failed(Failure.UNREACHABLE, "connection refused")


def series(**labels: str) -> Labels:
    return tuple(sorted(labels.items()))


class Guard:
    """Starts at the stage whose flags it first sees: canary."""

    def __init__(self, folder: Path, rules: str = RULES) -> None:
        file = folder / "rules.yml"
        file.write_text(rules, encoding="utf-8")
        self.rollout = load(file)
        self.state = State()
        self.judgement: Judgement

    @property
    def position(self) -> Position:
        assert self.state.position is not None
        return self.state.position

    def see(self, seconds: float, flags: Mapping[str, Scalar] | str = CANARY, **seen: Observation) -> dict[str, Alert]:
        """One evaluation, so long after noon, of what is good unless `seen` says otherwise; the alerts after it, by name."""
        step = machine.step(self.rollout, self.state, Sight({**GOOD, **seen}, flags), at(seconds))
        self.state, self.judgement = step.state, step.judgement
        return self.alerts()

    def happen(self, seconds: float, event: Event, /, **body: Any) -> dict[str, Alert]:
        """Something that is not the judge's doing; the alerts after it, by name."""
        self.state = machine.apply(self.state, Happened(event, body), at(seconds))
        return self.alerts()

    def alerts(self, **external_labels: str) -> dict[str, Alert]:
        """By name; where several series alert under one name, the last of them."""
        return {alert.labels["alertname"]: alert for alert in self.all(**external_labels)}

    def all(self, **external_labels: str) -> list[Alert]:
        return active(self.rollout, self.state, self.judgement, external_url=URL, external_labels=external_labels)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)
