"""The transition of one rollout that is under way: its thread, how it is overtaken, what follows when it ends; and rehearsals, which are two of them.

Lives here: one thing at a time, and what is left by a stop. Must not live here: what is decided (judge), the steps of a transition (`transitions`).
"""

import functools
import threading
from collections.abc import Mapping
from typing import Any, Protocol

from rollback_daemon.clock import Clock
from rollback_daemon.errors import FlagError, OperationRefused
from rollback_daemon.flags.store import FlagStore
from rollback_daemon.judge import promotion, recovery
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.drift import equals
from rollback_daemon.judge.position import Open, Position, Rehearsal
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.model import Rollout
from rollback_daemon.transitions.execute import Execution, Orders, Overtaken, Patience
from rollback_daemon.transitions.steps import describe, run_step

_GRACE = 0.1  # seconds that an overtaken transition gets before its successor writes flags
_LOOK = 0.05  # seconds between looks for the evaluation that a rehearsal waits for


class Host(Protocol):
    """Whose transition it is: the watch of the rollout. All of it is to be used under its `lock`, which may be taken again and again."""

    lock: threading.RLock

    @property
    def ladder(self) -> Rollout: ...
    @property
    def store(self) -> FlagStore: ...
    @property
    def state(self) -> State: ...
    @property
    def judgement(self) -> Judgement | None: ...
    def happen(self, happened: Happened, *, must: bool = False) -> None: ...
    def remember_now(self) -> None: ...


class UnderWay:
    """The thread that carries out what is intended, if anything is."""

    def __init__(self, host: Host, clock: Clock, patience: Patience) -> None:
        self._host, self._clock, self._patience = host, clock, patience
        self._thread: threading.Thread | None = None
        self._orders = Orders()
        self._drained = False

    def take_up(self) -> None:
        """After a restart: finish what is open.

        A promotion that has not touched a flag is given up: what it was approved on is no longer known to hold. A rehearsal has failed.
        """
        with self._host.lock:
            position = self._position
            opened = position.open if position else None
            if opened and opened.kind is Kind.PROMOTE and not opened.applied and not self._is_written(opened):
                why = "the daemon was stopped before any flag was changed; promote again"
                body = {"id": opened.id, "kind": opened.kind, "from": opened.origin, "to": opened.origin, "why": why, "code": Code.UNFINISHED}
                self._host.happen(Happened(Event.ABANDONED, body))
            elif opened:
                self.start(again=True)
                return
            if position and position.rehearsing:
                self._rehearsed(position.rehearsing, "the daemon was stopped in the middle of it")

    def start(self, *, again: bool = False) -> None:
        """Carry out what is intended, in the place of what was under way."""
        position = self._position
        if position is None or position.open is None or self._drained:
            return
        self._host.remember_now()
        self._orders.overtake()
        self._orders = Orders()
        before, opened, orders = self._thread, position.open, self._orders
        again = again or (before is not None and before.is_alive())  # the one overtaken may have been running the command
        name = f"transition-{self._host.ladder.name}"
        self._thread = threading.Thread(target=self._carry_out, args=(before, opened, orders, again), name=name, daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Let it end after the step that it is in, and begin no other: the next start does, or nobody, where the rollout is no more."""
        self._drained = True
        self._orders.drain.set()

    def close(self, patience: float) -> None:
        """Wait until it has finished the step it is in, for at most `patience` seconds; the next start goes on with it."""
        self.drain()
        thread = self._thread
        if thread is not None:
            thread.join(patience)
            if thread.is_alive():
                self._orders.overtake()
                thread.join(5)

    @property
    def _position(self) -> Position | None:
        return self._host.state.position

    def _is_written(self, opened: Open) -> bool:
        target = self._host.ladder.stage(opened.target)
        try:
            flags = self._host.store.read(self._host.ladder.keys).values
        except FlagError:
            return False
        return target is not None and equals(target, flags)

    def _carry_out(self, before: threading.Thread | None, opened: Open, orders: Orders, again: bool) -> None:  # noqa: FBT001 (a thread's target)
        def wait() -> None:
            if before is not None and before is not threading.current_thread():
                before.join()

        if before is not None and before is not threading.current_thread():
            before.join(_GRACE)  # its program may take longer to end; it writes no flag any more
        record = functools.partial(self._record, opened)
        error = Execution(self._host.ladder, self._host.store, opened, record, self._clock, self._patience, wait).run(orders, again=again)
        if error is not None and opened.kind is Kind.ROLLBACK:
            self._give_up(opened, error)
        elif error is not None:
            self._take_back(opened, error)
        elif not orders.drain.is_set():
            self._go_on_rehearsing(opened, orders, again=again)

    def _record(self, opened: Open, event: Event, body: Mapping[str, Any]) -> None:
        with self._host.lock:
            position = self._position
            if position is None or position.open is None or position.open.id != opened.id:
                raise Overtaken(f"{opened.id} is no longer under way")
            self._host.happen(Happened(event, body))

    def _take_back(self, opened: Open, error: FlagError) -> None:
        """A promotion that could not be completed: back to where it came from, which is a rollback like any other."""
        with self._host.lock:
            position = self._position
            if position is None or position.open is None or position.open.id != opened.id:
                return
            ladder = self._host.ladder
            origin = ladder.stage(opened.origin) or ladder.stages[0]
            why = [f"the promotion to {opened.target} could not be completed: {error}"]
            more = {"code": Code.PROMOTION_FAILED}
            self._host.happen(intended(ladder, position, Kind.ROLLBACK, origin, why, "rollbackd", self._clock.now(), more))
            self.start()

    def _give_up(self, opened: Open, error: FlagError) -> None:
        """Another way back than setting the flags, which could not be taken: the next one follows, or a person."""
        with self._host.lock:
            position = self._position
            if position is None or position.open is None or position.open.id != opened.id:
                return
            why = f"the way back by {opened.way_kind} could not be taken: {error}"
            body = {"id": opened.id, "kind": opened.kind, "from": opened.origin, "to": position.stage, "why": why, "code": Code.UNVERIFIED}
            ladder = self._host.ladder
            if opened.restores:  # a person's wish, and no way back: nothing else follows from it
                following: dict[str, object] = {"unknown": False, "final": True, "next": "a person"}
            else:
                following = recovery.beyond(ladder, position, self._host.state.aftermath.tried, unknown=False)
            self._host.happen(Happened(Event.ABANDONED, {**body, **following}))
            for happened in recovery.further(ladder, self._host.state, self._clock.now()):
                self._host.happen(happened)
                self.start()

    # rehearsals

    def _go_on_rehearsing(self, opened: Open, orders: Orders, *, again: bool) -> None:
        """What follows in a rehearsal when one of its two transitions is done; anything else that was done ends it."""
        with self._host.lock:
            position = self._position
            rehearsal = position.rehearsing if position else None
            if position is None or rehearsal is None or position.open is not None:
                return
            if opened.id == rehearsal.id and not again:
                failure = ""
            elif opened.kind is Kind.PROMOTE and opened.code == Code.REHEARSAL:
                self._rehearsed(rehearsal, "")
                return
            else:
                failure = "the daemon was stopped in the middle of it" if opened.id == rehearsal.id else f"it was overtaken: {position.why}"
        failure = failure or self._steps(rehearsal, opened, orders) or self._wait_for_evaluation(position, orders)
        if orders.drain.is_set():
            return
        with self._host.lock:
            failure = failure or self._come_back()
            if failure and self._position and self._position.rehearsing:
                self._rehearsed(rehearsal, failure)

    def _steps(self, rehearsal: Rehearsal, opened: Open, orders: Orders) -> str:
        """Run the steps one after the other; returns why the first one that fails did."""
        ladder = self._host.ladder
        environment = {"ROLLBACKD_ROLLOUT": ladder.name, "ROLLBACKD_REHEARSAL": rehearsal.id, "ROLLBACKD_STAGE": opened.target}
        for step in ladder.rehearsal.steps if ladder.rehearsal else ():
            ran = run_step(step, environment, orders.cut)
            if orders.drain.is_set():
                return "it was interrupted"
            facts = {"id": rehearsal.id, "step": describe(step), "error": ran.error, "output": ran.output, "seconds": round(ran.seconds, 3)}
            self._host.happen(Happened(Event.STEP, facts))
            if ran.error:
                return f"{describe(step)}: {ran.error}"
        return ""

    def _wait_for_evaluation(self, position: Position, orders: Orders) -> str:
        """The way back up needs a look at the lower stage first."""
        deadline = self._clock.now() + self._host.ladder.max_gap + self._host.ladder.interval
        while self._clock.now() < deadline:
            judgement = self._host.judgement
            if judgement is not None and judgement.at > position.entered:
                return ""
            if orders.drain.wait(_LOOK):
                return "it was interrupted"
        return "there was no evaluation in time to come back on"

    def _come_back(self) -> str:
        """Begin the way back up; returns why that may not be."""
        host = self._host
        try:
            happened = promotion.come_back(host.ladder, host.state, host.judgement, self._clock.now())
            host.happen(happened, must=True)
        except OperationRefused as refused:
            return str(refused)
        self.start()
        return ""

    def _rehearsed(self, rehearsal: Rehearsal, failure: str) -> None:
        seconds = (self._clock.now() - rehearsal.at).total_seconds()
        why = f"the rehearsal failed: {failure}" if failure else "every step passed, and the stage is restored"
        body = {"id": rehearsal.id, "stage": rehearsal.stage, "passed": not failure, "seconds": round(seconds, 3), "why": why, "by": rehearsal.by}
        self._host.happen(Happened(Event.REHEARSED, body))
