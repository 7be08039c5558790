"""The follow-up of one rollout that is looked at now: a thread from when it is due until it is on record.

One that is cut, because flags are changed or the daemon stops, leaves nothing on record, so that it is begun again where it is still due. Lives
here: that thread, and what it runs. Must not live here: when one is due and what it comes to (`judge.following_up`).
"""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import structlog

from rollback_daemon.durations import format_duration
from rollback_daemon.judge import following_up
from rollback_daemon.judge.reasons import Check, Outcome
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.rules.aftercare import FollowUps
from rollback_daemon.rules.duties import Command, HttpCheck
from rollback_daemon.rules.model import Rollout
from rollback_daemon.transitions.steps import describe, run_step

_KEPT = 2048  # characters of a check's output; the end says why it failed


class Host(Protocol):
    """Whose follow-up it is: the watch of the rollout. All of it is to be used under its `lock`, which may be taken again and again."""

    lock: threading.RLock

    @property
    def ladder(self) -> Rollout: ...
    @property
    def state(self) -> State: ...
    @property
    def judgement(self) -> Judgement | None: ...
    def happen(self, happened: Happened) -> None: ...


@dataclass(frozen=True, slots=True)
class _Errand:
    """One look: which follow-up, of which rules, of which completion, and what the evaluation saw at its beginning."""

    number: int
    rules: FollowUps
    completed: datetime | None
    seen: tuple[Check, ...]
    stage: str
    stop: threading.Event = field(default_factory=threading.Event)


class Errands:
    """The thread that looks at a follow-up, if one is due."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._errand: _Errand | None = None
        self._thread: threading.Thread | None = None
        self._drained = False

    def look(self, now: datetime) -> None:
        """After an evaluation at `now`: begin the follow-up whose time has come, unless one is looked at already."""
        with self._host.lock:
            self.heed()
            if self._drained or (self._thread is not None and self._thread.is_alive()):
                return
            rollout, state, judgement = self._host.ladder, self._host.state, self._host.judgement
            number, rules = following_up.due(rollout, state, now), rollout.aftercare.follow_ups
            if number is None or rules is None or judgement is None or judgement.at < now or state.position is None:
                return
            seen = tuple(following_up.sight(state, judgement))
            self._errand = _Errand(number, rules, state.followed_up.completed, seen, state.position.stage)
            self._thread = threading.Thread(target=self._run, args=(self._errand,), name=f"follow-up-{rollout.name}", daemon=True)
            self._thread.start()

    def heed(self) -> None:
        """After anything that happened to the rollout: cut what is looked at in vain."""
        with self._host.lock:
            if self._errand is not None and not self._is_wanted(self._errand):
                self._errand.stop.set()

    def drain(self) -> None:
        """Cut it, and begin no other."""
        with self._host.lock:
            self._drained = True
            if self._errand is not None:
                self._errand.stop.set()

    def close(self, patience: float) -> None:
        """Cut it and wait until it has ended, for at most `patience` seconds; the next start begins it again."""
        self.drain()
        if self._thread is not None:
            self._thread.join(patience)

    def _is_wanted(self, errand: _Errand) -> bool:
        rollout, state = self._host.ladder, self._host.state
        same = (rollout.aftercare.follow_ups, state.followed_up.completed) == (errand.rules, errand.completed)
        return same and following_up.wanted(rollout, state)

    def _run(self, errand: _Errand) -> None:
        started = time.monotonic()
        checks = [*map(_as_seen, errand.seen), *self._checks(errand)]
        with self._host.lock:
            self._errand = None
            if errand.stop.is_set() or not self._is_wanted(errand):
                structlog.get_logger().info("a follow-up was cut; it is begun again when it is due", rollout=self._host.ladder.name)
                return
            happened = following_up.looked(self._host.ladder, self._host.state, errand.number, checks, time.monotonic() - started)
            self._host.happen(happened)

    def _checks(self, errand: _Errand) -> Iterator[dict[str, Any]]:
        """Every check of the rule file, one after the other: that one fails says nothing about the next."""
        name, after = self._host.ladder.name, errand.rules.after[errand.number - 1]
        environment = {
            "ROLLBACKD_ROLLOUT": name,
            "ROLLBACKD_STAGE": errand.stage,
            "ROLLBACKD_FOLLOW_UP": str(errand.number),
            "ROLLBACKD_AFTER": format_duration(after),
        }
        for step in errand.rules.checks:
            if errand.stop.is_set():
                return
            if isinstance(step, (Command, HttpCheck)):  # the others are refused when the rule file is loaded
                yield _ran(step, environment, errand.stop)


def _ran(step: Command | HttpCheck, environment: Mapping[str, str], stop: threading.Event) -> dict[str, Any]:
    ran, name = run_step(step, environment, stop), describe(step)
    failed = f"{name}: {ran.error}" if isinstance(step, HttpCheck) else ran.error
    told = {"check": name, "outcome": Outcome.FAIL if ran.error else Outcome.PASS, "evidence": failed if ran.error else f"{name} passed"}
    return {**told, "output": ran.output[-_KEPT:], "seconds": round(ran.seconds, 3)}


def _as_seen(check: Check) -> dict[str, Any]:
    return {"check": check.name, "outcome": check.outcome, "evidence": check.evidence}
