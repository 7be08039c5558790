"""What follows when somebody else changed the flags: a raise is taken back, what a person lowered stays so, anything else stops the way up. Pure.

Lives here: those decisions. Must not live here: how the flags differ (`drift`), what triggers lead to (`act`).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.adoption import latch
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Check, Code
from rollback_daemon.judge.standing import of_record
from rollback_daemon.judge.state import Happened, Sight, State
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.duties import OnLower, OnOther, OnRaise
from rollback_daemon.rules.model import Rollout

_HOLDABLE = {Phase.BASELINE, Phase.SOAKING, Phase.READY, Phase.COMPLETE}


def news(
    rollout: Rollout, state: State, position: Position, where: Whereabouts, sight: Sight, seen: Iterable[Check], now: datetime
) -> Iterator[Happened]:
    """The record of drift that has begun, changed or ended: which keys, from what to what, what is known of who, and what a raise would have
    needed. None while flags are being changed, when the record and the flags have to differ.
    """
    if position.open is not None or (where.drift is state.drift and not is_anew(state, position, where)):
        return
    body = {"drift": where.drift, "keys": _keys(where), "why": where.why, "stage": where.stage.name if where.stage else ""}
    if where.drift is not Drift.NONE:
        body["known"] = dict(sight.trace)
    if where.drift is Drift.HIGHER:
        checks = [*of_record(rollout, state, position, now), *seen]
        body["missing"] = [check.evidence for check in checks if check.reason and check.code is not Code.DRIFT]
    yield Happened(Event.DRIFT, body)


def is_anew(state: State, position: Position, where: Whereabouts) -> bool:
    """Whether it is the same drift once more: it was taken back, and somebody was quicker than the next look at the flags."""
    if where.drift is not state.drift or position.phase is not Phase.ROLLED_BACK or position.code != Code.DRIFT:
        return False
    return where.drift is not Drift.NONE and (state.drift_since is None or position.armed > state.drift_since)


def decide(rollout: Rollout, state: State, position: Position, where: Whereabouts, sight: Sight, now: datetime) -> Iterator[Happened]:
    """What is done about it. Flags go down, or stay; nobody's lowering is ever overruled."""
    settings = rollout.flags.on_drift
    reverts = settings.raised is OnRaise.REVERT and position.placed  # what was found so at first sight nobody has raised
    if position.open is not None:
        yield from _lowered_during_promotion(rollout, position, where, now)
    elif where.drift is Drift.HIGHER and reverts:
        why = f"{_told(where)}; no promotion to {_there(where)} is on record"
        yield from _back(rollout, state, position, position.stage, f"{why}{_who(sight.trace)}", where, now)
    elif where.drift is Drift.LOWER and settings.lowered is OnLower.ADOPT and where.stage:
        why = f'its flags were lowered by hand to those of "{where.stage.name}": {_told(where)}{_who(sight.trace)}'
        body = {"stage": where.stage.name, "phase": Phase.HELD, "why": why, "code": Code.DRIFT, **latch(position)}
        yield Happened(Event.ADOPTED, body)
    elif where.drift is Drift.OTHER and (settings.other is OnOther.ROLLBACK or (where.mixed and reverts)):
        why = f"its flags are those of no stage: {_told(where)}{_who(sight.trace)}"
        yield from _back(rollout, state, position, rollout.stages[0].name, why, where, now)
    elif where.drift is Drift.OTHER and position.phase in _HOLDABLE:
        why = f"its flags are those of no stage: {_told(where)}{_who(sight.trace)}"
        yield Happened(Event.HELD, {"why": why, "by": "rollbackd", "code": Code.DRIFT})


def _lowered_during_promotion(rollout: Rollout, position: Position, where: Whereabouts, now: datetime) -> Iterator[Happened]:
    """A promotion during which a person lowers the flags is taken back to where they are now: a retry must not overrule that."""
    if rollout.enforce and position.open_promotion and where.drift is Drift.LOWER and where.stage:
        why = f'its flags were set to those of "{where.stage.name}" while it was being promoted to "{position.goal}"'
        yield intended(rollout, position, Kind.ROLLBACK, where.stage, [why], "rollbackd", now, {"code": Code.DRIFT})


def _back(rollout: Rollout, state: State, position: Position, to: str, why: str, where: Whereabouts, now: datetime) -> Iterator[Happened]:
    """A rollback to the stage on record or below it; in mode observe, the word that it would have been."""
    target = rollout.stage(to) or rollout.stages[0]
    if rollout.enforce:
        more = {"code": Code.DRIFT, "keys": _keys(where)}
        yield intended(rollout, position, Kind.ROLLBACK, target, [why], "rollbackd", now, more)
    elif where.drift is not state.drift:
        yield Happened(Event.OBSERVED, {"alert": "RolloutDrift", "would": f"rollback to {target.name}", "why": [why]})


def _keys(where: Whereabouts) -> dict[str, Any]:
    return {key: {"expected": expected, "actual": actual} for key, (expected, actual) in (where.keys or {}).items()}


def _told(where: Whereabouts) -> str:
    """`/memory/percentage: 10 -> 25`: from what is on record to what was found."""
    return ", ".join(f"{key}: {_value(expected)} -> {_value(actual)}" for key, (expected, actual) in sorted((where.keys or {}).items()))


def _there(where: Whereabouts) -> str:
    return f'"{where.stage.name}"' if where.stage else "such flags"


def _who(trace: Mapping[str, str]) -> str:
    """What the store knows of its last change, for people."""
    return f" ({', '.join(f'{name} {text}' for name, text in trace.items())})" if trace else ""


def _value(value: FlagValue) -> str:
    if value is None:
        return "missing"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
