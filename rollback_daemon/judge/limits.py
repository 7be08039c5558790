"""How often a rollout may be taken back by triggers: the last time that is allowed leads to the bottom, and then it is frozen. Pure.

Lives here: counting. Must not live here: what a trigger asks for (`act`), when it is frozen (`recovery`).
"""

from datetime import datetime

from rollback_daemon.durations import format_duration
from rollback_daemon.judge.aftermath import Aftermath
from rollback_daemon.rules.model import Rollout, Stage


def spent(rollout: Rollout, aftermath: Aftermath, now: datetime) -> int:
    """How many rollbacks of the time that counts there were."""
    most = rollout.aftercare.max_rollbacks
    return sum(at > now - most.within for at in aftermath.rollbacks) if most else 0


def lowered(rollout: Rollout, aftermath: Aftermath, target: Stage, now: datetime) -> tuple[Stage, list[str]]:
    """Where a rollback leads that should lead to `target`, with what is to be said of it: there is none after the last one, so that goes to the
    bottom.
    """
    most = rollout.aftercare.max_rollbacks
    if most is None or spent(rollout, aftermath, now) + 1 < most.count:
        return target, []
    bottom = rollout.stages[0]
    if target is bottom:
        return target, []
    times = "1 rollback" if most.count == 1 else f"{most.count} rollbacks"
    return bottom, [f'at most {times} in {format_duration(most.within)}: this is the last one, so it goes to "{bottom.name}"']
