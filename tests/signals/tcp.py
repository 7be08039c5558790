"""A TCP server that answers HTTP requests byte by byte as a test says: what no well-behaved server would do."""

import json
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

Script = Callable[[socket.socket, threading.Event], None]
"""Says what to send on one connection, its first request read; the event is set when the server closes."""


class TCPServer:
    """Listens on a free port of 127.0.0.1 and plays `script` on each connection, then closes it.

    `connections` counts those made, `ended` those closed again.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads = [threading.Thread(target=self._accept, name="tcp")]
        self.connections = self.ended = 0
        self._threads[0].start()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Stop listening, and end every script that looks at its event."""
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._play, args=(connection,), name="tcp-connection")
            self._threads.append(thread)
            thread.start()

    def _play(self, connection: socket.socket) -> None:
        with connection:
            try:
                read_request(connection)
                self._script(connection, self._closing)
            except OSError:
                pass  # the client went away, which is what some tests are about
        self.ended += 1


def silence(_: socket.socket, closing: threading.Event) -> None:
    """Say nothing until the server closes."""
    closing.wait()


def drip(first: bytes, byte: bytes) -> Script:
    """Send `first`, and then a byte now and then until the server closes."""

    def script(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(first)
        while not closing.wait(0.05):
            connection.sendall(byte)

    return script


ENDLESS: dict[str, Script] = {
    "silence": silence,
    "status": drip(b"HTTP/1.1 200 O", b"K"),
    "head": drip(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x"),
    "body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "chunks": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}
"""Ways of an answer never to come, by the part of it that never ends."""


def read_request(connection: socket.socket) -> bytes:
    """One request without a body; empty when the client has closed."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(4096)
        if not part:
            return b""
        got += part
    return got


def http(body: bytes, *, status: str = "200 OK", length: int | None = None, extra: str = "") -> bytes:
    """A whole HTTP/1.1 answer; `length` is what it claims to be long."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body) if length is None else length}\r\n{extra}\r\n"
    return head.encode() + body


def success(result: Any, **beside: Any) -> bytes:
    """The JSON of a good answer of the query API, with `warnings` and the like beside it."""
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}, **beside}).encode()


ONE = [{"metric": {}, "value": [0, "1"]}]
"""A result of one series without labels, of value 1."""
