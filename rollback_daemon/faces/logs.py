"""Logging: `key=value` lines for people at a terminal, JSON lines otherwise; the libraries' own records go the same way."""

import json
import logging
import sys
from typing import Any

import structlog

FORMATS = ("auto", "logfmt", "json")
LEVELS = ("debug", "info", "warn", "error")


def configure(level: str, log_format: str) -> None:
    """Set logging up for the process; `auto` is logfmt on a terminal and JSON otherwise. Everything goes to standard error."""
    number = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}[level]
    as_text = log_format == "logfmt" or (log_format == "auto" and sys.stderr.isatty())
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.EventRenamer("msg"),
        structlog.processors.format_exc_info,
    ]
    as_logfmt = structlog.processors.LogfmtRenderer(key_order=_FIRST, drop_missing=True)
    last: list[Any] = [_plain, as_logfmt] if as_text else [_ordered, structlog.processors.JSONRenderer(default=str)]
    structlog.configure(
        processors=[*before, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Forward()]
    root.setLevel(max(number, logging.WARNING))


class _Forward(logging.Handler):
    """Hands a library's record to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), logger=record.name, **({"exc_info": record.exc_info} if record.exc_info else {}))


_FIRST = ("ts", "level", "msg", "rollout")


def _level(_: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """The level, by the names that `--log.level` knows."""
    return {**event, "level": {"warning": "warn", "exception": "error", "critical": "error"}.get(method, method)}


def _ordered(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """What every line has stands first, in one order."""
    return {**{key: event[key] for key in _FIRST if key in event}, **event}


def _plain(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """logfmt knows text and numbers; the rest becomes text or JSON, what is empty is left out, and a line stays a line."""
    return {key: _text(value) for key, value in event.items() if value not in ("", [], {}, None)}


def _text(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        value = "; ".join(map(str, value))
    if isinstance(value, (dict, bool)):
        value = json.dumps(value, default=str)
    return value.replace("\n", "\\n") if isinstance(value, str) else value
