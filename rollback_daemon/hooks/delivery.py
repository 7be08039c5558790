"""One call of a hook: a command that reads the event from its standard input, or an HTTP POST of it, signed as Standard Webhooks has it.

Lives here: one try, and what became of it. Must not live here: when to try again (`courier`), what is told (`events`).
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import stat
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from rollback_daemon import __version__
from rollback_daemon.rules.aftercare import Hook
from rollback_daemon.rules.duties import Command
from rollback_daemon.signals.fetch import Page, Posted, fetch, host
from rollback_daemon.transitions.hooks import run

_KEPT = 1024  # bytes of output, or of an answer, that are worth keeping
_LARGEST = 64 * 1024  # bytes of a secret file
_SHORTEST = 8  # characters of a path; nothing shorter can be a key
_NEVER = {400, 410, 413, 415, 422}
"""Answers that say of what was sent that it will not be taken, however often."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one try came to. `error` is empty when it was taken; `final` says that another try would be refused as well."""

    error: str
    output: str
    seconds: float
    final: bool = False


def deliver(hook: Hook, told: Mapping[str, Any], now: datetime, stop: threading.Event) -> Sent:
    """Call the hook once. Over after its timeout, or soon after `stop` is set. Never raises for what the hook does."""
    body = json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return _command(hook.command, told, body, stop) if hook.command else _post(hook, str(told["id"]), body, now, stop)


def signatures(secrets: Sequence[bytes], key: str, seconds: int, body: bytes) -> str:
    """The header `webhook-signature`: one for each secret, separated by spaces, so that a secret can be replaced without a gap."""
    signed = key.encode() + b"." + str(seconds).encode() + b"." + body
    made = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(one).decode()}" for one in made)


def secrets_of(text: str) -> list[bytes]:
    """The secrets of a file, one on each line: `whsec_` and base64, or plain text. Raises ValueError for what is neither."""
    found = [_secret(line.strip()) for line in text.splitlines() if line.strip()]
    if not found or not all(found):
        raise ValueError("has no secret")
    return found


def _secret(line: str) -> bytes:
    if not line.startswith("whsec_"):
        return line.encode()
    try:
        return base64.b64decode(line.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("has a whsec_ secret that is not base64") from None


def _command(command: Command, told: Mapping[str, Any], body: bytes, stop: threading.Event) -> Sent:
    environment = {
        **command.env,
        "ROLLBACKD_EVENT": str(told["event"]),
        "ROLLBACKD_ROLLOUT": str(told["rollout"]),
        "ROLLBACKD_KEY": str(told["id"]),
    }
    ran = run(command, environment, stop, body)
    return Sent(ran.error, _end(ran.output), ran.seconds)


def _post(hook: Hook, key: str, body: bytes, now: datetime, stop: threading.Event) -> Sent:
    started = time.monotonic()
    moment = int(now.timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": f"rollbackd/{__version__}",
        "webhook-id": key,
        "webhook-timestamp": str(moment),
    }
    if hook.secret_file:
        try:
            headers["webhook-signature"] = signatures(_read(hook.secret_file), key, moment, body)
        except ValueError as error:
            return Sent(f'the secret file "{hook.secret_file}" {error}', "", 0.0)
    answer = fetch(hook.http, started + hook.timeout.total_seconds(), stop, posted=Posted(body, headers))
    seconds = time.monotonic() - started
    if not isinstance(answer, Page):
        return Sent(f"{host(hook.http)}: {answer.why}", "", seconds)
    output = _without(hook.http, answer.body.decode(errors="replace"))[:_KEPT].strip()
    if 200 <= answer.status < 300:
        return Sent("", output, seconds)
    return Sent(f"{host(hook.http)} answered {answer.status}", output, seconds, final=answer.status in _NEVER)


def _read(file: str) -> list[bytes]:
    """What stands in the file now: a secret that was replaced needs no reload."""
    try:
        return secrets_of(_content(file).decode())
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {(error.strerror or 'no reason given').lower()}") from None


def _content(file: str) -> bytes:
    """Waits for nothing: a FIFO would keep whoever opens it, and with that the hook. Raises ValueError and OSError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is no regular file; write the secret into one")
        content = os.read(descriptor, _LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > _LARGEST:
        raise ValueError("is larger than 64 KiB; a secret is a line")
    return content


def _without(url: str, answer: str) -> str:
    """The answer, which goes on record, without what is secret of the address: some servers say what was asked."""
    parts = urlsplit(url)
    for secret in (parts.path + (f"?{parts.query}" if parts.query else ""), parts.query, parts.path.rstrip("/")):
        answer = answer.replace(secret, "(path)") if len(secret) >= _SHORTEST else answer
    return answer


def _end(output: str) -> str:
    return output.encode()[-_KEPT:].decode(errors="ignore")
