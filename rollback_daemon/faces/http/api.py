"""The HTTP API: what may be read and asked, with its OpenAPI document. Every answer is JSON, errors included, except metrics and health.

Lives here: routes and status codes. Must not live here: what an answer says (`views`), whether something may be done (the judge, the watch).
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.exceptions import HTTPException

from rollback_daemon import __version__
from rollback_daemon.durations import format_number
from rollback_daemon.errors import ConfigurationError, JournalUnavailable, OperationRefused
from rollback_daemon.faces import views
from rollback_daemon.faces.http.caller import NotAllowedError, identify
from rollback_daemon.guard import Guard
from rollback_daemon.judge.requests import Refusal

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


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


_NOT_DONE: dict[int | str, dict[str, Any]] = {
    403: {"model": NotDone, "description": "The caller may not change anything."},
    404: {"model": NotDone, "description": "There is no such rollout."},
    409: {"model": NotDone, "description": "Refused; `reasons` says why, and what would change it."},
    408: {"model": NotDone, "description": "The request did not end in time."},
    413: {"model": NotDone, "description": "The request is larger than 64 KiB."},
    422: {"model": NotDone, "description": "The request, or the configuration to be loaded, is not as it must be."},
    503: {"model": NotDone, "description": "The journal cannot be read or written now."},
}
_RELOADING: dict[int | str, dict[str, Any]] = {status: said for status, said in _NOT_DONE.items() if status in {403, 422}}
_READING: dict[int | str, dict[str, Any]] = {status: said for status, said in _NOT_DONE.items() if status in {404, 422, 503}}


class Reasoned(BaseModel):
    """Why something is asked for. Who asks is found out by the daemon, not said by the caller."""

    model_config = ConfigDict(extra="forbid")
    reason: Sentence


class RollbackRequest(Reasoned):
    """Where to: a stage's name, `baseline`, or nothing for the previous stage."""

    to: str | None = None


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


def build(guard: Guard, registry: CollectorRegistry, reload: Callable[[], None]) -> FastAPI:
    """The application over one guard."""
    api = FastAPI(
        title="rollbackd",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        default_response_class=AsciiJSON,
    )
    _errors(api)
    _health(api, guard, registry, reload)
    _reading(api, guard)
    _changing(api, guard)
    return api


def _health(api: FastAPI, guard: Guard, registry: CollectorRegistry, reload: Callable[[], None]) -> None:
    @api.get("/", include_in_schema=False)
    def index() -> PlainTextResponse:
        lines = [f"rollbackd {__version__}", "", "/api/v1/rollouts", "/api/v1/openapi.json", "/metrics", "/-/healthy", "/-/ready"]
        return PlainTextResponse("\n".join(lines) + "\n")

    @api.get("/-/healthy", response_class=PlainTextResponse)
    def healthy() -> str:
        """The process answers."""
        return "rollbackd is healthy.\n"

    @api.get("/-/ready", response_class=PlainTextResponse, responses={503: {"description": "Not yet, or passive.", "content": {"text/plain": {}}}})
    def ready() -> PlainTextResponse:
        """This daemon is in charge and has judged every rollout."""
        if not guard.active:
            return PlainTextResponse("passive: another daemon is in charge of the journal.\n", 503)
        if not guard.evaluated:
            return PlainTextResponse("not every rollout has been evaluated with its flags read yet.\n", 503)
        return PlainTextResponse("rollbackd is ready.\n")

    @api.post("/-/reload", response_class=PlainTextResponse, responses=_RELOADING)
    def reload_configuration(request: Request) -> str:
        """Load the configuration again, as SIGHUP does."""
        identify(request)
        reload()
        return "reloaded.\n"

    @api.get("/metrics", response_class=PlainTextResponse)
    def metrics(request: Request) -> Response:
        """The daemon's own metrics."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)


def _reading(api: FastAPI, guard: Guard) -> None:
    @api.get("/api/v1/rollouts")
    def rollouts() -> list[dict[str, Any]]:
        """Every rollout in a line."""
        return [views.summary(watch) for watch in _informed(guard).watches]

    @api.get("/api/v1/rollouts/{rollout}", responses=_READING)
    def one_rollout(rollout: str) -> dict[str, Any]:
        """One rollout in a line."""
        return views.summary(_informed(guard).watch(rollout))

    @api.get("/api/v1/rollouts/{rollout}/explain", responses=_READING)
    def explain(rollout: str) -> dict[str, Any]:
        """One rollout in full: why it is where it is, and what would change that."""
        return views.explanation(_informed(guard).watch(rollout))

    @api.get("/api/v1/rollouts/{rollout}/history", responses=_READING)
    def history(
        rollout: str, limit: Annotated[int, Query(ge=1, le=10_000)] = 100, after: Annotated[int, Query(ge=0, lt=2**63)] = 0
    ) -> list[dict[str, Any]]:
        """What happened to a rollout, oldest first: the newest `limit` records that come after the record `after`."""
        guard.watch(rollout)
        records = guard.journal.records(rollout, after=after, limit=limit, newest_first=True)
        return [views.event(record) for record in reversed(records)]


def _changing(api: FastAPI, guard: Guard) -> None:
    def started(rollout: str, transition: str = "") -> JSONResponse:
        more = {"transition": transition} if transition else {}
        return AsciiJSON({**views.summary(guard.watch(rollout)), **more}, 202 if transition else 200)

    @api.post("/api/v1/rollouts/{rollout}/promote", status_code=202, responses=_NOT_DONE)
    def promote(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """To the next stage, if nothing blocks it."""
        by = identify(request)
        return started(rollout, _active(guard).watch(rollout).promote(by, body.reason))

    @api.post("/api/v1/rollouts/{rollout}/rollback", status_code=202, responses=_NOT_DONE)
    def rollback(rollout: str, body: RollbackRequest, request: Request) -> JSONResponse:
        """To a lower stage, at once."""
        by = identify(request)
        return started(rollout, _active(guard).watch(rollout).rollback(body.to, by, body.reason))

    @api.post("/api/v1/rollouts/{rollout}/hold", responses=_NOT_DONE)
    def hold(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Stop the way up."""
        by = identify(request)
        _active(guard).watch(rollout).hold(by, body.reason)
        return started(rollout)

    @api.post("/api/v1/rollouts/{rollout}/resume", responses=_NOT_DONE)
    def resume(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Open the way up again after a hold or a rollback."""
        by = identify(request)
        _active(guard).watch(rollout).resume(by, body.reason)
        return started(rollout)


class PassiveError(Exception):
    """This daemon is not in charge and knows nothing of the rollouts; says who does."""


def _informed(guard: Guard) -> Guard:
    if not guard.active:
        raise PassiveError(f"this daemon is passive; in charge of the journal is {guard.holder or 'another daemon'}")
    return guard


def _active(guard: Guard) -> Guard:
    if not guard.active:
        raise OperationRefused("this daemon is passive; ask the one that is in charge of the journal")
    return guard


def _errors(api: FastAPI) -> None:
    def refused(_: Request, error: Exception) -> JSONResponse:
        reasons = [ReasonSaid(code=one.code, unknown=one.code.unknown, sentence=one.sentence) for one in getattr(error, "reasons", ())]
        unknown = isinstance(error, Refusal) and error.unknown
        missing = str(error).startswith("there is no rollout")
        return _said(404 if missing else 409, str(error), reasons, unknown=unknown)

    def invalid(_: Request, error: Exception) -> JSONResponse:
        details = error.errors() if isinstance(error, RequestValidationError) else []
        return _said(422, "; ".join(f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in details))

    def misconfigured(_: Request, error: Exception) -> JSONResponse:
        problems = error.problems if isinstance(error, ConfigurationError) else []
        reasons = [ReasonSaid(code="configuration", unknown=False, sentence=str(problem)) for problem in problems]
        return _said(422, "the configuration was not reloaded; the one before stays", reasons)

    def of_http(request: Request, error: Exception) -> JSONResponse:
        """No such path, no such method: said by the framework."""
        if not isinstance(error, HTTPException):
            return defect(request, error)
        return _said(error.status_code, f"{request.method} {request.url.path}: {error.detail.lower()}", headers=error.headers)

    def answer(status: int) -> Callable[[Request, Exception], JSONResponse]:
        return lambda _, error: _said(status, str(error))

    def defect(_: Request, error: Exception) -> JSONResponse:
        return _said(500, f"a defect of rollbackd ({type(error).__name__}); its log has the details")

    api.add_exception_handler(OperationRefused, refused)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(ConfigurationError, misconfigured)
    api.add_exception_handler(HTTPException, of_http)
    api.add_exception_handler(NotAllowedError, answer(403))
    api.add_exception_handler(PassiveError, answer(503))
    api.add_exception_handler(JournalUnavailable, answer(503))
    api.add_exception_handler(Exception, defect)


def _said(
    status: int, error: str, reasons: Sequence[ReasonSaid] = (), *, unknown: bool = False, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(NotDone(error=error, reasons=list(reasons), unknown=unknown).model_dump(), status, headers=headers)
