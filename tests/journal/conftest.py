"""A journal in a folder of its own, and processes that work on it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rollback_daemon.journal.journal import Journal
from tests.journal.helpers import SHORT, Opener, Start


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def complaints() -> list[str]:
    """What the journal told its last resort."""
    return []


@pytest.fixture
def opener(path: Path, complaints: list[str]) -> Iterator[Opener]:
    """Opens the journal, as often as asked; all are closed in the end."""
    with ExitStack() as stack:

        def open_it() -> Journal:
            journal = Journal.open(f"sqlite:///{path}", last_resort=complaints.append, busy_timeout=SHORT)
            stack.callback(journal.close)
            return journal

        yield open_it


@pytest.fixture
def journal(opener: Opener) -> Journal:
    return opener()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python process with the given program; each is killed and waited for in the end."""
    with ExitStack() as stack:

        def run(program: str) -> "subprocess.Popen[str]":
            command = [sys.executable, "-c", program]
            child = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(child.kill)
            return child

        yield run
