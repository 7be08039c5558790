"""For how long a simulation goes on: as asked, or until every trigger concerned could have acted; never without end. Pure.

Lives here: that time, and which triggers are concerned. Must not live here: what happens in it (`acting`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rollback_daemon.durations import format_coarse
from rollback_daemon.judge.state import State
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.rules.model import Rollout, Trigger
from rollback_daemon.rules.triggers import Violations
from rollback_daemon.rules.triggers.canary import Canary
from rollback_daemon.simulation.settings import BadSettingError, Setting, Unseen

MOST = 5000
"""Evaluations of one simulation, at most."""
_LONGEST = timedelta(days=1)  # of one whose length nobody has said
_FEWEST = 5  # evaluations of the same


def concerned(rollout: Rollout, settings: Sequence[Setting]) -> Iterator[Trigger]:
    """The triggers that read something that is set; every trigger where nothing is."""
    chosen = {query for one in settings for query in one.queries}
    return (one for one in rollout.triggers if not chosen or chosen & read_by(one))


def read_by(trigger: Trigger) -> set[str]:
    """All that the trigger's answers are found under: what is asked, and figures of evidence that are on record."""
    return {*trigger.test.questions(), *(signal.figure_key for signal in trigger.test.signals() if signal.figure_key)}


def bounded(rollout: Rollout, asked: timedelta) -> timedelta:
    """The time that was asked for. Raises BadSettingError where it is too long."""
    count = asked // rollout.interval
    if count > MOST:
        most = format_coarse(rollout.interval * MOST)
        raise BadSettingError([f"--for: that is {count} evaluations of {rollout.name}, and at most {MOST} are simulated; write at most {most}"])
    return asked


def wanted(rollout: Rollout, state: State, settings: Sequence[Setting], now: datetime) -> timedelta:
    """So long that every trigger concerned could fire and act, and a little more."""
    waits = [_wait(rollout, state, trigger, settings, now) for trigger in concerned(rollout, settings)]
    most = max([*waits, rollout.interval * _FEWEST]) + 2 * rollout.interval
    return min(most, _LONGEST, rollout.interval * MOST)


def _wait(rollout: Rollout, state: State, trigger: Trigger, settings: Sequence[Setting], now: datetime) -> timedelta:
    position, values = state.position, {one.value for one in settings}
    begins = max(timedelta(), (position.entered if position else now) + trigger.initial_delay - now)
    holds = max(trigger.for_, rollout.max_gap) if position and position.phase is Phase.ROLLED_BACK else trigger.for_
    blind = [rollout.max_gap] if values & {*Unseen} else []
    if trigger.no_data is not None and values & {Unseen.NO_DATA, Unseen.NAN}:
        blind.append(trigger.no_data.for_)
    if trigger.errors is not None and Unseen.FAILED in values:
        blind.append(trigger.errors.at_most * rollout.interval)
    return max([begins + holds + _counts(rollout, trigger) + (trigger.action.in_ or timedelta()), *(begins + one for one in blind)])


def _counts(rollout: Rollout, trigger: Trigger) -> timedelta:
    """How long a kind that counts evaluations takes to come to its limit."""
    test = trigger.test
    if isinstance(test, Canary):
        return test.window + test.at_least * max(rollout.interval, test.every)
    if not isinstance(test, Violations):
        return timedelta()
    return max(test.out_of or 0, int(test.needed.limit) + 1) * max(rollout.interval, test.every or timedelta())
