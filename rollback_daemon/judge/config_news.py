"""When the configuration stops being what the present stage requires, and when it is so again: news for people and hooks. Pure.

Lives here: that this has changed, and since when it is so. Must not live here: what is required where (`required_config`), what follows from it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rollback_daemon.judge.drift import Whereabouts
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.required_config import wrong
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import Event


def changes(state: State, position: Position, where: Whereabouts, trace: Mapping[str, str]) -> Iterator[Happened]:
    """The record of each change of what is wrong: which keys, with what they must be and are, and what is known of who changed the file last."""
    known = misconfigured(state, position, where)
    if known != state.misconfigured:
        facts = {one.key: {"expected": one.expected, "actual": one.actual} for one in wrong(where.settings)} if known else {}
        yield Happened(Event.MISCONFIGURED, {"wrong": facts, "why": list(known), "stage": position.stage, "known": dict(trace)})


def misconfigured(state: State, position: Position, where: Whereabouts) -> tuple[str, ...]:
    """What is wrong now, in words; as it was before while flags are being changed, and while nobody can tell."""
    if position.open is not None or any(one.why for one in where.settings):
        return state.misconfigured
    return tuple(str(one) for one in wrong(where.settings))


def since(state: State, known: tuple[str, ...], now: datetime) -> datetime | None:
    """Since when something has been wrong; None where all is as required."""
    return (state.misconfigured_since or now) if known else None
