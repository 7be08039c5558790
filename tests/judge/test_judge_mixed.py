"""Flags of no stage some of which were raised, and lists with more in them than the stage has: a raise beside other changes is still a raise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge.astray import decide, news
from rollback_daemon.judge.drift import Drift, locate
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import Sight, State
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.rules.load import load

MEMORY = load(Path(__file__).parents[2] / "rules" / "genesis-memory.yml")
TEN, TWENTY_FIVE = MEMORY.stages[1:3]
NOW = datetime(2025, 11, 4, 10, 42, tzinfo=UTC)
STORE, AGENTS, REDIS = "/features/memory_store/progressive_config/initial_percentage", "/enabled_agents", "/memory_backend/use_redis"
FIVE: tuple[str, ...] = ("analyst", "content", "marketing", "seo", "support")


def flags(base: Any = TEN, **changes: FlagValue) -> dict[str, FlagValue]:
    """The flags of a stage, with some of them changed."""
    return {**base.flags, **{{"store": STORE, "agents": AGENTS, "redis": REDIS}[name]: value for name, value in changes.items()}}


@pytest.mark.parametrize(
    ("found", "drift", "mixed"),
    [
        (flags(agents=(*FIVE, "billing")), Drift.HIGHER, False),
        (flags(agents=("billing", *reversed(FIVE))), Drift.HIGHER, False),
        (flags(TWENTY_FIVE, agents=tuple(reversed([*FIVE, "qa", "legal"]))), Drift.HIGHER, False),
        (flags(agents=tuple(reversed(FIVE))), Drift.OTHER, False),  # the same agents: nothing was raised
        (flags(agents=("billing",)), Drift.OTHER, False),  # one is new, but five are gone
        (flags(TWENTY_FIVE, agents=("billing",)), Drift.OTHER, True),
        (flags(TWENTY_FIVE, redis=False), Drift.OTHER, True),
        (flags(TWENTY_FIVE, store=5), Drift.OTHER, True),
        (flags(store=5), Drift.OTHER, False),
        (flags(redis=False), Drift.OTHER, False),
    ],
)
def test_more_in_a_list_is_a_raise_and_a_raise_beside_other_changes_is_seen(found: dict[str, FlagValue], drift: Drift, mixed: bool) -> None:
    where = locate(MEMORY, TEN, found)
    assert (where.drift, where.mixed) == (drift, mixed)


@pytest.mark.parametrize(
    ("found", "event", "to"),
    [
        (flags(TWENTY_FIVE, redis=False), Event.INTENDED, "baseline"),
        (flags(TWENTY_FIVE, agents=(*FIVE, "legal-2")), Event.INTENDED, "ten"),
        (flags(store=5), Event.HELD, None),
    ],
)
def test_what_was_raised_never_stays_and_what_was_lowered_is_never_raised(found: dict[str, FlagValue], event: Event, to: str | None) -> None:
    position = Position(Phase.SOAKING, "ten", NOW, NOW)
    [decided] = decide(MEMORY, State(position), position, locate(MEMORY, TEN, found), Sight({}, found), NOW)
    assert (decided.event, decided.body.get("to")) == (event, to)


@pytest.mark.parametrize("found", [flags(TWENTY_FIVE, redis=False), flags(TWENTY_FIVE, agents=(*FIVE, "legal-2"))])
def test_what_was_found_so_at_first_sight_nobody_has_raised(found: dict[str, FlagValue]) -> None:
    position = Position(Phase.HELD, "baseline", NOW, NOW, placed=False)
    assert [*decide(MEMORY, State(position), position, locate(MEMORY, MEMORY.stages[0], found), Sight({}, found), NOW)] == []


def test_a_raise_that_follows_its_own_undoing_before_the_next_look_is_news() -> None:
    found = flags(TWENTY_FIVE)
    where = locate(MEMORY, TEN, found)
    undone = Position(Phase.ROLLED_BACK, "ten", NOW, NOW, code=Code.DRIFT)

    def told(position: Position, since: timedelta | None) -> int:
        state = State(position, drift=Drift.HIGHER, drift_since=None if since is None else NOW + since)
        return len([*news(MEMORY, state, position, where, Sight({}, found), (), NOW)])

    assert told(undone, timedelta(seconds=-1)) == 1  # seen before it was undone: this is another one
    assert told(undone, None) == 1
    assert told(undone, timedelta(seconds=1)) == 0  # seen since
    assert told(replace(undone, phase=Phase.HELD), timedelta(seconds=-1)) == 0
