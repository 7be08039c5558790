"""Passwords against bcrypt hashes.

Must not live here: how often somebody may be wrong (`lockout`), who is let in (`login`).
"""

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Mapping

import bcrypt

_KNOWN = 1000  # passwords that were right and are not checked again
_WAITING = 32  # logins from one address that may wait for their turn
_LONGEST = 72  # bytes of a password that bcrypt looks at


def _always() -> None:
    """Nothing stands against it."""


class TooManyError(Exception):
    """So many logins from one address wait already that one more is not taken."""


class Passwords:
    """Checks passwords, one at a time: bcrypt is slow on purpose, and a flood of wrong ones must not take the processor from the guard."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}  # oldest first
        self._waiting: Counter[str] = Counter()
        self._turn = asyncio.Lock()

    async def right(self, users: Mapping[str, bytes], name: str, password: bytes, address: str, may: Callable[[], None] = _always) -> bool:
        """Whether this is the user's password. Raises TooManyError when too many logins from `address` wait.

        An unknown name costs as much as a known one: a hash is checked in any case, always the same for the same name. `may` is asked when it is
        this one's turn, and raises what it likes: many that come at once wait for what came of those before them.
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
                may()
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
