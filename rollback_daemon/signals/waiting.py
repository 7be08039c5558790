"""Which sockets threads are waiting on, and until when, so that another thread can end the wait.

A timeout of a socket is renewed by every byte that comes, so a server that drips the head of its answer would keep a thread, and one of the few
connections, for hours. Lives here: shutting such a socket down once its deadline is over. Must not live here: what is said over it.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse


class Waiting:
    """The sockets that threads wait on now. Thread-safe."""

    def __init__(self) -> None:
        self._sockets: dict[int, tuple[socket.socket, float]] = {}

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Within it, what this thread receives over a `WatchedAdapter` may take until `deadline` (monotonic seconds)."""
        _THREAD.waiting, _THREAD.deadline = self, deadline
        try:
            yield
        finally:
            _THREAD.waiting = None
            self._sockets.pop(threading.get_ident(), None)

    def note(self, connected: socket.socket, deadline: float) -> None:
        """This thread begins to wait on that socket."""
        self._sockets[threading.get_ident()] = (connected, deadline)

    def end_overdue(self, now: float | None = None) -> None:
        """Shut down every socket whose deadline is over; the thread that waits on it gets an error."""
        limit = time.monotonic() if now is None else now
        for connected, deadline in list(self._sockets.values()):
            if deadline <= limit:
                with suppress(OSError):  # closed in between
                    socket.socket.shutdown(connected, socket.SHUT_RDWR)  # of the socket itself: TLS would want to talk first


class _Thread(threading.local):
    waiting: Waiting | None = None
    deadline: float = float("inf")


_THREAD = _Thread()


class _Watched(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3 itself: its own class of response
        _note(self.sock)
        return super().getresponse()


class _WatchedTLS(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3 itself: its own class of response
        _note(self.sock)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


class WatchedAdapter(HTTPAdapter):
    """An adapter whose waiting can be ended from outside."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


def _note(connected: socket.socket | None) -> None:
    if connected is not None and _THREAD.waiting is not None:
        _THREAD.waiting.note(connected, _THREAD.deadline)
