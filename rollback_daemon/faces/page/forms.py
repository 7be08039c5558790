"""The forms that change something: what each would do is shown first, then it is sent off; once, by whom it was shown to, if it is still the same.

A form is one of ours if its browser says that it comes from this very site and it has the token that only its owner was given. Lives here: routes,
and reading what was filled in. Must not live here: what an action means (`actions`), whether it may be done (the judge), who asks (`http.caller`).
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from rollback_daemon.clock import SystemClock
from rollback_daemon.documents.complaints import spoken
from rollback_daemon.errors import OperationRefused
from rollback_daemon.faces.http.caller import NotAllowedError, NotAuthenticatedError, identify
from rollback_daemon.faces.http.changes import Case, Reasoned
from rollback_daemon.faces.page.actions import ACTIONS
from rollback_daemon.faces.page.confirm import UNTOLD, Action, Against, Terms, terms
from rollback_daemon.faces.page.once import Notice, Once
from rollback_daemon.faces.page.routes import Pages
from rollback_daemon.faces.page.viewer import Viewer, token, viewer
from rollback_daemon.guard import Guard
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.state import Happened

VIA = "page"
"""What stands on record for where something was asked for."""
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 50
_CHANGED = "What it would do has changed since you looked. Nothing was done; this is how it is now."
_CLOCK = SystemClock()
Filled = Mapping[str, str]


async def filled(request: Request) -> Filled:
    """What a form says, each field once: of several the last. Nothing of what is not sent as forms are: a script of another site can send text."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return {}
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:  # of which UnicodeDecodeError is one
        return {}


FILLED = Annotated[Filled, Depends(filled)]


class NotOursError(Exception):
    """The form was not made by us for this person."""

    def __init__(self) -> None:
        super().__init__("This form is not of your login, or older than it. Nothing was done. Open it again, and send that one.")


def require_ours(request: Request, form: Filled) -> str:
    """The name of whoever sends a form that is one of ours. Raises NotOursError, and as `identify` does."""
    name = identify(request)
    if not hmac.compare_digest(token(request, name).encode(), form.get("token", "").encode(errors="replace")):
        raise NotOursError
    return name


def add(api: FastAPI, guard: Guard) -> None:
    """Put these routes into the application."""
    api.state.once = Once()
    for action in ACTIONS.values():
        _route(api, _Forms(guard, action))


def _route(api: FastAPI, forms: "_Forms") -> None:
    path = f"/rollouts/{{rollout}}/{forms.action.name}"

    @api.get(path, include_in_schema=False)
    def ask(request: Request, rollout: str) -> Response:
        return forms.answering(request, lambda: forms.ask(request, rollout))

    @api.post(path, include_in_schema=False)
    def act(request: Request, rollout: str, form: FILLED) -> Response:
        return forms.answering(request, lambda: forms.act(request, rollout, form))


@dataclass(frozen=True, slots=True)
class _Said:
    """What the page says above the form, and what was filled in before."""

    form: Filled
    status: int = 200
    mistake: str = ""


class _Forms:
    """The page of one action."""

    def __init__(self, guard: Guard, action: Action) -> None:
        self._guard, self.action = guard, action

    def answering(self, request: Request, make: Callable[[], Response]) -> Response:
        """What `make` makes; a page that says why, where it cannot."""
        pages: Pages = request.app.state.pages
        try:
            return pages.reading(request, make)
        except NotAuthenticatedError:
            return RedirectResponse(pages.urls(request).to("/login", next=_here(request)), 303)
        except (NotAllowedError, NotOursError) as error:
            return pages.answer(request, "error.html.j2", 403, title="Refused", text=str(error))

    def ask(self, request: Request, rollout: str) -> Response:
        """The form, with what it would do. Whoever has not logged in is led to that; whoever may not change anything still sees what it would be."""
        seen = viewer(request)
        if seen.can_log_in:
            raise NotAuthenticatedError
        return self._show(request, seen, rollout, _Said(dict(request.query_params)))

    def act(self, request: Request, rollout: str, form: Filled) -> Response:
        """Do it, unless something else would be done than was shown."""
        name = require_ours(request, form)
        pages, once = request.app.state.pages, request.app.state.once
        try:
            body = self._body(form)
        except ValidationError as error:
            return self._show(request, viewer(request), rollout, _Said(form, 422, _mistakes(error)))
        self._guard.watch(rollout)
        try:
            notice = once.do((name, rollout, self.action.name, form.get("once", "")), lambda: self._do(rollout, name, body, form))
        except _ChangedError:
            return self._show(request, viewer(request), rollout, _Said(form, 409, _CHANGED))
        except OperationRefused as refusal:
            return self._show(request, viewer(request), rollout, _Said(form, 409, "It was refused; nothing was done."), refusal)
        return RedirectResponse(pages.urls(request).rollout(rollout, done=notice.key), 303)

    def _do(self, rollout: str, name: str, body: Reasoned, form: Filled) -> Notice:
        watch, action = self._guard.watch(rollout), self.action
        found = terms(action, self._case(rollout, name), body, watch)
        if not found.against and found.seen != form.get("seen"):
            raise _ChangedError
        facts: dict[str, Any] = {}
        if action.name == "promote":
            facts["id"] = self._guard.promote(rollout, name, body.reason, VIA)
            facts["to"] = found.move.target if found.move else ""
        else:
            person = self._guard.person(name)

            def decide(known: Any, state: Any, judged: Any, now: Any) -> Happened:
                happened = action.decide(Case(known, state, judged, person, now), body)
                facts.update(happened.body)
                return happened

            watch.request(action.name, name, body.reason, decide, must=action.must, via=VIA)
        return Notice(name, action.done(facts))

    def _show(self, request: Request, seen: Viewer, rollout: str, said: _Said, refusal: OperationRefused | None = None) -> Response:
        name = seen.name or "somebody who may change nothing"
        pages: Pages = request.app.state.pages
        watch, case = self._guard.watch(rollout), self._case(rollout, name)
        try:
            body = self._body({**said.form, "reason": UNTOLD})
        except ValidationError:  # of the other fields: the form is shown as if nothing had been said
            body = self._body({"reason": UNTOLD})
        found = terms(self.action, case, body, watch)
        return pages.answer(
            request,
            "confirm.html.j2",
            said.status,
            action=self.action,
            rollout=watch.rollout,
            terms=found,
            against=_all_against(found, refusal),
            roles=sorted(case.person.roles),
            form=said.form,
            mistake=said.mistake,
            once=secrets.token_urlsafe(12),
        )

    def _case(self, rollout: str, name: str) -> Case:
        """The rollout as it is now, of one piece."""
        watch = self._guard.watch(rollout)
        with watch.lock:
            return Case(watch.ladder, watch.state, watch.judgement, self._guard.person(name), _CLOCK.now())

    def _body(self, form: Filled) -> Any:
        """What was filled in, as a request. Raises ValidationError."""
        known = {key: value for key, value in form.items() if key in self.action.body.model_fields and (value.strip() or key == "reason")}
        lines = {key: [line.strip() for line in known[key].splitlines() if line.strip()] for key in ("conditions",) if key in known}
        return self.action.body.model_validate({**known, **lines})


class _ChangedError(Exception):
    """Something else would be done than was shown."""


def _all_against(found: Terms, refusal: OperationRefused | None) -> tuple[Against, ...]:
    """What speaks against it now; or what it was refused for, which a look that was taken for it may have told."""
    if refusal is None or found.against:
        return found.against
    reasons = refusal.reasons if isinstance(refusal, Refusal) else ()
    return tuple(Against(one.sentence, one.code.unknown) for one in reasons) or (Against(str(refusal)),)


def _mistakes(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc']))} {spoken(one)}" for one in error.errors())


def _here(request: Request) -> str:
    """The form to come back to."""
    query = request.url.query if request.method == "GET" else ""
    return quote(request.url.path, safe="/") + (f"?{query}" if query else "")
