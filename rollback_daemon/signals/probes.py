"""How HTTP endpoints are asked whether they are there: all of them at once, until one deadline.

An endpoint that does not answer well is down, which is knowledge: 0, with the reason as a warning. What keeps this machine from asking
is no knowledge of the endpoint, and stays `Failed`. Lives here: asking. Must not live here: which endpoints there are, or what being
down means.
"""

import errno
import math
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3

from rollback_daemon.signals.fetch import shown
from rollback_daemon.signals.observation import Failed, Failure, Observation, Value
from rollback_daemon.signals.waiting import Waiting, WatchedAdapter

_PARALLEL = 32  # endpoints asked at once; each of them may keep its thread until the deadline
_POOLS = 128  # hosts whose connections are kept
_ENOUGH = 4096  # bytes of a body: a small one is read to its end, so that its connection can be used again
_MOST_WORDS = 200
_OUR_OWN = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.ENETUNREACH}
_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.LocationParseError,
    ValueError,
)


class Probes:
    """Asks endpoints on pooled connections. Nothing of the environment counts: no proxy, no .netrc."""

    def __init__(self, timeout: timedelta) -> None:
        """`timeout` is the most that all endpoints together may take."""
        self._timeout = timeout.total_seconds()
        self._waiting = Waiting()
        self._closed = False
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"User-Agent": "rollbackd", "Accept-Encoding": "identity"})
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # each question is the same as the one before
        self._adapter = WatchedAdapter(pool_connections=_POOLS, pool_maxsize=_PARALLEL, max_retries=0)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)
        self._workers = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="probe")

    def ask(self, urls: Sequence[str], within: timedelta) -> Mapping[str, Observation]:
        """GET each distinct one of `urls` once. 1 for an answer with a status of 2xx; 0, and why as a warning, for any other status (a
        redirect is not followed), for a connection refused or broken, and for no complete answer in time.

        Takes at most the timeout, or `within` where that is shorter. Failed for what is no address, and for what was not asked: because
        this machine cannot, or because others took all the time.
        """
        round_ = _Round(min(self._timeout, within.total_seconds()))
        futures = {url: self._workers.submit(self._answer, url, round_) for url in dict.fromkeys(urls)}
        answers = {url: _collected(url, future, round_) for url, future in futures.items()}
        self._waiting.end_overdue()
        return answers

    def close(self) -> None:
        """Let go of threads and connections; questions still under way are given up, and then Failed."""
        self._closed = True
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._waiting.end_overdue(math.inf)
        pools = self._adapter.poolmanager.pools
        for key in pools.keys():  # noqa: SIM118  # urllib3's container cannot be iterated over; without this, idle connections wait for the garbage collector
            if pool := pools.get(key):
                pool.close()
        self._session.close()

    def _answer(self, url: str, round_: "_Round") -> Observation:
        if round_.left() < round_.allowed / 2:  # too little to blame the endpoint
            return _not_asked(url)
        try:
            status = self._status(url, round_)
        except _NO_ADDRESS:
            return Failed(Failure.REFUSED, f'"{_shown(url)}" is no address that can be asked; write it like http://host:8080/health')
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            return Failed(Failure.UNREACHABLE, f"{_shown(url)}: given up") if self._closed else _unanswered(url, error, round_)
        if 200 <= status < 300:
            return Value({(): 1.0})
        return _down(url, f"HTTP {status}" + (", and redirects are not followed" if 300 <= status < 400 else ""))

    def _status(self, url: str, round_: "_Round") -> int:
        """The status of a complete answer. Asks once more where a connection breaks: a kept one may have been closed just now."""
        try:
            return self._get(url, round_)
        except requests.Timeout:
            raise
        except requests.ConnectionError:
            if self._closed or round_.left() <= 0:
                raise
            return self._get(url, round_)

    def _get(self, url: str, round_: "_Round") -> int:
        with (
            self._waiting.until(round_.deadline),
            self._session.get(url, timeout=max(0.001, round_.left()), allow_redirects=False, stream=True) as response,
        ):
            raw: Any = response.raw
            size = 0
            while size < _ENOUGH and (part := raw.read1(_ENOUGH, decode_content=False)):
                size += len(part)
                if round_.left() <= 0:
                    raise requests.Timeout
            return response.status_code


class _Round:
    """When a round of questions ends, and how many seconds it was given."""

    def __init__(self, allowed: float) -> None:
        self.allowed = allowed
        self.deadline = time.monotonic() + allowed

    def left(self) -> float:
        return self.deadline - time.monotonic()


def _collected(url: str, future: Future[Observation], round_: _Round) -> Observation:
    try:
        return future.result(timeout=max(0.0, round_.left()) + 0.05)
    except (TimeoutError, CancelledError):
        return _not_asked(url) if future.cancel() else _late(url, round_)


def _unanswered(url: str, error: Exception, round_: _Round) -> Observation:
    cause: BaseException = error
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    no_names = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN
    if no_names or (isinstance(cause, OSError) and cause.errno in _OUR_OWN):
        return Failed(Failure.UNREACHABLE, f"{_shown(url)}: cannot be asked from here: {_words(cause)}")
    if round_.left() <= 0 or isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return _late(url, round_)
    return _down(url, _words(cause))


def _words(cause: BaseException) -> str:
    """Of the system, of TLS, or of http.client; those of requests and urllib3 may hold the whole address, and that a secret."""
    if isinstance(cause, requests.RequestException | urllib3.exceptions.HTTPError) or not isinstance(cause, OSError | HTTPException):
        return "the answer was cut off"
    if verdict := getattr(cause, "verify_message", None):
        return f"its certificate is not trusted: {verdict}"
    return " ".join((getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).split())[:_MOST_WORDS].lower()


def _late(url: str, round_: _Round) -> Value:
    return _down(url, f"no complete answer within {round_.allowed:g}s")


def _down(url: str, why: str) -> Value:
    return Value({(): 0.0}, warnings=(f"{_shown(url)}: {why}",))


def _not_asked(url: str) -> Failed:
    return Failed(Failure.TIMEOUT, f"{_shown(url)}: not asked; too many other endpoints took all the time")


def _shown(url: str) -> str:
    try:
        return shown(url)
    except ValueError:
        return "(an address in disorder)"
