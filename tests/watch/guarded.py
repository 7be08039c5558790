"""What the tests of the watch share: one rollout on a real flag file and a real journal, with a clock that is set by hand.

Lives here: setting up, evaluating, restarting. Restarting is what a new process does: nothing goes over but files.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.flags.stores import open_store
from rollback_daemon.journal.journal import Journal, Record
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.position import Open, Position
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.aftercare import Aftercare
from rollback_daemon.rules.duties import Command
from rollback_daemon.rules.measures import Condition, Op, Signal
from rollback_daemon.rules.model import Action, ActionKind, FlagSettings, Gate, Rollout, Stage, Trigger
from rollback_daemon.rules.triggers import Threshold
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from rollback_daemon.transitions.execute import Patience
from rollback_daemon.watch import Watch

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
QUICK = Patience(first=0.002, longest=0.02, promotions=3)
SHARES = {"baseline": 0, "canary": 10, "half": 50, "full": 100}
ABOVE = frozenset({"canary", "half", "full"})
ERRORS, LATENCY = Signal("errors", "errors"), Signal("latency", "latency")

Look = Mapping[str, Observation]
GOOD: Look = {"errors": Value({(): 0.0}), "latency": Value({(): 0.0})}
BAD: Look = {"errors": Value({(): 0.9}), "latency": Value({(): 0.0})}
SLOW: Look = {"errors": Value({(): 0.0}), "latency": Value({(): 0.9})}
EMPTY: Look = {"errors": NoData("the query returned nothing"), "latency": NoData("the query returned nothing")}
AWAY: Look = dict.fromkeys(("errors", "latency"), Failed(Failure.UNREACHABLE, "no answer: connection refused"))


def content(stage: str) -> str:
    """The flag file at a stage, other lines included."""
    return f"# by hand\nNEW={'yes' if SHARES[stage] else 'no'}   # on or off\nSECRET=s3cr=t\nPERCENT={SHARES[stage]}\n"


def ladder(flags: Path, command: Command | None = None, aftercare: Aftercare | None = None) -> Rollout:
    """Errors lead to the previous stage at once, latency to the bottom after three seconds."""
    stages = [
        Stage(name, number, share / 100, {"NEW": "yes" if share else "no", "PERCENT": str(share)})
        for number, (name, share) in enumerate(SHARES.items())
    ]
    return Rollout(
        name="checkout",
        file="rules/checkout.yml",
        digest="0",
        interval=SECOND,
        max_gap=3 * SECOND,
        flags=FlagSettings("dotenv", str(flags), 3, command),
        stages=tuple(stages),
        gates=(Gate("Errors", ERRORS, Condition(Op.BELOW, 0.5), frozenset(SHARES)),),
        triggers=(
            Trigger("ErrorsHigh", Threshold(ERRORS, Condition(Op.ABOVE, 0.5)), ABOVE),
            Trigger("LatencyHigh", Threshold(LATENCY, Condition(Op.ABOVE, 0.5)), ABOVE, Action(ActionKind.ROLLBACK, "baseline"), 3 * SECOND),
        ),
        signals=(ERRORS, LATENCY),
        aftercare=aftercare or Aftercare(),
    )


class Hands:
    """A clock whose hands are moved by the test."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


@dataclass(slots=True)
class Witness:
    """Remembers what it is told."""

    told: list[tuple[Event, Open | None]] = field(default_factory=list)

    def happened(self, rollout: Rollout, event: Event, body: Mapping[str, Any], at: datetime, opened: Open | None) -> None:
        self.told.append((event, opened))


class Desk:
    """One rollout, its file and its journal, and the watch of the process that is running now."""

    def __init__(self, folder: Path, command: Command | None = None, aftercare: Aftercare | None = None) -> None:
        self.env = folder / ".env"
        self.env.write_text(content("baseline"))
        self.database = folder / "journal.db"
        self.hands, self.witness = Hands(), Witness()
        self.journal = self.open_journal()
        self.rollout = ladder(self.env, command, aftercare)
        self.watch = self._watch()
        self.watch.recall(None, None)

    def close(self) -> None:
        """End what is under way."""
        self.watch.close(0.1)
        self.journal.close()

    # what is there

    @property
    def position(self) -> Position:
        """Where the running watch says that the rollout is."""
        position = self.watch.state.position
        assert position is not None
        return position

    @property
    def flags(self) -> str:
        return self.env.read_text()

    def records(self, *kinds: Event) -> list[Record]:
        """What the journal tells of the rollout."""
        return self.journal.records("checkout", kinds=kinds or None)

    def bodies(self, kind: Event) -> list[Mapping[str, Any]]:
        return [record.body for record in self.records(kind)]

    @property
    def kinds(self) -> list[str]:
        return [record.kind for record in self.records()]

    # what happens

    def evaluate(self, look: Look = GOOD, times: int = 1) -> None:
        """One cycle a second, remembered at its end as the daemon does."""
        for _ in range(times):
            self.hands.time += SECOND
            self.watch.evaluate(look, self.hands.time)
            self.journal.save_memory({"checkout": self.watch.remembered()}, self.hands.time)

    def settle(self) -> "Desk":
        """Wait for the transition under way."""
        wait_until(lambda: self.watch.state.position is None or self.watch.state.position.open is None, "the transition to end", 30)
        return self

    def verify(self) -> "Desk":
        """Wait for the verification under way, and for every transition that follows from it."""

        def is_over() -> bool:
            with self.watch.lock:  # what follows from a step follows under it
                state = self.watch.state
            return not state.aftermath.verifying and bool(state.position and state.position.open is None)

        wait_until(is_over, "the verification to end", 30)
        return self

    def climb_to(self, stage: str) -> "Desk":
        """Promote from the bottom, one stage after the other."""
        self.evaluate()
        while self.position.stage != stage:
            self.hands.time += SECOND / 2
            self.watch.promote("ann", "go on")
            self.settle()
            self.evaluate(times=2)
        return self

    def restart(self, *, left_by_kill: Sequence[tuple[Event, Mapping[str, Any]]] = (), **changes: Any) -> "Desk":
        """End this process and start another, with another rule file if `changes` say so. `left_by_kill` is what the old one had put on record
        last.
        """
        self.watch.close(0.1)
        for event, body in left_by_kill:
            self.journal.append("checkout", event, body, self.hands.time)
        self.journal.close()
        self.journal = self.open_journal()
        self.rollout = replace(self.rollout, **changes)
        self.watch = self._watch()
        self.journal.absorb_spill()
        remembered, stopped = self.journal.load_memory()
        self.watch.recall(remembered.get("checkout"), stopped)
        return self

    def intent(self, kind: Kind, target: str) -> Happened:
        """The intent of a transition from where the rollout is."""
        stage = self.rollout.stage(target)
        assert stage is not None
        return intended(self.rollout, self.position, kind, stage, ["because"], "ann", self.hands.time)

    @contextlib.contextmanager
    def journal_locked(self) -> Iterator[None]:
        """Another process keeps the database to itself."""
        connection = sqlite3.connect(self.database, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.close()

    def open_journal(self) -> Journal:
        """The journal as a new process opens it."""
        return Journal.open(f"sqlite:///{self.database}", busy_timeout=timedelta(milliseconds=50))

    def _watch(self) -> Watch:
        return Watch(self.rollout, open_store("dotenv", self.env, 3), self.journal, self.hands, self.witness, QUICK)
