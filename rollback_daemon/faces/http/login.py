"""Letting callers in: the gate before every route.

It finds out who calls, if the web configuration asks for that, and leaves it in the request's state for `caller`. Whoever is not let in is told so
before a byte of his request's body is read: a program by a status, a person's browser by the login page. A session's cookie opens the pages, whose
forms prove that they are ours, and reading; what changes something through the API needs a password or a certificate with every request.
Must not live here: who may do what (`caller`), passwords and sessions (`doorkeeper`), the settings (`web_config`, `access`).
"""

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping
from urllib.parse import quote

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollback_daemon.faces.http import reach
from rollback_daemon.faces.http.caller import CALLER, CHALLENGE, Caller, Way
from rollback_daemon.faces.http.doorkeeper import Doorkeeper, address_of
from rollback_daemon.faces.http.limits import refusal
from rollback_daemon.faces.http.lockout import LockedError
from rollback_daemon.faces.http.once_more import once_more
from rollback_daemon.faces.http.passwords import TooManyError
from rollback_daemon.faces.http.sessions import Session
from rollback_daemon.faces.http.tls import CERTIFICATE, common_name, is_allowed

LOGIN, LOGOUT = "/login", "/logout"
_READS = {"GET", "HEAD"}
_FOR_PROGRAMS = ("/api/", "/-/", "/metrics")
_NO_PROMPT = {"www-authenticate": 'Session realm="rollbackd"'}  # a scheme that no browser asks its user about

TurnedAway = Callable[[str, str, str, str], None]


class _NotLetInError(Exception):
    """Carries what is answered instead."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def _refused(status: int, text: str, **headers: str) -> _NotLetInError:
    return _NotLetInError(refusal(status, text, **headers))


class Gate:
    """ASGI middleware: nobody passes who must say who he is and does not, or not rightly. Behind it, paths have no prefix."""

    def __init__(self, app: ASGIApp, keeper: Doorkeeper, turned_away: TurnedAway) -> None:
        """`turned_away` is told of every wrong login: method, path, name and address."""
        self._app, self._keeper, self._access, self._turned_away = app, keeper, keeper.access, turned_away

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with its caller, or answers 401, 403, 404 or 429, or leads to the login page."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._access.look()
        send = _with_headers(self._access.web.headers, send)
        reach.put(scope, self._keeper.reach)
        try:
            scope = self._inside(scope)
            caller = await self._caller(scope)
        except _NotLetInError as error:
            await error.answer(scope, receive, send)
            return
        if caller is not None:
            scope["state"][CALLER] = caller
        if caller is None or caller.session is None:
            await self._app(scope, receive, send)
            return
        await self._as_long_as(caller.session, scope, receive, send)

    def _inside(self, scope: Scope) -> Scope:
        """The request as if there were no prefix."""
        path = self._keeper.reach.inside(scope["path"])
        if path is not None:
            return {**scope, "path": path, "raw_path": quote(path, safe="/%~").encode()} if path != scope["path"] else scope
        if scope["path"] == "/" and scope["method"] in _READS:
            raise _NotLetInError(RedirectResponse(f"{self._keeper.reach.routes}/", 302))
        raise _refused(404, f"{scope['method']} {scope['path']}: not found; paths begin with {self._keeper.reach.routes}/ (--web.route-prefix)")

    async def _caller(self, scope: Scope) -> Caller | None:
        """Who calls; None where nobody is asked. Raises _NotLetInError."""
        web, certificate = self._access.web, scope["state"].get(CERTIFICATE)
        if web.tls and web.tls.client_allowed_sans and not is_allowed(certificate or {}, web.tls.client_allowed_sans):
            raise _refused(403, "the client certificate has none of the alternative names that client_allowed_sans lists")
        if web.users:
            return await self._logged_in(scope)
        if web.certificates == "NoClientCert":
            return None
        return Caller(common_name(certificate) if certificate else None, Way.CERTIFICATE)

    async def _logged_in(self, scope: Scope) -> Caller:
        """By a password with the request, or by a session's cookie: on pages the cookie comes first, as a browser may remember an old password."""
        headers, path = Headers(scope=scope), scope["path"]
        given, by_page = headers.get("authorization"), not path.startswith(_FOR_PROGRAMS)
        session = None
        if by_page or (given is None and scope["method"] in _READS):
            session = self._keeper.session(scope, used=headers.get("sec-fetch-mode", "navigate") == "navigate")
        if session is not None:
            return Caller(session.name, Way.SESSION, session)
        if path in {LOGIN, LOGOUT} or path.startswith("/static/"):  # they tell nothing of rollouts
            return Caller(None, Way.LOGIN)
        if given is not None:
            return await self._by_password(scope, given)
        if scope["method"] in _READS and by_page and _is_led_here(headers):
            raise _NotLetInError(once_more(scope))
        if self._access.open_reading and scope["method"] in _READS:
            return Caller(None, Way.LOGIN)
        if by_page and "text/html" in headers.get("accept", ""):
            raise _NotLetInError(RedirectResponse(f"{reach.link(scope, LOGIN)}?next={quote(_wanted(scope), safe='/')}", 303))
        challenge = _NO_PROMPT if headers.get("sec-fetch-mode", "navigate") != "navigate" else CHALLENGE
        raise _refused(401, "a login is needed: a user name and a password", **challenge)

    async def _by_password(self, scope: Scope, given: str) -> Caller:
        name, password = _credentials(given)
        try:
            if name and await self._keeper.admits(scope, name, password):
                return Caller(name, Way.LOGIN)
        except TooManyError:
            raise _refused(429, "too many logins from this address wait to be checked; try again", **{"retry-after": "1"}) from None
        except LockedError as error:
            raise _refused(429, str(error), **{"retry-after": str(error.seconds)}) from None
        address = address_of(scope)
        structlog.get_logger().warning("a login was refused", user=name[:100], address=address)
        await asyncio.to_thread(self._turned_away, scope["method"], scope["path"], name, address)
        raise _refused(401, "the user name or the password is wrong", **CHALLENGE)

    async def _as_long_as(self, session: Session, scope: Scope, receive: Receive, send: Send) -> None:
        """The request of a session. What still flows when the session has ended, ends too: to the application, as if the browser had gone away."""
        ended = False

        async def sending(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.body" and message.get("more_body") and not self._keeper.lives(session):
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise OSError("the session has ended")
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if not ended:
                raise


def _is_led_here(headers: Headers) -> bool:
    """Whether a link of another site was followed: then the browser keeps its SameSite cookies back, this once."""
    return headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate"


def _wanted(scope: Scope) -> str:
    """The page to come back to after the login: the one asked for, or, of a form that was sent off too late, the form."""
    path, query = str(scope["path"]), scope["query_string"].decode("latin-1")
    return path + (f"?{query}" if query and scope["method"] in _READS else "")


def _credentials(header: str) -> tuple[str, bytes]:
    """The name and the password of HTTP's basic scheme (RFC 7617); empty ones for anything else."""
    scheme, _, coded = header.partition(" ")
    try:
        name, colon, password = base64.b64decode(coded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if scheme.lower() == "basic" and colon else ("", b"")
    except (binascii.Error, ValueError):
        return "", b""


def _with_headers(headers: Mapping[str, str], send: Send) -> Send:
    """Sends with these headers on the answer."""
    if not headers:
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sending
