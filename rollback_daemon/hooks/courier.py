"""The calls of one hook, one after the other, each tried until it is taken or given up, in a thread that lasts as long as there is something to tell.

Lives here: order, tries and pauses. Must not live here: one call (`delivery`), where the events come from and what is kept of them (`outbox`).
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from tenacity import RetryCallState, Retrying, retry_if_result, wait_exponential

from rollback_daemon.clock import Clock
from rollback_daemon.hooks.delivery import Sent
from rollback_daemon.hooks.events import Notice


@dataclass(frozen=True, slots=True)
class Patience:
    """The pauses between tries, in seconds, and how old an event may be for another try; `grace` is what a try gets when the daemon ends.

    `owed` is the longest pause before what the run before this one has left.
    """

    first: float = 1.0
    longest: float = 300.0
    for_: timedelta = timedelta(hours=24)
    grace: float = 3.0
    owed: float = 30.0


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a delivery ended: taken, or given up where the last try has an error."""

    notice: Notice
    attempts: int
    sent: Sent


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a hook has not been told yet: how many events, the first of them, and the last try of that which failed, in this run of the daemon."""

    waiting: int
    first: Notice
    attempts: int = 0
    error: str = ""
    output: str = ""


Tell = Callable[[Delivered], None]
Call = Callable[[Notice, threading.Event], Sent]
"""One try, over soon after the event is set."""


class Courier:
    """One hook's deliveries. Thread-safe."""

    def __init__(self, name: str, call: Call, ended: Tell, retried: Tell, clock: Clock, patience: Patience):
        """`ended` and `retried` (after each try that failed and is followed by another) are told from the courier's own thread."""
        self._name, self._call, self._ended, self._retried, self._clock, self._patience = name, call, ended, retried, clock, patience
        self._lock = threading.Lock()
        self._queue: deque[Notice] = deque()
        self._failing: Delivered | None = None  # the last try of the first in the queue, while it fails
        self._thread: threading.Thread | None = None
        self._not_before = 0.0  # monotonic seconds
        self._drain, self._cut = threading.Event(), threading.Event()

    @property
    def waiting(self) -> Notice | None:
        """The first that is on the journal and not delivered yet."""
        with self._lock:
            return next((one for one in self._queue if one.seq), None)

    @property
    def backlog(self) -> Backlog | None:
        """What is not delivered yet; None where nothing is."""
        with self._lock:
            if not self._queue:
                return None
            waiting, first, failing = len(self._queue), self._queue[0], self._failing
        return Backlog(waiting, first, failing.attempts, failing.sent.error, failing.sent.output) if failing else Backlog(waiting, first)

    def tell(self, notice: Notice, pause: float = 0.0) -> None:
        """Deliver this after what waits already, and after so many seconds. Does not wait for anything."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + pause)
            self._queue.append(notice)
            if self._thread is None and not self._drain.is_set():
                self._thread = threading.Thread(target=self._work, name=f"hook-{self._name}", daemon=True)
                self._thread.start()

    def drain(self) -> None:
        """No further try, and no further delivery; the try under way may end."""
        self._drain.set()

    def cut(self) -> None:
        """End the try under way, too."""
        self._drain.set()
        self._cut.set()

    def join(self, seconds: float) -> bool:
        """Wait until nothing is under way, for at most so long; returns whether that is so. After `drain` or `cut`."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue or self._drain.is_set():
                    self._thread = None
                    return
                notice = self._queue[0]
            delivered = self._deliver(notice)
            if delivered is None:
                continue
            with self._lock:
                self._queue.popleft()
                self._failing = None
            self._say(self._ended, delivered)

    def _say(self, told: Tell, delivered: Delivered) -> None:
        try:
            told(delivered)
        except Exception:  # noqa: BLE001 (what is wrong with the record of one delivery must not keep the next from being made)
            structlog.get_logger().exception("what became of a delivery could not be put on record", hook=self._name)

    def _deliver(self, notice: Notice) -> Delivered | None:
        """Try until it is taken or given up; None when there is to be no further try now."""
        tries = Retrying(
            retry=retry_if_result(lambda sent: bool(sent.error) and not sent.final),
            wait=wait_exponential(multiplier=self._patience.first, max=self._patience.longest),
            stop=lambda _: self._clock.now() - notice.at > self._patience.for_,
            before_sleep=lambda state: self._failed(notice, state),
            sleep=self._pause,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        try:
            if (pause := self._not_before - time.monotonic()) > 0:
                self._pause(pause)
            sent: Sent = tries(self._try, notice)
        except _StoppedError:
            return None
        return Delivered(notice, tries.statistics.get("attempt_number", 1), sent)

    def _try(self, notice: Notice) -> Sent:
        try:
            sent = self._call(notice, self._cut)
        except Exception as error:  # noqa: BLE001 (a defect here must not end the deliveries of the hook; it is logged, and tried again)
            structlog.get_logger().exception("a hook could not be called", hook=self._name)
            sent = Sent(f"{type(error).__name__}, which is a defect of rollbackd; report it", "", 0.0)
        if sent.error and self._drain.is_set():
            raise _StoppedError
        return sent

    def _failed(self, notice: Notice, state: RetryCallState) -> None:
        if state.outcome is None:
            return
        failed = Delivered(notice, state.attempt_number, state.outcome.result())
        with self._lock:
            self._failing = failed
        self._say(self._retried, failed)

    def _pause(self, seconds: float) -> None:
        if self._drain.wait(seconds):
            raise _StoppedError


class _StoppedError(Exception):
    """The daemon ends, or the hook is no more: the next start goes on with it."""
