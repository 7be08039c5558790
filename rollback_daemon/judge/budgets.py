"""How long a trigger may go without sight before its rule says what follows: failed queries in a row, and time without data. Pure.

The two are counted apart from breaches and from one another, only where the trigger is armed, and anew at each stage and after a resume. An
evaluation that was seen sets both to zero. Failed queries are counted one by one: `at_most: 5` is spent by the 6th in a row; an evaluation without
data ends the row, because its query was answered. Time without data counts from the first evaluation without any, as `for` does: it is spent when
it has lasted for so long. A gap of up to `max_gap` is counted through, as by `for`; a longer one, in which nothing was looked at or its query failed,
starts over what is not spent yet.

Lives here: counting, and the sentences. Must not live here: what follows (`act`), which stages a trigger is armed at (`due`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code
from rollback_daemon.rules.model import Action, ActionKind, Trigger
from rollback_daemon.rules.reading import Health


class Budget(StrEnum):
    """What a trigger may have so much of, and no more."""

    ERRORS = "errors"
    NO_DATA = "no_data"

    @property
    def code(self) -> Code:
        """Why something follows when it is spent."""
        return Code.ERRORS if self is Budget.ERRORS else Code.NO_DATA


@dataclass(frozen=True, slots=True)
class Spending:
    """What is used of a trigger's budgets in one epoch of its rollout (see `Position.epoch`).

    `failed` evaluations in a row, the last one at `failed_at`; without data for `lacked`, last at `lacked_at`. `spent`: since when each budget is.
    `acted`: those that have had their say.
    """

    epoch: str = ""
    failed: int = 0
    failed_at: datetime | None = None
    lacked: timedelta = timedelta()
    lacked_at: datetime | None = None
    spent: Mapping[Budget, datetime] = field(default_factory=dict)
    acted: tuple[Budget, ...] = ()


_NOTHING = Spending()


def advance(trigger: Trigger, before: Spending, health: Health, position: Position, now: datetime, max_gap: timedelta, *, armed: bool) -> Spending:
    """What is used after the evaluation at `now`."""
    if not armed or health in {Health.OK, Health.COLLECTING} or not (trigger.errors or trigger.no_data):
        return _NOTHING
    before = before if before.epoch == position.epoch else Spending(position.epoch)
    after = _failed(before, now, max_gap) if health is Health.ERROR else _lacked(before, now, max_gap)
    spent = {one: before.spent.get(one, now) for one in Budget if _is_over(trigger, after, one)}
    return replace(after, spent=spent, acted=tuple(one for one in before.acted if one in spent))


def _failed(before: Spending, now: datetime, max_gap: timedelta) -> Spending:
    if before.failed_at == now:  # counted already, before a restart
        return before
    broken = Budget.ERRORS not in before.spent and _is_gap(before.failed_at, now, max_gap)
    return replace(before, failed=1 if broken else before.failed + 1, failed_at=now)


def _lacked(before: Spending, now: datetime, max_gap: timedelta) -> Spending:
    gap = _is_gap(before.lacked_at, now, max_gap)
    passed = now - before.lacked_at if before.lacked_at and not gap else timedelta()
    kept = before.lacked if Budget.NO_DATA in before.spent or not gap else timedelta()
    return replace(before, failed=0, failed_at=None, lacked=kept + max(timedelta(), passed), lacked_at=now)


def _is_gap(last: datetime | None, now: datetime, max_gap: timedelta) -> bool:
    """Whether nothing like it was seen for too long; what seems to lie in the future was written before the clock was set back."""
    return last is not None and not timedelta() <= now - last <= max_gap


def _is_over(trigger: Trigger, spending: Spending, budget: Budget) -> bool:
    if budget is Budget.ERRORS:
        return trigger.errors is not None and spending.failed > trigger.errors.at_most
    return trigger.no_data is not None and spending.lacked_at is not None and spending.lacked >= trigger.no_data.for_


def owed(spending: Spending) -> Iterator[Budget]:
    """The budgets that are spent and have not had their say."""
    return (one for one in spending.spent if one not in spending.acted)


def action(trigger: Trigger, budget: Budget) -> Action:
    """What is to follow when it is spent. A rollback goes where the trigger's own would, at once; to the previous stage if that is none."""
    kind = _then(trigger, budget)
    return Action(kind, trigger.action.to if kind is ActionKind.ROLLBACK else None)


def _then(trigger: Trigger, budget: Budget) -> ActionKind:
    known = trigger.errors if budget is Budget.ERRORS else trigger.no_data
    return known.then if known else ActionKind.ALERT


def sentence(trigger: Trigger, spending: Spending, budget: Budget, why: str) -> str:
    """`ErrorRateHigh: no data for 10m (at most 10m): the query returned nothing`: what is used beside what is allowed."""
    return f"{trigger.name}: {used(trigger, spending, budget)}" + (f": {why}" if why else "")


def used(trigger: Trigger, spending: Spending, budget: Budget) -> str:
    """`no data for 4m (at most 10m)`, `2 failed evaluations in a row (at most 5)`."""
    if budget is Budget.ERRORS:
        most = trigger.errors.at_most if trigger.errors else 0
        return f"{spending.failed} failed evaluation{'' if spending.failed == 1 else 's'} in a row (at most {most})"
    window = format_duration(trigger.no_data.for_) if trigger.no_data else "0s"
    return f"no data for {format_coarse(spending.lacked)} (at most {window})"


def share(trigger: Trigger, spending: Spending, budget: Budget) -> float:
    """How much of it is used, from 0 to 1; 1 is spent, and nothing else is."""
    if budget in spending.spent:
        return 1.0
    if budget is Budget.ERRORS:
        return spending.failed / (trigger.errors.at_most + 1) if trigger.errors else 0.0
    return spending.lacked / trigger.no_data.for_ if trigger.no_data else 0.0


def of(trigger: Trigger) -> tuple[Budget, ...]:
    """The budgets that the trigger has."""
    return tuple(one for one in Budget if (trigger.errors if one is Budget.ERRORS else trigger.no_data) is not None)
