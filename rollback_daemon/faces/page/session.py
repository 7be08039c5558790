"""Logging in and out on the page.

A login form has a token that is tied to a cookie of the same browser, so that nobody is logged in as somebody else by a page of another site; every
answer to a wrong one is the same. Must not live here: passwords, sessions and cookies (`http.doorkeeper`), who is let in (`http.login`).
"""

import re

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from rollback_daemon.faces.http.caller import CALLER, Caller, NotAllowedError, NotAuthenticatedError, is_of_another_site
from rollback_daemon.faces.http.doorkeeper import Doorkeeper, address_of
from rollback_daemon.faces.http.lockout import LockedError
from rollback_daemon.faces.http.login import LOGIN, LOGOUT
from rollback_daemon.faces.http.passwords import TooManyError
from rollback_daemon.faces.page.forms import FILLED, Filled, NotOursError, require_ours
from rollback_daemon.faces.page.routes import Pages
from rollback_daemon.guard import Guard

_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_LONGEST = 1000  # bytes of what is typed in
_WRONG = "The user name or the password is wrong."
_AGAIN = "Log in once more: this form was too old, or the browser does not keep cookies for this address{}."


def own_path(path: str) -> str:
    """Where to go after the login: a path of ours, or home for anything else that somebody put into an address."""
    fits = _OWN_PATH.fullmatch(path) and path.partition("?")[0] not in {LOGIN, LOGOUT}
    return path if fits else "/"


def add(api: FastAPI, _guard: Guard) -> None:
    """Put these routes into the application."""

    @api.get(LOGIN, include_in_schema=False)
    async def ask(request: Request, next: str = "") -> Response:  # noqa: A002 (it is called so in the address)
        """The login form; whoever needs none is led on."""
        keeper: Doorkeeper = request.app.state.keeper
        if not keeper.asks_for_logins or _name(request):
            return _on(request, next)
        return _form(request, own_path(next))

    @api.post(LOGIN, include_in_schema=False)
    async def log_in(request: Request, form: FILLED) -> Response:
        """Let somebody in, under a new session."""
        keeper: Doorkeeper = request.app.state.keeper
        if not keeper.asks_for_logins:
            return _on(request, "")
        if is_of_another_site(request):
            return _refused(request, "This login was sent by a page of another site. Nobody was logged in.")
        wanted = own_path(form.get("next", ""))
        if not keeper.is_form_token(request, form.get("token", "")):
            url = keeper.reach.url
            return _form(request, wanted, _AGAIN.format(f"; it is reached at {url}" if url else ""), 403)
        return await _checked(request, keeper, form, wanted)

    @api.post(LOGOUT, include_in_schema=False)
    async def log_out(request: Request, form: FILLED) -> Response:
        """End the session. Nobody else can end it for somebody."""
        keeper: Doorkeeper = request.app.state.keeper
        try:
            name = require_ours(request, form)
        except NotAuthenticatedError:
            return _on(request, "/")
        except (NotAllowedError, NotOursError) as error:
            return _refused(request, str(error))
        answer = _on(request, LOGIN if keeper.asks_for_logins else "/")
        keeper.end(request, answer)
        structlog.get_logger().info("logged out", user=name, address=address_of(request.scope))
        return answer


async def _checked(request: Request, keeper: Doorkeeper, form: Filled, wanted: str) -> Response:
    name, password = form.get("name", "")[:_LONGEST], form.get("password", "").encode(errors="surrogatepass")[:_LONGEST]
    try:
        right = bool(name) and await keeper.admits(request.scope, name, password, at_form=True)
    except LockedError as error:
        return _form(request, wanted, f"Too many wrong logins. Try again in {error.seconds} s.", 429, wait=error.seconds)
    except TooManyError:
        return _form(request, wanted, "Too many logins from this address wait to be checked. Try again.", 429, wait=1)
    if not right:
        structlog.get_logger().warning("a login was refused", user=name[:100], address=address_of(request.scope))
        return _form(request, wanted, _WRONG, 403, name=name)
    answer = _on(request, wanted)
    keeper.begin(request, answer, name)
    structlog.get_logger().info("logged in", user=name, address=address_of(request.scope))
    return answer


def _name(request: Request) -> str | None:
    caller: Caller | None = request.scope.get("state", {}).get(CALLER)
    return caller.name if caller else None


def _on(request: Request, path: str) -> Response:
    pages: Pages = request.app.state.pages
    return RedirectResponse(pages.urls(request).to(path if path == LOGIN else own_path(path)), 303)


def _form(request: Request, wanted: str, mistake: str = "", status: int = 200, *, name: str = "", wait: int = 0) -> Response:
    pages: Pages = request.app.state.pages
    keeper: Doorkeeper = request.app.state.keeper
    token, keep = keeper.form_token(request)
    answer = pages.answer(request, "login.html.j2", status, next=wanted, mistake=mistake, name=name, token=token)
    keep(answer)
    if wait:
        answer.headers["retry-after"] = str(wait)
    return answer


def _refused(request: Request, why: str) -> Response:
    pages: Pages = request.app.state.pages
    return pages.answer(request, "error.html.j2", 403, title="Refused", text=why)
