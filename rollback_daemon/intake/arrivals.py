"""The evidence of one rollout that comes by itself: a look into every folder after each evaluation, and every command at its time.

A look and a run have a thread each, there only while it is needed; one that never ends, on a disk that is gone, holds up nothing else. Commands of
a rollout are run one at a time. Must not live here: reading (`inbox`, `runs`), taking (`taking`), whether figures count (the judge).
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from rollback_daemon.clock import Clock
from rollback_daemon.durations import format_duration
from rollback_daemon.evidence.kind import CLOCK_SKEW
from rollback_daemon.intake import folders, runs, taking
from rollback_daemon.intake.inbox import Seen
from rollback_daemon.judge import figures
from rollback_daemon.judge.attempts import Attempt, Came, known
from rollback_daemon.judge.precedence import Outside
from rollback_daemon.judge.refusal import Person
from rollback_daemon.rules.duties import Declared, Inbox, Scheduled
from rollback_daemon.transitions.hiding import Hiding

_DAEMON = Person("rollbackd")
_LOOKS, _RUNS = threading.BoundedSemaphore(64), threading.BoundedSemaphore(16)
"""So many of each at the same time in the whole process, however many rollouts there are: threads are needed for rollbacks, too."""


class Host(taking.Host, Protocol):
    """Whose evidence it is: the watch of the rollout. `lock` may be taken again and again."""

    lock: threading.RLock

    @property
    def can_record(self) -> bool: ...
    def tried(self, name: str, attempt: Attempt | None) -> None: ...


@dataclass(slots=True)
class _Source:
    """One declaration at work. `stop` ends it: the rules have changed, or the daemon stops. `kept`: the last result, while it cannot go on record."""

    declared: Declared
    seen: Seen | None
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    began: datetime | None = None
    kept: taking.Handed | None = None

    @property
    def busy(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class Arrivals:
    """All of it, for one rollout. Thread-safe."""

    def __init__(self, host: Host, clock: Clock) -> None:
        self._host, self._clock = host, clock
        self._sources: dict[str, _Source] = {}
        self._leaving: list[_Source] = []  # stopped, and perhaps not ended yet
        self._drained = False

    def look(self, now: datetime) -> None:
        """After an evaluation at `now`: begin what is due. Returns at once."""
        with self._host.lock:
            self.heed()
            if self._drained or not (self._sources or self._leaving) or self._host.state.position is None or not self._host.can_record:
                return
            for source in self._sources.values():
                if source.seen is not None:
                    self._look_into(source, source.seen, now)
                elif source.kept is not None and not source.busy:
                    self._begin(source, partial(self._hand_in, source, source.kept, again=True), now, _RUNS)
            self._run_next(now)

    def heed(self) -> None:
        """After the rules have changed: stop what they do not ask for any more, and begin anew what they ask for otherwise."""
        with self._host.lock:
            asked = {one.name: one for one in self._host.rollout.evidence if isinstance(one.comes, (Inbox, Scheduled))}
            for name, source in list(self._sources.items()):
                if asked.get(name) != source.declared:
                    source.stop.set()
                    self._leaving.append(self._sources.pop(name))
                    self._host.tried(name, None)
            for name, declared in asked.items() if not self._drained else ():
                if name not in self._sources:
                    before = self._known(declared).refused
                    self._sources[name] = _Source(declared, Seen(declared.comes, before=before) if isinstance(declared.comes, Inbox) else None)
            for name, attempt in self._host.state.attempts.items():  # remembered from before a start, of other rules
                if name not in asked or self._known(asked[name]) is not attempt:
                    self._host.tried(name, None)

    def taken(self, name: str) -> None:
        """That evidence went on record, whoever handed it in: what failed before needs nobody any more."""
        attempt = self._host.state.attempts.get(name)
        if attempt is not None and attempt.since is not None:
            self._host.tried(name, attempt.settled())

    def drain(self) -> None:
        """Stop all of it, and begin nothing more."""
        with self._host.lock:
            self._drained = True
            for source in self._sources.values():
                source.stop.set()

    def close(self, patience: float) -> None:
        """The same, and wait for it, for at most `patience` seconds; the next start begins again what was cut."""
        self.drain()
        until = time.monotonic() + patience
        for source in [*self._sources.values(), *self._leaving]:
            if source.thread is not None:
                source.thread.join(max(0.0, until - time.monotonic()))

    # folders

    def _look_into(self, source: _Source, seen: Seen, now: datetime) -> None:
        if not source.busy:
            self._begin(source, partial(folders.look, self._host, source.declared, seen, source.stop, self._clock), now, _LOOKS)
        elif source.began and now - source.began > self._host.rollout.max_gap:
            attempt = self._known(source.declared)
            why = f'the folder "{seen.inbox.folder}" has not answered for {format_duration(now - source.began)}; look at the disk that it is on'
            self._host.tried(source.declared.name, attempt.gone(why, source.began))

    # commands

    def _run_next(self, now: datetime) -> None:
        """The command that has been due for longest, if none is running."""
        self._leaving = [source for source in self._leaving if source.busy]
        if any(isinstance(source.declared.comes, Scheduled) for source in self._leaving):
            return
        waiting: list[tuple[datetime, _Source, Scheduled]] = []
        for source in self._sources.values():
            if isinstance(source.declared.comes, Scheduled):
                if source.busy:
                    return
                if source.declared.per_stage and self._on_the_way:
                    continue
                due = self._due(source.declared, source.declared.comes, now)
                attempt = self._known(source.declared)
                if attempt.next != due:
                    self._host.tried(source.declared.name, replace(attempt, next=due))
                waiting.append((due, source, source.declared.comes))
        for _, source, scheduled in sorted((one for one in waiting if one[0] <= now), key=lambda one: one[0])[:1]:
            position = self._host.state.position
            outside = Outside(began=self._clock.now(), stage=position.stage if position else "")  # fixed now, under the lock: it is of that stage
            if self._begin(source, partial(self._run, source, scheduled, outside), now, _RUNS):
                self._host.tried(source.declared.name, replace(self._known(source.declared), tried=outside.began, running=outside.began, next=None))

    @property
    def _on_the_way(self) -> bool:
        """Whether it is between two stages, so that a run that began now would be told of one stage, and count for the other."""
        position = self._host.state.position
        return position is not None and bool(position.open or position.rehearsing)

    def _due(self, declared: Declared, scheduled: Scheduled, now: datetime) -> datetime:
        """So long after the last try of this process; before the first one, after what is on record. At once where neither is of the present stage,
        for evidence that has to be, and where the clock was set back.
        """
        state, tried = self._host.state, self._known(declared).tried
        made, since = state.dossier.evidence.get(declared.name), figures.counted_from(declared, state.position)
        last = tried or (made.of if made is not None and made.read_as == declared.read_as else None)
        told = last is not None and last <= now + CLOCK_SKEW and (since is None or last >= since)
        return last + scheduled.every if last is not None and told else now

    def _run(self, source: _Source, scheduled: Scheduled, outside: Outside) -> None:
        declared, host = source.declared, self._host
        environment = {"ROLLBACKD_ROLLOUT": host.rollout.name, "ROLLBACKD_STAGE": outside.stage, "ROLLBACKD_EVIDENCE": declared.name}
        structlog.get_logger().info("a scheduled command is run", rollout=host.rollout.name, evidence=declared.name)
        made = runs.make(scheduled, environment, source.stop)
        why = f"run on schedule, every {format_duration(scheduled.every)}"
        handed = taking.Handed(declared.name, _DAEMON, why, made.file, made.data, outside, made.notes, made.aside, Hiding(scheduled.command.env))
        with host.lock:
            if source.stop.is_set():
                structlog.get_logger().info("a scheduled command was cut; it is run again when it is due", evidence=declared.name)
                return
        if made.data is None:
            taking.refuse(host, handed, made.failed)
            self._ended(source, Came.FAILED, "; ".join(filter(None, [made.failed, made.aside])))
        else:
            self._hand_in(source, handed)

    def _hand_in(self, source: _Source, handed: taking.Handed, *, again: bool = False) -> None:
        """What was made is kept until it is taken or refused, at first or after a later evaluation: the next run may be hours away."""
        came, failed = taking.tried(self._host, handed, self._clock.now())
        source.kept = handed if came is Came.FAILED else None
        if source.kept is None:
            self._ended(source, came, failed)
        elif not again:
            self._ended(source, came, f"{failed}; the result is kept, and goes on record as soon as it can")

    def _ended(self, source: _Source, came: Came, failed: str) -> None:
        with self._host.lock:
            if not source.stop.is_set():
                now = self._clock.now()
                scheduled = source.declared.comes
                attempt = self._known(source.declared).ended(came, now, failed)
                if isinstance(scheduled, Scheduled) and attempt.tried:
                    attempt = replace(attempt, next=attempt.tried + scheduled.every)
                self._host.tried(source.declared.name, attempt)

    # threads

    def _known(self, declared: Declared) -> Attempt:
        return known(self._host.state.attempts, declared)

    def _begin(self, source: _Source, work: Callable[[], None], now: datetime, room: threading.BoundedSemaphore) -> bool:
        """Whether there was room for it; where there was none, it comes after a later evaluation."""

        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 (whatever it is: it must be told, and the next try must come)
                structlog.get_logger().exception("evidence could not be taken in", rollout=self._host.rollout.name, evidence=source.declared.name)
                self._ended(source, Came.FAILED, f"{type(error).__name__}, which is a defect of rollbackd; report it")
            finally:
                room.release()

        if not room.acquire(blocking=False):
            return False
        source.began = now
        source.thread = threading.Thread(target=guarded, name=f"intake-{source.declared.name}", daemon=True)
        try:
            source.thread.start()
        except RuntimeError:  # the system has no thread left
            room.release()
            return False
        return True
