"""Where a key falls among 100,000 buckets, and how many of them a percentage opens.

Lives here: arithmetic, which never changes: a session that stays on its side does so because of it. Must not live here: flags, contexts, files.

    bucket = first 8 bytes of SHA-256(salt, a zero byte, key), both in UTF-8, as a big-endian integer, times 100,000, divided by 2^64, rounded down
    a key is exposed if its bucket is below the percentage times 1,000, rounded down

Buckets open from 0 on and none is closed while the percentage grows, so that who is in stays in. SHA-256 is in every language's standard library
and has no structure that keys could fall in with; it costs less than the rest of an evaluation. What others take: flagd MurmurHash3 of the CBOR of
flag and key, its high bits by multiplication as here; Unleash MurmurHash3 of `group:key`, modulo 100; GO Feature Flag FNV-1a of the flag's name
and the key with nothing between them, modulo. The zero byte keeps ("ab", "c") and ("a", "bc") apart.
"""

import math
import re
from decimal import Decimal
from hashlib import sha256

from rollback_daemon.flags.store import FlagValue

BUCKETS = 100_000
PER_PERCENT = BUCKETS // 100
_PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]+)?%?")


def bucket_of(salt: str, key: str) -> int:
    """The bucket of `key`, from 0 to 99,999. `salt` is what sets one rollout apart from another; it holds no zero character.

    Raises ValueError for a text that cannot be written as UTF-8.
    """
    digest = sha256(f"{salt}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * BUCKETS >> 64


def threshold_of(percent: FlagValue) -> int:
    """How many buckets a percentage opens: 10, 12.5, "10", "12.5" or "10%". What is finer than 0.001 % is rounded down.

    Raises ValueError, in words, for anything else.
    """
    if isinstance(percent, str) and _PERCENT.fullmatch(percent):
        number = Decimal(percent.removesuffix("%"))
    elif isinstance(percent, int | float) and not isinstance(percent, bool) and math.isfinite(percent):
        number = Decimal(str(percent))
    else:
        raise ValueError(f"{percent!r} is no percentage: write a number from 0 to 100")
    if not 0 <= number <= 100:
        raise ValueError(f"{percent!r} is no percentage: it lies outside 0 to 100")
    return int(number * PER_PERCENT)
