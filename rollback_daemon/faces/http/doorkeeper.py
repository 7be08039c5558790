"""Everything that is known of who may come in: passwords, how often they were wrong, sessions, and the cookies of both.

One for each web server; asked by the gate for every request, and by the pages that log in and out. Must not live here: which request needs what
(`login`), forms (the page).
"""

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from rollback_daemon.faces.http.access import Access
from rollback_daemon.faces.http.lockout import Attempt, Lockout
from rollback_daemon.faces.http.passwords import Passwords
from rollback_daemon.faces.http.reach import Reach
from rollback_daemon.faces.http.sessions import LONGEST, Session, Sessions

_DEVICE_DAYS = 90
_DEVICE = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")
_FORM_SECONDS = 3600  # that the login page may lie open


class Doorkeeper:
    """Who may come in. For the web server's thread."""

    def __init__(self, access: Access, reach: Reach, port: int) -> None:
        """`port` is the one that is listened on: cookies know no ports, and two daemons on one machine must not share theirs."""
        self.access, self.reach = access, reach
        self.sessions, self.lockout = Sessions(), Lockout()
        self._passwords = Passwords()
        self._secret = secrets.token_bytes(32)
        self._port = port

    @property
    def asks_for_logins(self) -> bool:
        """Whether there are users."""
        return bool(self.access.web.users)

    async def admits(self, scope: Scope, name: str, password: bytes, *, at_form: bool = False) -> bool:
        """Whether this is the user's password. `at_form`: a person has typed it.

        Raises LockedError where too many were wrong, and TooManyError where too many from this address wait to be checked.
        """
        attempt = Attempt(name, address_of(scope), self._device(scope, name))
        self.lockout.check(attempt)
        right = await self._passwords.right(self.access.web.users, name, password, attempt.address, lambda: self.lockout.check(attempt))
        if right:
            self.lockout.passed(attempt, anew=at_form)
        else:
            self.lockout.failed(attempt, password)
        return right

    def session(self, scope: Scope, *, used: bool = True) -> Session | None:
        """The session that the request's cookie names. `used`: a person did something."""
        token = Request(scope).cookies.get(self._cookie("session"))
        return self.sessions.find(token, self.access.web.users, used=used) if token else None

    def lives(self, session: Session) -> bool:
        """Whether a session has not ended yet."""
        return self.sessions.lives(session, self.access.web.users)

    def begin(self, request: Request, response: Response, name: str) -> None:
        """Log somebody in whose password was right. The browser's session before, if any, ends: its token is worth nothing afterwards."""
        self._end_session(request)
        hashed = self.access.web.users[name]
        self._set(response, "session", self.sessions.begin(name, hashed), int(LONGEST))
        nonce = secrets.token_urlsafe(16)
        self._set(response, "device", f"{nonce}.{_device_mac(hashed, name, nonce)}", _DEVICE_DAYS * 86400)
        self._drop(response, "form")

    def end(self, request: Request, response: Response) -> None:
        """Log out."""
        self._end_session(request)
        self._drop(response, "session")

    def form_token(self, request: Request) -> tuple[str, Callable[[Response], None]]:
        """The token of a login form, and what ties it to a cookie of the browser that is answered: there is no session yet."""
        nonce = request.cookies.get(self._cookie("form")) or secrets.token_urlsafe(32)  # the same for two tabs
        return self.token_for(f"login {nonce}"), lambda response: self._set(response, "form", nonce, _FORM_SECONDS)

    def is_form_token(self, request: Request, token: str) -> bool:
        """Whether the token of a login form is that of this browser's cookie."""
        nonce = request.cookies.get(self._cookie("form"))
        return bool(nonce) and hmac.compare_digest(self.token_for(f"login {nonce}").encode(), token.encode(errors="replace"))

    def token_for(self, what: str) -> str:
        """A token that nobody else can make, for where no session has one."""
        return hmac.new(self._secret, what.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()

    def _end_session(self, request: Request) -> None:
        if token := request.cookies.get(self._cookie("session")):
            self.sessions.end(token)

    def _device(self, scope: Scope, name: str) -> str:
        """What tells this browser apart, if this user has logged in there before; empty if not. It outlasts the daemon, and no change of password."""
        found = _DEVICE.fullmatch(Request(scope).cookies.get(self._cookie("device"), ""))
        if not found:
            return ""
        hashed = self.access.web.users.get(name, self._secret)  # as much work for a name that nobody has
        return found[1] if hmac.compare_digest(_device_mac(hashed, name, found[1]), found[2]) else ""

    @property
    def _secure(self) -> bool:
        return self.access.scheme == "https" or self.reach.secure

    def _cookie(self, kind: str) -> str:
        """The name of a cookie. With these prefixes a browser takes it from nobody but us."""
        prefix = "" if not self._secure else "__Secure-" if self.reach.links else "__Host-"
        return f"{prefix}rollbackd_{kind}_{self._port}"

    def _set(self, response: Response, kind: str, value: str, seconds: int) -> None:
        path = self.reach.links or "/"
        response.set_cookie(self._cookie(kind), value, seconds, path=path, secure=self._secure, httponly=True, samesite="strict")

    def _drop(self, response: Response, kind: str) -> None:
        self._set(response, kind, "", 0)


def _device_mac(hashed: bytes, name: str, nonce: str) -> str:
    """Signed with the user's own hash: it needs no store, and ends with the password. Its salt keeps the password from being guessed by it."""
    return hmac.new(hashed, f"device {nonce} {name}".encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def address_of(scope: Scope) -> str:
    """Where a request comes from: what a proxy on this machine says last of it, else the end of the connection. For logs and counting alone.

    Whoever is on this machine may lie here. It helps him to be counted as somebody else, and each user's own count stays.
    """
    peer = str(scope["client"][0]) if scope.get("client") else ""
    said = next((value for name, value in reversed(scope["headers"]) if name == b"x-forwarded-for"), b"").decode("latin-1")
    last = said.rpartition(",")[2].strip()
    try:
        here = ipaddress.ip_address(peer.removeprefix("::ffff:")).is_loopback
        return f"{ipaddress.ip_address(last)} through {peer}" if here and last else peer
    except ValueError:
        return peer
