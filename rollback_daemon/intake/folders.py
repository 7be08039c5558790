"""One look into a watched folder: each file that is due is taken, or refused on record.

Must not live here: which files are due (`inbox`), threads and schedules (`arrivals`).
"""

import os
import threading
import time
from dataclasses import replace
from typing import Protocol

from rollback_daemon.clock import Clock
from rollback_daemon.evidence.kind import CLOCK_SKEW, NOT_YET
from rollback_daemon.intake import files, taking
from rollback_daemon.intake.files import Moving, Stamp, Unfit
from rollback_daemon.intake.inbox import Away, Seen
from rollback_daemon.judge.attempts import Attempt, Came
from rollback_daemon.judge.refusal import Person
from rollback_daemon.rules.duties import Declared


class Host(taking.Host, Protocol):
    """Whose evidence it is: the watch of the rollout."""

    lock: threading.RLock

    def tried(self, name: str, attempt: Attempt | None) -> None: ...


def look(host: Host, declared: Declared, seen: Seen, stop: threading.Event, clock: Clock) -> None:
    """Deal with every file that is due. `stop` ends it before the next file."""
    try:
        folder = seen.open()
    except Away as away:
        _tell(host, declared, stop, clock, away=str(away))
        return
    try:
        due = seen.due(folder, time.monotonic())
        _tell(host, declared, stop, clock)
        for name, stamp in due:
            if stop.is_set():
                return
            ended = _deal(host, declared, seen, folder, name, stamp, clock)
            if ended is not None:
                seen.deal(name, stamp)
                _tell(host, declared, stop, clock, ended=ended)
    except Away as away:
        _tell(host, declared, stop, clock, away=str(away))
    finally:
        os.close(folder)


def _deal(host: Host, declared: Declared, seen: Seen, folder: int, name: str, stamp: Stamp, clock: Clock) -> tuple[Came, str] | None:
    """What became of it; None where it is to be looked at again."""
    told, by, why = files.told(name), Person(stamp.person), f"{files.told(name)} was found in {seen.inbox.folder}"
    unfit = ""
    try:
        data = files.read(name, stamp, folder)
    except Moving:
        return None
    except Unfit as error:
        data, unfit = b"", str(error)
    if not unfit and stamp.written > clock.now() + CLOCK_SKEW:
        unfit = f"is of {stamp.written:%Y-%m-%d %H:%M} UTC, which {NOT_YET}"
    if unfit:
        sentence = f'"{told}" {unfit}'
        taking.refuse(host, taking.Handed(declared.name, by, why, taking.file_of(told, b""), None), sentence)
        return Came.REFUSED, sentence
    handed = taking.Handed(declared.name, by, why, taking.file_of(told, data), data, made_at=stamp.written)
    came, said = taking.tried(host, handed, clock.now())
    return None if came is Came.FAILED else (came, said)


def _tell(host: Host, declared: Declared, stop: threading.Event, clock: Clock, *, away: str = "", ended: tuple[Came, str] | None = None) -> None:
    """What the look came to so far, for people."""
    with host.lock:
        if stop.is_set():
            return
        now = clock.now()
        attempt = replace(host.state.attempts.get(declared.name, Attempt()), tried=now).gone(away, now)
        host.tried(declared.name, attempt.ended(ended[0], now, ended[1]) if ended else attempt)
