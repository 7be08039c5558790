"""The route that takes evidence: what the rules declare is read here, by its kind; of anything else the digest goes on record.

Must not live here: formats (`evidence`), what counts (the judge), how large a body may be (`limits`).
"""

import base64
import binascii
import hashlib

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from rollback_daemon.clock import SystemClock
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.evidence.kind import MAX_BYTES
from rollback_daemon.faces.http.answers import NOT_DONE, AsciiJSON, NotDone, ReasonSaid, active
from rollback_daemon.faces.http.caller import identify
from rollback_daemon.faces.http.changes import Case, Digest, Reasoned, Word, do
from rollback_daemon.guard import Guard
from rollback_daemon.judge import consent, figures
from rollback_daemon.judge.state import Happened
from rollback_daemon.rules.duties import Declared

_CLOCK = SystemClock()
_MOST_SAID = 2000  # characters of what was wrong, on record; the answer has all of it


class EvidenceRequest(Reasoned):
    """A result, by the digest of its text; `file` is what it was called, `bytes` how long it is.

    `content` is the file itself in base64; needed for evidence that the rule file declares, and looked at for no other.
    """

    file: Word
    sha256: Digest
    bytes: int = Field(ge=0)
    content: str | None = Field(default=None, max_length=MAX_BYTES * 4 // 3 + 4, description="The file in base64.")


def add(api: FastAPI, guard: Guard) -> None:
    """Put the route into the application."""

    @api.post("/api/v1/rollouts/{rollout}/evidence/{name}", responses=NOT_DONE)
    def evidence(rollout: str, name: str, body: EvidenceRequest, request: Request) -> JSONResponse:
        """Put a result on record, read into figures where the rule file declares of which kind it is. One with mistakes is refused, on record."""
        by = identify(request)
        watch = active(guard).watch(rollout)
        declared = watch.rollout.declared(name)
        try:
            reading = None if declared is None or body.content is None else _read(declared, body)
        except ConfigurationError as error:
            said = [str(problem) for problem in error.problems]
            kind = declared.kind if declared else ""
            watch.refused("evidence", by, body.reason, f'evidence "{name}" is not taken: {"; ".join(said)}'[:_MOST_SAID])
            reasons = [ReasonSaid(code="evidence", unknown=False, sentence=one) for one in said]
            what = f'evidence "{name}" of {rollout} is not taken, and nothing has changed: {body.file} cannot be read as {kind}'
            return AsciiJSON(NotDone(error=what, reasons=reasons).model_dump(), 422)
        file = consent.File(body.file, body.sha256, body.bytes)

        def decide(it: Case) -> Happened:
            return consent.evidence(it.rollout, it.state, it.person, name, body.reason, file, reading, it.now)

        return do(guard, request, rollout, body, decide)


def _read(declared: Declared, body: EvidenceRequest) -> figures.Reading:
    """The content by its kind. Raises ConfigurationError with every mistake in it."""
    try:
        data = base64.b64decode(body.content or "", validate=True)
    except binascii.Error as error:
        raise ConfigurationError([Problem(body.file, 0, 0, "", f"is no base64: {str(error).lower()}")]) from error
    if hashlib.sha256(data).hexdigest() != body.sha256 or len(data) != body.bytes:
        raise ConfigurationError([Problem(body.file, 0, 0, "", "is not what its digest and its size say; hand it in again")])
    return figures.read(declared, data, body.file, _CLOCK.now())
