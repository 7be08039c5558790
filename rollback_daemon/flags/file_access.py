"""Who may do what with a file, carried over to the file that takes its place.

Lives here: owner, group, mode, extended attributes and access lists. Must not live here: content, names, the order of a
replacement.
"""

import errno
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rollback_daemon.errors import Refused

# EINVAL: an owner without a number in this container
_NOT_ALLOWED = {errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP}
_ACCESS_LIST = "system.posix_acl_access"


def attributes(descriptor: int) -> dict[str, bytes]:
    """The extended attributes of an open file, those that may be read; none where the file system has none."""
    found: dict[str, bytes] = {}
    with suppress(OSError):
        for name in os.listxattr(descriptor):
            with suppress(OSError):
                found[name] = os.getxattr(descriptor, name)
    return found


def carry_over(path: Path, old: os.stat_result, kept: Mapping[str, bytes], descriptor: int) -> None:
    """Give a new, still empty file the owner, the attributes `kept` and the mode of the `old` file at `path`.

    The mode comes last: until then only we may open it. An owner that cannot be kept is no error as long as nobody
    gains access and neither owner nor group lose theirs; otherwise raises Refused. Other failures are OSError.
    """
    mode = stat.S_IMODE(old.st_mode)
    new = _give(descriptor, old.st_uid, old.st_gid)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        _refuse_other_access(path, old, new)
        mode &= 0o777  # "set user id" would mean somebody else now
    _copy_attributes(descriptor, kept)
    os.fchmod(descriptor, mode)


def _give(descriptor: int, user: int, group: int) -> os.stat_result:
    """Give the file to its owner and group, or at least to its group; returns whose it is."""
    for owner in (user, -1):
        present = os.fstat(descriptor)
        if (present.st_uid, present.st_gid) == (user, group):
            break
        try:
            os.fchown(descriptor, owner, group)
        except OSError as error:
            if error.errno not in _NOT_ALLOWED:
                raise
    return os.fstat(descriptor)


def _refuse_other_access(path: Path, old: os.stat_result, new: os.stat_result) -> None:
    owner, group, others = (old.st_mode >> shift & 7 for shift in (6, 3, 0))
    if new.st_gid != old.st_gid and group != others:
        raise Refused(
            f"{path}: group {old.st_gid} cannot be kept and would change places with group {new.st_gid}: let this user join group {old.st_gid}"
        )
    if new.st_uid != old.st_uid and (owner & 4 & ~(group | others) or (group | others) & ~owner):
        raise Refused(f"{path}: owner {old.st_uid} cannot be kept and would lose or gain access: run as that user, or let the file's group read it")


def _copy_attributes(descriptor: int, kept: Mapping[str, bytes]) -> None:
    """Copy what can be copied; an access list decides who may read, so that one not copied, or inherited from the
    folder, is an error.
    """
    present = attributes(descriptor)
    for name, value in kept.items():
        if present.get(name) != value:
            _set_attribute(descriptor, name, value)
    if _ACCESS_LIST in present and _ACCESS_LIST not in kept:
        os.removexattr(descriptor, _ACCESS_LIST)


def _set_attribute(descriptor: int, name: str, value: bytes) -> None:
    try:
        os.setxattr(descriptor, name, value)
    except OSError:
        if name == _ACCESS_LIST:
            raise
