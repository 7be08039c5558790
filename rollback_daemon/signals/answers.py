"""Reading an HTTP answer within a deadline and a size, and remembering it for the thread that asked.

`requests` bounds the wait for each read, not for the whole answer, so a server that drips one byte a second would hold a thread for ever; and
prometheus-api-client gives away the result without the warnings beside it. Lives here: the transport adapter that mends both.
"""

import io
import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from rollback_daemon.signals.waiting import Waiting

_LARGEST = 64 * 1024 * 1024  # bytes of one answer; ten thousand series need about two million


class UnreadableAnswer(requests.RequestException):
    """An answer came, and it is too large or not packed as it says."""


class LastAnswer(threading.local):
    """The answer that the calling thread got last, and the monotonic time until which it may be read."""

    deadline: float = float("inf")
    status: int = 0
    body: bytes = b""

    def start(self, deadline: float) -> None:
        """Forget the one before; the next must be complete at `deadline` (monotonic seconds)."""
        self.deadline, self.status, self.body = deadline, 0, b""

    def warnings(self) -> tuple[str, ...]:
        """`warnings` and `infos` that rode beside the result; parsed only when there are any."""
        if b'"warnings"' not in self.body and b'"infos"' not in self.body:
            return ()
        said = json.loads(self.body)
        return tuple(str(text) for kind in ("warnings", "infos") for text in said.get(kind) or ())


class LimitedAnswers(BaseAdapter):
    """A transport adapter that reads the whole answer itself, bounded in time and size."""

    def __init__(self, inner: HTTPAdapter, last: LastAnswer, waiting: Waiting) -> None:
        super().__init__()
        self._inner, self._last, self._waiting = inner, last, waiting

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002 (the signature is requests')
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002 (as above)
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        with self._waiting.until(self._last.deadline):
            response = self._inner.send(request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
            try:
                body = self._read(response.raw)
            except BaseException:
                response.close()
                raise
        response.raw.release_conn()
        self._last.status, self._last.body = response.status_code, body
        response.raw = io.BytesIO(body)
        return response

    def close(self) -> None:
        self._inner.close()

    def _read(self, raw: Any) -> bytes:
        """The whole body. urllib3's errors become those of requests, as its own reading would do."""
        try:
            return self._read_parts(raw)
        except urllib3.exceptions.ReadTimeoutError:
            raise _too_late() from None
        except urllib3.exceptions.DecodeError:
            raise UnreadableAnswer("the answer is not packed as it says") from None
        except urllib3.exceptions.HTTPError:
            raise requests.ConnectionError("the answer was cut off") from None

    def _read_parts(self, raw: Any) -> bytes:
        parts, size = [], 0
        while part := raw.read1(65536, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > _LARGEST:
                raise UnreadableAnswer(f"the answer is larger than {_LARGEST} bytes")
            if time.monotonic() > self._last.deadline:
                raise _too_late()
        return b"".join(parts)


def _too_late() -> requests.Timeout:
    return requests.Timeout("the answer did not end in time")
