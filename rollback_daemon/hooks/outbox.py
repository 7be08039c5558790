"""Who is told what: reads the journal from where each hook has come to, and hands what is news to the hooks' couriers.

The journal is the outbox: a delivery that a kill interrupts is made again by the next start, with the same key. Where the journal cannot take or
give a record, the hooks are told of what happens in this run all the same. Nothing ever waits for a hook: whoever has put something on record
only sets an event. Lives here: cursors, reading, handing over, the record of each end. Must not live here: tries and pauses (`courier`), what is
said (`events`).
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Protocol

import structlog

from rollback_daemon.clock import Clock
from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.hooks.courier import PATIENCE, Backlog, Courier, Delivered, Patience
from rollback_daemon.hooks.delivery import Sent, deliver
from rollback_daemon.hooks.events import Notice, notices, payload
from rollback_daemon.hooks.news import News
from rollback_daemon.journal.cursors import Place
from rollback_daemon.journal.journal import Journal, Record
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.aftercare import Hook
from rollback_daemon.rules.model import Rollout

DELIVERED, RETRIED, GIVEN_UP = OUTCOMES = ("delivered", "retried", "given_up")
_BREATH = 0.05  # seconds after each reading: a cycle that puts many things on record is read once
_AGAIN = 2.0  # seconds until a journal that could not be read is tried again
_LATE = timedelta(seconds=5)  # a delivery that takes no longer is nothing to speak of
_KILL = 2.5  # seconds for the process of a call to end when it is killed

Put = Callable[[str, Happened], None]
"""Puts something on record about the rollout of that name."""


class HookWitness(Protocol):
    """Who is told how deliveries go, for metrics."""

    def hooked(self, rollout: str, hook: str, outcome: str) -> None: ...


@dataclass(slots=True)
class _Told:
    """One hook: its rule, its courier, and the last record that it was told of or had no use for; None as long as nobody could find out."""

    rollout: Rollout
    hook: Hook
    courier: Courier
    seen: int | None = None

    @property
    def cursor(self) -> int | None:
        """The last record up to which there is nothing left to do. Any thread may ask: what is seen comes first, or a record could fall between."""
        seen, waiting = self.seen, self.courier.waiting
        return waiting.seq - 1 if waiting and seen is not None else seen


def _name(one: tuple[Place, _Told]) -> str:
    return one[0][0]


def _body(hook: str, delivered: Delivered) -> dict[str, Any]:
    """What goes on record of a delivery, or of a try that failed."""
    notice, sent = delivered.notice, delivered.sent
    return {
        "hook": hook,
        "on": notice.event,
        "of": notice.seq,
        "key": notice.key(hook),
        "attempts": delivered.attempts,
        "error": sent.error,
        "output": sent.output,
        "seconds": round(sent.seconds, 3),
    }


class Outbox:
    """The hooks of every rollout. Thread-safe. Without hooks it does nothing and has no thread."""

    def __init__(self, journal: Journal, clock: Clock, put: Put, witness: HookWitness, external_url: str, patience: Patience = PATIENCE) -> None:
        self._journal, self._clock, self._put, self._witness = journal, clock, put, witness
        self._external_url, self._patience = external_url, patience
        self._lock = threading.RLock()  # around what is told to whom; never held while a hook runs
        self._hooks: dict[Place, _Told] = {}
        self._of: Mapping[str, Sequence[_Told]] = {}  # the same, by rollout
        self._gone: set[Place] = set()  # hooks that are no more: what the journal says of them counts no more
        self._owed: set[Place] = set()  # hooks that are new, and the journal does not know yet
        self._settled = False  # whether the journal has no others than those that there are
        self._news = News(journal)
        self._wake, self._closing = threading.Event(), threading.Event()
        self._behind = False
        self._reader: threading.Thread | None = None
        self._begun: datetime | None = None

    def begin(self) -> None:
        """From now on hooks are called: every rollout has been looked at in this run. A hook that ends the daemon must not come before that."""
        if self._begun is None:
            self._begun = self._clock.now()
            with self._lock:
                self._start_reading()

    def follow(self, rollouts: Sequence[Rollout]) -> None:
        """From now on the hooks of these rollouts are called, and no others. One that is new is told of what happens from here on."""
        with self._lock:
            wanted = {(rollout.name, hook.name): (rollout, hook) for rollout in rollouts for hook in rollout.aftercare.hooks}
            for place in [*self._hooks.keys() - wanted.keys()]:
                self._hooks.pop(place).courier.drain()
                self._gone.add(place)
                self._settled = False
            for place, (rollout, hook) in wanted.items():
                if place in self._hooks:
                    self._hooks[place].rollout, self._hooks[place].hook = rollout, hook
                else:
                    self._hooks[place] = _Told(rollout, hook, self._courier(place))
            self._of = {name: [one for _, one in found] for name, found in groupby(sorted(self._hooks.items(), key=_name), key=_name)}
            try:
                self._place()
            except JournalUnavailable as error:
                self._complain(error)
            self._start_reading()
        self._wake.set()

    def happened(self, rollout: str, event: Event, body: Mapping[str, Any], at: datetime) -> None:
        """Something was put on record, or could not be. Costs next to nothing."""
        if rollout in self._of and self._news.happened(rollout, event, body, at):
            self._wake.set()

    def look(self) -> None:
        """To be called now and then: goes on where the journal could not be read or written before."""
        if self._behind or self._news.astray:
            self._wake.set()

    def behind(self, rollout: str) -> list[tuple[str, Backlog]]:
        """The rollout's hooks that fail, or have not been told for some seconds, by name, with what waits for each."""
        found = [(one.hook.name, backlog) for one in self._of.get(rollout, ()) if (backlog := one.courier.backlog)]
        late = self._clock.now() - _LATE
        return [(name, backlog) for name, backlog in found if backlog.error or backlog.first.at <= late]

    def close(self) -> None:
        """Call nothing more. A call under way gets a few seconds, then it is killed; the next start makes it again."""
        self._closing.set()
        self._wake.set()
        with self._lock:
            couriers = [one.courier for one in self._hooks.values()]
            reader = self._reader
        for courier in couriers:
            courier.drain()
        if reader is not None:
            reader.join(_KILL)
        deadline = time.monotonic() + self._patience.grace
        left = [courier for courier in couriers if not courier.join(max(0.0, deadline - time.monotonic()))]
        for courier in left:
            courier.cut()
        deadline = time.monotonic() + _KILL
        for courier in left:
            courier.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            self._save(self._hooks)

    # reading

    def _start_reading(self) -> None:
        if self._hooks and self._begun and self._reader is None and not self._closing.is_set():
            self._reader = threading.Thread(target=self._read_on, name="hooks", daemon=True)
            self._reader.start()

    def _read_on(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(_AGAIN if self._behind else None)
            self._wake.clear()
            try:
                self._read()
            except JournalUnavailable as error:
                self._complain(error)
            except Exception:  # noqa: BLE001 (a defect here must not end what hooks are told; it is logged with its place)
                structlog.get_logger().exception("the hooks could not be told what happened")
            self._closing.wait(_BREATH)

    def _read(self) -> None:
        """Hand over what is on record and was not handed over yet; what the journal could not take, or cannot give, comes from memory."""
        try:
            with self._lock:
                self._place()
                after = min((one.seen for one in self._hooks.values() if one.seen is not None), default=None)
                for records, up_to in self._news.on_record(after) if after is not None else ():
                    self._hand_over(records)
                    for one in self._hooks.values():
                        one.seen = max(one.seen or 0, up_to)
            self._behind = False
        finally:
            with self._lock:
                self._hand_over(self._news.off_record())

    def _place(self) -> None:
        """Where the hooks that are new to this run have come to: where the journal says, or at its end. Raises JournalUnavailable."""
        fresh = {place for place, one in self._hooks.items() if one.seen is None}
        if not fresh and self._settled:
            return
        known, end = self._journal.cursors.load(), self._journal.head().seq
        self._owed |= {place for place in fresh if place not in known or place in self._gone}
        for place in fresh:
            self._hooks[place].seen = end if place in self._owed else known[place]
        self._gone -= self._owed
        self._settled = self._save(self._owed, [place for place in known if place not in self._hooks])
        if self._settled:
            self._owed.clear()
            self._gone.clear()

    def _hand_over(self, records: Iterable[Record]) -> None:
        for record in records:
            if not self._news.is_new(record):
                continue
            hooks = [one for one in self._of.get(record.rollout, ()) if not 0 < record.seq <= (one.seen or 0)]
            for notice in self._notices(record) if hooks else ():
                for one in hooks:
                    if notice.event in one.hook.on:
                        one.courier.tell(notice, self._pause(notice))
            self._news.given(record)

    def _pause(self, notice: Notice) -> float:
        """Seconds. What is left of an earlier run may be what ended that: it waits for half as long again as it has waited, so runs get longer."""
        waited = self._begun - notice.at if self._begun else timedelta(0)
        return min(max(waited.total_seconds() / 2, 0.0), self._patience.owed)

    def _notices(self, record: Record) -> tuple[Notice, ...]:
        try:
            return notices(record, self._news.last_before(record))
        except (KeyError, ValueError, TypeError) as error:
            structlog.get_logger().error("hooks cannot be told of a record; it is passed over", seq=record.seq, kind=record.kind, error=repr(error))
            return ()

    # calling

    def _courier(self, place: Place) -> Courier:
        hook = place[1]

        def call(notice: Notice, stop: threading.Event) -> Sent:
            one = self._hooks.get(place)
            if one is None:
                return Sent("the hook is no more in the rule file", "", 0.0, final=True)
            now = self._clock.now()
            return deliver(one.hook, payload(notice, one.rollout, one.hook, self._external_url), now, stop)

        def ended(delivered: Delivered) -> None:
            self._ended(place, delivered)

        def retried(failed: Delivered) -> None:
            self._retried(place, failed)

        return Courier(hook, call, ended, retried, self._clock, self._patience)

    def _retried(self, place: Place, failed: Delivered) -> None:
        """Of a delivery that is tried again and again, the first failure is on record, so that nobody has to wait a day to learn of it."""
        rollout, hook = place
        self._witness.hooked(rollout, hook, RETRIED)
        if failed.attempts == 1:
            facts = {"rollout": rollout, "hook": hook, "on": failed.notice.event, "error": failed.sent.error, "output": failed.sent.output}
            structlog.get_logger().warning("a hook failed; it is tried again", **facts)
            self._put(rollout, Happened(Event.HOOKED, {**_body(hook, failed), "retrying": True}))

    def _ended(self, place: Place, delivered: Delivered) -> None:
        """On record first, then the cursor: a kill in between makes the delivery once more, with its key."""
        rollout, hook = place
        notice, sent = delivered.notice, delivered.sent
        self._witness.hooked(rollout, hook, GIVEN_UP if sent.error else DELIVERED)
        if sent.error:
            facts = {"rollout": rollout, "hook": hook, "on": notice.event, "error": sent.error, "output": sent.output}
            structlog.get_logger().error("a hook was given up", **facts)
        self._put(rollout, Happened(Event.HOOKED, _body(hook, delivered)))
        if place in self._hooks:
            self._save([place])

    def _save(self, places: Iterable[Place], gone: Collection[Place] = ()) -> bool:
        """Keep how far these have come; returns whether the journal took it."""
        hooks = {place: one for place in places if (one := self._hooks.get(place))}
        try:
            self._journal.cursors.save({place: seq for place, one in hooks.items() if (seq := one.cursor) is not None}, gone)
        except JournalUnavailable as error:
            self._complain(error)
            return False
        return True

    def _complain(self, error: JournalUnavailable) -> None:
        if not self._behind:
            structlog.get_logger().warning("the journal is away; hooks are told of what happens meanwhile, perhaps twice", error=str(error))
        self._behind = True
