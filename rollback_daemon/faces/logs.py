"""Logging: `key=value` lines for people at a terminal, JSON lines otherwise; the libraries' own records go the same way."""

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
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.EventRenamer("msg"),
        structlog.processors.format_exc_info,
    ]
    last: list[Any] = (
        [_plain, structlog.processors.LogfmtRenderer(key_order=["ts", "level", "msg", "rollout"])]
        if as_text
        else [structlog.processors.JSONRenderer(default=str)]
    )
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


def _plain(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """logfmt knows text, numbers and booleans; lists become text, and a line stays a line."""
    return {key: _text(value) for key, value in event.items()}


def _text(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        value = "; ".join(map(str, value))
    if isinstance(value, dict):
        value = ",".join(f"{key}={one}" for key, one in value.items())
    return value.replace("\n", "\\n") if isinstance(value, str) else value
