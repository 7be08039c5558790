"""Whether the configuration is what stages require of it: keys that the guard verifies, and never sets. Pure.

They stand in the flag file, and are no flags of the ladder: another value is no drift, is not taken back, and stops the way up. Lives here: what is
required where, and how it was found. Must not live here: the flags themselves (`drift`), what goes on record (`config_news`).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Check, Code
from rollback_daemon.rules.model import Rollout, Stage

_CALLED = "config "
"""With this begins what a check of a key is called; no gate and no trigger can have a blank in its name."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A key that `stage` requires to be `expected`. `actual` is what it was found to be, None where it is missing.

    `due`: it is the next stage that requires it. `met` is None where nobody can tell, and `why` then says why.
    """

    key: str
    expected: FlagValue
    actual: FlagValue
    stage: str
    due: bool
    met: bool | None
    why: str = ""

    def __str__(self) -> str:
        if self.met:
            return f"{self.key} is {shown(self.actual)}, as {shown(self.stage)} requires"
        found = f"cannot be read ({self.why})" if self.why else "is missing" if self.actual is None else f"is {shown(self.actual)}"
        return f"{self.key} {found}, must be {shown(self.expected)} at {shown(self.stage)}"


def settings(stage: Stage, goal: Stage | None, flags: Mapping[str, FlagValue] | str) -> tuple[Setting, ...]:
    """Each key that the present `stage` requires, or the `goal` that it may be promoted to, once.

    Where the two require different values, that of the goal is as good: it has to be set before the promotion. With flags that cannot be read (the
    sentence that says why) nobody can tell.
    """
    now: Mapping[str, FlagValue] = stage.requires.config
    then: Mapping[str, FlagValue] = goal.requires.config if goal else {}
    if not now and not then:
        return ()
    return tuple(_settings(stage, goal or stage, flags))


def _settings(stage: Stage, goal: Stage, flags: Mapping[str, FlagValue] | str) -> Iterator[Setting]:
    now, then = stage.requires.config, goal.requires.config
    for key in {**now, **then}:
        actual = None if isinstance(flags, str) else flags.get(key)
        ahead = key in then and goal is not stage and not (key in now and same(now[key], then[key]))
        fine = key not in now or _is_met(now[key], actual) or (ahead and _is_met(then[key], actual))
        of, expected, due = (goal, then[key], True) if ahead and fine else (stage, now[key], False) if key in now else (goal, then[key], True)
        met = None if actual is None else _is_met(expected, actual)
        yield Setting(key, expected, actual, of.name, due, met, flags if isinstance(flags, str) else "")


def _is_met(expected: FlagValue, actual: FlagValue) -> bool:
    return actual is not None and same(expected, actual)


def concerned(rollout: Rollout, position: Position | None) -> tuple[Stage, Stage | None]:
    """The stage on record, and the one that a promotion would lead to: after a rehearsal back to where that began."""
    stage = (rollout.stage(position.stage) if position else None) or rollout.stages[0]
    rehearsing = position.rehearsing if position else None
    return stage, (rollout.stage(rehearsing.stage) if rehearsing else None) or rollout.above(stage)


def as_required(stage: Stage, goal: Stage | None) -> dict[str, FlagValue]:
    """Values with which nothing is missing at the stage, nor for the goal."""
    return {**stage.requires.config, **(goal.requires.config if goal else {})}


def wrong(found: Iterable[Setting]) -> tuple[Setting, ...]:
    """Those that the present stage requires, and that are not so, as far as it can be told; a missing key is told, an unreadable file is not."""
    return tuple(one for one in found if not one.due and not one.met and not one.why)


def checks(found: Iterable[Setting]) -> Iterator[Check]:
    """What a promotion asks of the configuration."""
    for one in found:
        code = None if one.met else Code.CONFIG_UNKNOWN if one.met is None else Code.CONFIG
        yield Check(f"{_CALLED}{one.key}", f"config {one}", code, one.key)


def is_check(check: Check) -> bool:
    """Whether the check is about a key."""
    return check.name.startswith(_CALLED)


def without_due(seen: Iterable[Check], found: Iterable[Setting]) -> Iterator[Check]:
    """The checks that say whether a rollout has earned its next stage: what that one requires of the configuration is owed by people."""
    owed = {f"{_CALLED}{one.key}" for one in found if one.due}
    return (check for check in seen if check.name not in owed)


def shown(value: FlagValue) -> str:
    """A value with its type visible."""
    return json.dumps(value, ensure_ascii=False)
