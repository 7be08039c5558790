"""What a caller may cost: bytes, seconds and descriptors. Whoever may not change anything must not stop a rollback either.

Must not live here: who may do what (`caller`), what is answered to a request that is let in (`api`).
"""

import asyncio
import re
import resource

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from rollback_daemon.evidence.kind import MAX_BYTES
from rollback_daemon.faces.http.caller import CALLER, Caller

BODY_BYTES = 64 * 1024
EVIDENCE_BYTES = BODY_BYTES + MAX_BYTES * 4 // 3  # a file of evidence in base64, and what is said of it
HEADER_BYTES = 16 * 1024
CONNECTIONS = 200
BACKLOG = 16  # small: so many are accepted in one go, before any of them can be refused
_EVIDENCE = re.compile(r"/api/v1/rollouts/[^/]+/evidence/[^/]+")
_LOOPBACK = ("127.", "::1", "::ffff:127.")
PATIENCE = 10.0  # seconds for a request's header, and again for its body
READING = 30.0  # seconds that an answer may lie unread


def connection_cap() -> int:
    """How many connections may be open at once: a quarter of the descriptors at most, so that flags and journal keep theirs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(CONNECTIONS, soft // 4))


class BodyLimit:
    """ASGI middleware that takes a request's body in, up to `BODY_BYTES` and for ten seconds, before the application sees the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._large = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 to a body that is too long, at once where its length is announced, and 408 to one that does not come.

        Evidence may be longer, if its length is announced by somebody who may hand it in; of such bodies there is one at a time.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (length := _announced(scope)) <= BODY_BYTES:
            await self._limited(BODY_BYTES, scope, receive, send)
        elif length > EVIDENCE_BYTES or not _may_be_large(scope):
            await _TOO_LONG(scope, receive, send)
        else:
            async with self._large:
                await self._limited(EVIDENCE_BYTES, scope, receive, send)

    async def _limited(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                body = await _read(receive, most)
        except TimeoutError:
            await _TOO_SLOW(scope, receive, send)
            return
        if body is None:
            return  # the caller has gone
        if len(body) > most:
            await _TOO_LONG(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


def _announced(scope: Scope) -> int:
    """The Content-Length; 0 where there is none. Digits only: the protocol has refused anything else."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


def _may_be_large(scope: Scope) -> bool:
    """Whether it is evidence, from somebody who has said who he is or, where nobody is asked that, from this machine."""
    if scope["method"] != "POST" or not _EVIDENCE.fullmatch(scope["path"]):
        return False
    caller: Caller | None = scope.get("state", {}).get(CALLER)
    if caller is not None:
        return caller.name is not None
    return bool(scope.get("client")) and str(scope["client"][0]).startswith(_LOOPBACK)


async def _read(receive: Receive, most: int) -> bytes | None:
    """The body, cut off soon after it is longer than allowed; None if the caller goes away before its end."""
    body = bytearray()
    while len(body) <= most:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, then whatever comes."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message


def refusal(status: int, error: str, **headers: str) -> JSONResponse:
    """A no in the shape that every answer of the API has which is not a success."""
    return JSONResponse({"error": error, "reasons": [], "unknown": False}, status, headers=headers)


_TOO_LONG = refusal(413, f"a request's body may have {BODY_BYTES} bytes at most")
_TOO_SLOW = refusal(408, f"the request's body did not come within {PATIENCE:g} s", connection="close")


class Patience(H11Protocol):
    """uvicorn's HTTP, for so many connections at once, each of which is closed when it asks for nothing, or does not read what it asked for."""

    _request: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Takes the connection, or ends it at once when there are too many."""
        if self.admitted(transport):
            self.begin(transport)

    def admitted(self, transport: asyncio.Transport) -> bool:
        """Whether there is room for one more; the connection is ended when there is none."""
        if len(self.connections) < connection_cap():
            return True
        self.transport = transport
        transport.abort()
        return False

    def begin(self, transport: asyncio.Transport) -> None:
        """Speak HTTP from here on."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the deadlines."""
        self._stop_waiting()
        self._stop_minding()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """After any bytes: a complete header ends the wait, part of one does not prolong it."""
        super().handle_events()
        self._await_request()

    def on_response_complete(self) -> None:
        """The wait for the next request begins; the rest of a body that nobody reads counts as waiting."""
        super().on_response_complete()
        self._await_request()

    def pause_writing(self) -> None:
        """The caller does not read; it has half a minute to begin."""
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(READING, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller reads."""
        super().resume_writing()
        self._stop_minding()

    def _await_request(self) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy or self.transport.is_closing():
            self._stop_waiting()
        elif self._request is None:
            self._request = self.loop.call_later(PATIENCE, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._request is not None:
            self._request.cancel()
            self._request = None

    def _stop_minding(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
