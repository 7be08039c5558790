"""The web server: uvicorn on a thread of its own, bound before the daemon says that it has started."""

import socket
import threading
from collections.abc import Callable, Sequence

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.faces.http.access import Access
from rollback_daemon.faces.http.api import build
from rollback_daemon.faces.http.doorkeeper import Doorkeeper
from rollback_daemon.faces.http.events import Streams
from rollback_daemon.faces.http.limits import BACKLOG, HEADER_BYTES, BodyLimit, Patience
from rollback_daemon.faces.http.login import Gate
from rollback_daemon.faces.http.reach import NOWHERE, Reach
from rollback_daemon.faces.http.tls import handshaking
from rollback_daemon.faces.http.turned_away import TurnedAway
from rollback_daemon.guard import Guard


class WebServer:
    """Serves the API, and what `more` there is, to whom `access` lets in, below the path where it is `known` to be reached.

    Raises ConfigurationError when the address cannot be bound.
    """

    def __init__(
        self,
        guard: Guard,
        registry: CollectorRegistry,
        reload: Callable[[], None],
        access: Access,
        host: str,
        port: int,
        more: Sequence[Callable[[FastAPI, Guard], None]] = (),
        known: Reach = NOWHERE,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sends small answers at once only where it is named
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise ConfigurationError([Problem("--web.listen-address", 0, 0, "", f"{host}:{port} cannot be bound: {error.strerror}")]) from error
        self._scheme = access.scheme
        api = build(guard, registry, reload, more)
        self._streams: Streams = api.state.streams
        api.servers = [{"url": known.links}] if known.links else []
        api.state.keeper = Doorkeeper(access, known, self._socket.getsockname()[1])
        settings = uvicorn.Config(
            Gate(BodyLimit(api), api.state.keeper, TurnedAway(guard)),
            http=handshaking(access.context) if access.scheme == "https" else Patience,
            ws="none",
            limit_concurrency=100,
            timeout_keep_alive=5,
            backlog=BACKLOG,
            h11_max_incomplete_event_size=HEADER_BYTES,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,  # who may change something is told by the connection itself
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="web", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"{self._scheme}://[{host}]:{port}" if ":" in host else f"{self._scheme}://{host}:{port}"

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what was asked, then close."""
        self._streams.close()  # who only listens is not waited for
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()
