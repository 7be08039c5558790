"""A trigger of a kind of ours, and the alerting rule that `check --expand` prints for it, inside Prometheus: the same phases at every evaluation.

Where something cannot be told, ours would hold the phase and Prometheus ends it; with `no_data: ignore` both end it, which is what is compared.
`make oracle` looks at ten times as many cases as the tests do.
"""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.prometheus import Prometheus
from tests.oracle.histories import LENGTH, History, Rule
from tests.oracle.referee import Slots, judged, objections

CASES = max(2, int(os.environ.get("ORACLE_CASES", "200")) // 50)
MINUTE = timedelta(minutes=1)
POINTS = LENGTH // MINUTE + 1
WINDOWS = [{"long": "20m", "short": "5m", "factor": 2}, {"long": "1h", "short": "10m", "factor": 1.2}]
COUNTERS = {"errors": "e_total", "total": "t_total", "windows": WINDOWS, "no_data": "ignore"}
TRIGGERS: list[dict[str, Any]] = [
    {"alert": "Burn", "burn_rate": {"objective": "80%", **COUNTERS}},
    {"alert": "BurnBy", "burn_rate": {"objective": "80%", "by": ["s"], **COUNTERS}, "for": "3m"},
    {"alert": "Gone", "absent": 'm{s="a"}', "for": "2m"},
    {"alert": "AllGone", "absent": "sum(m)"},
    {"alert": "Fuller", "forecast": {"signal": "m", "above": 30, "within": "20m", "fit": "10m"}, "for": "2m"},
    {"alert": "Emptier", "forecast": {"signal": "m", "below": 0, "within": "1h", "fit": "15m", "min_data": "12m"}},
    {"alert": "More", "increase": {"signal": "m", "over": {"control": "n"}, "above": "50%"}},
    {"alert": "MoreThanAll", "increase": {"signal": "m", "over": {"control": "sum(n)"}, "at_least": "10%"}},
    {"alert": "Larger", "signal": "m", "at_least": 5, "relative_to": {"control": "n"}},
]


@st.composite
def gauge(draw: st.DrawFn) -> list[float | str]:
    """Stretches that stand, climb, fall, or are not there."""
    points, value = list[float | str](), 10.0
    while len(points) < POINTS:
        slope = draw(st.sampled_from([0.0, 0.5, 1.0, -0.5, -1.0, "gap", "stale"]))
        for _ in range(draw(st.integers(2, 25))):
            value = value + slope if isinstance(slope, float) else 10.0
            points.append(slope if isinstance(slope, str) else value)
    return points[:POINTS]


@st.composite
def counter(draw: st.DrawFn, most: int) -> list[float | str]:
    """Stretches that grow more or less, stand, begin anew, or are not there."""
    points, value = list[float | str](), 0.0
    while len(points) < POINTS:
        grows = draw(st.sampled_from([0, 1, most, most, "gap", "reset"]))
        for _ in range(draw(st.integers(2, 25))):
            value = 0.0 if grows == "reset" else value + grows if isinstance(grows, int) else value
            points.append("gap" if grows == "gap" else value)
    return points[:POINTS]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Two instances, one of which may never have had an error."""
    series = {f'm{{s="{name}"}}': draw(gauge()) for name in "ab"} | {'n{s="a"}': draw(gauge())}
    series |= {f't_total{{s="{name}"}}': draw(counter(10)) for name in "ab"}
    series |= {f'e_total{{s="{name}"}}': draw(counter(8)) for name in draw(st.sampled_from(["", "a", "ab"]))}
    return History(MINUTE, MINUTE, series, [])


def rollout_in(folder: Path) -> Rollout:
    written = {
        "rollout": "kinds",
        "owner": "nobody",
        "interval": "1m",
        "flags": {"store": "json", "path": "flags.json"},
        "baseline": {"on": "no"},
        "stages": [{"stage": "canary", "exposure": "10%", "set": {"on": "yes"}, "soak": "1h"}],
        "signals": {"m": {"expr": "m", "no_data": "ignore"}},
        "triggers": [{"action": "alert", **trigger} for trigger in TRIGGERS],
    }
    file = folder / "kinds.yml"
    file.write_text(json.dumps(written), encoding="utf-8")
    return load(file)


@pytest.mark.oldest_and_newest
@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories())
def test_a_trigger_is_judged_as_its_expansion_is_by_prometheus(
    history: History, slots: Slots, client: Prometheus, promtool: Path, folder: Path
) -> None:
    rollout = rollout_in(folder)
    expanded = [Rule(one.name, one.test.alert_expr, one.for_, timedelta()) for one in rollout.triggers]
    history = History(history.step, history.interval, history.series, expanded)
    phases = judged(rollout, client, slots.put(history))
    for alert in {name for one in phases for (name, _), phase in one.items() if phase is TriggerPhase.FIRING}:
        event(f"{alert} fires")
    assert objections(history, phases, promtool, folder) == ""
