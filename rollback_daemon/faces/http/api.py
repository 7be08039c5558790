"""The HTTP API: what may be read and asked, with its OpenAPI document. Every answer is JSON, errors included, except metrics and health.

Lives here: routes and status codes. Must not live here: what an answer says (`views`), whether something may be done (the judge, the watch).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.exceptions import HTTPException

from rollback_daemon import __version__
from rollback_daemon.clock import SystemClock
from rollback_daemon.documents.complaints import spoken
from rollback_daemon.errors import ConfigurationError, ImpossibleMoment, JournalUnavailable, OperationRefused
from rollback_daemon.faces import views, views_past, views_record
from rollback_daemon.faces.http import aftercare, changes, events, evidence, flags, incidents, simulating
from rollback_daemon.faces.http.answers import NOT_DONE, AsciiJSON, NotDone, PassiveError, ReasonSaid, informed
from rollback_daemon.faces.http.caller import CHALLENGE, NotAllowedError, NotAuthenticatedError, identify
from rollback_daemon.faces.http.leisure import BusyError, Turns
from rollback_daemon.faces.views_aftercare import hooks_behind
from rollback_daemon.governance import about, moments
from rollback_daemon.governance.markdown import markdown
from rollback_daemon.governance.past import past
from rollback_daemon.governance.preflight import preflight as look_before
from rollback_daemon.governance.report import KINDS
from rollback_daemon.governance.report import report as make_report
from rollback_daemon.guard import Guard
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.transitions import Event

_RELOADING: dict[int | str, dict[str, Any]] = {status: said for status, said in NOT_DONE.items() if status in {403, 422}}
_READING: dict[int | str, dict[str, Any]] = {status: said for status, said in NOT_DONE.items() if status in {404, 422, 503}}
_EXPLAINING = {**_READING, 400: {"model": NotDone, "description": "That is no moment, or none of which anything is on record."}}
_AT = "A moment: RFC 3339, a date and time (UTC), Unix seconds, or how long ago, like 2h."
_CLOCK = SystemClock()
_REPORTING = {**_READING, 200: {"description": "The report.", "content": {"application/json": {}, "text/markdown": {}}}}


def build(guard: Guard, registry: CollectorRegistry, reload: Callable[[], None], more: Sequence[Callable[[FastAPI, Guard], None]] = ()) -> FastAPI:
    """The application over one guard; `more` put their own routes into it. `state.streams` are the streams of events, to be closed at the end."""
    api = FastAPI(
        title="rollbackd",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        default_response_class=AsciiJSON,
        redirect_slashes=False,  # it would lead to an address without the prefix, and past a proxy's https
    )
    _errors(api)
    _health(api, guard, registry, reload)
    turns = Turns()
    _reading(api, guard, turns)
    changes.add(api, guard)
    evidence.add(api, guard)
    aftercare.add(api, guard)
    incidents.add(api, guard)
    simulating.add(api, guard, turns)
    flags.add(api, guard)
    api.state.streams = events.add(api, guard)
    for add in more:
        add(api, guard)
    return api


def _health(api: FastAPI, guard: Guard, registry: CollectorRegistry, reload: Callable[[], None]) -> None:
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


def _kinds(names: str | None) -> frozenset[str] | None:
    """Kinds of events, of a list with commas. Raises OperationRefused for one that there is not."""
    if names is None:
        return None
    asked = [name.strip() for name in names.split(",")]
    if unknown := [name for name in asked if name not in set(Event)]:
        raise OperationRefused(f'there is no event "{unknown[0]}"; known: {", ".join(sorted(Event))}')
    return frozenset(asked)


def _reading(api: FastAPI, guard: Guard, turns: Turns) -> None:
    @api.get("/api/v1/rollouts")
    def rollouts() -> list[dict[str, Any]]:
        """Every rollout in a line."""
        return [views.summary(watch) for watch in informed(guard).watches]

    @api.get("/api/v1/rollouts/{rollout}", responses=_READING)
    def one_rollout(rollout: str) -> dict[str, Any]:
        """One rollout in a line."""
        return views.summary(informed(guard).watch(rollout))

    @api.get("/api/v1/rollouts/{rollout}/explain", responses=_EXPLAINING)
    def explain(rollout: str, at: Annotated[str | None, Query(description=_AT)] = None) -> dict[str, Any]:
        """One rollout in full: why it is where it is, and what would change that; or what was so at a moment of the past, from the journal."""
        if at is not None:
            watched, then = guard.watch(rollout).rollout, moments.moment(at, _CLOCK.now())
            with turns.take():
                return views_past.moment(past(guard.journal, rollout, then), watched)
        return {**views.explanation(informed(guard).watch(rollout)), "hooks": hooks_behind(guard.hooks_behind(rollout))}

    @api.get("/api/v1/rollouts/{rollout}/history", responses=_READING)
    def history(
        rollout: str,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        stage: Annotated[str | None, Query(description="Only what led to this stage or is about it: its name, or its exposure like 25%.")] = None,
        event: Annotated[str | None, Query(description="Only events of these kinds, separated by commas.")] = None,
    ) -> list[dict[str, Any]]:
        """What happened to a rollout, oldest first: the newest `limit` records that come after the record `after`."""
        watched, kinds = guard.watch(rollout).rollout, _kinds(event)
        if stage is None:
            records = guard.journal.records(rollout, kinds=kinds, after=after, limit=limit, newest_first=True)
            return [views_record.event(record) for record in reversed(records)]
        named = about.stage_called(watched, stage)
        led = about.about(watched, guard.journal.records(rollout, kinds=about.KINDS), named)  # all of them: a later one follows from earlier ones
        return [views_record.event(record) for record in [one for one in led if one.seq > after and (kinds is None or one.kind in kinds)][-limit:]]

    @api.get("/api/v1/rollouts/{rollout}/scorecard", responses=_READING)
    def scorecard(rollout: str) -> dict[str, Any]:
        """Every check of the next promotion with its evidence, and the score that they come to."""
        return views.scorecard(informed(guard).watch(rollout))

    @api.get("/api/v1/rollouts/{rollout}/report", responses=_REPORTING)
    def report(rollout: str, as_: Annotated[Literal["json", "markdown"], Query(alias="format")] = "json") -> Response:
        """The record of a rollout: who raised it, on whose word, what spoke against it, and what took it back."""
        made = _report(informed(guard), rollout)
        return AsciiJSON(made) if as_ == "json" else PlainTextResponse(markdown(made), media_type="text/markdown")

    @api.get("/api/v1/rollouts/{rollout}/preflight", responses=_READING)
    def preflight(rollout: str) -> dict[str, Any]:
        """Whether everything that a rollout rests on is there. Takes some seconds."""
        watch = informed(guard).watch(rollout)
        state = watch.state
        return look_before(watch.rollout, state.position, guard.configuration, guard.journal_file, _CLOCK.now(), dossier=state.dossier)


def _report(guard: Guard, rollout: str) -> dict[str, Any]:
    watch, head = guard.watch(rollout), guard.journal.head()  # the head first: what comes after it is left out
    records = guard.journal.records(rollout, kinds=KINDS)
    with watch.lock:
        explained, card = views.explanation(watch), views.scorecard(watch)
    return make_report([one for one in records if one.seq <= head.seq], explained, card, head, _CLOCK.now())


def _errors(api: FastAPI) -> None:
    def refused(_: Request, error: Exception) -> JSONResponse:
        reasons = [ReasonSaid(code=one.code, unknown=one.code.unknown, sentence=one.sentence) for one in getattr(error, "reasons", ())]
        unknown = isinstance(error, Refusal) and error.unknown
        missing = str(error).startswith(tuple(f"there is no {what}" for what in ("rollout", "stage", "incident", "event", "evidence", "checkpoint")))
        return _said(404 if missing else 409, str(error), reasons, unknown=unknown)

    def invalid(_: Request, error: Exception) -> JSONResponse:
        details = error.errors() if isinstance(error, RequestValidationError) else []
        return _said(422, "; ".join(f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {spoken(one)}" for one in details))

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
    api.add_exception_handler(NotAuthenticatedError, lambda _, error: _said(401, str(error), headers=CHALLENGE))
    api.add_exception_handler(PassiveError, answer(503))
    api.add_exception_handler(JournalUnavailable, answer(503))
    api.add_exception_handler(ImpossibleMoment, answer(400))
    api.add_exception_handler(BusyError, answer(503))
    api.add_exception_handler(Exception, defect)


def _said(
    status: int, error: str, reasons: Sequence[ReasonSaid] = (), *, unknown: bool = False, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(NotDone(error=error, reasons=list(reasons), unknown=unknown).model_dump(), status, headers=headers)
