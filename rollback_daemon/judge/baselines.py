"""Baselines of signals: measured again and again while a stage lasts, captured when the next one begins. Pure.

What was measured last before a promotion goes on record with its intent, so that a stage is held against the time before it. Lives here: when to
measure, what a measurement is worth, how the captured one is handed to the signals. Must not live here: the comparison itself (`rules.reading`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.judge.dossier import Dossier
from rollback_daemon.judge.reasons import Check, Code
from rollback_daemon.rules.measures import Baseline, Signal
from rollback_daemon.rules.model import Rollout, Stage
from rollback_daemon.rules.reading import Observations
from rollback_daemon.signals.observation import Failed, Labels, NoData, Observation, Value

_NEVER = "no baseline was captured before this stage began; the next stage has one, or this one after going down and up again"
_TIMES = 60  # in one window it is measured so often: a baseline is exact to a sixtieth of its window


@dataclass(frozen=True, slots=True)
class Prospect:
    """A baseline as it would be captured now: `series` that have enough data, and `why` others, or all, have not."""

    at: datetime
    series: Mapping[Labels, float] = field(default_factory=dict)
    why: str = ""


def due(rollout: Rollout, prospects: Mapping[str, Prospect], now: datetime) -> Iterator[Signal]:
    """The signals whose baseline should be measured now."""
    for signal in rollout.relative_signals():
        known = prospects.get(signal.name)
        if signal.baseline and (known is None or not timedelta() <= now - known.at < _every(rollout, signal.baseline)):
            yield signal


def questions(rollout: Rollout, prospects: Mapping[str, Prospect], now: datetime) -> Iterator[str]:
    """The queries of those measurements."""
    for signal in due(rollout, prospects, now):
        yield from signal.baseline_questions() or ()


def measured(rollout: Rollout, prospects: Mapping[str, Prospect], observations: Observations, now: datetime) -> Mapping[str, Prospect]:
    """The prospects after the cycle at `now`: what was not asked, or not answered, stays as it was."""
    found = {signal.name: one for signal in due(rollout, prospects, now) if (one := _measure(signal, observations, now))}
    return {**prospects, **found} if found else prospects


def captured(rollout: Rollout, prospects: Mapping[str, Prospect]) -> dict[str, list[dict[str, Any]]]:
    """The baselines for the stage that begins now, as JSON for the record of its intent."""
    known = {signal.name: prospects[signal.name].series for signal in rollout.relative_signals() if signal.name in prospects}
    return {name: [{"labels": dict(labels), "value": value} for labels, value in series.items()] for name, series in known.items() if series}


def as_observations(rollout: Rollout, dossier: Dossier) -> dict[str, Observation]:
    """The captured baselines, as what the signals find them under."""
    return {signal.baseline_key: _observation(dossier.bases.get(signal.name)) for signal in rollout.relative_signals()}


def checks(rollout: Rollout, prospects: Mapping[str, Prospect], stage: Stage, now: datetime) -> Iterator[Check]:
    """Whether there is enough data to hold the next stage against; asked for what is judged relative to a baseline there."""
    following = rollout.above(stage)
    if following is None:
        return
    for signal in _judged_at(rollout, following):
        name, known = f"baseline {signal.name}", prospects.get(signal.name)
        window = format_duration(signal.baseline.window) if signal.baseline else ""
        if known is None or now - known.at > 2 * _every(rollout, signal.baseline):
            yield Check(name, f"the baseline of {signal.name} over {window} could not be measured", Code.BASELINE_DATA, signal.name)
        elif not known.series:
            yield Check(name, f"the baseline of {signal.name} over {window}: {known.why}", Code.BASELINE_DATA, signal.name)
        else:
            yield Check(name, f"the baseline of {signal.name} over {window} is known")


def _judged_at(rollout: Rollout, stage: Stage) -> Iterable[Signal]:
    armed = [trigger for trigger in rollout.triggers if stage.name in trigger.stages and not trigger.dry_run]
    asked = [gate.signal for gate in rollout.gates if stage.name in gate.stages and gate.blocking]
    signals = [*asked, *(signal for trigger in armed for signal in trigger.test.signals())]
    return {signal.name: signal for signal in signals if signal.over_baseline}.values()


def _every(rollout: Rollout, baseline: Baseline | None) -> timedelta:
    return max(rollout.interval, baseline.window / _TIMES) if baseline else rollout.interval


def _measure(signal: Signal, observations: Observations, now: datetime) -> Prospect | None:
    """One measurement; None when it was not asked for or could not be answered, and is asked for again."""
    asked = signal.baseline_questions()
    if asked is None or signal.baseline is None:
        return None
    value, count = (observations.get(query) for query in asked)
    if value is None or count is None or isinstance(value, Failed) or isinstance(count, Failed):
        return None
    if isinstance(value, NoData) or isinstance(count, NoData):
        return Prospect(now, why="there is no data at all")
    had = {labels: number * signal.baseline.step for labels, number in count.series.items()}
    enough = {labels: number for labels, number in value.series.items() if had.get(labels, timedelta()) >= signal.baseline.at_least}
    longest = max(had.values(), default=timedelta())
    why = "" if enough else f"there is data for {format_coarse(longest)} of it, at least {format_duration(signal.baseline.at_least)} is needed"
    return Prospect(now, enough, why)


def _observation(series: Mapping[Labels, float] | None) -> Observation:
    return Value(series) if series else NoData(_NEVER)
