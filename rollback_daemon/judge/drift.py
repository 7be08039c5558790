"""Whether the flags are what the record says, and where on the ladder they really are. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.required_config import Setting, concerned, settings, wrong
from rollback_daemon.rules.model import Rollout, Stage


class Drift(StrEnum):
    """How flags differ from those of the stage on record."""

    NONE = "none"
    LOWER = "lower"  # they are exactly those of a lower stage
    HIGHER = "higher"  # each that differs has a value from further up
    OTHER = "other"  # neither
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the flags are. `stage` is the one that they equal, or None; `keys` are those that differ from the record: (expected, actual).

    `mixed`: they are those of no stage, and some of them were raised. `settings`: how the configuration was found that stages require.
    """

    drift: Drift
    stage: Stage | None = None
    keys: Mapping[str, tuple[FlagValue, FlagValue]] | None = None
    why: str = ""
    mixed: bool = False
    settings: tuple[Setting, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether everything in the file is as it must be at the present stage, so that time spent there counts."""
        return self.drift is Drift.NONE and not wrong(self.settings)


def whereabouts(rollout: Rollout, position: Position, flags: Mapping[str, FlagValue] | str, now: datetime) -> Whereabouts:
    """Where the flags are that were read in the cycle at `now`, as far as they can be held against the record.

    Flags read before the rollout came to its stage, or while a transition changes them, are no drift; unless they are below both of its ends,
    where nobody but a person puts them. Flags that cannot be read cannot be read, whatever is under way.
    """
    where = _whereabouts(rollout, position, flags, now)
    return replace(where, settings=settings(*concerned(rollout, position), flags)) if rollout.config_keys else where


def _whereabouts(rollout: Rollout, position: Position, flags: Mapping[str, FlagValue] | str, now: datetime) -> Whereabouts:
    stage = rollout.stage(position.stage) or rollout.stages[0]
    if position.entered > now:
        return Whereabouts(Drift.NONE, stage)
    if position.open is None:
        return locate(rollout, stage, flags)
    found = locate(rollout, stage, flags)
    if found.drift is Drift.UNREADABLE:
        return found
    target = rollout.stage(position.open.target) or rollout.stages[0]
    if found.stage and found.stage.number < min(stage.number, target.number):
        return found
    return Whereabouts(Drift.NONE, stage)


def locate(rollout: Rollout, stage: Stage, flags: Mapping[str, FlagValue] | str) -> Whereabouts:
    """Compare flags as read (or the sentence that says why they could not be read) with the `stage` on record."""
    if isinstance(flags, str):
        return Whereabouts(Drift.UNREADABLE, why=flags)
    if equals(stage, flags):
        return Whereabouts(Drift.NONE, stage)
    keys = {key: (value, flags.get(key)) for key, value in stage.flags.items() if not same(value, flags.get(key))}
    found = matching(rollout, flags)
    if found is None:
        raised = [key in flags and is_raised(rollout, stage, key, flags[key]) for key in keys]
        return Whereabouts(Drift.HIGHER if all(raised) else Drift.OTHER, None, keys, mixed=any(raised) and not all(raised))
    return Whereabouts(Drift.LOWER if found.number < stage.number else Drift.HIGHER, found, keys)


def matching(rollout: Rollout, flags: Mapping[str, FlagValue]) -> Stage | None:
    """The stage whose flags these are; the highest one when stages share their flags, because more exposure is the safer assumption."""
    return next((stage for stage in reversed(rollout.stages) if equals(stage, flags)), None)


def equals(stage: Stage, flags: Mapping[str, FlagValue]) -> bool:
    """Whether every flag of the stage has its value, type included."""
    return all(key in flags and same(value, flags[key]) for key, value in stage.flags.items())


def is_raised(rollout: Rollout, stage: Stage, key: str, value: FlagValue) -> bool:
    """Whether a flag's value is one from above the `stage`: that of a higher stage and of no lower one, a number beyond the stage's own on the side
    to which the ladder goes, or a list with more in it than the stage's own where the ladder's lists only grow.
    """
    if any(same(value, other.flags[key]) for other in rollout.stages[: stage.number + 1]):
        return False
    if any(same(value, other.flags[key]) for other in rollout.stages[stage.number + 1 :]):
        return True
    if isinstance(value, (tuple, list)):
        return _is_longer(value, [other.flags[key] for other in rollout.stages], stage.number)
    ladder = [_number(other.flags[key]) for other in rollout.stages]
    given = _number(value)
    if given is None or any(one is None for one in ladder) or isinstance(value, str) != isinstance(stage.flags[key], str):
        return False
    numbers = [one for one in ladder if one is not None]
    here = numbers[stage.number]
    if numbers == sorted(numbers) and numbers[0] != numbers[-1]:
        return given > here
    return numbers == sorted(numbers, reverse=True) and numbers[0] != numbers[-1] and given < here


def _is_longer(value: Sequence[FlagValue], ladder: Sequence[FlagValue], here: int) -> bool:
    """Whether a list has all that the ladder's list `here` has, and something else as well, in whatever order."""
    lists = [one for one in ladder if isinstance(one, (tuple, list))]
    if len(lists) != len(ladder) or not all(_has_all(above, below) for below, above in pairwise(lists)):
        return False
    return _has_all(value, lists[here]) and not _has_all(lists[here], value)


def _has_all(whole: Sequence[FlagValue], part: Sequence[FlagValue]) -> bool:
    return all(any(same(one, other) for other in whole) for one in part)


def _number(value: FlagValue) -> float | None:
    """A flag as a number, where it is one; a dotenv file keeps them as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
