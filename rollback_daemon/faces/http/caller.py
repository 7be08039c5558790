"""Who is calling, and whether he may change anything: by his login or client certificate, or else by what the kernel says of his socket.

Where the web configuration asks for logins or client certificates, whoever has shown one may change things, from anywhere; a login comes before
a certificate when both are there, as the person at the keyboard comes before the machine; a session of the page is a login that was shown
before. Where it asks for neither, only programs on this very machine may, under the name of the owner of their socket in /proc/net/tcp. A name in
a request's body is worth nothing; and a browser that was led here by another site is told by its Origin, Sec-Fetch-Site and Host headers.
Must not live here: how a login is checked (`login`, `tls`).
"""

import ipaddress
import pwd
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request

from rollback_daemon.faces.http.reach import reach_of
from rollback_daemon.faces.http.sessions import Session
from rollback_daemon.faces.http.web_config import OURSELVES

CALLER = "caller"
"""Where the `Caller` stands in the state of a request; absent where nobody is asked who he is."""
CHALLENGE = {"www-authenticate": 'Basic realm="rollbackd", charset="UTF-8"'}
"""The headers that go with every 401."""
_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
_PROXIES = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_ESTABLISHED = "01"
_OTHER_SITE = "the request was made by a page of another site; changing is refused"


class NotAllowedError(Exception):
    """The caller may not change anything; says why, and what would be allowed."""


class NotAuthenticatedError(Exception):
    """The caller may read, and must say who he is to change anything. Answered with 401 and CHALLENGE."""


class Way(Enum):
    """How callers say who they are."""

    LOGIN = "login"
    SESSION = "session"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was let in; `name` is None for one who has not said, and may only read. `way`: how he said, or must say. `session`: his, on the page."""

    name: str | None
    way: Way
    session: Session | None = None


def identify(request: Request, proc: Path = Path("/proc")) -> str:
    """The name of whoever asks for a change: of the user who logged in, else of the client certificate, else (where neither is asked for) of
    the owner of the calling socket on this machine.

    Raises NotAuthenticatedError where a login is asked for and not given. Raises NotAllowedError for a caller without the certificate that is
    asked for, one from elsewhere where nobody can say who he is, and one that may be led by another site.
    """
    caller: Caller | None = request.scope.get("state", {}).get(CALLER)
    if caller is None:
        return _on_this_machine(request, proc)
    if caller.name is None and caller.way is Way.LOGIN:
        raise NotAuthenticatedError("changing needs a login: a user name and a password")
    if caller.name is None:
        raise NotAllowedError("changing needs a client certificate with a common name, or an e-mail or DNS name")
    if caller.way is Way.CERTIFICATE and _came_through_proxy(request):
        raise NotAllowedError("the request came through a proxy, whose certificate does not say who asks; connect directly")
    if is_of_another_site(request):
        raise NotAllowedError(_OTHER_SITE)
    if caller.name == OURSELVES:  # of a certificate; a login of that name is refused with the file
        raise NotAllowedError(f'"{OURSELVES}" stands on record for the guard itself; use a certificate of another name')
    return caller.name


def _on_this_machine(request: Request, proc: Path) -> str:
    client = request.client
    if client is None or not _is_loopback(client.host):
        raise NotAllowedError("changing is allowed from this machine only (connect to 127.0.0.1); reading is open")
    if _came_through_proxy(request):
        raise NotAllowedError("the request came through a proxy; changing is allowed from this machine only")
    if _name(request.headers.get("host", "")) not in _LOOPBACK_NAMES or is_of_another_site(request):
        raise NotAllowedError(_OTHER_SITE)
    name = _owner((client.host, client.port), _port(request), proc) or f"somebody on {client.host}"
    return f"the user {name}" if name == OURSELVES else name


def _came_through_proxy(request: Request) -> bool:
    return any(name in request.headers for name in _PROXIES)


def is_of_another_site(request: Request) -> bool:
    """Whether a browser says that it is not a page of the daemon itself that asks, at the address that it was called by, or at the external URL.

    Whoever follows a link from elsewhere asks for a page, and changes nothing by that.
    """
    origin = request.headers.get("origin")
    if origin and origin.partition("://")[2] != request.headers.get("host", "") and origin != reach_of(request.scope).origin:
        return True
    return request.method not in {"GET", "HEAD"} and request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}


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
