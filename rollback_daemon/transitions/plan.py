"""What a transition writes, given the flags as they are at the moment of writing. Pure.

The intent says where to go; flags may have moved since. A rollback never raises: flags that are lower than its target stay there, and flags that
are those of no stage go to the bottom.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.judge.drift import is_raised, matching
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.transitions import Kind
from rollback_daemon.rules.model import Rollout, Stage


@dataclass(frozen=True, slots=True)
class Plan:
    """The stage that will be reached, every flag it must read back as, and the ones that have to be written for that."""

    stage: Stage
    expected: Mapping[str, FlagValue]
    changes: Mapping[str, FlagValue]


def plan(rollout: Rollout, opened: Open, flags: Mapping[str, FlagValue]) -> Plan:
    """The writes that lead from `flags` to where the transition should end."""
    target = _reachable(rollout, opened, flags)
    expected = opened.flags if target.name == opened.target else target.flags
    changes = {key: value for key, value in expected.items() if key not in flags or not same(value, flags[key])}
    return Plan(target, dict(expected), changes)


def disturbed(rollout: Rollout, opened: Open, flags: Mapping[str, FlagValue], *, written: bool) -> tuple[str, ...]:
    """The flags that somebody else set while a promotion is under way: they have neither the value that it sets nor, until it has `written`, the
    one before.
    """
    origin = rollout.stage(opened.origin)
    before = origin.flags if origin and not written else {}

    def expected(key: str) -> bool:
        return key in flags and any(key in known and same(known[key], flags[key]) for known in (opened.flags, before))

    return tuple(sorted(key for key in opened.flags if not expected(key)))


def _reachable(rollout: Rollout, opened: Open, flags: Mapping[str, FlagValue]) -> Stage:
    target = rollout.stage(opened.target) or rollout.stages[0]
    if opened.kind is not Kind.ROLLBACK:
        return target
    found = matching(rollout, flags)
    if found is not None:
        return min(found, target, key=lambda stage: stage.number)
    return target if _between(rollout, opened, flags) else rollout.stages[0]


def _between(rollout: Rollout, opened: Open, flags: Mapping[str, FlagValue]) -> bool:
    """Whether every flag is as at the target or further up: then this is a change half done, or somebody's raise, and no mixture with lower ones."""
    target = rollout.stage(opened.target) or rollout.stages[0]
    stages = [stage.flags for stage in rollout.stages[target.number :]]

    def above(key: str) -> bool:
        return any(same(stage[key], flags[key]) for stage in stages) or is_raised(rollout, target, key, flags[key])

    return all(key in flags and above(key) for key in target.flags)
