"""One rollout under guard: its flag store, what the judge knows of it, and the transition that is under way.

Everything that happens to a rollout goes through here, one thing at a time: on record first, then into the state, then into the world.
Lives here: that order. Must not live here: what is decided (judge), how flags are changed (transitions), when to look (cycle).
"""

import contextlib
import functools
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from rollback_daemon import __version__, memory
from rollback_daemon.clock import Clock
from rollback_daemon.errors import FlagError, IllegalTransition, JournalUnavailable, OperationRefused
from rollback_daemon.flags.store import FlagStore, Scalar
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge import machine, requests
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.drift import Drift, equals
from rollback_daemon.judge.gates import blockers
from rollback_daemon.judge.position import Open, Position, fold
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.state import Happened, Judgement, Sight, State
from rollback_daemon.judge.transitions import APART, Event, Kind
from rollback_daemon.rules import advice
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Observations
from rollback_daemon.transitions.execute import PATIENCE, Execution, Orders, Overtaken, Patience


class Witness(Protocol):
    """Who is told what happens, for metrics."""

    def happened(self, rollout: Rollout, event: Event, body: Mapping[str, Any], at: datetime, opened: Open | None) -> None: ...


class Watch:
    """A rollout being watched. Thread-safe; the judge's step, requests of people and the transition's own records never interleave."""

    def __init__(self, rollout: Rollout, store: FlagStore, journal: Journal, clock: Clock, witness: Witness, patience: Patience = PATIENCE) -> None:
        self.rollout = rollout
        self._store, self._journal, self._clock, self._witness, self._patience = store, journal, clock, witness, patience
        self._lock = threading.RLock()
        self._state = State()
        self._judgement: Judgement | None = None
        self._observations: tuple[datetime, Observations] | None = None
        self._thread: threading.Thread | None = None
        self._orders = Orders()
        self._unreadable = ""
        self._log = structlog.get_logger().bind(rollout=rollout.name)

    @property
    def state(self) -> State:
        return self._state

    @property
    def judgement(self) -> Judgement | None:
        """The last evaluation; None before the first."""
        return self._judgement

    @property
    def observations(self) -> tuple[datetime, Observations] | None:
        """The answers that the last evaluation rests on, and the time that they were asked for."""
        return self._observations

    @property
    def place(self) -> str:
        """Where the flags are, for people."""
        return self._store.describe()

    def recall(self, remembered: str | None, stopped: datetime | None) -> None:
        """Take up where the journal and the remembered state say that this rollout is, and finish a transition that is still open."""
        with self._lock:
            position = self._replay()
            self._state = machine.wake(self.rollout, memory.load(remembered, position, stopped), self._clock.now())
            if position and position.open:
                self._take_up(position.open)

    def reconfigure(self, rollout: Rollout, store: FlagStore) -> None:
        """Go on with a new version of the rule file. Phases and the place on the ladder stay."""
        with self._lock:
            self.rollout, self._store = rollout, store
            known = {trigger.name for trigger in rollout.triggers}
            self._state = replace(self._state, triggers={name: one for name, one in self._state.triggers.items() if name in known})
            self._judgement = None

    def evaluate(self, observations: Observations, now: datetime) -> str:
        """Judge once, with the answers of the cycle at `now`; returns the outcome in a line."""
        flags = self._look()
        self._tell_reading(flags)
        with self._lock:
            result = machine.step(self.rollout, self._state, Sight(observations, flags), now)
            self._record_all(result.happened, now)  # the state is still the one before: what was open is what ended
            self._state, self._judgement, self._observations = result.state, result.judgement, (now, observations)
            if any(one.event is Event.INTENDED for one in result.happened):
                self._start()
        return f"{self._state.position.phase} at {self._state.position.stage}" if self._state.position else f"waiting: {flags}"

    def remembered(self) -> str:
        """The judge's memory as text, to be kept with the journal."""
        return memory.dump(self._state)

    def promote(self, by: str, reason: str) -> str:
        """Start a promotion to the next stage; returns the transition's id. Raises requests.Refusal or JournalUnavailable."""
        with self._lock, self._refusals("promote", by, reason):
            now = self._clock.now()
            return self._request(requests.promote(self.rollout, self._state, self._judgement, by, reason, now), now, must_be_on_record=True)

    def rollback(self, to: str | None, by: str, reason: str) -> str:
        """Start a rollback; returns the transition's id. Raises OperationRefused."""
        with self._lock, self._refusals("rollback", by, reason):
            now = self._clock.now()
            return self._request(requests.rollback(self.rollout, self._state, self._judgement, to, by, reason, now), now)

    def hold(self, by: str, reason: str) -> None:
        """Stop the way up."""
        with self._lock, self._refusals("hold", by, reason):
            self._request(requests.hold(self.rollout, self._state, by, reason), self._clock.now())

    def resume(self, by: str, reason: str) -> None:
        """Open the way up again. It loosens something, so it must be on record."""
        with self._lock, self._refusals("resume", by, reason):
            self._request(requests.resume(self.rollout, self._state, by, reason), self._clock.now(), must_be_on_record=True)

    def drain(self) -> None:
        """Let the transition under way end after the step it is in."""
        self._orders.drain.set()

    def close(self, patience: float) -> None:
        """Wait until the transition under way has finished the step it is in, for at most `patience` seconds; the next start goes on with it."""
        self.drain()
        thread = self._thread
        if thread is not None:
            thread.join(patience)
            if thread.is_alive():
                self._orders.overtake()
                thread.join(5)

    def tell_rules(self) -> None:
        """Put on record which rules hold from now on, in words, unless they are those that held before."""
        with self._lock:
            try:
                known = self._journal.records(self.rollout.name, kinds=[Event.CONFIGURED], limit=1, newest_first=True)
            except JournalUnavailable:
                known = []
            if known and known[0].body.get("sha256") == self.rollout.digest:
                return
            body = {"file": self.rollout.file, "sha256": self.rollout.digest, "rules": advice.understood(self.rollout), "version": __version__}
            self._put_on_record(Happened(Event.CONFIGURED, body), self._clock.now())

    @contextlib.contextmanager
    def _refusals(self, request: str, by: str, reason: str) -> Iterator[None]:
        """What was asked for and refused is on record, too."""
        try:
            yield
        except OperationRefused as refused:
            body = {"request": request, "by": by, "reason": reason, "why": [str(refused)]}
            self._put_on_record(Happened(Event.REFUSED, body), self._clock.now())
            raise

    def _tell_reading(self, flags: Mapping[str, Scalar] | str) -> None:
        """A word in the log when the flags cannot be read any more, and when they can again."""
        error = flags if isinstance(flags, str) else ""
        if error and error != self._unreadable:
            self._log.error("the flags cannot be read", error=error)
        elif self._unreadable and not error:
            self._log.info("the flags can be read again")
        self._unreadable = error

    def _look(self) -> Mapping[str, Scalar] | str:
        try:
            return self._store.read(self.rollout.keys).values
        except FlagError as error:
            return str(error)

    def _replay(self) -> Position | None:
        position: Position | None = None
        try:
            records = self._journal.records(self.rollout.name, kinds=_OF_POSITION)
        except JournalUnavailable as error:
            self._log.error("the journal cannot be read; the place on the ladder follows from the flags", error=str(error))
            return None
        for record in records:
            try:
                position = fold(position, Event(record.kind), record.body, record.at)
            except (IllegalTransition, ValueError) as error:
                self._log.error("a record of the journal does not follow from those before it and is passed over", seq=record.seq, error=str(error))
        return position

    def _request(self, happened: Happened, now: datetime, *, must_be_on_record: bool = False) -> str:
        state = machine.apply(self._state, happened, now)
        self._put_on_record(happened, now, must=must_be_on_record)
        self._state = state
        self._rejudge()
        if happened.event is Event.INTENDED:
            self._start()
        return str(happened.body.get("id", ""))

    def _rejudge(self) -> None:
        """What blocks a promotion depends on the position, which has just changed."""
        known, position = self._judgement, self._state.position
        if known is not None and position is not None:
            why_not = blockers(self.rollout, self._state, position, known.gates, known.triggers, known.whereabouts)
            self._judgement = replace(known, blockers=tuple(why_not))

    def _record_all(self, happened: Sequence[Happened], now: datetime) -> None:
        """What a step of the judge came to, in one transaction: twenty thousand series that fire must not keep a rollback waiting."""
        opened = self._state.position.open if self._state.position else None
        self._journal.append_many_or_spill(self.rollout.name, [(one.event.value, one.body) for one in happened], now)
        for one in happened:
            self._tell(one, now, opened)

    def _put_on_record(self, happened: Happened, now: datetime, *, must: bool = False) -> None:
        """On record before anything else. What loosens must be on record; what tightens goes on without a journal, and is spilled."""
        opened = self._state.position.open if self._state.position else None
        if must:
            try:
                self._journal.append(self.rollout.name, happened.event, happened.body, now)
            except JournalUnavailable as error:
                reason = Reason(Code.JOURNAL, f"the journal cannot be written: {error}")
                raise requests.Refusal(f"{self.rollout.name} stays as it is", [reason]) from error
        else:
            self._journal.append_or_spill(self.rollout.name, happened.event, happened.body, now)
        self._tell(happened, now, opened)

    def _tell(self, happened: Happened, now: datetime, opened: Open | None) -> None:
        self._log.log(_level(happened), str(happened.event), **_shown(happened.body))
        self._witness.happened(self.rollout, happened.event, happened.body, now, opened)

    def _remember_now(self) -> None:
        """Before a transition starts: that its triggers have had their say must survive a kill. A journal that is away is not waited for."""
        if not self._journal.writable:
            return
        try:
            self._journal.save_memory({self.rollout.name: self.remembered()}, self._clock.now())
        except Exception as error:  # noqa: BLE001 (whatever it is: it must not stand between an intent and its flags)
            self._log.error("memory could not be kept", error=str(error))

    # the transition under way

    def _take_up(self, opened: Open) -> None:
        """After a restart. A promotion that has not touched a flag is given up: what it was approved on is no longer known to hold."""
        if opened.kind is Kind.PROMOTE and not opened.applied and not self._is_written(opened):
            why = "the daemon was stopped before any flag was changed; promote again"
            body = {"id": opened.id, "kind": opened.kind, "from": opened.origin, "to": opened.origin, "why": why, "code": Code.UNFINISHED}
            self._apply(Happened(Event.ABANDONED, body))
        else:
            self._start(again=True)

    def _is_written(self, opened: Open) -> bool:
        flags = self._look()
        target = self.rollout.stage(opened.target)
        return target is not None and not isinstance(flags, str) and equals(target, flags)

    def _apply(self, happened: Happened) -> None:
        with self._lock:
            now = self._clock.now()
            state = machine.apply(self._state, happened, now)
            self._put_on_record(happened, now)
            self._state = state
            self._rejudge()

    def _start(self, *, again: bool = False) -> None:
        position = self._state.position
        if position is None or position.open is None:
            return
        self._remember_now()
        self._orders.overtake()
        self._orders = Orders()
        before, opened, orders = self._thread, position.open, self._orders
        again = again or (before is not None and before.is_alive())  # the one overtaken may have been running the command
        self._thread = threading.Thread(
            target=self._carry_out, args=(before, opened, orders, again), name=f"transition-{self.rollout.name}", daemon=True
        )
        self._thread.start()

    def _carry_out(self, before: threading.Thread | None, opened: Open, orders: Orders, again: bool) -> None:  # noqa: FBT001 (a thread's target)
        if before is not None:
            before.join()
        record = functools.partial(self._record_of, opened)
        execution = Execution(self.rollout, self._store, opened, record, self._clock, self._patience)
        error = execution.run(orders, again=again)
        if error is not None:
            self._take_back(opened, error)

    def _record_of(self, opened: Open, event: Event, body: Mapping[str, Any]) -> None:
        with self._lock:
            position = self._state.position
            if position is None or position.open is None or position.open.id != opened.id:
                raise Overtaken(f"{opened.id} is no longer under way")
            self._apply(Happened(event, body))

    def _take_back(self, opened: Open, error: FlagError) -> None:
        """A promotion that could not be completed: back to where it came from, which is a rollback like any other."""
        with self._lock:
            position = self._state.position
            if position is None or position.open is None or position.open.id != opened.id:
                return
            origin = self.rollout.stage(opened.origin) or self.rollout.stages[0]
            why = [f"the promotion to {opened.target} could not be completed: {error}"]
            more = {"code": Code.PROMOTION_FAILED}
            self._apply(intended(self.rollout, position, Kind.ROLLBACK, origin, why, "rollbackd", self._clock.now(), more))
            self._start()


_OF_POSITION = [event for event in Event if event not in APART]
_LEVELS = {
    **dict.fromkeys((Event.ATTEMPTED, Event.RAN), logging.ERROR),
    **dict.fromkeys((Event.INTENDED, Event.HELD, Event.DRIFT, Event.SIGHT, Event.REFUSED), logging.WARNING),
}
_LONG = {"output", "activations", "rules"}


def _level(happened: Happened) -> int:
    """How loud an event is in the log: bad news is a warning or an error, good news is not."""
    body = happened.body
    if (happened.event is Event.RAN and not body["error"]) or body.get("drift") == Drift.NONE or body.get("blind") is False:
        return logging.INFO
    return _LEVELS.get(happened.event, logging.INFO)


def _shown(body: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of an event that a log line has room for; `event` is structlog's own word."""
    return {key: value for key, value in body.items() if key not in _LONG}
