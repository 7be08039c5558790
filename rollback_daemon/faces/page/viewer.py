"""Who looks at a page, what he may do there, and what he is told of what he has just done.

Must not live here: how somebody is found out (`http.caller`), logging in (`session`).
"""

from dataclasses import dataclass

from starlette.requests import Request

from rollback_daemon.faces.http.caller import CALLER, Caller, NotAllowedError, NotAuthenticatedError, Way, identify
from rollback_daemon.faces.http.doorkeeper import Doorkeeper
from rollback_daemon.faces.page.once import Once


@dataclass(frozen=True, slots=True)
class Viewer:
    """`name` is None for whoever has not said it. `token` stands in each of his forms. `notice` says what he has just done, `why_not` why he may
    change nothing.
    """

    name: str | None = None
    may_change: bool = False
    why_not: str = ""
    can_log_in: bool = False
    can_log_out: bool = False
    token: str = ""
    notice: str = ""


def viewer(request: Request) -> Viewer:
    """Whoever sent this request."""
    caller: Caller | None = request.scope.get("state", {}).get(CALLER)
    try:
        name = identify(request)
    except NotAuthenticatedError:
        return Viewer(why_not="log in to change anything", can_log_in=True)
    except NotAllowedError as error:
        return Viewer(caller.name if caller else None, why_not=str(error), can_log_out=caller is not None and caller.session is not None)
    once: Once = request.app.state.once
    notice = once.notice(request.query_params.get("done", ""), name)
    return Viewer(name, may_change=True, can_log_out=caller is not None and caller.way is Way.SESSION, token=token(request, name), notice=notice)


def token(request: Request, name: str) -> str:
    """What shows that a form is one of ours: the session's, or else one for this name that lasts as long as the daemon."""
    caller: Caller | None = request.scope.get("state", {}).get(CALLER)
    if caller is not None and caller.session is not None:
        return caller.session.form
    keeper: Doorkeeper = request.app.state.keeper
    return keeper.token_for(f"form {name}")
