"""When a lesser service ends by itself: `until: clear for 10m`. Pure.

Lives here: that decision, and since when nothing asks for it any more. Must not live here: when it begins (`act`), its end by a person (`requests`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rollback_daemon.durations import format_coarse
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import Happened, State, TriggerJudgement
from rollback_daemon.judge.transitions import Kind
from rollback_daemon.rules.model import ActionKind, Rollout, Trigger


def eased(rollout: Rollout, state: State, triggers: Sequence[TriggerJudgement], now: datetime) -> timedelta | None:
    """For how long every trigger that asked for what is degraded has been seen clear; None where one is not, or cannot be seen."""
    position = state.position
    if position is None or not position.degraded:
        return None
    asked = [one for one in triggers if one.trigger.name in position.degraded_by]
    if any(one.state.active or one.state.unknown_since for one in asked):
        return None
    gap = now - state.stepped if state.stepped is not None else None
    if state.eased is None or gap is None or gap > rollout.max_gap:
        return timedelta()
    return state.eased + max(timedelta(), gap)


def left(rollout: Rollout, state: State) -> timedelta | None:
    """How much longer it has to be clear until it ends by itself; None where a person has to end it."""
    position = state.position
    if position is None or not position.degraded:
        return None
    asked = [_trigger(rollout, name) for name in position.degraded_by]
    times = [one.action.until for one in asked if one and one.action.kind is ActionKind.DEGRADE and one.action.until is not None]
    if not asked or len(times) < len(asked):
        return None
    return max(timedelta(), max(times) - (state.eased or timedelta()))


def decide(rollout: Rollout, state: State, where: Whereabouts, now: datetime) -> Iterator[Happened]:
    """The end of a degradation whose time has come: the flags go back to those of the stage, as the rule file has it."""
    position = state.position
    if position is None or not position.degraded or position.open or position.rehearsing or not rollout.enforce or where.drift is not Drift.NONE:
        return
    if state.eased is None or left(rollout, state) != timedelta():
        return
    stage = rollout.stage(position.stage) or rollout.stages[0]
    flags = {key: stage.flags[key] for key in position.degraded if key in stage.flags}
    why = [f"{', '.join(position.degraded_by)} clear for {format_coarse(state.eased)}"]
    yield intended(rollout, position, Kind.RESTORE, replace(stage, flags=flags), why, "rollbackd", now, {"code": Code.CLEAR})


def _trigger(rollout: Rollout, name: str) -> Trigger | None:
    return next((one for one in rollout.triggers if one.name == name), None)
