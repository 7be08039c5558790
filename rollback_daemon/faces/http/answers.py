"""What every answer of the API has in common: JSON in ASCII, the shape of a no, and who may answer at all."""

import json
import math
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from rollback_daemon.durations import format_number
from rollback_daemon.errors import OperationRefused
from rollback_daemon.guard import Guard


class ReasonSaid(BaseModel):
    """One reason for a no."""

    code: str
    unknown: bool = Field(description="True when it is not known to be so, only not known to be otherwise.")
    sentence: str


class NotDone(BaseModel):
    """Every answer that is not a success."""

    error: str
    reasons: list[ReasonSaid] = []
    unknown: bool = Field(default=False, description="True when nothing speaks against it but a lack of sight.")


NOT_DONE: dict[int | str, dict[str, Any]] = {
    401: {"model": NotDone, "description": "A login is needed."},
    403: {"model": NotDone, "description": "The caller may not change anything."},
    404: {"model": NotDone, "description": "There is no such rollout."},
    409: {"model": NotDone, "description": "Refused; `reasons` says why, and what would change it."},
    408: {"model": NotDone, "description": "The request did not end in time."},
    413: {"model": NotDone, "description": "The request is larger than 64 KiB, or, with evidence in it, than 22 MiB."},
    422: {"model": NotDone, "description": "The request, or the configuration to be loaded, is not as it must be."},
    429: {"model": NotDone, "description": "Too many logins were wrong, or wait to be checked; Retry-After says for how long."},
    503: {"model": NotDone, "description": "The journal cannot be read or written now."},
}


class AsciiJSON(JSONResponse):
    """JSON in ASCII: what was read from flag files and labels may hold halves of characters, which UTF-8 cannot carry."""

    def render(self, content: Any) -> bytes:
        return bytes(json.dumps(_finite(content), separators=(",", ":"), allow_nan=False), "ascii")


def _finite(content: Any) -> Any:
    """JSON has no infinity; it is written as Prometheus writes it, as text."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return format_number(content) if isinstance(content, float) and not math.isfinite(content) else content


class PassiveError(Exception):
    """This daemon is not in charge and knows nothing of the rollouts; says who does."""


def informed(guard: Guard) -> Guard:
    if not guard.active:
        raise PassiveError(f"this daemon is passive; in charge of the journal is {guard.holder or 'another daemon'}")
    return guard


def active(guard: Guard) -> Guard:
    if not guard.active:
        raise OperationRefused("this daemon is passive; ask the one that is in charge of the journal")
    return guard
