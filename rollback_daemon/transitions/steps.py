"""Running one thing that must succeed: a command, a GET whose answer must say certain things, a log in which something must not appear.

Lives here: how a step is run and when it has succeeded. Must not live here: which steps there are, what follows when one fails.
"""

import json
import shlex
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.flags.store import same
from rollback_daemon.flags.text_format import tokens
from rollback_daemon.rules.aftercare import LogScan
from rollback_daemon.rules.duties import Command, HttpCheck
from rollback_daemon.signals.fetch import NoPage, Page, fetch, shown
from rollback_daemon.transitions.hooks import Ran, run
from rollback_daemon.transitions.log_scan import Mark, Scanned, scan

_AGAIN = 0.25  # seconds between two tries; an application that restarts answers well soon
_KEPT = 1024  # bytes of an answer that are worth keeping
_WIDEST = 100  # characters of a value in a sentence
_ABSENT = object()
_NONE: Mapping[str, Mark] = MappingProxyType({})


def run_step(step: Command | HttpCheck | LogScan, environment: Mapping[str, str], stop: threading.Event, marks: Mapping[str, Mark] = _NONE) -> Ran:
    """Run the step until it succeeds, fails, its timeout is over or `stop` is set. Never raises for what the step does.

    A check is asked again until its timeout is over for as long as it fails, and what it last found is the error; a command runs once. A log is
    scanned once, from its mark on (`marks` by path); where that cannot be done in whole, and nothing is found in the rest, the error is `unknown`.
    An error does not say the address that was asked: it is told beside what the step is (`describe`).
    """
    match step:
        case Command():
            return run(step, environment, stop)
        case HttpCheck():
            return _check(step, stop)
        case LogScan():
            return _scan(step, marks.get(step.path), stop)


def describe(step: Command | HttpCheck | LogScan) -> str:
    """The step for people, without secrets of its address: `GET http://127.0.0.1:8000/health`, `./smoke.sh`, `log app.log without "ERROR"`."""
    match step:
        case Command():
            return shlex.join(step.argv)
        case HttpCheck():
            return f"GET {shown(step.url)}"
        case LogScan():
            return f'log {step.path} without "{step.without}"'


def _scan(step: LogScan, since: Mark | None, stop: threading.Event) -> Ran:
    started = time.monotonic()
    if since is None:
        return Ran(f"where {step.path} ended at the transition is not on record", "", 0.0, unknown=True)
    scanned = scan(step.path, step.without, since, stop)
    seconds = time.monotonic() - started
    if scanned.found:
        return Ran(f'"{step.without}" appears in {step.path}: {scanned.found}', scanned.found, seconds)
    if scanned.unknown:
        return Ran(f"could not tell: {scanned.unknown}", "", seconds, unknown=True)
    return Ran("", _read(scanned), seconds)


def _read(scanned: Scanned) -> str:
    """How much a scan that found nothing has looked at."""
    if not scanned.size:
        return "nothing was written to it since the transition"
    size = "1 byte" if scanned.size == 1 else f"{scanned.size} bytes"
    return f"{size} in {'1 file' if scanned.files == 1 else f'{scanned.files} files'} since the transition"


def _check(check: HttpCheck, stop: threading.Event) -> Ran:
    started = time.monotonic()
    deadline = started + check.timeout.total_seconds()
    error = output = ""
    while True:
        page = fetch(check.url, deadline, stop)
        if isinstance(page, Page):
            error, output = _failure(check, page), page.body[:_KEPT].decode(errors="replace").strip()
        elif not page.late or not error:  # that the last of many tries came to no end says less than what the one before it found
            error = _no_answer(check, page)
        if error and stop.is_set():
            error = "it had to give way to something more urgent"
        over = not error or stop.is_set() or time.monotonic() + _AGAIN > deadline
        if over:
            return Ran(error, output, time.monotonic() - started)
        stop.wait(_AGAIN)


def _no_answer(check: HttpCheck, page: NoPage) -> str:
    if page.late:
        return f"did not answer within {format_duration(check.timeout)}"
    return f"cannot be asked: {page.why}"


def _failure(check: HttpCheck, page: Page) -> str:
    """What the answer lacks; empty when it has everything."""
    if not 200 <= page.status < 300:
        return f"answered {page.status}"
    if not check.expect:
        return ""
    if not page.whole:
        return "the answer is larger than 1 MiB"
    try:
        document = json.loads(page.body, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return "the answer is not JSON"
    wrong = [_difference(pointer, _at(document, pointer), wanted) for pointer, wanted in check.expect.items()]
    return "; ".join(filter(None, wrong))


def _difference(pointer: str, found: Any, wanted: Any) -> str:
    if found is _ABSENT:
        return f"{pointer} is not in the answer"
    return "" if same(found, wanted) else f"{pointer or 'the answer'} is {_text(found)}, must be {_text(wanted)}"


def _at(document: Any, pointer: str) -> Any:
    """What stands at a JSON Pointer (RFC 6901); _ABSENT where there is nothing."""
    found = document
    for token in tokens(pointer) if pointer else ():
        if isinstance(found, dict) and token in found:
            found = found[token]
        elif isinstance(found, list) and _is_index(token, len(found)):
            found = found[int(token)]
        else:
            return _ABSENT
    return found


def _is_index(token: str, length: int) -> bool:
    """Whether the token is an element's number as the RFC writes it: digits, without leading zeros."""
    return token.isascii() and token.isdigit() and len(token) <= len(str(length)) and str(int(token)) == token and int(token) < length


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."


def _no_json(constant: str) -> Any:
    """NaN and infinities, which Python reads and JSON does not have."""
    raise ValueError(constant)
