"""Verbs that read from a running daemon: `status`, `explain`, `history`."""

from typing import Annotated

import typer

from rollback_daemon.faces.cli.client import DEFAULT_URL, FORMAT, URL, Format, call, path_of, print_json

ROLLOUT = Annotated[str, typer.Argument(help="The rollout's name.")]


def status(
    rollout: Annotated[str | None, typer.Argument(help="One rollout; all of them when left out.")] = None,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Where every rollout is, and what comes next."""
    found = call("GET", url, "rollouts" if rollout is None else path_of(rollout))
    if output is Format.JSON:
        print_json(found)
        return
    from rollback_daemon.faces.cli import show

    show.console().print(show.statuses(show.clean(found if isinstance(found, list) else [found])))


def explain(rollout: ROLLOUT, url: URL = DEFAULT_URL, output: FORMAT = Format.TABLE) -> None:
    """Why a rollout is where it is: every trigger with its query, its value beside its limit, and what would change it."""
    found = call("GET", url, path_of(rollout, "explain"))
    if output is Format.JSON:
        print_json(found)
        return
    from rollback_daemon.faces.cli import show

    show.explain(show.console(), show.clean(found))


def history(
    rollout: ROLLOUT,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many of the newest events.")] = 100,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """What happened to a rollout, oldest first: who or what, when, and why."""
    found = call("GET", url, path_of(rollout, "history"), limit=limit)
    if output is Format.JSON:
        print_json(found)
        return
    from rollback_daemon.faces.cli import show

    show.console().print(show.history(show.clean(found)))


VERBS = (status, explain, history)
