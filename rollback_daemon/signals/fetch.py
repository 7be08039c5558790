"""One request of one page, over after its deadline whatever the server does: one that hangs or drips costs no more than that.

Lives here: getting a page, in one piece and of a bounded size. Must not live here: what it says, or whether to ask again.
"""

import math
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from rollback_daemon.signals.waiting import Waiting, WatchedAdapter

_LARGEST = 1024 * 1024  # bytes of a page
_LOOK = 0.02  # seconds
_MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: its status, and the first mebibyte of its body. `whole` is false where there was more."""

    status: int
    body: bytes
    whole: bool = True


@dataclass(frozen=True, slots=True)
class NoPage:
    """There was no answer, and why; `late` where there was none before the deadline. Never has the credentials of an address."""

    why: str
    late: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """What is sent where it is a POST."""

    body: bytes
    headers: Mapping[str, str]


def fetch(
    url: str, deadline: float, stop: threading.Event | None = None, session: requests.Session | None = None, posted: Posted | None = None
) -> Page | NoPage:
    """GET `url`, or POST what is `posted`; over at `deadline` (monotonic seconds), or soon after `stop` is set. Redirects are not followed.

    Without a `session` nothing but the URL counts: no proxy of the environment, no .netrc. One that is given is closed at the end.
    """
    waiting, found = Waiting(), queue.SimpleQueue[Page | NoPage]()
    asking = requests.Session() if session is None else session
    if session is None:
        asking.trust_env = False
    # a thread of its own: to find out an address and to shake hands over TLS can take longer than anybody wants to wait
    threading.Thread(target=lambda: found.put(_ask(asking, url, deadline, waiting, posted)), name="fetch", daemon=True).start()
    try:
        return _wait(found, deadline, stop)
    finally:
        waiting.end_overdue(math.inf)


def shown(url: str) -> str:
    """The URL for people: without user, password, query and fragment, any of which may be a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be understood"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def host(url: str) -> str:
    """The URL for people where its path may be a secret as well, as that of many hooks is: scheme and host alone."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be understood"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))


def _wait(found: "queue.SimpleQueue[Page | NoPage]", deadline: float, stop: threading.Event | None) -> Page | NoPage:
    while True:
        try:
            return found.get(timeout=_LOOK)
        except queue.Empty:
            if stop is not None and stop.is_set():
                return NoPage("given up")
            if time.monotonic() > deadline:
                return NoPage("no complete answer in time", late=True)


def _ask(session: requests.Session, url: str, deadline: float, waiting: Waiting, posted: Posted | None) -> Page | NoPage:
    try:
        with session, waiting.until(deadline):
            for scheme in ("http://", "https://"):
                session.mount(scheme, WatchedAdapter(max_retries=0))
            left = max(0.001, deadline - time.monotonic())
            method, body, headers = ("POST", posted.body, posted.headers) if posted else ("GET", None, None)
            with session.request(method, url, data=body, headers=headers, timeout=left, allow_redirects=False, stream=True) as response:
                return _read(response, deadline)
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        return NoPage("no answer in time", late=True)
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:  # ValueError: of addresses that nobody can ask
        return NoPage(_cause(error))


def _read(response: requests.Response, deadline: float) -> Page | NoPage:
    raw: Any = response.raw
    body = b""
    while len(body) <= _LARGEST and (part := raw.read1(65536, decode_content=True)):
        body += part
        if time.monotonic() > deadline:
            return NoPage("no complete answer in time", late=True)
    return Page(response.status_code, body[:_LARGEST], len(body) <= _LARGEST)


def _cause(error: BaseException) -> str:
    """The cause at the bottom in a few words. Those of requests and urllib3 may hold the address, and that a secret: their names must do."""
    if type(error) is requests.RequestException:  # our own, about the file of a secret
        return str(error)
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    of_the_system = isinstance(error, OSError | HTTPException) and not isinstance(error, requests.RequestException)
    words = (getattr(error, "strerror", None) or str(error)) if of_the_system else ""
    return words[:_MOST_WORDS].lower() or type(error).__name__
