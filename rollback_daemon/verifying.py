"""Verifying a rollback that is done: its steps one after the other, in a thread of its own that is there only while a step runs.

Each step goes on record before the next is begun, so the next start goes on where this one was killed. What the judge sees, the gates, it tells
itself. Lives here: running steps. Must not live here: what follows from an outcome (`judge.recovery`), how a step is run (`transitions.steps`).
"""

import threading
import time
from datetime import datetime
from typing import Protocol

import structlog

from rollback_daemon.clock import Clock
from rollback_daemon.errors import FlagError
from rollback_daemon.flags.store import FlagStore, same
from rollback_daemon.judge import recovery
from rollback_daemon.judge.aftermath import READ_BACK, Aftermath, is_current, proof, proofs
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.rules.aftercare import LogScan, Recovery
from rollback_daemon.rules.duties import Command, HttpCheck
from rollback_daemon.rules.model import Rollout
from rollback_daemon.transitions.hooks import Ran
from rollback_daemon.transitions.log_mark import Mark
from rollback_daemon.transitions.steps import describe, run_step


class Host(Protocol):
    """Whose rollback it is: the watch of the rollout. All of it is to be used under its `lock`."""

    lock: threading.RLock

    @property
    def ladder(self) -> Rollout: ...
    @property
    def store(self) -> FlagStore: ...
    @property
    def state(self) -> State: ...
    def begin(self, happened: Happened) -> None: ...


class Verifying:
    """The thread that runs the steps which are owed, if any are."""

    def __init__(self, host: Host, clock: Clock) -> None:
        self._host, self._clock = host, clock
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._of: _Run | None = None  # what the thread verifies
        self._closed = False

    def look(self) -> None:
        """Begin, go on or end, as the record says. Cheap; to be called under the lock after everything that happens."""
        owed = _run_of(self._host.state.aftermath)
        if self._of is not None and self._of != owed:
            self._stop.set()
            self._of = None
        if owed is not None and self._of is None and not self._closed and self._next() is not None:
            self._of, self._stop = owed, threading.Event()
            name = f"verify-{self._host.ladder.name}"
            self._thread = threading.Thread(target=self._go_on, args=(owed, self._stop), name=name, daemon=True)
            self._thread.start()

    def drain(self) -> None:
        """End the step that is running, and begin no other."""
        self._closed = True
        self._stop.set()

    def close(self, patience: float) -> None:
        """The same, and wait for it; the next start runs it again."""
        self.drain()
        thread = self._thread
        if thread is not None:
            thread.join(patience)

    def _go_on(self, run: "_Run", stop: threading.Event) -> None:
        """One step after the other, for as long as there is one to be run here."""
        while True:
            with self._host.lock:
                if stop.is_set() or self._of != run:
                    return
                known, step = self._host.state.aftermath, self._next()
                if step is None:  # the judge's, or none is left
                    self._of = None
                    return
                environment = self._environment(known)
            name = step if isinstance(step, str) else describe(step)
            try:
                ran = self._read_back() if isinstance(step, str) else self._run(step, known, environment, stop)
            except Exception as error:  # noqa: BLE001 (whatever it is: a verification must come to an end)
                structlog.get_logger().exception("a step of a verification could not be run", rollout=self._host.ladder.name, step=name)
                ran = Ran(f"{type(error).__name__}, which is a defect of rollbackd; report it", "", 0.0, unknown=True)
            with self._host.lock:
                if stop.is_set() or self._of != run:
                    return
                self._tell(known, name, ran)

    def _run(self, step: "Command | HttpCheck | LogScan", known: Aftermath, environment: dict[str, str], stop: threading.Event) -> Ran:
        return run_step(step, environment, stop, {path: Mark.of(body) for path, body in known.marks.items()})

    def _next(self) -> "str | Command | HttpCheck | LogScan | None":
        """The step that is to be run now: the name of the first, which has no rule; None where the judge tells it."""
        ladder, known, position = self._host.ladder, self._host.state.aftermath, self._host.state.position
        if position is None or not known.verifying or not is_current(ladder, position, known) or known.passed > len(proofs(ladder, position)):
            return None
        step = proof(ladder, position, known)
        return READ_BACK if step is None else None if isinstance(step, Recovery) else step

    def _environment(self, known: Aftermath) -> dict[str, str]:
        position = self._host.state.position
        return {
            "ROLLBACKD_ROLLOUT": self._host.ladder.name,
            "ROLLBACKD_TRANSITION": known.transition,
            "ROLLBACKD_INCIDENT": known.incident,
            "ROLLBACKD_STAGE": position.stage if position else "",
        }

    def _read_back(self) -> Ran:
        """Whether the flags still are those of the stage, now that whatever restarted has had its say."""
        started = time.monotonic()
        with self._host.lock:
            ladder, position, store = self._host.ladder, self._host.state.position, self._host.store
        stage = ladder.stage(position.stage) if position else None
        expected = stage.flags if stage else {}
        try:
            values = store.read(ladder.keys).values
        except FlagError as error:
            return Ran(str(error), "", time.monotonic() - started, unknown=True)
        wrong = sorted(key for key, value in expected.items() if key not in values or not same(value, values[key]))
        failure = f'{store.describe()}: not as at "{stage.name if stage else "?"}": {", ".join(wrong)}' if wrong else ""
        return Ran(failure, f"{len(expected)} flags of {store.describe()}", time.monotonic() - started)

    def _tell(self, known: Aftermath, step: str, ran: Ran) -> None:
        """On record, and what follows from it: the next way back at once, where nobody was given time before it."""
        host, position = self._host, self._host.state.position
        if position is None:
            return
        outcome = Outcome.UNKNOWN if ran.unknown else Outcome.FAIL if ran.error else Outcome.PASS
        ended = recovery.checked(host.ladder, position, known, step, outcome, error=ran.error, output=ran.output, seconds=ran.seconds)
        for happened in ended:
            host.begin(happened)
        for happened in recovery.further(host.ladder, host.state, self._clock.now()):
            host.begin(happened)


_Run = tuple[str, datetime]
"""One verification: of which transition, begun when."""


def _run_of(known: Aftermath) -> _Run | None:
    return (known.transition, known.since) if known.verifying and known.since else None
