"""How long somebody has to wait after wrong passwords: longer each time, and never so that others could keep the person on call out for ever.

Wrong logins are counted apart for three kinds of callers:
- a browser in which this user has logged in before (it holds a cookie that only the user's own hash can have signed): by that browser alone;
- an address from which this user has logged in since the start: by user and address;
- everybody else: by user, over all of them, and by address, whatever the user is called.
So a stranger locks out strangers only. The same wrong password counts once: a program with an old one guesses nothing. What is counted stands in
tables of a fixed size under salted digests: memory is bounded, nothing can be pushed out by asking a lot, and a name that nobody has is locked
exactly as one that somebody has. Must not live here: passwords (`passwords`).
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_BUCKETS = 4096
_FREE = 10  # wrong passwords before the first wait: a forgotten Caps Lock costs nobody a night
_FREE_FOR_ADDRESS = 50  # an address may be that of a whole office
_LONGEST, _LONGEST_FOR_STRANGERS = 60.0, 300.0  # seconds
_FORGOTTEN = 3600.0  # seconds without a wrong password
_ADDRESSES = 1000  # that are remembered, for all users together
_GUESSES = 1000  # wrong passwords that are not counted again


class LockedError(Exception):
    """Nothing is checked now; `seconds` are left."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, round(seconds + 0.5))
        super().__init__(f"too many wrong logins; try again in {self.seconds} s")


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who says to be who. `device` tells a browser that has proved to have been let in as this user before."""

    name: str
    address: str
    device: str = ""


@dataclass(slots=True)
class _Tally:
    wrong: int = 0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class _Count:
    """One tally that an attempt counts in."""

    bucket: int
    free: int
    longest: float


class Lockout:
    """Counts wrong logins. For one thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._salt = secrets.token_bytes(32)
        self._tallies: dict[int, _Tally] = {}
        self._known: dict[int, None] = {}  # digests of user and address, oldest first
        self._guesses: dict[int, None] = {}  # digests of user and wrong password, oldest first

    def check(self, attempt: Attempt) -> None:
        """Raises LockedError as long as this attempt has to wait."""
        now = self._now()
        left = max((self._until(one) - now for one in self._counts(attempt)), default=0.0)
        if left > 0:
            raise LockedError(left)

    def failed(self, attempt: Attempt, password: bytes) -> None:
        """The password was wrong."""
        guess = self._digest("guess", attempt.name, attempt.address, password.hex())
        if guess in self._guesses:
            return
        _remember(self._guesses, guess, _GUESSES)
        now = self._now()
        for one in self._counts(attempt):
            tally = self._tallies.setdefault(one.bucket, _Tally())
            tally.wrong = 1 if now - tally.last > _FORGOTTEN else tally.wrong + 1
            tally.last = now

    def passed(self, attempt: Attempt, *, anew: bool) -> None:
        """The password was right: from now on this address is known. `anew`: what was counted against it, or against this browser, is forgotten.

        A program that logs in with every request must not do that: between two of them there would always be room for a guess.
        """
        _remember(self._known, self._digest("known", attempt.name, attempt.address), _ADDRESSES)
        for one in self._counts(attempt) if anew else ():
            self._tallies.pop(one.bucket, None)

    def _counts(self, attempt: Attempt) -> Iterator[_Count]:
        if attempt.device:
            yield _Count(self._bucket("device", attempt.name, attempt.device), _FREE, _LONGEST)
        elif self._digest("known", attempt.name, attempt.address) in self._known:
            yield _Count(self._bucket("address", attempt.name, attempt.address), _FREE, _LONGEST)
        else:
            yield _Count(self._bucket("name", attempt.name), _FREE, _LONGEST_FOR_STRANGERS)
            yield _Count(self._bucket("from", attempt.address), _FREE_FOR_ADDRESS, _LONGEST_FOR_STRANGERS)

    def _until(self, count: _Count) -> float:
        """When the next attempt is looked at."""
        tally = self._tallies.get(count.bucket)
        if tally is None or tally.wrong < count.free or self._now() - tally.last > _FORGOTTEN:
            return 0.0
        return tally.last + min(count.longest, 2.0 ** min(tally.wrong - count.free, 30))

    def _bucket(self, kind: str, *parts: str) -> int:
        """Each kind has buckets of its own."""
        kinds = ("device", "address", "name", "from")
        return kinds.index(kind) * _BUCKETS + self._digest(kind, *parts) % _BUCKETS

    def _digest(self, *parts: str) -> int:
        digest = hashlib.blake2b(key=self._salt, digest_size=16)
        for part in parts:
            raw = part.encode(errors="surrogatepass")
            digest.update(len(raw).to_bytes(8, "big") + raw)
        return int.from_bytes(digest.digest(), "big")


def _remember(known: dict[int, None], one: int, most: int) -> None:
    """As the newest of at most so many."""
    known.pop(one, None)
    known[one] = None
    if len(known) > most:
        del known[next(iter(known))]
