"""The routes about incidents: which there were, the report of one, and what people write in it.

Must not live here: what a report says (`governance`), when it is complete (the judge).
"""

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import StringConstraints

from rollback_daemon.clock import SystemClock
from rollback_daemon.faces import views
from rollback_daemon.faces.http.answers import NOT_DONE, AsciiJSON, informed
from rollback_daemon.faces.http.changes import Case, Reasoned, Word, do
from rollback_daemon.governance import incident_records
from rollback_daemon.governance.incident_markdown import incident_markdown
from rollback_daemon.governance.incident_report import incident_report
from rollback_daemon.governance.incidents import LAST, OUTLINE, called, incidents, outline, overlapping
from rollback_daemon.guard import Guard
from rollback_daemon.judge import postmortem
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8000)]
_READING: dict[int | str, dict[str, Any]] = {status: said for status, said in NOT_DONE.items() if status in {404, 422, 503}}
_REPORTING = {**_READING, 200: {"description": "The report.", "content": {"application/json": {}, "text/markdown": {}}}}
_CLOCK = SystemClock()


class PostmortemRequest(Reasoned):
    """What a person knows of an incident, the newest one if it is not named. What is left out stays as it is."""

    incident: Word = LAST
    root_cause: Text | None = None
    users_affected: Text | None = None
    fix_plan: Text | None = None
    issues: Text | None = None
    follow_up: Text | None = None
    complete: bool = False


def add(api: FastAPI, guard: Guard) -> None:
    """Put these routes into the application."""

    @api.get("/api/v1/rollouts/{rollout}/incidents", responses=_READING)
    def every(rollout: str) -> list[dict[str, Any]]:
        """Every incident of a rollout in a few facts, oldest first: it begins with a rollback, and ends when somebody resumes or promotes."""
        informed(guard).watch(rollout)
        return [outline(one) for one in incidents(guard.journal.records(rollout, kinds=OUTLINE))]

    @api.get("/api/v1/rollouts/{rollout}/incidents/{incident}", responses=_REPORTING)
    def one(rollout: str, incident: str, as_: Annotated[Literal["json", "markdown"], Query(alias="format")] = "json") -> Response:
        """The report of one incident, by its id or as `last`: minute by minute, what was exposed, what is proven, and what is left to say."""
        made = report(informed(guard), rollout, incident)
        return AsciiJSON(made) if as_ == "json" else PlainTextResponse(incident_markdown(made), media_type="text/markdown")

    @api.post("/api/v1/rollouts/{rollout}/postmortem", responses=NOT_DONE)
    def write(rollout: str, body: PostmortemRequest, request: Request) -> JSONResponse:
        """Write what only a person knows of an incident, field by field; `complete` says that this is all."""
        guard.watch(rollout)
        found = incidents(guard.journal.records(rollout, kinds=OUTLINE))
        fields = {name: text for name in postmortem.FIELDS if (text := getattr(body, name)) is not None}

        def decide(it: Case) -> Happened:
            paper = called(found, rollout, body.incident).paper
            return postmortem.write(it.rollout, it.state, it.person, paper, fields, body.reason, complete=body.complete)

        return do(guard, request, rollout, body, decide)


def report(guard: Guard, rollout: str, identity: str) -> dict[str, Any]:
    """The facts of one incident, by its id or as `last`. Raises OperationRefused where there is none."""
    watch = guard.watch(rollout)
    found, records = incident_records.find(guard.journal, rollout, identity)
    now = _CLOCK.now()
    elsewhere = overlapping(found, guard.journal.records(kinds=[Event.INTENDED, Event.RESUMED]), now)
    with watch.lock:
        explained = views.explanation(watch)
    return incident_report(found, records, explained, elsewhere, now)
