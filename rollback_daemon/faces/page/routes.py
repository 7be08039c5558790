"""The routes of the page for reading: home, one rollout, what has changed of either, an incident's report, and the files that they need.

Must not live here: what a page shows (`home`, `one`), forms and logins (`forms`, `confirm`, `session`).
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from rollback_daemon import __version__
from rollback_daemon.clock import SystemClock
from rollback_daemon.errors import JournalUnavailable, OperationRefused
from rollback_daemon.faces import views
from rollback_daemon.faces.attention import Urgency
from rollback_daemon.faces.http.answers import AsciiJSON, PassiveError, informed
from rollback_daemon.faces.http.incidents import report as incident_facts
from rollback_daemon.faces.page import one
from rollback_daemon.faces.page.assets import TYPES, Assets
from rollback_daemon.faces.page.home import Board, Lines
from rollback_daemon.faces.page.rendering import compressed, environment, page
from rollback_daemon.faces.page.urls import Urls, urls
from rollback_daemon.faces.page.viewer import viewer
from rollback_daemon.governance.incident_markdown import incident_markdown
from rollback_daemon.guard import Guard
from rollback_daemon.judge.transitions import Phase

if TYPE_CHECKING:
    from jinja2 import Environment

_CLOCK = SystemClock()
_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
_NOW = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_MOST_TEXT = 200
Text = Annotated[str, Query(max_length=_MOST_TEXT)]


class Pages:
    """Everything that pages are made with; also for the pages with forms."""

    def __init__(self, guard: Guard) -> None:
        self.guard, self.assets = guard, Assets.load()

    @cached_property
    def templates(self) -> "Environment":
        """Made for the first who looks."""
        return environment()

    @cached_property
    def board(self) -> Board:
        """The lines of the home page."""
        return Board(self.templates)

    def urls(self, request: Request) -> Urls:
        """The addresses as whoever asks must see them."""
        return urls(request, self.assets)

    def answer(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """A page with what every page has: the time, the guard's state, who looks, and addresses."""
        now = _CLOCK.now()
        common = {
            "url": self.urls(request),
            "viewer": viewer(request),
            "version": __version__,
            "build": self.assets.build,
            "now": views.time_of(now),
            "late": max(0, int(self.guard.lateness(now).total_seconds())) if self.guard.active else 0,
            "live": None,
            "here": request.scope["path"],
            "still": "still" in request.query_params,
        }
        return page(self.templates.get_template(template), {**common, **values}, status)

    def reading(self, request: Request, make: Callable[[], Response]) -> Response:
        """The page that `make` makes; where it cannot be, a page that says why."""
        try:
            informed(self.guard)
            return make()
        except OperationRefused as error:
            return self.answer(request, "error.html.j2", 404, title="Not found", text=str(error))
        except (PassiveError, JournalUnavailable) as error:
            return self.answer(request, "error.html.j2", 503, title="Not available now", text=str(error))


def add(api: FastAPI, guard: Guard) -> None:
    """Put these routes into the application."""
    pages = Pages(guard)
    api.state.pages = pages
    _files(api, pages)
    _home(api, pages)
    _rollout(api, pages)


def _files(api: FastAPI, pages: Pages) -> None:
    @api.get("/static/{digest}/{name}", include_in_schema=False)
    def static(digest: str, name: str) -> Response:
        if name not in TYPES or digest != pages.assets.digest(name):
            return Response("there is no such file\n", 404, _NOW, "text/plain")
        return Response(pages.assets.content[name], 200, _FOR_EVER, TYPES[name])


def _home(api: FastAPI, pages: Pages) -> None:
    def lines(request: Request) -> Lines:
        return pages.board.look(informed(pages.guard).watches, pages.urls(request), _CLOCK.now())

    def summary(found: Lines) -> str:
        rows = found.rows
        phases = {str(phase): sum(one.phase == phase for one in rows) for phase in Phase}
        counted = {phase: count for phase, count in phases.items() if count}
        values = {
            "total": len(rows),
            "asking": sum(one.asks for one in rows),
            "urgency": min((one.urgency for one in rows), default=Urgency.NONE),
            "phases": counted,
            "evaluated": found.evaluated,
        }
        return pages.templates.get_template("parts/summary.html.j2").render(values)

    @api.get("/", include_in_schema=False)
    def home(request: Request, q: Text = "", phase: Text = "") -> Response:
        def make() -> Response:
            found = lines(request)
            shown = [(one, html, one.matches(q, phase)) for one, html, _ in found.lines]
            live = {"changes": pages.urls(request).to("/changes"), "have": found.have, "stream": pages.urls(request).to("/api/v1/events")}
            values: dict[str, Any] = {"summary": summary(found), "lines": shown, "count": sum(match for _, _, match in shown), "q": q, "phase": phase}
            answer = pages.answer(request, "home.html.j2", phases=[str(one) for one in Phase], live=live, **values)
            return answer if request.url.query else compressed(request, answer)

        return pages.reading(request, make)

    @api.get("/changes", include_in_schema=False)
    def changes(request: Request, have: str = "") -> Response:
        """What has changed on the home page since that state of it."""
        found = lines(request)
        since = found.since(have)
        if since is None:
            return AsciiJSON({"again": True}, headers=_NOW)
        news = {**since, "have": found.have, "build": pages.assets.build, "at": views.time_of(_CLOCK.now()), "parts": {"summary": summary(found)}}
        return compressed(request, AsciiJSON(news, headers=_NOW))


def _rollout(api: FastAPI, pages: Pages) -> None:
    @api.get("/rollouts/{rollout}", include_in_schema=False)
    def show(request: Request, rollout: str, before: Annotated[int | None, Query(ge=1, lt=2**63)] = None) -> Response:
        def make() -> Response:
            made, to = one.parts(pages.guard, rollout, pages.templates, pages.urls(request), before), pages.urls(request)
            live = {
                "changes": to.rollout(rollout, "changes", before=before),
                "have": one.digests(made),
                "stream": to.to("/api/v1/events", rollout=rollout),
            }
            return pages.answer(request, "rollout.html.j2", name=rollout, parts=made, live=live)

        return pages.reading(request, make)

    @api.get("/rollouts/{rollout}/changes", include_in_schema=False)
    def changes(request: Request, rollout: str, have: str = "", before: Annotated[int | None, Query(ge=1, lt=2**63)] = None) -> Response:
        """The parts that have changed since that state of the page."""
        made = one.parts(informed(pages.guard), rollout, pages.templates, pages.urls(request), before)
        news = {"parts": one.changed(made, have), "have": one.digests(made), "build": pages.assets.build, "at": views.time_of(_CLOCK.now())}
        return AsciiJSON(news, headers=_NOW)

    @api.get("/rollouts/{rollout}/incidents/{incident}", include_in_schema=False)
    def incident(request: Request, rollout: str, incident: str) -> Response:
        def make() -> Response:
            text = incident_markdown(incident_facts(pages.guard, rollout, incident))
            return pages.answer(request, "incident.html.j2", name=rollout, incident=incident, text=text)

        return pages.reading(request, make)
