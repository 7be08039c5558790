"""Doing once what is sent off twice: a double click, a reload, a second try on a slow line.

Each form has a number of its own; whoever sends the same one again gets what came of it before. Also kept: what a person is told about it on the
next page, so that no address can put words there. Must not live here: what is done (`forms`).
"""

import secrets
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field

_MOST = 1000  # of the newest that are kept
_WAIT = 60.0  # seconds for the first of two that come together


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody is told of what he has done. `key` stands in the address of the next page."""

    who: str
    text: str
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))


class Once:
    """What has been done by forms. Thread-safe; forgets the oldest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: dict[Hashable, Future[Notice]] = {}
        self._notices: dict[str, Notice] = {}

    def do(self, form: Hashable, work: Callable[[], Notice]) -> Notice:
        """What `work` came to, for this form. Raises what it raises; it may then be tried again."""
        with self._lock:
            known = self._done.get(form)
            mine: Future[Notice] = known or Future()
            self._done[form] = mine
            while len(self._done) > _MOST:
                del self._done[next(iter(self._done))]
        if known is not None:
            return known.result(_WAIT)
        try:
            notice = work()
        except BaseException as error:
            with self._lock:
                self._done.pop(form, None)
            mine.set_exception(error)
            raise
        with self._lock:
            self._notices[notice.key] = notice
            while len(self._notices) > _MOST:
                del self._notices[next(iter(self._notices))]
        mine.set_result(notice)
        return notice

    def notice(self, key: str, who: str) -> str:
        """What that person is to be told; empty for anybody else, and for a key that is none."""
        with self._lock:
            found = self._notices.get(key)
        return found.text if found is not None and found.who == who else ""
