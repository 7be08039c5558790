"""What the tests of evidence that comes by itself share: declarations, commands as small shell scripts, and what is on record."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.evidence import KINDS
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.duties import Command, Declared, Inbox, Scheduled
from tests.watch.guarded import Desk

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LONG = timedelta(seconds=30)


def declared(comes: Inbox | Scheduled, kind: str = "number", name: str = "tests", max_age: timedelta = DAY, **more: Any) -> Declared:
    """Evidence of a kind that needs no settings."""
    return Declared(name, kind, KINDS[kind].settings(), max_age, f"{kind} {more}", comes, **more)


def script(path: Path, text: str) -> Path:
    """A program of that text."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def scheduled(program: Path, timeout: timedelta = LONG, result: str = "", **env: str) -> Scheduled:
    """The program every hour."""
    return Scheduled(Command((str(program),), timeout, env), HOUR, result)


def refusals(desk: Desk) -> list[str]:
    """Why evidence was refused, as it is on record."""
    return [str(body["why"][0]) for body in desk.bodies(Event.REFUSED)]


def figures(desk: Desk, name: str = "tests") -> dict[str, float]:
    """The figures on record."""
    made = desk.watch.state.dossier.evidence.get(name)
    return dict(made.figures) if made else {}
