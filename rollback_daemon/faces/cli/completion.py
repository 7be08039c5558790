"""What the shell offers after TAB beyond verbs and options: the names of the rollouts that the running daemon has.

Lives here: asking for them in the short time that somebody waits for a TAB. Must not live here: how a shell is told (typer's own).
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, get_args, get_origin

import typer
from typer.models import ArgumentInfo

from rollback_daemon.faces.cli.client import DEFAULT_URL, session_for

_PATIENCE = 1.0  # seconds


def with_names(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb, whose argument `rollout`, if it has one, is completed by the names of the rollouts."""
    parameter = inspect.signature(verb).parameters.get("rollout")
    if parameter is not None and get_origin(parameter.annotation) is Annotated:
        for more in get_args(parameter.annotation)[1:]:
            if isinstance(more, ArgumentInfo):
                more.autocompletion = _names
    return verb


def _names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names that begin so; none where the daemon cannot be asked, as a shell that completes is no place for complaints."""
    import requests

    from rollback_daemon.errors import ConfigurationError

    url: str = ctx.params.get("url") or DEFAULT_URL
    login: Path | None = ctx.params.get("http_config_file")
    try:
        with session_for(url, login) as session:
            found = session.get(f"{url.rstrip('/')}/api/v1/rollouts", timeout=_PATIENCE).json()
        return [name for one in found if (name := str(one["rollout"])).startswith(incomplete)]
    except (requests.RequestException, ConfigurationError, ValueError, KeyError, TypeError):
        return []
