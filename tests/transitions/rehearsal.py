"""What the tests of transitions share: a ladder, a flag store that does as it is told, and a journal that may stop everything at any step.

Lives here: the fakes. They are passed in; nothing is patched.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.errors import Conflict, FlagError, Transient
from rollback_daemon.flags.store import Flags, FlagValue
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.position import Open, Position, fold
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.duties import Command
from rollback_daemon.rules.model import FlagSettings, Rollout, Stage
from rollback_daemon.transitions.execute import Execution, Orders, Patience

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUICK = Patience(first=0.001, longest=0.004, promotions=3)
SHARES = {"baseline": 0.0, "canary": 0.1, "half": 0.5, "full": 1.0}


class Noon:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOON


class Killed(BaseException):
    """The process ends here."""


def ladder(command: Command | None = None, *, backups: int = 3) -> Rollout:
    """Baseline, canary, half and full, with two flags."""
    flags: list[dict[str, FlagValue]] = [{"NEW": "no" if not share else "yes", "PERCENT": f"{share:.0%}"} for share in SHARES.values()]
    stages = tuple(Stage(name, number, SHARES[name], flags[number]) for number, name in enumerate(SHARES))
    settings = FlagSettings("dotenv", "/srv/app/.env", backups, command)
    return Rollout("checkout", "rules.yml", "0", timedelta(seconds=1), timedelta(seconds=3), settings, stages, (), ())


def at(stage: str) -> dict[str, FlagValue]:
    """The flags of a stage."""
    return dict(ladder().stages[list(SHARES).index(stage)].flags)


def appending(path: Path, *, code: int = 0) -> Command:
    """A command that adds a line to a file, and exits so."""
    return Command(("/bin/sh", "-c", f'echo "$ROLLBACKD_KIND $ROLLBACKD_FROM $ROLLBACKD_TO" >> {path}; exit {code}'), timedelta(seconds=10))


def lines(path: Path) -> list[str]:
    """What such commands have written."""
    return path.read_text().splitlines() if path.exists() else []


@dataclass(slots=True)
class Steps:
    """Counts what is done; at the step `last`, counted from 0, the process is killed."""

    last: int | None = None
    done: int = 0

    def step(self) -> None:
        if self.done == self.last:
            raise Killed
        self.done += 1


Trouble = Callable[["Store", Mapping[str, FlagValue]], None]
"""Stands in for one call of a store: does what it likes, and raises what it likes."""


@dataclass(slots=True)
class Store:
    """Flags in memory. `troubles` holds, for each method, what happens in its next calls instead of the right thing; None is the right thing."""

    flags: dict[str, FlagValue]
    troubles: dict[str, deque[Trouble | None]] = field(default_factory=dict)
    writes: list[dict[str, FlagValue]] = field(default_factory=list)
    kept: dict[str, dict[str, FlagValue]] = field(default_factory=dict)
    steps: Steps = field(default_factory=Steps)
    version: int = 0

    def read(self, keys: frozenset[str]) -> Flags:
        self.steps.step()
        if not self._trouble("read", {}):
            return Flags({key: value for key, value in self.flags.items() if key in keys}, str(self.version))
        raise AssertionError("a read that is in trouble raises")

    def write(self, changes: Mapping[str, FlagValue], *, if_version: str) -> None:
        self.steps.step()
        if not self._trouble("write", changes):
            if if_version != str(self.version):
                raise Transient("memory: it was changed since it was read: read it again")
            self.put(changes)
        self.steps.step()

    def backup(self, name: str, *, sparing: str = "") -> str:
        self.steps.step()
        if not self._trouble("backup", {}) and name not in self.kept:
            self.kept[name] = dict(self.flags)
        self.steps.step()
        return name

    def restore(self, backup: str, *, if_version: str | None = None) -> None:
        self.steps.step()
        if not self._trouble("restore", self.kept[backup]):
            if if_version not in {None, str(self.version)}:
                raise Conflict("memory: it was changed since it was read: read it again")
            self.put(self.kept[backup])
        self.steps.step()

    def backups(self) -> Sequence[str]:
        return tuple(reversed(self.kept))

    def read_backup(self, backup: str, keys: frozenset[str]) -> Flags:
        return Flags({key: value for key, value in self.kept[backup].items() if key in keys}, backup)

    def describe(self) -> str:
        return "memory"

    def put(self, changes: Mapping[str, FlagValue]) -> None:
        """Change flags, as a transition or as a person does."""
        self.flags.update(changes)
        self.writes.append(dict(changes))
        self.version += 1

    def by_hand(self, stage: str) -> None:
        """Somebody sets the flags of a stage; not counted among the writes."""
        self.put(at(stage))
        self.writes.pop()

    def _trouble(self, method: str, changes: Mapping[str, FlagValue]) -> bool:
        queue = self.troubles.get(method)
        trouble = queue.popleft() if queue else None
        if trouble is not None:
            trouble(self, changes)
        return trouble is not None


def fails(error: type[FlagError], text: str = "no luck") -> Trouble:
    """Nothing is done, and the store says so."""

    def trouble(_: Store, __: Mapping[str, FlagValue]) -> None:
        raise error(text)

    return trouble


def does_it_and_fails(error: type[FlagError]) -> Trouble:
    """It is done, and the store says that it is not, or that it does not know."""

    def trouble(store: Store, changes: Mapping[str, FlagValue]) -> None:
        store.put(changes)
        raise error("no luck, or so it seems")

    return trouble


def lies(_: Store, __: Mapping[str, FlagValue]) -> None:
    """Nothing is done, and the store says that it is."""


def somebody_is_quicker(store: Store, _: Mapping[str, FlagValue]) -> None:
    """Another writer changed something else between reading and writing."""
    store.flags["OTHER"] = "new"
    store.version += 1
    raise Transient("memory: it was changed since it was read: read it again")


@dataclass(slots=True)
class Scene:
    """One transition on one store, with a journal that outlives the process."""

    rollout: Rollout
    store: Store
    journal: list[tuple[Event, dict[str, Any]]] = field(default_factory=list)
    steps: Steps = field(default_factory=Steps)
    orders: Orders = field(default_factory=Orders)
    error: FlagError | None = None
    when: Callable[[Event], None] = lambda _: None
    _start: Position | None = None

    @classmethod
    def of(cls, kind: Kind, origin: str, target: str, store: Store | None = None, command: Command | None = None) -> "Scene":
        """A transition that is intended, with flags that are still those of `origin`."""
        rollout = ladder(command)
        stages = {stage.name: stage for stage in rollout.stages}
        phase = Phase.READY if kind is Kind.PROMOTE else Phase.SOAKING
        start = Position(phase, origin, NOON, NOON)
        scene = cls(rollout, store or Store(at(origin)), _start=start)
        scene.store.steps = scene.steps
        begun = intended(rollout, start, kind, stages[target], ["because"], "rollbackd", NOON)
        scene.journal.append((begun.event, dict(begun.body)))
        return scene

    @property
    def position(self) -> Position:
        """Where the journal says that the rollout is. Every record must follow from those before it."""
        position = self._start
        for event, body in self.journal:
            position = fold(position, event, body, NOON)
        assert position is not None
        return position

    @property
    def opened(self) -> Open:
        """The transition under way."""
        opened = self.position.open
        assert opened is not None
        return opened

    def records(self, event: Event) -> list[dict[str, Any]]:
        """The bodies of the records of one kind."""
        return [body for kind, body in self.journal if kind is event]

    @property
    def events(self) -> list[Event]:
        """What happened after the intent."""
        return [event for event, _ in self.journal[1:]]

    def execution(self, patience: Patience = QUICK) -> Execution:
        """The transition as a fresh process takes it up."""
        return Execution(self.rollout, self.store, self.opened, self._record, Noon(), patience)

    def run(self, patience: Patience = QUICK, *, again: bool = False) -> "Scene":
        """Carry it out in one go."""
        self.error = self.execution(patience).run(self.orders, again=again)
        return self

    def run_killed_at(self, step: int) -> bool:
        """Carry it out until that step, and again from the journal in a fresh process. False when it has fewer steps."""
        self.steps.last, self.steps.done = step, 0
        try:
            self.run()
        except Killed:
            self.steps.last = None
            if self.position.open:
                self.run(again=True)
            return True
        return False

    def _record(self, event: Event, body: Mapping[str, Any]) -> None:
        self.steps.step()
        self.when(event)
        self.journal.append((event, dict(body)))
        self.steps.step()
