"""What speaks for and against a promotion in where the rollout stands: its phase, its time at the stage, what it is degraded to. Pure.

Lives here: the checks of the record, and all checks in their order. Must not live here: what was measured (`gates`), what people owe
(`requirements`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rollback_daemon.durations import format_coarse, format_duration, format_number
from rollback_daemon.judge import baselines, readiness, required_config, requirements
from rollback_daemon.judge.drift import Whereabouts
from rollback_daemon.judge.gates import of_sight
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Check, Code
from rollback_daemon.judge.state import GateJudgement, State, TriggerJudgement
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.rules.model import Rollout

_OF_PHASE = {Code.LATCHED, Code.FROZEN, Code.HELD, Code.IN_TRANSITION, Code.REHEARSAL}
CODES = frozenset({*_OF_PHASE, Code.AT_TOP, Code.SOAK, Code.COOLDOWN, Code.DEGRADED}) | requirements.CODES
"""The codes of `of_record`: what the record alone tells, without an evaluation."""
_CHANGING = {Phase.PROMOTING, Phase.ROLLING_BACK, Phase.FAILED}


def all_checks(rollout: Rollout, state: State, position: Position, seen: Sequence[Check], now: datetime) -> tuple[Check, ...]:
    """Everything that a promotion asks for now, with the checks of what was `seen`; the score comes last, as it rests on the others."""
    known = [*of_record(rollout, state, position, now), *seen]
    return (*known, *_of_score(rollout, known))


def seen_checks(
    rollout: Rollout,
    state: State,
    position: Position,
    gates: Sequence[GateJudgement],
    triggers: Sequence[TriggerJudgement],
    where: Whereabouts,
    now: datetime,
) -> tuple[Check, ...]:
    """What was seen: flags, gates, triggers, configuration, and what the next stage would be held against.

    Ready is who passes all of these and has soaked; save for what only the next stage requires of the configuration, which people owe it.
    """
    stage = rollout.stage(position.stage) or rollout.stages[0]
    measured = of_sight(rollout, position, gates, triggers, where, now)
    return (*measured, *required_config.checks(where.settings), *baselines.checks(rollout, state.prospects, stage, now))


def of_record(rollout: Rollout, state: State, position: Position, now: datetime) -> Iterator[Check]:
    """The checks of the record: phase, stage, soak, degradation, and what the next stage requires."""
    stage = rollout.stage(position.stage)
    yield _of_phase(position)
    if stage is rollout.stages[-1]:
        yield Check("stage", f'"{stage.name}" is its highest stage', Code.AT_TOP)
    elif stage and stage.soak:
        soaked = f'soaked {format_coarse(state.soaked)} of {format_duration(stage.soak)} at "{stage.name}"'
        left = format_coarse(stage.soak - state.soaked) if state.soaked < stage.soak else ""
        yield Check("soak", f"{soaked}; {left} to go" if left else soaked, Code.SOAK if left else None)
    following = rollout.above(stage) if stage else None
    if rollout.max_growth and stage and following and stage.exposure:  # a file in which a stage grows more is not loaded at all
        times = f"{format_number(following.exposure / stage.exposure)} times {format_number(100 * stage.exposure)}%"
        yield Check("growth", f"{format_number(100 * following.exposure)}% is {times}, at most {format_number(rollout.max_growth)} times")
    if rollout.aftercare.cooldown and state.aftermath.last:
        yield _of_cooldown(rollout.aftercare.cooldown, now - state.aftermath.last)
    if position.degraded:
        keys = ", ".join(sorted(position.degraded))
        yield Check("degraded", f"it is degraded ({keys}); restore it with a reason first", Code.DEGRADED)
    yield from requirements.checks(rollout, state.dossier, position, now)


def _of_phase(position: Position) -> Check:
    if position.rehearsing:
        return Check("phase", f"a rollback is being rehearsed, asked for by {position.rehearsing.by}", Code.REHEARSAL)
    if position.phase is Phase.FROZEN:
        return Check("phase", f"it is frozen ({position.why}); resume it with a reason first", Code.FROZEN)
    if position.phase is Phase.ROLLED_BACK:
        return Check("phase", f"it was rolled back ({position.why}); resume it with a reason first", Code.LATCHED)
    if position.phase is Phase.HELD:
        return Check("phase", f"it is held ({position.why}); resume it with a reason first", Code.HELD, position.by)
    if position.open or position.phase in _CHANGING:
        doing = position.phase if position.phase in _CHANGING or not position.open else position.open.kind
        return Check("phase", f"its flags are being changed now ({doing})", Code.IN_TRANSITION)
    return Check("phase", f"it is {position.phase}, neither held nor rolled back")


def _of_cooldown(cooldown: timedelta, passed: timedelta) -> Check:
    over = passed >= cooldown
    left = "" if over else f"; {format_coarse(cooldown - passed)} to go"
    said = f"rolled back {format_coarse(passed)} ago, and no promotion follows within {format_duration(cooldown)}{left}"
    return Check("cooldown", said, None if over else Code.COOLDOWN)


def _of_score(rollout: Rollout, checks: Sequence[Check]) -> Iterator[Check]:
    """A scorecard of the rule file's own stops a promotion where nothing else does: then it rests on checks that are not blocking by themselves.

    The usual one is only shown, or a gate that is to be reported and no more would decide alone where little else is asked for.
    """
    if not rollout.scoring.parts or any(check.reason for check in checks):
        return
    card = readiness.score(rollout, checks)
    if card.verdict is readiness.Decision.NO_GO:
        limit = f"{rollout.scoring.monitor:g} of 100 are needed"
        yield Check("score", f"the scorecard has {card.points:g}, at least {limit}: {card.lost}", Code.SCORE_UNKNOWN if card.unsure else Code.SCORE)
