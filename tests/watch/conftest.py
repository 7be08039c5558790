"""A desk for each test, cleared at its end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rollback_daemon.rules.duties import Command
from tests.watch.guarded import Desk

MakeDesk = Callable[[Command | None], Desk]


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[MakeDesk]:
    """A desk whose rollout runs a command after each change."""
    with ExitStack() as open_desks:

        def make(command: Command | None) -> Desk:
            desk = Desk(tmp_path, command)
            open_desks.callback(desk.close)
            return desk

        yield make


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    """A desk whose rollout runs no command."""
    return make_desk(None)
