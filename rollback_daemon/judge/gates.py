"""What stands between a rollout and its next stage, as far as it is measured: the flags, the gates, the triggers. Pure.

Lives here: one gate in one evaluation, and the checks of what was seen. Must not live here: what the record tells (`standing`), what people say
(`requirements`), counting over a stage (`tenure`).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.judge import tenure
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Check, Code
from rollback_daemon.judge.state import GateJudgement, TriggerJudgement
from rollback_daemon.judge.tenure import Tenure
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.measures import Condition
from rollback_daemon.rules.model import Gate, Rollout, Stage
from rollback_daemon.rules.reading import Health, Observations, Reading, Verdict, compare, look, quorum, worst
from rollback_daemon.signals.observation import Labels, show_labels

FLAGS = "flags"
"""What the check of the flags is called."""


def judge_gate(gate: Gate, observations: Observations, stage: str, now: datetime) -> GateJudgement:
    """Whether the gate passes in this evaluation: every series must. What is shown is the series that tells why, and of several the worst."""
    applies = stage in gate.stages
    assessment = compare(look(gate.signal, observations, now), gate.condition.negated, gate.signal.no_data)
    if gate.quorum is None:
        verdict = worst(assessment)
        labels, shown = _telling(gate.condition, assessment.series, verdict)
        return GateJudgement(gate, verdict, shown.value, assessment.why or shown.why, labels, applies)
    verdict = quorum(assessment, gate.quorum)
    failing = [show_labels(labels) for labels, one in sorted(assessment.series.items()) if one.verdict is not Verdict.CLEAR]
    return GateJudgement(gate, verdict, float(len(assessment.series) - len(failing)), assessment.why or ", ".join(failing), (), applies)


def judge_quiet(gate: Gate, known: Tenure, position: Position) -> GateJudgement:
    """Whether none of the gate's triggers has fired since the stage began, or since a person said go on."""
    since = max(position.tenure, position.counted_from or position.tenure)
    fired = tenure.fired(known, gate.quiet, since)
    why = ", ".join(f"{name} at {at:%Y-%m-%d %H:%M:%S}" for name, at in fired.items())
    verdict = Verdict.BREACHED if fired else Verdict.CLEAR
    return GateJudgement(gate, verdict, float(len(fired)), why, (), position.stage in gate.stages)


def _telling(condition: Condition, series: Mapping[Labels, Reading], verdict: Verdict) -> tuple[Labels, Reading]:
    candidates = [one for one in series.items() if one[1].verdict is verdict] or [*series.items()]
    return min(candidates, key=lambda one: condition.margin(one[1].value or 0.0), default=((), Reading(verdict)))


def gate_sentence(judged: GateJudgement) -> str:
    """`PassRate: pass_rate 0.97, must be >= 0.98`."""
    gate = judged.gate
    if gate.quiet:
        return f"{gate.name}: fired since this stage began: {judged.why or 'none'}"
    name = f"{gate.name}: {gate.signal.subject}{show_labels(judged.labels)}"
    must = str(gate.condition)
    if gate.quorum:
        name, must = f"{gate.name}: {gate.signal.subject} {gate.condition}", f"at least {gate.quorum[0]} of {gate.quorum[1]}"
    if judged.verdict is Verdict.UNKNOWN or judged.value is None:
        return f"{name} is unknown ({judged.why or 'no data'}), must be {must}"
    if gate.quorum:
        failing = f"; not so on {judged.why}" if judged.why else ""
        return f"{name} on {format_number(judged.value)} of {gate.quorum[1]} series, must be at least {gate.quorum[0]}{failing}"
    beside = "" if gate.signal.evidence and judged.verdict is Verdict.CLEAR else judged.why  # which evidence it is matters where it is in the way
    return f"{name} {format_number(judged.value)}{f' ({beside})' if beside else ''}, must be {must}"


def of_sight(
    rollout: Rollout, position: Position, gates: Sequence[GateJudgement], triggers: Sequence[TriggerJudgement], where: Whereabouts, now: datetime
) -> Iterator[Check]:
    """The checks of what was seen. A rollout that is ready or complete passes all that are blocking."""
    yield of_flags(where)
    for judged in gates:
        if judged.applies:
            yield _of_gate(judged, now)
    stage = rollout.stage(position.stage) or rollout.stages[0]
    for one in triggers:
        yield from _of_trigger(one, stage, rollout.above(stage))


def is_watching(one: TriggerJudgement, position: Position) -> bool:
    """Whether the trigger has a say about the present stage: armed there, and no dry run."""
    return one.armed and not one.trigger.dry_run and position.stage in one.trigger.stages


def of_flags(where: Whereabouts) -> Check:
    """Whether the flags are those on record."""
    if where.drift is Drift.UNREADABLE:
        return Check(FLAGS, f"its flags cannot be read: {where.why}", Code.FLAGS_UNREADABLE)
    if where.drift is not Drift.NONE:
        keys = ", ".join(sorted(where.keys or ()))
        return Check(FLAGS, f"its flags are not those of the stage on record ({keys})", Code.DRIFT)
    return Check(FLAGS, "its flags are those of the stage on record")


def _of_gate(judged: GateJudgement, now: datetime) -> Check:
    gate, sentence = judged.gate, f"gate {gate_sentence(judged)}"
    name, code = gate.name, None
    if judged.verdict is not Verdict.CLEAR:
        code = Code.GATE_VIOLATED if judged.verdict is Verdict.BREACHED else Code.GATE_UNKNOWN
    elif lacking := tenure.shortfall(gate, judged.record, now):
        code, sentence = lacking[0], f"{sentence}; {lacking[1]}"
    return Check(name, sentence, code, gate.name, gate.blocking)


def _of_trigger(one: TriggerJudgement, stage: Stage, following: Stage | None) -> Iterator[Check]:
    """A trigger speaks for the stages that it is armed at: the present one, and the next, which it would take back at once.

    With an `initial_delay` its signal means nothing before a stage has had that time, and one that is held against a baseline may have none yet, as
    a canary has no experiment: that it cannot tell says nothing about the next stage. The present stage is not judged before the delay is over.
    """
    trigger = one.trigger
    name = f"trigger {trigger.name}"
    if trigger.dry_run:
        return
    if stage.name in trigger.stages and not one.armed:
        delay = format_duration(trigger.initial_delay)
        yield Check(name, f'{name} cannot tell: it is armed {delay} after "{stage.name}" began', Code.TRIGGER_UNKNOWN, trigger.name)
    elif stage.name in trigger.stages:
        yield from _of_series(one, "")
    elif following and following.name in trigger.stages and not trigger.initial_delay:
        next_up = _of_series(one, f', and is armed at "{following.name}"')
        relative = any(signal.over_baseline or signal.exposed_only for signal in trigger.test.signals())
        yield from (check for check in next_up if not (relative and check.code is Code.TRIGGER_UNKNOWN))


def _of_series(one: TriggerJudgement, where: str) -> Iterator[Check]:
    subject, phase = one.trigger.name, one.state.phase
    name, unknown = f"trigger {subject}", one.state.unknown_since is not None or one.state.health is Health.COLLECTING
    if phase is TriggerPhase.FIRING:
        yield Check(name, f"trigger {subject} is firing{where}", Code.TRIGGER_FIRING, subject)
    elif phase is TriggerPhase.PENDING:
        yield Check(name, f"trigger {subject} is pending{where}", Code.TRIGGER_PENDING, subject)
    if unknown:
        yield Check(name, f"trigger {subject} cannot tell: {one.state.why or 'no data'}{where}", Code.TRIGGER_UNKNOWN, subject)
    elif phase is TriggerPhase.INACTIVE:
        yield _inactive(subject)


@cache
def _inactive(subject: str) -> Check:
    """What is said of nearly every trigger in nearly every evaluation."""
    return Check(f"trigger {subject}", f"trigger {subject} is inactive")
