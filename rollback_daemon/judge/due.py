"""When a trigger's action is due: armed where the rollout is, and breached against this stage for long enough.

A series acts when its breach is seen in this very evaluation and has been held against this stage for the trigger's `for`. It acts once in an
epoch (`spent`): another stage, or a person's resume, begins a new one. So a rollback to the previous stage that does not help is followed by the
next one, down to where health returns. Lives here: when. Must not live here: what is done (`act`).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.judge.trigger import Active
from rollback_daemon.rules.model import Trigger


def is_armed(trigger: Trigger, position: Position, where: Whereabouts, now: datetime) -> bool:
    """Whether the trigger may act now.

    Where the flags are above or beside the record, whatever arms it anywhere arms it here. During a promotion both ends count; at the upper one,
    which has not begun, an `initial_delay` is not over.
    """
    if where.drift in {Drift.HIGHER, Drift.OTHER}:
        return bool(trigger.stages)
    if position.stage in trigger.stages and (not trigger.initial_delay or now - position.entered >= trigger.initial_delay):
        return True
    return position.open_promotion and position.goal in trigger.stages and not trigger.initial_delay


def told(one: Active, position: Position, *, armed: bool) -> Active:
    """The series with what depends on where the rollout is: whether people are told of it, and whether it has acted here."""
    spent = one.acted_in == position.epoch
    if armed and one.firing_since is not None and not one.alerting:
        return replace(one, spent=spent, alerting=True, stage=position.stage)
    return one if spent is one.spent else replace(one, spent=spent)


def is_ripe(trigger: Trigger, one: Active, position: Position, max_gap: timedelta, now: datetime) -> bool:
    """Whether the breach is there now, and has been held against this stage for long enough."""
    return one.firing_since is not None and one.seen == now and now >= ripe_at(trigger, one, position, max_gap)


def ripe_at(trigger: Trigger, one: Active, position: Position, max_gap: timedelta) -> datetime:
    """When the action became due. A breach that outlasted a rollback is given `max_gap` at least, for the signal to follow the flags."""
    begins = position.entered + trigger.initial_delay if trigger.initial_delay else position.armed
    since = max(one.held_since, position.armed, begins)
    outlasted = position.phase is Phase.ROLLED_BACK and one.active_since <= position.entered
    return since + (max(trigger.for_, max_gap) if outlasted else trigger.for_)


def became_due(trigger: Trigger, one: Active, position: Position, max_gap: timedelta, now: datetime) -> datetime:
    """Since when the action of a ripe series is owed: what is done about it is timed from here."""
    return min(now, max(one.firing_since or now, ripe_at(trigger, one, position, max_gap)))
