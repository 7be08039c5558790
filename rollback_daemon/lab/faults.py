"""HTTP servers that can be told to misbehave: the ground for an exporter and for a proxy in front of a real Prometheus.

Lives here: the server and its faults. Must not live here: what a good answer is; each subclass says that in `answer`.
"""

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import requests

_PASSED_ON = {"authorization", "content-type", "accept", "accept-encoding"}


class Fault(Enum):
    """What a server does instead of answering well."""

    NONE = "none"
    HTTP_500 = "http_500"
    HANG = "hang"  # takes the request and says nothing until the fault is changed or the server closed
    BROKEN_BODY = "broken_body"  # 200, and a body that nobody can read
    CUT_OFF = "cut_off"  # announces the whole body, sends half of it and closes


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: method, path with query, and body."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; `content_type` as in HTTP."""

    body: bytes
    content_type: str
    status: int = 200


class MisbehavingServer(ABC):
    """An HTTP server on a free port of 127.0.0.1 that answers well until `fault` is set.

    `requests` holds every request so far, in order. As a context manager it closes itself; closing ends every thread,
    those of hanging requests, too.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._fault = Fault.NONE
        self._changed = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name=type(self).__name__)
        self._thread.start()

    @abstractmethod
    def answer(self, request: Request, /) -> Answer:
        """The good answer to `request`."""

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`, as a scrape target is written."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"http://{self.address}"

    @property
    def fault(self) -> Fault:
        """What it does now. Setting it lets requests go that hang until then; they get no answer."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        changed, self._changed = self._changed, threading.Event()
        self._fault = fault
        changed.set()

    def close(self) -> None:
        """Stop listening and end every thread. May be called twice."""
        self._server.shutdown()
        self._changed.set()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _respond(self, handler: BaseHTTPRequestHandler) -> None:
        changed, fault = self._changed, self._fault
        length = int(handler.headers.get("Content-Length") or 0)
        request = Request(handler.command, handler.path, handler.rfile.read(length), dict(handler.headers.items()))
        self.requests.append(request)
        if fault is Fault.HANG:
            changed.wait()
            return
        answer = _FAULTY.get(fault) or self.answer(request)
        body = answer.body[: len(answer.body) // 2] if fault is Fault.CUT_OFF else answer.body
        handler.send_response(answer.status)
        handler.send_header("Content-Type", answer.content_type)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        respond = self._respond

        class Handler(BaseHTTPRequestHandler):
            # it speaks HTTP/1.0, one request a connection: no thread waits for the next one
            def do_GET(self) -> None:
                respond(self)

            def do_POST(self) -> None:
                respond(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
                """Say nothing: `requests` has it."""

        return Handler


class Proxy(MisbehavingServer):
    """Passes requests on to the server at `upstream` ("http://host:port"), and its answers back."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session = requests.Session()
        self._session.trust_env = False
        super().__init__()

    def answer(self, request: Request, /) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name.lower() in _PASSED_ON}
        url = self._upstream + request.path
        try:
            got = self._session.request(request.method, url, data=request.body, headers=headers, timeout=30)
        except requests.RequestException as problem:
            return Answer(f"{self._upstream} did not answer: {type(problem).__name__}".encode(), "text/plain", 502)
        return Answer(got.content, got.headers.get("Content-Type", "text/plain"), got.status_code)

    def close(self) -> None:
        super().close()
        self._session.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for every thread
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in between is no news; whatever else goes wrong shows on the client's side."""


_FAULTY = {
    Fault.HTTP_500: Answer(b"told to fail\n", "text/plain", 500),
    Fault.BROKEN_BODY: Answer(b'{"status": "succ\x00\xff <<< neither metrics nor JSON\n', "application/json"),
}
