"""The route that takes evidence: of what the rules declare the content, of anything else the digest.

Must not live here: reading it into figures (`intake.taking`), what counts (the judge), how large a body may be (`limits`).
"""

import base64
import binascii
import hashlib
from dataclasses import replace

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from rollback_daemon.clock import SystemClock
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.evidence.kind import MAX_BYTES
from rollback_daemon.faces.http.answers import NOT_DONE, AsciiJSON, NotDone, ReasonSaid, active
from rollback_daemon.faces.http.caller import identify
from rollback_daemon.faces.http.changes import Digest, Reasoned, Word, done
from rollback_daemon.guard import Guard
from rollback_daemon.intake import taking
from rollback_daemon.judge import consent
from rollback_daemon.watch import Watch

_CLOCK = SystemClock()


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
        """Put a result on record, read into figures where the rule file declares of which kind it is. One with mistakes is refused, on record.

        `unchanged` in the answer: it is on record already, and why nothing was done.
        """
        person, watch = guard.person(identify(request)), active(guard).watch(rollout)
        declared = watch.rollout.declared(name)
        handed = taking.Handed(name, person, body.reason, consent.File(body.file, body.sha256, body.bytes), None)
        try:
            if declared is not None and body.content is not None:
                handed = replace(handed, data=_content(watch, handed, body.content))
            standing = taking.take(watch, handed, _CLOCK.now())
        except ConfigurationError as error:
            reasons = [ReasonSaid(code="evidence", unknown=False, sentence=str(problem)) for problem in error.problems]
            kind = declared.kind if declared else ""
            what = f'evidence "{name}" of {rollout} is not taken, and nothing has changed: {body.file} cannot be read as {kind}'
            return AsciiJSON(NotDone(error=what, reasons=reasons).model_dump(), 422)
        return done(guard, rollout, unchanged=standing)


def _content(watch: Watch, handed: taking.Handed, content: str) -> bytes:
    """The file itself. Raises ConfigurationError where it is not what the request says; that is on record."""
    what = ""
    try:
        data = base64.b64decode(content, validate=True)
    except binascii.Error as error:
        data, what = b"", f"is no base64: {str(error).lower()}"
    if not what and (hashlib.sha256(data).hexdigest(), len(data)) != (handed.file.sha256, handed.file.size):
        what = "is not what its digest and its size say; hand it in again"
    if what:
        problem = Problem(handed.file.name, 0, 0, "", what)
        taking.refuse(watch, handed, str(problem))
        raise ConfigurationError([problem])
    return data
