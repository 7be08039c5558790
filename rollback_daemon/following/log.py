"""A followed file and the answers to what is asked of it: read what is new, forget what is old, say what is missing.

Each file is read once and each line parsed once, however many figures are asked. A line that cannot be read makes nothing clear as long as it is in
the window, and hides no breach. Must not live here: where the lines are (`chain`), what they say (`track`).
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.evidence.lines import Settings, object_of, said, when
from rollback_daemon.evidence.samples import MOST
from rollback_daemon.following.budget import Budget
from rollback_daemon.following.chain import Chain
from rollback_daemon.following.growing import LONGEST
from rollback_daemon.following.track import MOST_BAD, SLACK, Bad, BadLines, Track, key_of, time_of
from rollback_daemon.signals.observation import Failed, Failure, Labels, NoData, Observation, Value
from rollback_daemon.signals.questions import FollowedFigure
from rollback_daemon.transitions.log_files import UNREADABLE
from rollback_daemon.transitions.log_mark import why as words

MISSING: Labels = (("lines", "missing"),)
"""The series that is unknown where lines of the window cannot be read, or may be gone."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One figure of the file."""

    figure: str
    max_age: timedelta
    settings: Settings

    @classmethod
    def of(cls, question: str) -> "Asked":
        """As the question says."""
        one = FollowedFigure.of(question)
        return cls(one.figure, timedelta(seconds=one.max_age), Settings.model_validate(dict(one.settings)))


class Log:
    """One followed file. Thread-safe: who comes while it is being read waits, until its own deadline."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._number, self._aggregates = 0, False
        self._known: dict[str, Asked] = {}
        self._begin()

    def ask(self, questions: Iterable[str], at: datetime, deadline: float) -> Mapping[str, Observation]:
        """An observation for each question, over windows that end at `at`. Reads until the deadline (monotonic seconds), at least one block."""
        questions = tuple(questions)
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return dict.fromkeys(questions, Failed(Failure.TIMEOUT, self.late))
        try:
            self._know(questions, at.timestamp())
            if trouble := self._read(at.timestamp(), deadline):
                return dict.fromkeys(questions, trouble)
            self._aggregates = True
            return {question: self._answer(self._known[question], at) for question in questions}
        except BaseException:
            self._anew()
            raise
        finally:
            self._aggregates = False
            self._lock.release()

    @property
    def late(self) -> str:
        """Why there is no answer yet, while one is being made."""
        if not self._aggregates:
            return f'"{self.path}" was not read in time; does its disk answer?'
        many = max((len(track.samples) for track in self._tracks.values()), default=0)
        return f'"{self.path}" was read, but its {many:,} samples could not be aggregated in time; shorten the window, or ask for fewer figures of it'

    def close(self) -> None:
        """Let go of its files, if nobody is reading them."""
        if self._lock.acquire(blocking=False):
            self._chain.close()
            self._lock.release()

    def _begin(self) -> None:
        """As if it had never been looked at."""
        self._chain = Chain(self.path)
        self._tracks: dict[str, Track] = {}
        self._bad, self._undated = BadLines(), deque[Bad](maxlen=MOST_BAD)
        for one in self._known.values():
            track = self._tracks.setdefault(key_of(one.settings), Track(one.settings))
            track.window = max(track.window, one.settings.window.total_seconds())
        self._pointers = {track.settings.time for track in self._tracks.values()}

    def _know(self, questions: Iterable[str], now: float) -> None:
        """Begin anew where something is asked for that was not kept."""
        new = {question: Asked.of(question) for question in questions if question not in self._known}
        self._known |= new
        if not all(self._keeps(self._known[one].settings, now) for one in questions):
            self._anew()

    def _anew(self) -> None:
        self._chain.close()
        self._begin()

    def _keeps(self, settings: Settings, now: float) -> bool:
        """Whether the samples of a window that ends now are kept."""
        track, window = self._tracks.get(key_of(settings)), settings.window.total_seconds()
        return track is not None and window <= track.window and now - window >= track.forgotten

    def _read(self, now: float, deadline: float) -> Failed | None:
        """What is new; or why it cannot be read."""
        since = now - max(track.window for track in self._tracks.values()) - SLACK
        try:
            self._chain.look(now, since, self._when, deadline)
            for path, begun, line in self._chain.lines(Budget(deadline), now):
                self._take(path, begun, line, now)
        except UNREADABLE as error:
            self._anew()  # what is half known would be counted twice
            text = str(error) if isinstance(error, OSError) and not error.strerror else words(error)
            return Failed(Failure.UNREACHABLE, text if self.path in text else f'"{self.path}" cannot be read: {text}')
        self._date(now)
        for track in self._tracks.values():
            track.forget(now)
        self._bad.forget(since)
        if not self._chain.was_there:
            return Failed(Failure.UNREACHABLE, f'"{self.path}" is not there; does its writer run, and write there?')
        if behind := self._chain.behind:
            amount = f"{behind / 1e6:.1f} MB" if behind >= 100_000 else f"{behind} bytes"
            return Failed(Failure.TIMEOUT, f'"{self.path}": {amount} are not read yet; it goes on at the next evaluation')
        return None

    def _take(self, path: str, begun: int, line: bytes | None, now: float) -> None:
        self._number += 1
        if line is None:
            self._undated.append(Bad(now, path, begun, self._number, f"is longer than {LONGEST // 2**20} MiB"))
            return
        if not line or line.isspace():
            return
        try:
            value = object_of(line.decode("utf-8-sig" if begun == 0 else "utf-8"))
        except UnicodeDecodeError:
            self._undated.append(Bad(now, path, begun, self._number, "is not UTF-8"))
            return
        except ValueError as error:
            self._undated.append(Bad(now, path, begun, self._number, said(error)))
            return
        try:
            self._sample(value, (path, begun, self._number), now)
        except Exception as error:  # noqa: BLE001 (a line that we trip over must not hide all others; it is logged with its place)
            structlog.get_logger().exception("a line of a followed file could not be read", path=path, byte=begun + 1)
            self._undated.append(Bad(now, path, begun, self._number, f"leads to a {type(error).__name__}, which is a defect of rollbackd"))

    def _sample(self, value: dict[str, Any], where: tuple[str, int, int], now: float) -> None:
        times = {pointer: time_of(value, pointer, now) for pointer in self._pointers}
        for track in self._tracks.values():
            track.take(value, times[track.settings.time], where, now)
        if self._undated and (known := [at for at in times.values() if not isinstance(at, str)]):
            self._date(max(known))

    def _date(self, at: float) -> None:
        """Lines without a time are of that of the next one that has one."""
        for one in self._undated:
            self._bad.add(replace(one, at=at))
        self._undated.clear()

    def _when(self, line: bytes) -> float | None:
        """The time of a line, for looking where to begin."""
        found = []
        try:
            value = object_of(line.decode())
        except ValueError:
            return None
        for pointer in self._pointers:
            try:
                found.append(when(value, pointer))
            except ValueError:
                continue
        return max(found, default=None)

    def _answer(self, asked: Asked, at: datetime) -> Observation:
        settings, now = asked.settings, at.timestamp()
        track, since = self._tracks[key_of(settings)], (at - settings.window).timestamp()
        window = format_duration(settings.window)
        bad = self._told([*self._bad.later(since), *track.bad.later(since)], since, window)
        if track.samples.lost > since:
            cure = "shorten the window, or say with where which lines count"
            return Failed(Failure.REFUSED, f'"{self.path}" has more than {MOST:,} samples in {window}; {cure}')
        if track.newest is None or track.newest < now - asked.max_age.total_seconds():
            return self._stale(asked, track.newest, at, bad)
        count = settings.aggregate if asked.figure == "value" else None
        value = float(track.samples.count(since)) if count is None else track.samples.aggregated(count, since)
        if value is None:
            which = "" if not settings.where else " that is as where says"
            return Failed(Failure.MALFORMED, bad) if bad else NoData(f'no line of the last {window} in "{self.path}"{which} has {settings.field}')
        return Value({(): value}, {MISSING: bad}, (bad,)) if bad else Value({(): value})

    def _stale(self, asked: Asked, newest: float | None, at: datetime, bad: str) -> Observation:
        if bad:
            return Failed(Failure.MALFORMED, bad)
        gone = "" if self._chain.is_there else "; it is not there any more"
        limit = format_duration(asked.max_age)
        if newest is None and self._chain.is_empty:
            return NoData(f'"{self.path}" is empty; does its writer run?')
        if newest is None:
            return NoData(f'no line of "{self.path}" tells a time at {asked.settings.time} that is no older than {limit}{gone}')
        age = format_coarse(timedelta(seconds=at.timestamp() - newest))
        return NoData(f'the last line of "{self.path}" is {age} old, must be no older than {limit}{gone or "; does its writer run?"}')

    def _told(self, bad: list[Bad], since: float, window: str) -> str:
        """What of the window is missing, or may be."""
        found = []
        if bad:
            last = max(bad, key=lambda one: one.number)
            many = "1 line" if len(bad) == 1 else f"{len(bad)} lines" if len(bad) < MOST_BAD else "many lines"
            found.append(f'{many} of the last {window} cannot be read; the last one, at byte {last.begun + 1} of "{last.path}", {last.why}')
        if self._chain.gap and self._chain.gap[0] > since:
            found.append(self._chain.gap[1])
        return "; ".join(found)
