"""One look into a watched folder: each file that is due is taken, or refused on record.

Must not live here: which files are due (`inbox`), threads and schedules (`arrivals`).
"""

import os
import threading
import time
from dataclasses import replace
from typing import Protocol

import structlog

from rollback_daemon.clock import Clock
from rollback_daemon.evidence.kind import CLOCK_SKEW, NOT_YET
from rollback_daemon.intake import files, taking
from rollback_daemon.intake.files import Moving, Stamp, Unfit
from rollback_daemon.intake.inbox import Away, Seen
from rollback_daemon.judge.attempts import Attempt, Came, known
from rollback_daemon.judge.precedence import Outside
from rollback_daemon.judge.refusal import Person
from rollback_daemon.rules.duties import Declared

_PATIENCE = 2.0  # seconds of one look that are spent on files that cannot be read


class Host(taking.Host, Protocol):
    """Whose evidence it is: the watch of the rollout."""

    lock: threading.RLock

    def tried(self, name: str, attempt: Attempt | None) -> None: ...


def look(host: Host, declared: Declared, seen: Seen, stop: threading.Event, clock: Clock) -> None:
    """Deal with the files that are due. `stop` ends it before the next file.

    Of very many, until one could be read: the newest result is acted on at the next evaluation, whatever else lies there.
    """
    try:
        folder = seen.open()
    except Away as away:
        _tell(host, declared, stop, clock, away=str(away))
        return
    try:
        seen.hear(_ahead(clock))
        until, looked_at, readable = time.monotonic() + _PATIENCE, set[str](), False
        while not readable and time.monotonic() < until:
            due = seen.due(folder, time.monotonic(), looked_at)
            _tell(host, declared, stop, clock, refused=seen.refused)
            for name, stamp in due:
                if stop.is_set():
                    return
                looked_at.add(name)
                ended = _dealt(host, declared, seen, folder, name, stamp, clock)
                if ended is not None:
                    readable = readable or ended[0] is not Came.REFUSED
                    blamed = ""
                    if ended[0] is Came.REFUSED and NOT_YET in ended[1]:
                        seen.doubt(name, stamp, _ahead(clock))
                    else:
                        blamed = seen.deal(name, stamp, refused=ended[0] is Came.REFUSED)
                    _tell(host, declared, stop, clock, ended=(*ended, blamed), refused=seen.refused)
            if not due:
                return
    except Away as away:
        _tell(host, declared, stop, clock, away=str(away))
    finally:
        os.close(folder)


def _ahead(clock: Clock) -> float:
    return clock.now().timestamp() - time.monotonic()


def _dealt(host: Host, declared: Declared, seen: Seen, folder: int, name: str, stamp: Stamp, clock: Clock) -> tuple[Came, str] | None:
    """As `_deal`; and a file that we trip over is dealt with, for it would stand before all that come after it."""
    try:
        return _deal(host, declared, seen, folder, name, stamp, clock)
    except Exception as error:  # noqa: BLE001 (whatever it is: the next file must come, and it is logged with its place)
        told = files.told(name)
        structlog.get_logger().exception("a file could not be taken in", rollout=host.rollout.name, evidence=declared.name, file=told)
        return Came.REFUSED, f'"{told}": {type(error).__name__}, which is a defect of rollbackd; report it'


def _deal(host: Host, declared: Declared, seen: Seen, folder: int, name: str, stamp: Stamp, clock: Clock) -> tuple[Came, str] | None:
    """What became of it; None where it is to be looked at again."""
    told, by, why = files.told(name), Person(stamp.person), f"{files.told(name)} was found in {seen.inbox.folder}"
    unfit = ""
    try:
        data, written = files.read(name, stamp, folder), stamp.written
    except Moving:
        return None
    except Unfit as error:
        data, written, unfit = b"", clock.now(), str(error)
    if written > clock.now() + CLOCK_SKEW:
        unfit = f"is of {written:%Y-%m-%d %H:%M} UTC, which {NOT_YET}"
    if unfit:
        sentence = f'"{told}" {unfit}'
        taking.refuse(host, taking.Handed(declared.name, by, why, taking.file_of(told, b""), None), sentence)
        return Came.REFUSED, sentence
    handed = taking.Handed(declared.name, by, why, taking.file_of(told, data), data, Outside(written=written))
    came, said = taking.tried(host, handed, clock.now())
    return None if came is Came.FAILED else (came, said)


def _tell(
    host: Host,
    declared: Declared,
    stop: threading.Event,
    clock: Clock,
    *,
    away: str = "",
    ended: tuple[Came, str, str] | None = None,
    refused: tuple[str, ...] | None = None,
) -> None:
    """What the look came to so far, for people. `ended`: what became of a file, why it failed, and what identifies it."""
    with host.lock:
        if stop.is_set():
            return
        now = clock.now()
        attempt = replace(known(host.state.attempts, declared), tried=now).gone(away, now)
        attempt = attempt.ended(ended[0], now, *ended[1:]) if ended else attempt
        host.tried(declared.name, attempt if refused is None else attempt.beside(refused))
