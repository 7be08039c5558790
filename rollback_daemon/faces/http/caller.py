"""Who is calling. Until there is a login, only programs on this very machine may change anything, and the kernel says whose they are.

A name in a request's body is worth nothing. The owner of the calling socket stands in /proc/net/tcp; a browser that was led here by another
site is told by its Origin and Host headers.
"""

import ipaddress
import pwd
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request

_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}


class NotAllowedError(Exception):
    """The caller may not change anything; says why, and what would be allowed."""


def identify(request: Request, proc: Path = Path("/proc")) -> str:
    """The caller's name on this machine. Raises NotAllowedError for a caller from elsewhere, or one that may be led by another site."""
    client = request.client
    if client is None or not _is_loopback(client.host):
        raise NotAllowedError("changing is allowed from this machine only (connect to 127.0.0.1); reading is open")
    if any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via")):
        raise NotAllowedError("the request came through a proxy; changing is allowed from this machine only")
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    origin = request.headers.get("origin")
    if host not in _LOOPBACK_NAMES or (origin and urlsplit(origin).netloc != request.headers.get("host")):
        raise NotAllowedError("the request was made by a page of another site; changing is refused")
    return _owner(client.port, proc) or f"somebody on {client.host}"


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _owner(port: int, proc: Path) -> str | None:
    """The name of the user whose socket sends from that local port."""
    for uid in _owners(port, proc):
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"uid {uid}"
    return None


def _owners(port: int, proc: Path) -> Iterator[int]:
    """Rows of /proc/net/tcp: slot, local address:port in hexadecimal, remote, state, queues, timer, retransmits, uid, ..."""
    for name in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if int(fields[1].rsplit(":", 1)[1], 16) == port and fields[3] == "01":  # 01: established
                yield int(fields[7])
