"""Carrying out a transition whose intent is on record: read, back up, write, run the command, read back, record.

Killed at any instruction, the next start runs it again and ends at the same place: a flag is set to a value, what is already so is not written
again. A rollback that fails is tried again for ever, further and further apart; a promotion that fails is given up, and so is any other way back
than setting the flags. Lives here: the steps. Must not live here: what to write (`plan`), whether to (the judge), other ways back (`ways`).
"""

import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_any,
    stop_never,
    stop_when_event_set,
)
from tenacity.wait import wait_exponential, wait_random

from rollback_daemon.clock import Clock
from rollback_daemon.errors import Conflict, FlagError, Refused, Transient, UnknownOutcome
from rollback_daemon.flags.store import Flags, FlagStore, same
from rollback_daemon.judge.aftermath import identity
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.aftercare import WayKind
from rollback_daemon.rules.duties import Command
from rollback_daemon.rules.model import Rollout, Stage
from rollback_daemon.transitions import ways
from rollback_daemon.transitions.hooks import Ran, run
from rollback_daemon.transitions.plan import Plan, disturbed, plan

Record = Callable[[Event, Mapping[str, Any]], None]
"""Puts one event of the transition on record before the next step is taken."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between tries, in seconds, and how often a promotion is tried."""

    first: float = 1.0
    longest: float = 60.0
    promotions: int = 3


PATIENCE = Patience()
_QUICK_TRIES = 20  # against other writers of the same file, ourselves included: several rollouts may share one


@dataclass(frozen=True, slots=True)
class Orders:
    """How a transition under way is told to end: `drain` after the step it is in, `cut` at once, its command included."""

    drain: threading.Event = field(default_factory=threading.Event)
    cut: threading.Event = field(default_factory=threading.Event)

    def overtake(self) -> None:
        """Something more urgent comes."""
        self.cut.set()
        self.drain.set()


class Overtaken(FlagError):
    """A more urgent transition of the same rollout is on record; this one ends without another word."""


class Disturbed(Refused):
    """Somebody else set the flags of a promotion while it was under way. It is taken back, and not tried again."""


class Defect(Transient):
    """Something was raised that no store and no record should raise. A rollback goes on all the same."""


class CommandFailedError(Transient):
    """The flags are written, but the command that must run afterwards failed; it is run again."""


class Execution:
    """One transition of one rollout, from its intent to its end."""

    def __init__(
        self,
        rollout: Rollout,
        store: FlagStore,
        opened: Open,
        record: Record,
        clock: Clock,
        patience: Patience,
        before_command: Callable[[], None] = lambda: None,
    ) -> None:
        """`before_command` waits for what may still be running of the transition that this one overtakes."""
        self._rollout, self._store, self._opened, self._record, self._before_command = rollout, store, opened, record, before_command
        self._clock, self._patience = clock, patience
        self._changed = False  # the flags may have been changed, so the command must be run
        self._ran = False  # the program of the way back has succeeded
        self._written = opened.applied  # the flags were set to what is intended, for certain
        self._facts = {"id": opened.id, "kind": opened.kind, "from": opened.origin}

    def run(self, orders: Orders, *, again: bool = False) -> FlagError | None:
        """Work until it is done, it cannot be done and is not tried for ever, or `orders` say to end.

        `again`: it, or the one that it overtakes, was begun before; the command may or may not have run and is run once more. Returns the error
        that ended it; None when the transition is done or stopped.
        """
        self._changed = again
        forever = self._opened.kind is Kind.ROLLBACK and self._opened.way_kind == WayKind.FLAGS
        tries = Retrying(
            retry=retry_if_exception(self._is_worth_another_try),
            wait=wait_exponential(multiplier=self._patience.first, max=self._patience.longest),
            stop=stop_any(stop_never if forever else stop_after_attempt(self._patience.promotions), stop_when_event_set(orders.drain)),
            sleep=lambda seconds: _sleep(orders.drain, seconds),
            before_sleep=self._failed,
            reraise=True,
        )
        try:
            tries(self._attempt, orders)
        except FlagError as error:
            return None if orders.drain.is_set() or isinstance(error, Overtaken) else error
        return None

    def _is_worth_another_try(self, error: BaseException) -> bool:
        """What a store refuses, it refuses again; only where nothing else is left a rollback goes on trying."""
        if not isinstance(error, FlagError) or isinstance(error, (Overtaken, Disturbed)):
            return False
        return self._opened.way_kind == WayKind.FLAGS or not isinstance(error, Refused)

    def _attempt(self, orders: Orders) -> None:
        try:
            self._insist(orders)
        except FlagError:
            raise
        except Exception as error:
            # Its own words could hold what stands in the flags; the place tells enough.
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise Defect(f"{type(error).__name__} at {place.filename}:{place.lineno}, which is a defect of rollbackd; report it") from error

    def _insist(self, orders: Orders) -> None:
        """Take the steps; where another writer of the same file was quicker, take them again at once, for a while, without a word."""
        tries = Retrying(retry=retry_if_exception_type(Conflict), stop=stop_after_attempt(_QUICK_TRIES), wait=wait_random(0, 0.05), reraise=True)
        tries(self._take_steps, orders)

    def _take_steps(self, orders: Orders) -> None:
        flags = self._look()
        planned = plan(self._rollout, self._opened, flags.values)
        self._refuse_if_disturbed(flags)
        match self._opened.way_kind:
            case WayKind.BACKUP:
                self._put_back(planned, flags, orders)
            case WayKind.COMMAND:
                self._run_way(planned, orders)
            case _ if planned.changes:
                self._refuse_if_overtaken(orders)
                self._write(planned, flags)
        if self._changed and self._opened.way_kind != WayKind.COMMAND:
            self._after_change(planned, orders)
        self._confirm(planned)
        self._record(Event.DONE, {**self._facts, "to": planned.stage.name, "flags": dict(planned.expected), **self._owed(planned.stage)})

    def _refuse_if_overtaken(self, orders: Orders) -> None:
        if orders.cut.is_set():
            raise Overtaken(f"{self._opened.id} is no longer under way")

    def _owed(self, stage: Stage) -> dict[str, Any]:
        """What a rollback leaves to be done: it is to be verified, from where the logs are now."""
        care = self._rollout.aftercare
        if self._opened.kind is not Kind.ROLLBACK or self._opened.code == Code.REHEARSAL or not care.verified:
            return {}
        steps = care.proofs(stage.name)
        return {"verify": True, "steps": identity(steps), "logs": ways.marks_of(steps)}

    def _look(self) -> Flags:
        """The flags before anything is done. What cannot be read is what a backup is put back for: nobody has lowered anything in it."""
        try:
            return self._read()
        except Refused:
            if self._opened.way_kind != WayKind.BACKUP:
                raise
            return Flags(self._opened.flags, "")

    def _read(self) -> Flags:
        """The flags of the rollout, and those of the intent: the rule file may have been changed in between."""
        return self._store.read(self._rollout.keys | self._opened.flags.keys())

    def _refuse_if_disturbed(self, flags: Flags) -> None:
        """A person who lowers a flag is never overruled, and what a promotion was approved on must still hold."""
        if self._opened.kind is not Kind.PROMOTE:
            return
        if keys := disturbed(self._rollout, self._opened, flags.values, written=self._written):
            what = "no longer those that it set" if self._written else "neither those before it nor those after it"
            raise Disturbed(f"{self._store.describe()}: its flags are {what} ({', '.join(keys)})")

    def _write(self, planned: Plan, flags: Flags) -> None:
        backup = self._backup()
        before = {key: flags.values.get(key) for key in planned.changes}
        try:
            self._store.write(planned.changes, if_version=flags.version)
        except UnknownOutcome:
            self._changed = True
            raise
        self._changed = self._written = True
        self._record(Event.APPLIED, {**self._facts, "before": before, "after": dict(planned.changes), "backup": backup})

    def _put_back(self, planned: Plan, flags: Flags, orders: Orders) -> None:
        """The way back by the file that was kept; what a person lowered since is not raised by it."""
        if planned.stage.name != self._opened.target:
            raise Disturbed(f'{self._store.describe()}: its flags were set to those of "{planned.stage.name}" since')
        found = ways.backup_of(self._store, planned.expected, self._opened)
        self._refuse_if_overtaken(orders)
        kept = self._backup(sparing=found)
        self._changed = True
        self._store.restore(found, if_version=flags.version or None)
        after = self._read().values
        keys = sorted(key for key in planned.expected if key not in after or key not in flags.values or not same(after[key], flags.values[key]))
        facts = {"before": {key: flags.values.get(key) for key in keys}, "after": {key: after.get(key) for key in keys}, "backup": kept}
        if not self._written:  # once is enough to say, however often it is tried
            self._record(Event.APPLIED, {**self._facts, **facts, "restored": found})
        self._written = True

    def _run_way(self, planned: Plan, orders: Orders) -> None:
        """The way back by a program; once it has succeeded it is not run again."""
        way = ways.command_of(self._rollout, self._opened)
        if self._ran:
            return
        self._before_command()
        ran = run(way, self._environment(planned), orders.cut, may_leave=True)
        self._record(Event.RAN, {**self._facts, **_facts_of(way, ran)})
        if ran.error:
            raise CommandFailedError(ran.error)
        self._ran = True

    def _backup(self, sparing: str = "") -> str:
        """A rollback is not put off because its backup cannot be written; a promotion is."""
        if not self._rollout.flags.backups:
            return ""
        try:
            return self._store.backup(self._opened.id, sparing=sparing)
        except FlagError as error:
            if self._opened.kind is Kind.PROMOTE:
                raise
            return f"none: {error}"

    def _after_change(self, planned: Plan, orders: Orders) -> None:
        command = self._rollout.flags.after_change
        if command is None:
            return
        self._before_command()
        ran = run(command, self._environment(planned), orders.cut, may_leave=True)  # a service that it restarts goes on
        self._record(Event.RAN, {**self._facts, **_facts_of(command, ran)})
        if ran.error:
            raise CommandFailedError(f"after_change: {ran.error}")

    def _environment(self, planned: Plan) -> dict[str, str]:
        return {
            "ROLLBACKD_ROLLOUT": self._rollout.name,
            "ROLLBACKD_TRANSITION": self._opened.id,
            "ROLLBACKD_KIND": self._opened.kind,
            "ROLLBACKD_FROM": self._opened.origin,
            "ROLLBACKD_TO": planned.stage.name,
        }

    def _confirm(self, planned: Plan) -> None:
        """Done means read back."""
        values = self._read().values
        wrong = sorted(key for key, value in planned.expected.items() if key not in values or not same(value, values[key]))
        if wrong:
            raise Transient(f"{self._store.describe()} does not hold what was written to it: {', '.join(wrong)}")

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        outcome = error.outcome if isinstance(error, FlagError) else "failed"
        pause = timedelta(seconds=state.next_action.sleep if state.next_action else 0)
        facts = {"outcome": outcome, "error": str(error), "attempt": state.attempt_number, "next": (self._clock.now() + pause).isoformat()}
        self._record(Event.ATTEMPTED, {**self._facts, **facts})


def _facts_of(command: Command, ran: Ran) -> dict[str, Any]:
    return {"command": list(command.argv), "error": ran.error, "output": ran.output, "seconds": round(ran.seconds, 3)}


def _sleep(stop: threading.Event, seconds: float) -> None:
    stop.wait(seconds)
