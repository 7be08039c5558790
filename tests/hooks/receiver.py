"""What the tests of hooks share: a rollout with hooks, a journal to write into, and HTTP servers that take what hooks send."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rollback_daemon.hooks.courier import Patience
from rollback_daemon.hooks.outbox import Outbox
from rollback_daemon.journal.journal import Journal, Record
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.faults import Answer, MisbehavingServer, Request
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.aftercare import Aftercare, Hook
from rollback_daemon.rules.duties import Command
from rollback_daemon.rules.model import Rollout
from tests.watch.guarded import ladder

TICKET = Path(__file__).parents[2] / "deploy" / "hooks" / "ticket.py"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUICK = Patience(first=0.01, longest=0.05, grace=0.2)
HELD: Mapping[str, Any] = {"why": "errors 0.9 > 0.5", "by": "rollbackd"}


class Receiver(MisbehavingServer):
    """Answers the statuses of `answers` one after the other, and then 200."""

    def __init__(self, *answers: int) -> None:
        self._answers = list(answers)
        self.reply = b"taken"
        super().__init__()

    def answer(self, request: Request, /) -> Answer:
        return Answer(self.reply, "text/plain", self._answers.pop(0) if self._answers else 200)

    @property
    def told(self) -> list[dict[str, Any]]:
        """The JSON of every request so far."""
        return [json.loads(request.body) for request in self.requests]


class Issues(MisbehavingServer):
    """Lists and opens issues as GitHub and GitLab do."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        super().__init__()

    def answer(self, request: Request, /) -> Answer:
        if request.method == "GET":
            wanted = parse_qs(urlsplit(request.path).query)["labels"]
            found = [one for one in self.kept if one["labels"] in (wanted, wanted[0])]
            return Answer(json.dumps(found).encode(), "application/json")
        self.kept.append({**json.loads(request.body), "state": "open", "html_url": f"https://example.com/issues/{len(self.kept) + 1}"})
        return Answer(json.dumps(self.kept[-1]).encode(), "application/json", 201)


def guarded(*hooks: Hook, name: str = "checkout") -> Rollout:
    """A rollout that has these hooks."""
    return replace(
        ladder(Path("/nowhere/.env")), name=name, aftercare=Aftercare(hooks=hooks), owner="lead", runbook_url="https://runbooks.example.com/x"
    )


def over_http(url: str, *on: str, name: str = "Chat", secret_file: str = "", timeout: float = 5) -> Hook:
    return Hook(name, frozenset(on or ("held",)), http=url, secret_file=secret_file, timeout=timedelta(seconds=timeout))


def by_shell(script: str, *on: str, name: str = "Ticket", timeout: float = 30) -> Hook:
    return Hook(name, frozenset(on or ("held",)), Command(("/bin/sh", "-c", script), timedelta(seconds=timeout)), timeout=timedelta(seconds=timeout))


class Office:
    """An outbox on a real journal, as one run of the daemon has it, with a clock that is set by hand."""

    def __init__(self, folder: Path, *rollouts: Rollout, at: datetime = NOON, begun: bool = True) -> None:
        self.time = at
        self.database = folder / "journal.db"
        self.journal = Journal.open(f"sqlite:///{self.database}", busy_timeout=timedelta(milliseconds=20), last_resort=lambda _: None)
        self.outcomes: list[tuple[str, str, str]] = []
        self.outbox = Outbox(self.journal, self, self.put, self, "http://localhost:9811", QUICK)
        self.outbox.follow(rollouts)
        if begun:
            self.outbox.begin()

    def now(self) -> datetime:
        return self.time

    def hooked(self, rollout: str, hook: str, outcome: str) -> None:
        self.outcomes.append((rollout, hook, outcome))

    def put(self, rollout: str, happened: Happened) -> None:
        """As the watch does: on record, and then whoever listens is told."""
        at = self.time = self.time + timedelta(milliseconds=1)
        self.journal.append_or_spill(rollout, happened.event, happened.body, at)
        self.outbox.happened(rollout, happened.event, happened.body, at)

    def happens(self, event: Event, body: Mapping[str, Any], rollout: str = "checkout") -> None:
        self.put(rollout, Happened(event, body))

    def ends(self, number: int = 1) -> list[Record]:
        """The records of so many deliveries that ended, once they are there."""

        def ended() -> list[Record]:
            found = self.journal.records(kinds=[Event.HOOKED])
            return found if len(found) >= number else []

        return wait_until(ended, f"{number} deliveries to end", 20)

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        wait_until(condition, what, 20)

    def close(self) -> None:
        self.outbox.close()
        self.journal.close()
