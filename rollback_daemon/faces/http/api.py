"""The HTTP API: what may be read and asked, with its OpenAPI document. Every answer is JSON, errors included, except metrics and health.

Lives here: routes and status codes. Must not live here: what an answer says (`views`), whether something may be done (the judge, the watch).
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, ConfigDict, StringConstraints

from rollback_daemon import __version__
from rollback_daemon.errors import ConfigurationError, JournalUnavailable, OperationRefused
from rollback_daemon.faces import views
from rollback_daemon.faces.http.caller import NotAllowedError, identify
from rollback_daemon.guard import Guard
from rollback_daemon.judge.requests import Refusal

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Reasoned(BaseModel):
    """Why something is asked for. Who asks is found out by the daemon, not said by the caller."""

    model_config = ConfigDict(extra="forbid")
    reason: Sentence


class RollbackRequest(Reasoned):
    """Where to: a stage's name, `baseline`, or nothing for the previous stage."""

    to: str | None = None


def build(guard: Guard, registry: CollectorRegistry, reload: Callable[[], None]) -> FastAPI:
    """The application over one guard."""
    api = FastAPI(title="rollbackd", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json")
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

    @api.get("/-/ready", response_class=PlainTextResponse)
    def ready() -> PlainTextResponse:
        """This daemon is in charge and has judged every rollout."""
        if not guard.active:
            return PlainTextResponse("passive: another daemon is in charge of the journal.\n", 503)
        if not guard.evaluated:
            return PlainTextResponse("not every rollout has been evaluated yet.\n", 503)
        return PlainTextResponse("rollbackd is ready.\n")

    @api.post("/-/reload", response_class=PlainTextResponse)
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
        return [views.summary(watch) for watch in guard.watches]

    @api.get("/api/v1/rollouts/{rollout}")
    def one_rollout(rollout: str) -> dict[str, Any]:
        """One rollout in a line."""
        return views.summary(guard.watch(rollout))

    @api.get("/api/v1/rollouts/{rollout}/explain")
    def explain(rollout: str) -> dict[str, Any]:
        """One rollout in full: why it is where it is, and what would change that."""
        return views.explanation(guard.watch(rollout))

    @api.get("/api/v1/rollouts/{rollout}/history")
    def history(rollout: str, limit: Annotated[int, Query(ge=1, le=10_000)] = 100, after: Annotated[int, Query(ge=0)] = 0) -> list[dict[str, Any]]:
        """What happened to a rollout, oldest first: the newest `limit` records that come after the record `after`."""
        guard.watch(rollout)
        records = guard.journal.records(rollout, after=after, limit=limit, newest_first=True)
        return [views.event(record) for record in reversed(records)]


def _changing(api: FastAPI, guard: Guard) -> None:
    def started(rollout: str, transition: str = "") -> JSONResponse:
        more = {"transition": transition} if transition else {}
        return JSONResponse({**views.summary(guard.watch(rollout)), **more}, 202 if transition else 200)

    @api.post("/api/v1/rollouts/{rollout}/promote", status_code=202)
    def promote(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """To the next stage, if nothing blocks it."""
        by = identify(request)
        return started(rollout, _active(guard).watch(rollout).promote(by, body.reason))

    @api.post("/api/v1/rollouts/{rollout}/rollback", status_code=202)
    def rollback(rollout: str, body: RollbackRequest, request: Request) -> JSONResponse:
        """To a lower stage, at once."""
        by = identify(request)
        return started(rollout, _active(guard).watch(rollout).rollback(body.to, by, body.reason))

    @api.post("/api/v1/rollouts/{rollout}/hold")
    def hold(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Stop the way up."""
        by = identify(request)
        _active(guard).watch(rollout).hold(by, body.reason)
        return started(rollout)

    @api.post("/api/v1/rollouts/{rollout}/resume")
    def resume(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Open the way up again after a hold or a rollback."""
        by = identify(request)
        _active(guard).watch(rollout).resume(by, body.reason)
        return started(rollout)


def _active(guard: Guard) -> Guard:
    if not guard.active:
        raise OperationRefused("this daemon is passive; ask the one that is in charge of the journal")
    return guard


def _errors(api: FastAPI) -> None:
    def refused(_: Request, error: Exception) -> JSONResponse:
        reasons = [{"code": one.code, "unknown": one.code.unknown, "sentence": one.sentence} for one in getattr(error, "reasons", ())]
        unknown = isinstance(error, Refusal) and error.unknown
        missing = str(error).startswith("there is no rollout")
        return JSONResponse({"error": str(error), "reasons": reasons, "unknown": unknown}, 404 if missing else 409)

    def invalid(_: Request, error: Exception) -> JSONResponse:
        details = error.errors() if isinstance(error, RequestValidationError) else []
        texts = [f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in details]
        return JSONResponse({"error": "; ".join(texts)}, 422)

    def answer(status: int) -> Callable[[Request, Exception], JSONResponse]:
        return lambda _, error: JSONResponse({"error": str(error)}, status)

    api.add_exception_handler(OperationRefused, refused)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(NotAllowedError, answer(403))
    api.add_exception_handler(ConfigurationError, answer(422))
    api.add_exception_handler(JournalUnavailable, answer(503))
