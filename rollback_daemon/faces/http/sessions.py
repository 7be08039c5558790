"""Who is logged in on the page: sessions in the daemon's memory, each with a token that only its browser has.

The daemon keeps a digest of the token. A session ends at its logout, when nobody used it for long, after its longest time, when its user is taken
from the web configuration or gets another password there, and with the daemon. Must not live here: cookies (`doorkeeper`), passwords.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

IDLE = 4 * 3600.0
"""Seconds without a page being opened, after which a session has ended."""
LONGEST = 12 * 3600.0
"""Seconds after which a session has ended in any case: a shift."""
_MOST = 1000
_MOST_OF_ONE = 20


@dataclass(slots=True, eq=False)
class Session:
    """One login. `hashed` is what the password was checked against; `form` stands in every form of the session, and nowhere else."""

    name: str
    hashed: bytes
    begun: float
    seen: float
    form: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class Sessions:
    """All of them, in the order of their logins. For one thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._sessions: dict[bytes, Session] = {}

    def begin(self, name: str, hashed: bytes) -> str:
        """A new session; returns its token of 256 random bits. Nobody has more than twenty: the oldest ends."""
        self._forget_ended()
        mine = [key for key, one in self._sessions.items() if one.name == name]
        for key in [*mine[: max(0, len(mine) - _MOST_OF_ONE + 1)], *list(self._sessions)[: max(0, len(self._sessions) - _MOST + 1)]]:
            self._sessions.pop(key, None)
        token, now = secrets.token_urlsafe(32), self._now()
        self._sessions[_digest(token)] = Session(name, hashed, now, now)
        return token

    def find(self, token: str, users: Mapping[str, bytes], *, used: bool = True) -> Session | None:
        """The session of a token, unless it has ended. `used`: a person did something, which keeps it from becoming idle."""
        key = _digest(token)
        session = self._sessions.get(key)
        if session is None:
            return None
        if not self.lives(session, users):
            self._sessions.pop(key, None)
            return None
        if used:
            session.seen = self._now()
        return session

    def lives(self, session: Session, users: Mapping[str, bytes]) -> bool:
        """Whether it has not ended yet."""
        now = self._now()
        return session in self._sessions.values() and users.get(session.name) == session.hashed and not _is_old(session, now)

    def end(self, token: str) -> None:
        """Its user has logged out."""
        self._sessions.pop(_digest(token), None)

    def _forget_ended(self) -> None:
        now = self._now()
        self._sessions = {key: one for key, one in self._sessions.items() if not _is_old(one, now)}


def _is_old(session: Session, now: float) -> bool:
    return now - session.seen >= IDLE or now - session.begun >= LONGEST


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
