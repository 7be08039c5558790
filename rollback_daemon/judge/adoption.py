"""Where a rollout is when the record does not say: never seen before, or its stage is no longer in the rule file. Pure.

Nothing is changed by it: the record is made to follow the flags. What a person stopped stays stopped.
"""

from collections.abc import Iterator, Mapping

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge.drift import matching
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.rules.model import BASELINE, Rollout

_OF_NO_STAGE = "its flags are those of no stage; put them right, or roll back, then resume"


def adopt(rollout: Rollout, position: Position | None, flags: Mapping[str, FlagValue] | str) -> Iterator[Happened]:
    """What the record learns from the flags; nothing where it already knows, or where they cannot be read."""
    unknown = position is None or rollout.stage(position.stage) is None
    if isinstance(flags, str) or (position and (position.open or (position.placed and not unknown))):
        return
    found = matching(rollout, flags)
    latched = latch(position)
    if found is not None:
        phase = Phase.SOAKING if found.number else Phase.BASELINE
        yield Happened(Event.ADOPTED, {"stage": found.name, "phase": phase, "why": "the flags were found so", **latched})
    elif unknown:
        yield Happened(Event.ADOPTED, {"stage": BASELINE, "phase": Phase.HELD, "why": _OF_NO_STAGE, "placed": False, **latched})


def latch(position: Position | None) -> dict[str, str]:
    """What keeps the rollout from going up, and goes on doing so; save for our own hold until the flags are put right."""
    if position is None or position.phase not in {Phase.HELD, Phase.ROLLED_BACK, Phase.FROZEN} or position.why == _OF_NO_STAGE:
        return {}
    return {"phase": position.phase, "why": position.why, "by": position.by, "code": position.code}
