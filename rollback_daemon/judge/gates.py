"""What stands between a rollout and its next stage: the gates, and everything else that blocks a promotion. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rollback_daemon.durations import format_coarse, format_duration, format_number
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.state import GateJudgement, State, TriggerJudgement
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.model import Condition, Gate, Rollout, Stage
from rollback_daemon.rules.reading import Observations, Reading, Verdict, compare, look, worst
from rollback_daemon.signals.observation import Labels, show_labels


def judge_gate(gate: Gate, observations: Observations, now: datetime) -> GateJudgement:
    """Whether the gate passes: every series must. What is shown is the series that tells why, and of several the worst."""
    assessment = compare(look(gate.signal, observations, now), gate.condition.negated, gate.signal.no_data)
    verdict = worst(assessment)
    labels, shown = _telling(gate.condition, assessment.series, verdict)
    return GateJudgement(gate, verdict, shown.value, assessment.why or shown.why, labels)


def _telling(condition: Condition, series: Mapping[Labels, Reading], verdict: Verdict) -> tuple[Labels, Reading]:
    candidates = [one for one in series.items() if one[1].verdict is verdict] or [*series.items()]
    return min(candidates, key=lambda one: condition.margin(one[1].value or 0.0), default=((), Reading(verdict)))


def gate_sentence(judged: GateJudgement) -> str:
    """`PassRate: pass_rate 0.97, must be >= 0.98`."""
    name = f"{judged.gate.name}: {judged.gate.signal.name}{show_labels(judged.labels)}"
    if judged.verdict is Verdict.UNKNOWN or judged.value is None:
        return f"{name} is unknown ({judged.why or 'no data'}), must be {judged.gate.condition}"
    return f"{name} {format_number(judged.value)}, must be {judged.gate.condition}"


def blockers(
    rollout: Rollout,
    state: State,
    position: Position,
    gates: tuple[GateJudgement, ...],
    triggers: tuple[TriggerJudgement, ...],
    whereabouts: Whereabouts,
) -> Iterator[Reason]:
    """Every reason why the rollout may not be promoted now; none means that it may."""
    yield from of_position(rollout, state, position)
    yield from obstacles(rollout, position, gates, triggers, whereabouts)


OF_POSITION = frozenset({Code.LATCHED, Code.HELD, Code.IN_TRANSITION, Code.AT_TOP, Code.SOAK})
"""The codes of `of_position`: what the record alone tells, without an evaluation."""


def of_position(rollout: Rollout, state: State, position: Position) -> Iterator[Reason]:
    """What speaks against a promotion in where the rollout stands."""
    stage = rollout.stage(position.stage)
    if position.phase in {Phase.ROLLED_BACK, Phase.FROZEN}:
        yield Reason(Code.LATCHED, f"it was rolled back ({position.why}); resume it with a reason first")
    if position.phase is Phase.HELD:
        yield Reason(Code.HELD, f"it is held ({position.why}); resume it with a reason first", position.by)
    if position.phase in {Phase.PROMOTING, Phase.ROLLING_BACK, Phase.FAILED}:
        yield Reason(Code.IN_TRANSITION, f"its flags are being changed now ({position.phase})")
    if stage is rollout.stages[-1]:
        yield Reason(Code.AT_TOP, f'"{stage.name}" is its highest stage')
    elif stage and state.soaked < stage.soak:
        left = format_coarse(stage.soak - state.soaked)
        yield Reason(Code.SOAK, f'soaked {format_coarse(state.soaked)} of {format_duration(stage.soak)} at "{stage.name}"; {left} to go')


def obstacles(
    rollout: Rollout,
    position: Position,
    gates: tuple[GateJudgement, ...],
    triggers: tuple[TriggerJudgement, ...],
    whereabouts: Whereabouts,
) -> Iterator[Reason]:
    """What speaks against a promotion in what was seen: flags, gates, triggers. Whoever is ready or complete has none of these."""
    yield from _of_flags(whereabouts)
    for judged in gates:
        if judged.verdict is not Verdict.CLEAR:
            code = Code.GATE_VIOLATED if judged.verdict is Verdict.BREACHED else Code.GATE_UNKNOWN
            yield Reason(code, f"gate {gate_sentence(judged)}", judged.gate.name)
    stage = rollout.stage(position.stage) or rollout.stages[0]
    following = rollout.stages[stage.number + 1] if stage is not rollout.stages[-1] else None
    for one in triggers:
        yield from _of_trigger(one, stage, following)


def is_watching(one: TriggerJudgement, position: Position) -> bool:
    """Whether the trigger has a say about the present stage: armed there, and no dry run."""
    return one.armed and not one.trigger.dry_run and position.stage in one.trigger.stages


def _of_flags(whereabouts: Whereabouts) -> Iterator[Reason]:
    if whereabouts.drift is Drift.UNREADABLE:
        yield Reason(Code.FLAGS_UNREADABLE, f"its flags cannot be read: {whereabouts.why}")
    elif whereabouts.drift is not Drift.NONE:
        keys = ", ".join(sorted(whereabouts.keys or ()))
        yield Reason(Code.DRIFT, f"its flags are not those of the stage on record ({keys})")


def _of_trigger(one: TriggerJudgement, stage: Stage, following: Stage | None) -> Iterator[Reason]:
    """A trigger speaks for the stages that it is armed at: the present one, and the next, which it would take back at once.

    With an `initial_delay` its signal means nothing before a stage has had that time: at the next stage there is nothing to tell yet, and the
    present one is not judged before its delay is over.
    """
    name, trigger = one.trigger.name, one.trigger
    if trigger.dry_run:
        return
    if stage.name in trigger.stages and not one.armed:
        delay = format_duration(trigger.initial_delay)
        yield Reason(Code.TRIGGER_UNKNOWN, f'trigger {name} cannot tell: it is armed {delay} after "{stage.name}" began', name)
    elif stage.name in trigger.stages:
        yield from _of_series(one, "")
    elif following and following.name in trigger.stages and not trigger.initial_delay:
        yield from _of_series(one, f', and is armed at "{following.name}"')


def _of_series(one: TriggerJudgement, where: str) -> Iterator[Reason]:
    name = one.trigger.name
    phase = one.state.phase
    if phase is TriggerPhase.FIRING:
        yield Reason(Code.TRIGGER_FIRING, f"trigger {name} is firing{where}", name)
    elif phase is TriggerPhase.PENDING:
        yield Reason(Code.TRIGGER_PENDING, f"trigger {name} is pending{where}", name)
    if one.state.unknown_since is not None:
        yield Reason(Code.TRIGGER_UNKNOWN, f"trigger {name} cannot tell: {one.state.why or 'no data'}{where}", name)
