"""Who is calling. Until there is a login, only programs on this very machine may change anything, and the kernel says whose they are.

A name in a request's body is worth nothing. The owner of the calling socket stands in /proc/net/tcp; a browser that was led here by another
site is told by its Origin and Host headers.
"""

import ipaddress
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request

_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
_ESTABLISHED = "01"


class NotAllowedError(Exception):
    """The caller may not change anything; says why, and what would be allowed."""


def identify(request: Request, proc: Path = Path("/proc")) -> str:
    """The caller's name on this machine. Raises NotAllowedError for a caller from elsewhere, or one that may be led by another site."""
    client = request.client
    if client is None or not _is_loopback(client.host):
        raise NotAllowedError("changing is allowed from this machine only (connect to 127.0.0.1); reading is open")
    if any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via")):
        raise NotAllowedError("the request came through a proxy; changing is allowed from this machine only")
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if _name(host) not in _LOOPBACK_NAMES or (origin and origin.partition("://")[2] != host):
        raise NotAllowedError("the request was made by a page of another site; changing is refused")
    return _owner((client.host, client.port), _port(request), proc) or f"somebody on {client.host}"


def _name(host: str) -> str | None:
    """The host of `host:port`."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address; an IPv4 one that is written as IPv6 (`::ffff:127.0.0.1`) as what it is."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _port(request: Request) -> int | None:
    """The port that was connected to."""
    server = request.scope.get("server")
    return server[1] if server else None


def _owner(client: tuple[str, int], server_port: int | None, proc: Path) -> str | None:
    """The name of the user whose socket is the client's end of the connection."""
    for uid in _owners(client, server_port, proc):
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"uid {uid}"
    return None


def _owners(client: tuple[str, int], server_port: int | None, proc: Path) -> Iterator[int]:
    """Rows of /proc/net/tcp: slot, local address:port in hexadecimal, remote, state, queues, timer, retransmits, uid, ..."""
    wanted = (_address(client[0]), client[1])
    for name in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _ESTABLISHED and _end(fields[1]) == wanted and server_port in {None, _end(fields[2])[1]}:
                yield int(fields[7])


def _end(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address | None, int]:
    """`0100007F:1F90`: the address in words of four bytes in the machine's own order, the port in hexadecimal."""
    address, port = text.split(":")
    words = [int(address[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(address), 8)]
    return _address(str(ipaddress.ip_address(b"".join(words)))), int(port, 16)
