"""How alerts reach Alertmanager: every one of them gets all, on a thread of its own, and none delays another or the caller.

What is active is a state, not a queue: only the newest set counts, so nothing piles up while an Alertmanager is away. Lives here: sending,
trying again, stopping. Must not live here: which alerts there are (`alerts`), and what each Alertmanager must be told next (`notices`).
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from time import monotonic
from urllib.parse import urlsplit, urlunsplit

import requests
from structlog.typing import FilteringBoundLogger
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_when_event_set, wait_exponential, wait_random
from urllib3.exceptions import NewConnectionError

from rollback_daemon.clock import Clock
from rollback_daemon.faces.alerts import Alert
from rollback_daemon.faces.notices import Identity, Notice, Notices, by_identity

BATCH = 64
"""Alerts in one request. Small enough that the body stays far below the 1 MB at which reverse proxies refuse, and that a batch refused for
one bad alert is soon narrowed down to it; large enough that ten thousand alerts take 157 requests."""

RESENT_UNTIL = 4
"""`endsAt` of an active alert is this many resend delays, or intervals if they are longer, ahead: three messages may be lost, as in Prometheus."""

_SLOWEST_RETRY = 5.0  # seconds
_MOST_WORDS = 500


class Outcome(StrEnum):
    """What became of one request; also the value of the metric label `outcome`."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # the server will not take it, however often it is asked
    SERVER_ERROR = "server_error"  # the server has a problem (5xx), or too much to do (408, 429)
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no connection, or it broke
    FAILED = "failed"  # our own mistake; the log has it


class Alertmanagers:
    """Tells several Alertmanagers which alerts are active. Safe to use from any thread; no call waits for an Alertmanager, save `close`."""

    def __init__(
        self,
        urls_and_sessions: Sequence[tuple[str, requests.Session]],
        *,
        resend_delay: timedelta,
        clock: Clock,
        observe: Callable[[str, str], None],
        log: FilteringBoundLogger,
        timeout: timedelta = timedelta(seconds=10),
        accepted: Callable[[str, Sequence[Mapping[str, str]]], None] = lambda *_: None,
    ) -> None:
        """Start one thread for each URL (the address before `/api/v2`; it may have a path prefix and a user).

        Each session is used by its own thread alone, which closes it at its end. `observe` is told the URL without secrets and the
        `Outcome` of each request, from these threads; `accepted` the URL without secrets and the labels of the active alerts that it has taken.
        `timeout` bounds the connection, and each wait for an answer.
        """
        self._lock = threading.Lock()
        self._active: dict[Identity, Alert] = {}
        self._peers = [_Peer(url, session, resend_delay, clock, observe, log, timeout, accepted) for url, session in urls_and_sessions]

    def update(self, alerts: Collection[Alert], interval: timedelta) -> None:
        """Say which alerts are active now, all of them; what was and is not among them any more is resolved. Returns at once.

        An alert is sent when it becomes active and again after each resend delay, whether or not `update` is called again: not having looked
        does not end an alert. `interval` is how often this is called. An alert that was active when the daemon stopped and is not when it
        starts again is unknown here and never resolved by us; its `endsAt` ends it, at most four resend delays or intervals later.
        """
        with self._lock:
            self._active = by_identity(alerts, self._active)
            for peer in self._peers:
                peer.update(self._active, interval)

    def close(self, flush: timedelta) -> None:
        """Stop, once everyone has been told what is due, but at the latest after `flush`. Active alerts are not resolved: nobody looked."""
        deadline = monotonic() + flush.total_seconds()
        for peer in self._peers:
            peer.finish()
        for peer in self._peers:
            peer.join(deadline)


class _Again(Exception):
    """It could not be told now."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """`heard`: the alerts may have arrived. `divide`: it refused the whole batch for the sake of some."""

    outcome: Outcome
    why: str = ""
    heard: bool = False
    divide: bool = False


class _Peer:
    """One Alertmanager, and the thread that speaks to it."""

    def __init__(
        self,
        url: str,
        session: requests.Session,
        resend_delay: timedelta,
        clock: Clock,
        observe: Callable[[str, str], None],
        log: FilteringBoundLogger,
        timeout: timedelta,
        accepted: Callable[[str, Sequence[Mapping[str, str]]], None],
    ) -> None:
        self._accepted = accepted
        self._name, self._url = without_secrets(url), _endpoint(url)
        self._session, self._resend_delay, self._clock, self._observe = session, resend_delay, clock, observe
        self._timeout = timeout.total_seconds()
        self._log = log.bind(alertmanager=self._name)
        self._notices = Notices(resend_delay)
        self._away_since: datetime | None = None
        self._news = threading.Condition()
        self._newest: tuple[Mapping[Identity, Alert], timedelta] = ({}, resend_delay)
        self._fresh = False
        self._finishing, self._abandoned = threading.Event(), threading.Event()
        self._retrying = Retrying(
            retry=retry_if_exception_type(_Again),
            wait=wait_exponential(multiplier=0.1, max=_SLOWEST_RETRY) + wait_random(0, 0.1),
            stop=stop_when_event_set(self._abandoned),
            sleep=self._pause,
        )
        # a request that hangs must not keep the process alive after `close` has waited long enough
        self._thread = threading.Thread(target=self._run, name=f"alerts to {self._name}", daemon=True)
        self._thread.start()

    def update(self, active: Mapping[Identity, Alert], interval: timedelta) -> None:
        with self._news:
            self._newest, self._fresh = (active, interval), True
            self._news.notify()

    def finish(self) -> None:
        with self._news:
            self._finishing.set()
            self._news.notify()

    def join(self, deadline: float) -> None:
        self._thread.join(max(0.0, deadline - monotonic()))
        self._abandoned.set()
        self._thread.join(0.1)  # it ends at once, unless it waits for an answer

    def _run(self) -> None:
        try:
            while self._something_to_do():
                self._retrying(self._round)
        except RetryError:
            undelivered = len(self._notices.due(self._clock.now()))
            self._log.warning("stopping, and some alerts are not delivered", alerts=undelivered)
        finally:
            self._session.close()

    def _something_to_do(self) -> bool:
        """Wait for news, or until something is due; False when stopping and all has been told."""
        left = self._notices.left(self._clock.now())
        seconds = None if left is None else max(0.0, left.total_seconds())
        with self._news:
            self._news.wait_for(lambda: self._fresh or self._finishing.is_set(), seconds)
            return self._fresh or not self._finishing.is_set()

    def _pause(self, seconds: float) -> None:
        """Between two tries; cut short by `close`, which has only so much time."""
        if not self._finishing.is_set():
            self._finishing.wait(seconds)
        else:
            self._abandoned.wait(min(seconds, 0.5))

    def _round(self) -> None:
        """Tell everything that is due. Raises _Again, and forgets nothing, when it could not."""
        with self._news:
            (active, interval), self._fresh = self._newest, False
        try:
            now = self._clock.now()
            self._notices.take(active, now)
            due = self._notices.due(now)
            for start in range(0, len(due), BATCH):
                self._tell(due[start : start + BATCH], interval)
        except _Again:
            raise
        except Exception as mistake:  # whatever it is, a thread that ended would be silence
            self._log.exception("alerts could not be sent")
            self._observe(self._name, Outcome.FAILED)
            raise _Again from mistake

    def _tell(self, notices: list[Notice], interval: timedelta) -> None:
        answer = self._post(notices, interval)
        self._observe(self._name, answer.outcome)
        if answer.outcome not in {Outcome.DELIVERED, Outcome.REFUSED}:
            self._went_away(answer)
            if answer.heard:
                self._notices.unanswered(notices)
            raise _Again
        self._came_back()
        if answer.divide and len(notices) > 1:
            middle = len(notices) // 2
            self._tell(notices[:middle], interval)
            self._tell(notices[middle:], interval)
            return
        if answer.outcome is Outcome.REFUSED:
            names = sorted({notice.alert.labels.get("alertname", "") for notice in notices})
            self._log.error("alerts were refused", why=answer.why, alertnames=names[:10], alerts=len(notices))
        self._notices.answered(notices, self._clock.now(), heard=answer.heard)
        if answer.outcome is Outcome.DELIVERED:
            self._accepted(self._name, [notice.alert.labels for notice in notices if notice.ended is None])

    def _post(self, notices: list[Notice], interval: timedelta) -> _Answer:
        lasts_until = self._clock.now() + RESENT_UNTIL * max(self._resend_delay, interval)
        body = [notice.body(lasts_until) for notice in notices]
        try:
            with self._session.post(self._url, json=body, timeout=self._timeout, allow_redirects=False, stream=True) as response:
                return _understood(response)
        except requests.Timeout as error:
            return _Answer(Outcome.TIMEOUT, f"no answer in {self._timeout:g}s", heard=not isinstance(error, requests.ConnectTimeout))
        except requests.RequestException as error:  # its text may hold the URL, and that a secret: the name must do
            return _Answer(Outcome.UNREACHABLE, f"no connection ({type(error).__name__})", heard=not _never_left(error))

    def _went_away(self, answer: _Answer) -> None:
        if self._away_since is None:
            self._away_since = self._clock.now()
            self._log.warning("alertmanager does not take alerts; trying again until it does", outcome=answer.outcome, why=answer.why)

    def _came_back(self) -> None:
        if self._away_since is not None:
            self._log.info("alertmanager takes alerts again", away_since=self._away_since.isoformat())
            self._away_since = None


def _understood(response: requests.Response) -> _Answer:
    """What the status means. A redirection is refused: following it would turn the POST into a GET, whose 200 says nothing."""
    status = response.status_code
    if 200 <= status < 300:
        return _Answer(Outcome.DELIVERED, heard=True)
    why = f"{status} {_words(response)}".rstrip()
    if status >= 500 or status in {408, 429}:
        return _Answer(Outcome.SERVER_ERROR, why, heard=True)
    if 300 <= status < 400:
        return _Answer(Outcome.REFUSED, f"{status}, a redirection; give the address that it leads to")
    # 400: the good ones of the batch were taken. 413 and 422: none was.
    return _Answer(Outcome.REFUSED, why, heard=status == 400, divide=status in {413, 422})


def _words(response: requests.Response) -> str:
    """The beginning of what the server said; nothing if even that broke off."""
    try:
        return next(response.iter_content(_MOST_WORDS), b"").decode(errors="replace").strip()
    except requests.RequestException:
        return ""


def _never_left(error: requests.RequestException) -> bool:
    """Whether there was no connection at all, so that nothing can have arrived."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)


def without_secrets(url: str) -> str:
    """The URL without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/api/v2/alerts", parts.query, ""))
