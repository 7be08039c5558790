"""What the tests of escalation share: rollouts whose triggers climb, and what is on record of them."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.aftercare import Aftercare, Escalation
from rollback_daemon.rules.model import Rollout, Trigger
from rollback_daemon.signals.observation import Value
from tests.judge import people
from tests.judge.world import START, World, rollout, trigger

LAST = Escalation(("ticket", "lead"), rollback=True, in_=timedelta(minutes=2))


def warning(for_: str = "0", keep: str = "0") -> Trigger:
    """A trigger that does nothing but tell people, and the next ones after a minute."""
    return trigger("Errors", above=1, action="alert", escalate_after="1m", for_=for_, keep=keep)


def ladder(*triggers: Trigger, last: Escalation = LAST, enforce: bool = True) -> Rollout:
    return rollout(*triggers, enforce=enforce, aftercare=Aftercare(escalation=last))


def on_record(world: World, event: Event) -> list[dict[str, object]]:
    return [json.loads(body) for kind, body, _ in world.journal if kind == event]


def seconds(world: World, event: Event) -> list[float]:
    return [(at - START).total_seconds() for kind, _, at in world.journal if kind == event]


def refusal(world: World, request: str) -> str:
    with pytest.raises(OperationRefused) as refused:
        people.ask(world, request, START + timedelta(minutes=3))
    return str(refused.value)


Changed = Callable[[Rollout], Rollout]


def after_change(world: World, rules: Rollout) -> None:
    """One more evaluation, with other rules."""
    world.edit(rules)
    world.evaluate({"errors": Value({(): 2.0})}, START + timedelta(minutes=2, seconds=15))
