"""All followed files, asked at the same time, for so long and no longer: a disk that hangs must hold up nobody's rollback.

Lives here: threads and deadlines. Must not live here: one file (`log`).
"""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog

from rollback_daemon.following.log import Log
from rollback_daemon.signals.observation import Failed, Failure, Observation
from rollback_daemon.signals.questions import FollowedFigure

_LONGEST = 1.0  # seconds that a look reads on; what is left then is for the next one
_SHARE = 4  # of the time that a cycle has, this part at most
_PARALLEL = 8
_GRACE = 0.5  # seconds beyond, in which a look that has begun a block may end it
_LET_GO = Failed(Failure.UNREACHABLE, "the followed files were let go of, for a new configuration or an end")


class Following:
    """Answers questions for figures of followed files."""

    def __init__(self) -> None:
        self._logs: dict[str, Log] = {}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="following")

    def ask(self, questions: Sequence[str], at: datetime, within: timedelta) -> Mapping[str, Observation]:
        """An observation for each question; every file is read once. Takes little more than a second, and at most `within`."""
        begun, allowed = time.monotonic(), within.total_seconds()
        deadline = begun + min(_LONGEST, allowed / _SHARE)
        by_path: dict[str, list[str]] = {}
        for question in questions:
            by_path.setdefault(FollowedFigure.of(question).path, []).append(question)
        try:
            asked = [(log := self._log(path), own, self._workers.submit(log.ask, own, at, deadline)) for path, own in by_path.items()]
        except RuntimeError:  # closed while somebody was about to ask
            return dict.fromkeys(questions, _LET_GO)
        answers: dict[str, Observation] = {}
        for log, own, answer in asked:
            answers |= _collected(log, own, answer, min(deadline + _GRACE, begun + allowed))
        return answers

    def close(self) -> None:
        """Let go of every file."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for log in self._logs.values():
                log.close()

    def _log(self, path: str) -> Log:
        with self._lock:
            return self._logs.setdefault(path, Log(path))


def _collected(log: Log, questions: Sequence[str], answer: Future[Mapping[str, Observation]], deadline: float) -> Mapping[str, Observation]:
    try:
        return answer.result(timeout=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        answer.cancel()
        return dict.fromkeys(questions, Failed(Failure.TIMEOUT, log.late))
    except CancelledError:
        return dict.fromkeys(questions, _LET_GO)
    except Exception:  # noqa: BLE001 (a defect in reading one file must not blind the guard to everything else; it is logged with its place)
        structlog.get_logger().exception("a followed file could not be read", path=log.path)
        return dict.fromkeys(questions, Failed(Failure.MALFORMED, f'"{log.path}" could not be read; the log of the daemon says why'))
