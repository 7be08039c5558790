"""Letting callers in: the gate before every route, and passwords against bcrypt hashes.

The gate finds out who calls, if the web configuration asks for that, and leaves it in the request's state for `caller`. Whoever is not let in
is told so before a byte of his request's body is read. Must not live here: who may do what (`caller`), the settings (`web_config`, `access`).
"""

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Mapping

import bcrypt
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollback_daemon.faces.http.access import Access
from rollback_daemon.faces.http.caller import CALLER, CHALLENGE, Caller, Way
from rollback_daemon.faces.http.limits import refusal
from rollback_daemon.faces.http.tls import CERTIFICATE, common_name, is_allowed

_KNOWN = 1000  # passwords that were right and are not checked again
_WAITING = 32  # logins from one address that may wait for their turn
_LONGEST = 72  # bytes of a password that bcrypt looks at
_READS = {"GET", "HEAD"}


TurnedAway = Callable[[str, str, str, str], None]


class TooManyError(Exception):
    """So many logins from one address wait already that one more is not taken."""


class Passwords:
    """Checks passwords, one at a time: bcrypt is slow on purpose, and a flood of wrong ones must not take the processor from the guard."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}  # oldest first
        self._waiting: Counter[str] = Counter()
        self._turn = asyncio.Lock()

    async def right(self, users: Mapping[str, bytes], name: str, password: bytes, address: str) -> bool:
        """Whether this is the user's password. Raises TooManyError when too many logins from `address` wait.

        An unknown name costs as much as a known one: a hash is checked in any case, always the same for the same name.
        """
        hashes = list(users.values())
        hashed = users.get(name) or hashes[self._digest(name.encode())[0] % len(hashes)]
        known = self._digest(name.encode(), hashed, password)
        if name in users and known in self._right:
            return True
        if self._waiting[address] >= _WAITING:
            raise TooManyError
        self._waiting[address] += 1
        try:
            async with self._turn:
                if name in users and known in self._right:  # somebody with the same login was before us
                    return True
                matches = await asyncio.to_thread(bcrypt.checkpw, password[:_LONGEST], hashed)
        finally:
            self._waiting[address] -= 1
            self._waiting += Counter()  # forgets addresses with nobody waiting
        if not matches or name not in users:
            return False
        self._right[known] = None
        if len(self._right) > _KNOWN:
            del self._right[next(iter(self._right))]
        return True

    def _digest(self, *parts: bytes) -> bytes:
        """Of something that is never kept itself."""
        digest = hashlib.blake2b(key=self._salt)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


class _NotLetInError(Exception):
    """Says why, with the status of the answer."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


class Gate:
    """ASGI middleware: nobody passes who must say who he is and does not, or not rightly."""

    def __init__(self, app: ASGIApp, access: Access, turned_away: TurnedAway) -> None:
        """`turned_away` is told of every wrong login: method, path, name and address."""
        self._app, self._access, self._turned_away, self._passwords = app, access, turned_away, Passwords()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with its caller, or answers 401, 403 or 429."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._access.look()
        send = _with_headers(self._access.web.headers, send)
        try:
            caller = await self._caller(scope)
        except _NotLetInError as error:
            await refusal(error.status, str(error), **error.headers)(scope, receive, send)
            return
        if caller is not None:
            scope.setdefault("state", {})[CALLER] = caller
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller | None:
        """Who calls; None where nobody is asked. Raises _NotLetInError."""
        web, certificate = self._access.web, scope.get("state", {}).get(CERTIFICATE)
        if web.tls and web.tls.client_allowed_sans and not is_allowed(certificate or {}, web.tls.client_allowed_sans):
            raise _NotLetInError(403, "the client certificate has none of the alternative names that client_allowed_sans lists")
        if web.users:
            return await self._logged_in(scope, web.users)
        if web.certificates == "NoClientCert":
            return None
        return Caller(common_name(certificate) if certificate else None, Way.CERTIFICATE)

    async def _logged_in(self, scope: Scope, users: Mapping[str, bytes]) -> Caller:
        given = Headers(scope=scope).get("authorization")
        if given is None:
            if self._access.open_reading and scope["method"] in _READS:
                return Caller(None, Way.LOGIN)
            raise _NotLetInError(401, "a login is needed: a user name and a password", **CHALLENGE)
        address = scope["client"][0] if scope.get("client") else ""
        name, password = _credentials(given)
        try:
            if name and await self._passwords.right(users, name, password, address):
                return Caller(name, Way.LOGIN)
        except TooManyError:
            raise _NotLetInError(429, "too many logins from this address wait to be checked; try again", **{"retry-after": "1"}) from None
        structlog.get_logger().warning("a login was refused", user=name[:100], address=address)
        await asyncio.to_thread(self._turned_away, scope["method"], scope["path"], name, address)
        raise _NotLetInError(401, "the user name or the password is wrong", **CHALLENGE)


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
