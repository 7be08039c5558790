"""The trigger kind `increase`: a signal is more than so much over what it was before the stage, or over a control that runs beside it.

    limit in %:    (value - base) / base   (0.1: a tenth more than the base)
    other limits:  value - base            (in the signal's unit)

The base is the signal's captured `baseline` (`over: baseline`), or what the query of `over: {control: EXPR}` says at the same instant. Series are
matched by their labels; a base of one series without labels serves all. Unknown, with the reason: a series without a base, a base that is not known
or infinite, and a share of a base that is 0 or less. A negative limit speaks of a decrease: `below: -20%`.

`above: 10%` means more than 10 % above it; a threshold with `relative_to` says the same as a multiple (`above: 110%`). Nothing is said about chance.

Units: a share (0.1 is 10 %), or the unit of the signal. Source: arithmetic.

When not to use it: against a control with noise of its own, where `canary` says whether a difference is more than chance; over a baseline where
traffic changes by the hour (nights, weekends) and the window does not cover that; for what may be 0 before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydantic import ConfigDict

from rollback_daemon.rules.conditions import NO_LIMIT, OPS, against_baseline, against_control, in_percent
from rollback_daemon.rules.kinds import Kind, Setting
from rollback_daemon.rules.measures import Condition, Op, Relative
from rollback_daemon.rules.schema_measures import ControlPart, Limits, RelativeTo
from rollback_daemon.rules.triggers._limit import LimitOnSignal


@dataclass(frozen=True, slots=True)
class Increase(LimitOnSignal):
    """Breached where `condition` holds for what the signal, which is a relative one, is over its base."""

    condition: Condition


# how it is written


class IncreaseOf(Limits):
    """A signal, what it is held against, and how much more is too much."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"signal": "cost", "over": "baseline", "above": "10%"}]})
    signal: str
    over: RelativeTo


def _build(of: IncreaseOf, setting: Setting) -> Increase:
    notes, at = setting.notes, setting.at
    signal = notes.signal(of.signal, setting.signals, (*at, "signal"))
    if isinstance(of.over, ControlPart):
        signal = against_control(notes, signal, of.over, (*at, "over"))
    else:
        against_baseline(notes, signal, setting.signals, setting.stages, setting.trail, (*at, "over"))
    percent = in_percent(notes, of, signal.against, at)
    signal = replace(signal, relative=Relative.GROWTH, unit="") if percent else replace(signal, relative=Relative.AMOUNT)
    condition = notes.condition(of, OPS, signal.unit, at)
    if condition is None:
        setting.say((), NO_LIMIT)
    elif percent and condition.op in {Op.BELOW, Op.AT_MOST} and condition.limit <= -1:
        setting.say((condition_key(condition),), "nothing falls by more than all of it; a decrease by a fifth is -20%")
    return Increase(signal, condition or Condition(Op.ABOVE, 0))


def condition_key(condition: Condition) -> str:
    """How a condition's limit is called in a rule file."""
    return next(name for name, op in OPS.items() if op is condition.op)


def _advise(test: Increase) -> Iterator[tuple[tuple[str, ...], str]]:
    """What was most likely meant as a multiple, or breached by a signal that stays as it is."""
    if test.condition.holds(0.0) and test.condition.op is not Op.WITHIN:
        yield (condition_key(test.condition),), "is breached where nothing has changed; an increase by a tenth is above: 10%, a decrease below: -10%"


KIND = Kind(Increase, IncreaseOf, _build, advise=_advise)
