"""The ladder of a degraded rollout: a lesser service is never more than a stage gives by itself. Pure.

Lives here: which values of a degradation hold at which stage. Must not live here: when one is due (`act`), when it ends (`requests`).
"""

from collections.abc import Mapping
from dataclasses import replace

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge.drift import is_raised
from rollback_daemon.rules.model import Rollout, Stage


def at_stage(rollout: Rollout, stage: Stage, flags: Mapping[str, FlagValue]) -> dict[str, FlagValue]:
    """Those of the `flags` that do not raise anything there: 5 % is less than 10 %, and more than the nothing of the baseline."""
    return {key: value for key, value in flags.items() if key not in stage.flags or not is_raised(rollout, stage, key, value)}


def ladder(rollout: Rollout, degraded: Mapping[str, FlagValue]) -> Rollout:
    """The same ladder with the degraded values in the place of each stage's own, where they are not above them."""
    if not degraded:
        return rollout
    stages = (replace(stage, flags={**stage.flags, **at_stage(rollout, stage, degraded)}) for stage in rollout.stages)
    return replace(rollout, stages=tuple(stages))
