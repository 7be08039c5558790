"""Both sides of the comparison: our judge with the answers of a real Prometheus, and promtool with the rules themselves."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollback_daemon.durations import format_duration
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.lab.history import Fetcher, Grid, Walk
from rollback_daemon.replay import Replay
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout, Trigger
from rollback_daemon.rules.triggers import Threshold
from rollback_daemon.signals.observation import Labels
from rollback_daemon.signals.prometheus import Prometheus
from tests.oracle.histories import LENGTH, History

Phases = Mapping[tuple[str, Labels], TriggerPhase]
"""Alert and labels of every series that is pending or firing."""

_MOST_SAID = 3000


def rollout_of(history: History, folder: Path) -> Rollout:
    """The rules of the history as triggers of a rollout, read from a rule file as anybody's are."""
    written = {
        "rollout": "pasted",
        "owner": "nobody",
        "interval": format_duration(history.interval),
        "flags": {"store": "json", "path": "flags.json"},
        "baseline": {"on": "no"},
        "stages": [{"stage": "canary", "exposure": "10%", "set": {"on": "yes"}, "soak": "1h"}],
        "triggers": [{**rule.as_yaml(), "action": "alert"} for rule in history.rules],
    }
    file = folder / "pasted.yml"
    file.write_text(json.dumps(written), encoding="utf-8")  # JSON is YAML, too
    return load(file)


def judged(rollout: Rollout, prometheus: Prometheus, start: datetime) -> list[Phases]:
    """What our judge says at each evaluation of the history."""
    grid = Grid(start, rollout.interval, LENGTH // rollout.interval + 1)
    replay, phases = Replay(rollout, {"on": "yes"}), list[Phases]()
    for now, observations in Walk([rollout], Fetcher(prometheus)).through(grid):
        replay.cycle(observations, now)
        triggers = replay.judgement.triggers if replay.judgement else ()
        phases.append({(one.trigger.name, active.labels): active.phase for one in triggers for active in one.state.active})
    return phases


def unsplit(rollout: Rollout, history: History) -> Rollout:
    """The same triggers, each asking its whole expression: any series of the answer is a breach."""
    exprs = {rule.alert: rule.expr for rule in history.rules}

    def whole(trigger: Trigger) -> Trigger:
        assert isinstance(trigger.test, Threshold)
        return replace(trigger, test=Threshold(replace(trigger.test.signal, expr=exprs[trigger.name]), None))

    return replace(rollout, triggers=tuple(map(whole, rollout.triggers)))


def objections(history: History, expected: Sequence[Phases], promtool: Path, folder: Path) -> str:
    """What promtool has against these phases; empty when Prometheus' own rule engine says the same at every evaluation."""
    test = {
        "interval": format_duration(history.step),
        "input_series": history.notation(),
        "promql_expr_test": [_expected(number * history.interval, phases) for number, phases in enumerate(expected)],
    }
    files: dict[str, object] = {
        "rules.yml": {"groups": [{"name": "pasted", "rules": [rule.as_yaml() for rule in history.rules]}]},
        "test.yml": {"rule_files": ["rules.yml"], "evaluation_interval": format_duration(history.interval), "tests": [test]},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    ran = subprocess.run([promtool, "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return "" if ran.returncode == 0 else (ran.stdout + ran.stderr)[:_MOST_SAID]


def _expected(after: timedelta, phases: Phases) -> dict[str, object]:
    samples = [
        {"labels": _alerts({"alertname": alert, "alertstate": str(phase), **dict(labels)}), "value": 1} for (alert, labels), phase in phases.items()
    ]
    return {"expr": "ALERTS", "eval_time": format_duration(after), "exp_samples": samples}


def _alerts(labels: Mapping[str, str]) -> str:
    return "ALERTS{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


class Slots:
    """Gives each history hours of its own: a server takes no samples much older than its newest."""

    def __init__(self, write: Callable[[History, datetime], None]) -> None:
        self._next, self._write = datetime(2026, 1, 1, tzinfo=UTC), write

    def put(self, history: History) -> datetime:
        """Have the history written; returns the time of its first point."""
        start = self._next
        self._next += timedelta(hours=3)
        self._write(history, start)
        return start


@dataclass(slots=True)
class Tally:
    """What was compared with one Prometheus."""

    version: str
    cases: int = 0
    rules: int = 0
    evaluations: int = 0
    fired: int = 0

    def count(self, history: History, phases: Sequence[Phases]) -> None:
        """One more case."""
        self.cases += 1
        self.rules += len(history.rules)
        self.evaluations += len(history.rules) * len(phases)
        self.fired += len({name for one in phases for (name, _), phase in one.items() if phase is TriggerPhase.FIRING})

    def __str__(self) -> str:
        compared = f"{self.cases} cases, {self.rules} rules of which {self.fired} fired, {self.evaluations} evaluations"
        return f"compared with promtool of Prometheus {self.version}: {compared}"
