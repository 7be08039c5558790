"""What is expected at a time, beside what is so: every difference, not only the first.

Numbers agree to six significant digits, as the judge's own sentences show them. Lives here: the comparison with the judge. Must not live here: alerts
(`alert_tests`), expressions (`expressions`), when it is looked at (`running`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rollback_daemon.documents import Step
from rollback_daemon.durations import format_number
from rollback_daemon.faces.alerts import Alert
from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.judge.gates import gate_sentence
from rollback_daemon.judge.state import Judgement, TriggerJudgement
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.lab.testing.load import Case
from rollback_daemon.lab.testing.results import Failure
from rollback_daemon.lab.testing.schema import FAILED, NO_DATA, ExpectedTrigger, ExpectedValue, RolloutTest
from rollback_daemon.replay import Replay
from rollback_daemon.rules.reading import Observations, Verdict, look
from rollback_daemon.signals.observation import Failed, Labels, NoData, Observation, Value, show_labels

_GATES = {Verdict.CLEAR: "passes", Verdict.BREACHED: "violated", Verdict.UNKNOWN: "unknown"}
_DIGITS = 1e-6
_PHASES = (TriggerPhase.INACTIVE, TriggerPhase.PENDING, TriggerPhase.FIRING)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is so at a time: the rollout, what was seen last, its alerts, and what was decided in the last evaluation and since."""

    case: Case
    replay: Replay
    judgement: Judgement
    observations: Observations
    alerts: Sequence[Alert]
    decisions: Sequence[str]


def differences(scene: Scene, number: int, test: RolloutTest) -> Iterator[Failure]:
    """Every way in which it is not as the test (its `number` in the case) says."""
    yield from _Looking(scene, ("rollout_test", number), test.eval_time).all(test)


@dataclass(frozen=True, slots=True)
class _Looking:
    scene: Scene
    at: tuple[Step, ...]
    time: timedelta

    def all(self, test: RolloutTest) -> Iterator[Failure]:
        replay, judgement = self.scene.replay, self.scene.judgement
        position = replay.position
        stage = replay.ladder.stage(position.stage)
        yield from self._plain("stage", test.stage, position.stage)
        yield from self._plain("phase", test.phase, str(position.phase))
        exposure = stage.exposure if stage and position.placed else None
        if test.exposure is not None and (exposure is None or not _agree(test.exposure, exposure)):
            yield self._failure(("exposure",), "exposure", _share(test.exposure), _share(exposure))
        yield from self._plain("blind", test.blind, replay.state.blind)
        judged = {one.trigger.name: one for one in judgement.triggers}
        for name, trigger in test.triggers.items():
            yield from self._trigger(name, trigger, judged[name])
        for name, values in test.values.items():
            yield from self._signal(name, values)
        gates = {one.gate.name: one for one in judgement.gates}
        for name, verdict in test.gates.items():
            if verdict != (actual := _GATES[gates[name].verdict]):
                yield self._failure(("gates", name), f"gate {name}", verdict, f"{actual} ({gate_sentence(gates[name])})")
        yield from self._flags(test.flags, replay.flags)
        yield from self._listed("decisions", test.decisions, self.scene.decisions)
        yield from self._listed("blocked_by", test.blocked_by, {str(one.code) for one in judgement.blockers})
        yield from self._listed("alerts", test.alerts, {one.labels["alertname"] for one in self.scene.alerts})

    def _trigger(self, name: str, expected: ExpectedTrigger, judged: TriggerJudgement) -> Iterator[Failure]:
        what, at, chosen = f"trigger {name}", ("triggers", name), _series(judged, expected.labels)
        if expected.labels:
            what += show_labels(tuple(sorted(expected.labels.items())))
        if len(chosen) > 1 and expected.labels:
            seen = ", ".join(map(show_labels, chosen))
            yield self._failure(at, what, "one series with these labels", f"several: {seen}", judged)
            return
        active = {one.labels: one for one in judged.state.active}
        phase = str(judged.state.phase)
        if expected.labels:
            phase = str(active[chosen[0]].phase if chosen and chosen[0] in active else TriggerPhase.INACTIVE)
        if expected.phase is not None and expected.phase != phase:
            yield self._failure((*at, "phase"), what, expected.phase, phase, judged)
        if expected.health is not None and expected.health != judged.state.health:
            yield self._failure((*at, "health"), f"health of {what}", expected.health, str(judged.state.health), judged)
        if expected.armed is not None and expected.armed != judged.armed:
            wanted, found = ("armed", "not armed") if expected.armed else ("not armed", "armed")
            yield self._failure((*at, "armed"), what, wanted, found, judged)
        if expected.value is not None:
            actual = _value_of(judged, chosen)
            if not _agrees(expected.value, actual):
                yield self._failure((*at, "value"), f"value of {what}", _seen(expected.value), _seen(actual), judged)

    def _signal(self, name: str, expected: Sequence[ExpectedValue]) -> Iterator[Failure]:
        signal = next(one for one in self.scene.replay.rollout.signals if one.name == name)
        seen = look(signal, self.scene.observations, self.scene.judgement.at)
        actual: dict[Labels, float | str] = {**seen.series, **dict.fromkeys(seen.unknown, NO_DATA)} if isinstance(seen, Value) else {}
        for index, one in enumerate(expected):
            labels = tuple(sorted(one.labels.items()))
            found: float | str = _lack(seen)
            if actual:
                alone = next(iter(actual.values())) if len(actual) == 1 and not labels else None
                found = alone if alone is not None else actual.get(labels, f"one of {', '.join(map(_shown, actual.items()))}")
            if not _agrees(one.value, found):
                told = f"{_seen(found)} ({seen.why})" if isinstance(seen, (NoData, Failed)) else _seen(found)
                yield self._failure(("values", name, index), f"signal {name}{show_labels(labels)}", _seen(one.value), told)

    def _flags(self, expected: Mapping[str, FlagValue], actual: Mapping[str, FlagValue] | str) -> Iterator[Failure]:
        values = {} if isinstance(actual, str) else actual
        for key, value in expected.items():
            if key not in values or not same(values[key], value):
                yield self._failure(("flags", key), f"flag {key}", _flag(value), _flag(values[key]) if key in values else "not set")

    def _plain(self, key: str, expected: Any, actual: Any) -> Iterator[Failure]:
        if expected is not None and expected != actual:
            yield self._failure((key,), key, _flag(expected), _flag(actual))

    def _listed(self, key: str, expected: Sequence[str] | None, actual: Sequence[str] | set[str]) -> Iterator[Failure]:
        if expected is not None and sorted(expected) != sorted(actual):
            yield self._failure((key,), key, _list(expected), _list(actual))

    def _failure(self, at: tuple[Step, ...], what: str, expected: str, actual: str, trigger: TriggerJudgement | None = None) -> Failure:
        return Failure(line_of(self.scene.case, (*self.at, *at)), self.time, what, expected, actual, trigger, self.scene.judgement.at)


def line_of(case: Case, trail: tuple[Step, ...]) -> int:
    """The line of the file at which this part of the case stands, or the nearest place above it."""
    while trail and trail not in case.lines:
        trail = trail[:-1]
    return case.lines.get(trail, case.line)


def _series(judged: TriggerJudgement, labels: Mapping[str, str]) -> list[Labels]:
    """The series of a trigger that have these labels, the furthest first."""
    active = {one.labels: one for one in judged.state.active}
    every = dict.fromkeys([*active, *judged.assessment.series])
    chosen = [one for one in every if labels.items() <= dict(one).items()]
    return sorted(chosen, key=lambda one: -_PHASES.index(active[one].phase) if one in active else 0)


def _value_of(judged: TriggerJudgement, chosen: Sequence[Labels]) -> float | str:
    if not chosen:
        return FAILED if judged.state.health == "error" else NO_DATA
    reading = judged.assessment.series.get(chosen[0])
    return NO_DATA if reading is None or reading.value is None else float(reading.value)


def _lack(seen: Observation) -> str:
    return FAILED if isinstance(seen, Failed) else NO_DATA


def _agrees(expected: float | str, actual: float | str) -> bool:
    if isinstance(expected, str) or isinstance(actual, str):
        return expected == actual
    return _agree(expected, actual)


def _agree(expected: float, actual: float) -> bool:
    return math.isclose(expected, actual, rel_tol=_DIGITS, abs_tol=1e-12)


def _seen(value: float | str) -> str:
    return value if isinstance(value, str) else format_number(value)


def _shown(one: tuple[Labels, float | str]) -> str:
    return f"{show_labels(one[0])} {_seen(one[1])}".strip()


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{format_number(100 * value)}%"


def _list(values: Sequence[str] | set[str]) -> str:
    return f"[{', '.join(sorted(values))}]"


def _flag(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_flag, value))}]"
    return str(value).lower() if isinstance(value, bool) else "nothing" if value is None else str(value)
