"""What a file tells of its last change: whose it is, when it was written, and who else could have written it.

Lives here: the words for one `stat`. Must not live here: opening a file, comparing, deciding.
"""

import grp
import os
import pwd
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

_CLOSE = 1_000_000_000  # nanoseconds; the two times of one ordinary write lie closer together


def trace_of(status: os.stat_result) -> dict[str, str]:
    """The traces in `status`, for people.

    `owner` (a name, or "uid 1001"), `modified` (RFC 3339, UTC, milliseconds) and `mode` ("0644") are always there; `group` where the
    group may write, and `changed` where the file came to its place, or changed hands, at another time than its content was written.
    """
    trace = {"owner": _owner(status.st_uid), "modified": _stamp(status.st_mtime_ns)}
    if abs(status.st_ctime_ns - status.st_mtime_ns) >= _CLOSE:
        trace["changed"] = _stamp(status.st_ctime_ns)
    if status.st_mode & stat.S_IWGRP:
        trace["group"] = _group(status.st_gid)
    return {**trace, "mode": f"{stat.S_IMODE(status.st_mode):04o}"}


def _stamp(nanoseconds: int) -> str:
    try:
        at = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).replace(microsecond=nanoseconds // 1000 % 1_000_000)
    except (ValueError, OverflowError, OSError):  # a file may bear any time at all
        return f"{nanoseconds // 1_000_000_000} seconds after 1970"
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Remembered, because a flag file is read in every cycle, and names may have to be asked for over the network.
@lru_cache(maxsize=64)
def _owner(number: int) -> str:
    return _named(lambda: pwd.getpwuid(number).pw_name, f"uid {number}")


@lru_cache(maxsize=64)
def _group(number: int) -> str:
    return _named(lambda: grp.getgrgid(number).gr_name, f"gid {number}")


def _named(name: Callable[[], str], otherwise: str) -> str:
    try:
        return name()
    except (KeyError, OSError, OverflowError):
        return otherwise
