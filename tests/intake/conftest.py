"""A desk whose rollout has evidence that comes by itself, at the time of day of the raw files."""

from collections.abc import Callable

import pytest

from rollback_daemon.rules.duties import Declared
from tests.evidence.raw import NOW
from tests.watch.conftest import desk, make_desk
from tests.watch.guarded import Desk

__all__ = ["desk", "make_desk"]
Expecting = Callable[..., Desk]


@pytest.fixture
def expecting(desk: Desk) -> Expecting:
    """The desk with these declarations; nothing has been evaluated since it was started."""

    def make(*declared: Declared) -> Desk:
        desk.hands.time = NOW
        desk.evaluate()
        return desk.restart(evidence=declared)

    return make
