"""What a clock that was set back does to times on record: what seems to lie in the future is moved with it, or nothing would come about. Pure.

Lives here: that shift, for verification and escalation. Must not live here: the position's own (`position.not_ahead`), triggers.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from rollback_daemon.judge.escalation import Escalated, Escalations
from rollback_daemon.judge.state import State


def shifted(state: State, now: datetime, max_gap: timedelta) -> State:
    """The state as it would be, had the clock always gone like this one. A step back of up to `max_gap` is nothing."""
    if state.stepped is None or state.stepped - now <= max_gap:
        return state
    back = state.stepped - now
    known = state.aftermath
    aftermath = replace(known, ended=_moved(known.ended, back), passed_at=_moved(known.passed_at, back), last=_moved(known.last, back))
    escalations = Escalations({name: _escalated(one, back) for name, one in state.escalations.triggers.items()})
    return replace(state, aftermath=aftermath, escalations=escalations)


def _escalated(one: Escalated, back: timedelta) -> Escalated:
    announced = replace(one.announced, due=one.announced.due - back) if one.announced else None
    return replace(one, since=_moved(one.since, back), announced=announced)


def _moved(at: datetime | None, back: timedelta) -> datetime | None:
    return at - back if at else None
