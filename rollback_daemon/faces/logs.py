"""Logging: `key=value` lines for people at a terminal, JSON lines otherwise; the libraries' own records go the same way.

Nothing waits for standard error, and nothing fails because of it: lines queue for a thread of their own. Must not live here: what is said.
"""

import atexit
import contextlib
import io
import json
import logging
import os
import queue
import re
import select
import sys
import threading
import time
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import structlog

FORMATS = ("auto", "logfmt", "json")
LEVELS = ("debug", "info", "warn", "error")
LINES = 10_000  # that may wait for a reader
_LAST_LINES = 1.0  # seconds that the end of the process waits for them
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SELDOM = 60.0  # seconds between two lines of a library about the same thing


def configure(level: str, log_format: str) -> None:
    """Set logging up for the process; `auto` is logfmt on a terminal and JSON otherwise. Everything goes to standard error.

    `sys.stderr` itself is replaced, for a traceback must not wait for a reader either.
    """
    number = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}[level]
    as_text = log_format == "logfmt" or (log_format == "auto" and sys.stderr is not None and sys.stderr.isatty())
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.EventRenamer("msg"),
        structlog.processors.format_exc_info,
    ]
    as_logfmt = structlog.processors.LogfmtRenderer(key_order=_FIRST, drop_missing=True)
    last: list[Any] = [_plain, as_logfmt] if as_text else [_ordered, structlog.processors.JSONRenderer(default=str)]
    lines = Lines(_descriptor(), _say_dropped)
    sys.stderr = io.TextIOWrapper(lines, encoding="utf-8", errors="backslashreplace", write_through=True)
    atexit.register(lines.wait, _LAST_LINES)
    structlog.configure(
        processors=[_Safely([*before, *last])],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    forward = _Forward()
    forward.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers[:] = [forward]
    root.setLevel(max(number, logging.WARNING))


class Lines(io.BufferedIOBase):
    """Takes bytes at once and writes them to a descriptor from a thread of its own. Safe to share; never raises on account of the descriptor.

    At most `limit` pieces wait; what comes on top is dropped, as is what cannot be written. `dropped` is told how many once lines get through again.
    """

    def __init__(self, descriptor: int, dropped: Callable[[int], None], limit: int = LINES) -> None:
        super().__init__()
        self._descriptor, self._tell, self._limit = descriptor, dropped, limit
        self._queue: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()  # its put may interrupt itself, as in a signal handler
        self._counting, self._dropped = threading.RLock(), 0
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return self._descriptor >= 0 and os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """Queue these bytes, or drop them."""
        piece = bytes(data)
        if self._queue.qsize() < self._limit:
            self._queue.put(piece)
        else:
            self._lost()
        return len(piece)

    def wait(self, seconds: float) -> bool:
        """Until all that was queued is written, for so many seconds at most; whether it is."""
        written = threading.Event()
        self._queue.put(written)
        return written.wait(seconds)

    def _write_all(self) -> None:
        while True:
            piece = self._queue.get()
            if isinstance(piece, threading.Event):
                piece.set()
            elif not self._written(piece):
                self._lost()
            elif self._dropped and self._queue.qsize() <= self._limit // 2:  # only then is there room for saying so
                with self._counting:
                    count, self._dropped = self._dropped, 0
                self._tell(count)

    def _written(self, piece: bytes) -> bool:
        while piece:
            try:
                piece = piece[os.write(self._descriptor, piece) :]
            except BlockingIOError:  # somebody who shares the pipe made it so
                select.select([], [self._descriptor], [], 1.0)
            except (OSError, ValueError):
                return False
        return True

    def _lost(self) -> None:
        with self._counting:
            self._dropped += 1


class Seldom(logging.Filter):
    """Of a library's records about the same thing, lets one a minute through: whoever connects must not fill the log."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now, self._said = now, dict[tuple[object, ...], float]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this one passes. The same thing: the same logger, first line (unformatted) and kind of exception."""
        about = (record.name, str(record.msg).partition("\n")[0], record.exc_info[0] if record.exc_info else None)
        now = self._now()
        if about in self._said and now - self._said[about] < _SELDOM:
            return False
        if len(self._said) >= 1000:
            self._said.clear()
        self._said[about] = now
        return True


class _Forward(logging.Handler):
    """Hands a library's record to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 (the library's words do not fit its values, or a value cannot be shown)
            message = str(record.msg)
        log.log(record.levelno, message, logger=record.name, **({"exc_info": record.exc_info} if record.exc_info else {}))


_FIRST = ("ts", "level", "msg", "rollout")


class _Safely:
    """The processors in one: where they cannot show a value, the line says so in its place."""

    def __init__(self, processors: Sequence[Any]) -> None:
        self._processors = processors

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        try:
            return self._through(logger, method, dict(event))
        except structlog.DropEvent:
            raise
        except Exception:  # noqa: BLE001 (whatever a value's own code raises: a rollback may be waiting behind this line)
            return self._through(logger, method, {re.sub(r'[\s="]', "_", key): _showable(value) for key, value in event.items()})

    def _through(self, logger: Any, method: str, event: Any) -> Any:
        for processor in self._processors:
            event = processor(logger, method, event)
        return event


def _showable(value: Any) -> Any:
    """The value, if it can be shown, as plain data; else its type."""
    with contextlib.suppress(Exception):
        return json.loads(json.dumps(value, default=str))
    return f"<{type(value).__name__} that cannot be shown>"


def _descriptor() -> int:
    """Standard error's, or -1 where there is none: then 2 may be somebody else's, say the journal's."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return -1


def _say_dropped(count: int) -> None:
    structlog.get_logger().warning("lines of this log were dropped, for nobody took them in time", count=count)


def _level(_: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """The level, by the names that `--log.level` knows."""
    return {**event, "level": {"warning": "warn", "exception": "error", "critical": "error"}.get(method, method)}


def _ordered(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """What every line has stands first, in one order."""
    return {**{key: event[key] for key in _FIRST if key in event}, **event}


def _plain(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """logfmt knows text and numbers; the rest becomes text or JSON, what is empty is left out, and a line stays a line
    that steers no terminal: anybody may send a name to log in with.
    """
    return {key: _text(value) for key, value in event.items() if value not in ("", [], {}, None)}


def _text(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        value = "; ".join(str(_text(one)) for one in value)
    if isinstance(value, (dict, bool)):
        value = json.dumps(value, default=str, ensure_ascii=False)
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], value) if isinstance(value, str) else value
