"""What people may say to a trigger that goes on firing: that they have it in hand, or that the rollback announced for it shall not be. Pure.

Each gives the event, or raises OperationRefused with the reason. Must not live here: when something is due (`escalating`).
"""

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import recovery
from rollback_daemon.judge.escalation import Announced, Escalated, Said, clock
from rollback_daemon.judge.refusal import known, said
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.model import Rollout


def acknowledge(rollout: Rollout, state: State, alert: str, by: str, reason: str) -> Happened:
    """Stop the clock of a trigger: it climbs no further until it has eased. A rollback that is announced already stays announced."""
    one = _of(rollout, state, alert)
    if one is None or not one.levels:
        announced = f"; {_announced(rollout, alert, one.announced)}" if one and one.announced else ""
        raise OperationRefused(f"{alert} of {rollout.name} is at no level; there is nothing to acknowledge{announced}{_levels(state)}")
    if one.acknowledged:
        raise OperationRefused(f"{alert} of {rollout.name} was acknowledged already, {_by(one.acknowledged)}")
    return Happened(Event.ACKNOWLEDGED, {"alert": alert, "by": by, "why": said(by, reason), "level": one.level})


def cancel(rollout: Rollout, state: State, alert: str | None, by: str, reason: str) -> Happened:
    """Let an announced rollback not be; as long as its trigger fires, none is announced for it again. Without an alert: the one that is announced, or
    the way back that would be taken next because the one before could not be verified.
    """
    announced = {name: one.announced for name, one in state.escalations.triggers.items() if one.announced}
    one = _of(rollout, state, alert) if alert else None
    if one and one.cancelled:
        raise OperationRefused(f"the rollback that was announced for {alert} of {rollout.name} was cancelled already, {_by(one.cancelled)}")
    if not announced and alert is None and (stopped := recovery.stop(rollout, state, by, reason)):
        return stopped
    if not announced:
        position = known(rollout, state)
        begun = f'; it is being rolled back to "{position.goal}" now' if position.open else ""
        raise OperationRefused(f"no rollback of {rollout.name} is announced; there is nothing to cancel{begun}")
    names = ", ".join(sorted(announced))
    if alert is None and len(announced) > 1:
        raise OperationRefused(f"several rollbacks of {rollout.name} are announced; say for which alert: {names}")
    name = alert or names
    if name not in announced:
        raise OperationRefused(f"no rollback of {rollout.name} is announced for {name}; one is for {names}")
    to, due = announced[name].to, announced[name].due.isoformat()
    return Happened(Event.CANCELLED, {"alert": name, "by": by, "why": said(by, reason), "to": to, "due": due})


def _of(rollout: Rollout, state: State, alert: str) -> Escalated | None:
    """What is on record of that trigger. Raises OperationRefused for a name that the rollout has not."""
    names = [trigger.name for trigger in rollout.triggers]
    if alert not in names and alert not in state.escalations.triggers:
        there = f"it has {', '.join(names)}" if names else "it has none"
        raise OperationRefused(f'{rollout.name} has no alert "{alert}"; {there}')
    return state.escalations.triggers.get(alert)


def _announced(rollout: Rollout, alert: str, one: Announced) -> str:
    how = f'`rollbackd cancel {rollout.name} {alert} --reason "..."`'
    return f'the rollback to "{one.to}" that is announced for it follows at {clock(one.due)}, unless somebody stops it: {how}'


def _levels(state: State) -> str:
    names = [f"{name} ({one.level})" if one.level else name for name, one in state.escalations.triggers.items() if one.levels]
    return f"; at a level: {', '.join(names)}" if names else ""


def _by(one: Said) -> str:
    return f"{clock(one.at)}, by {one.why}"
