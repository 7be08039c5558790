"""What the tests of what follows a rollback share: rollouts whose rollbacks are verified, and what is on record of them."""

import json
from typing import Any

from rollback_daemon.durations import parse_duration
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.aftercare import Aftercare, Recovery, Way, WayKind
from rollback_daemon.rules.duties import Command
from rollback_daemon.rules.model import Rollout
from tests.judge.world import World, gate, rollout, trigger

ERRORS = trigger("Errors", above=1)
CALM = gate("Calm", "load", below=5)
SMOKE = Command(("./smoke.sh",))
BACKUP, REINSTALL = Way(WayKind.BACKUP), Way(WayKind.COMMAND, Command(("./install.sh",)))


def recovery(for_: str = "30s", within: str = "2m") -> Recovery:
    return Recovery(parse_duration(for_), parse_duration(within))


def then(to: str | None = "baseline", after: str = "0") -> Way:
    return Way(WayKind.THEN, to=to, after=parse_duration(after))


def cared(*verify: Any, ways: tuple[Way, ...] = (), parts: tuple[Any, ...] = (ERRORS, CALM), **more: Any) -> Rollout:
    """A rollout whose rollbacks are verified by these steps."""
    return rollout(*parts, aftercare=Aftercare(verify=verify, ways=(Way(), *ways), **more))


def bodies(world: World, event: Event) -> list[dict[str, Any]]:
    return [json.loads(body) for name, body, _ in world.journal if name == event]


def kinds(world: World) -> list[str]:
    return [body.get("way_kind", "flags") for body in bodies(world, Event.INTENDED)]
