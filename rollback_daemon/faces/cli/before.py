"""The verb for the days before: `preflight`."""

from typing import Any

import typer

from rollback_daemon.faces.cli.client import DEFAULT_URL, FORMAT, NO, UNKNOWN, URL, Format, call, path_of, print_json
from rollback_daemon.faces.cli.reading import ROLLOUT


def preflight(rollout: ROLLOUT, url: URL = DEFAULT_URL, output: FORMAT = Format.TABLE) -> None:
    """Whether everything that a rollout rests on is there: services, queries, disks, flags, backups, alert rules, Alertmanagers."""
    found = call("GET", url, path_of(rollout, "preflight"))
    if output is Format.JSON:
        print_json(found)
    else:
        _show(found["checks"])
    code = {"fail": NO, "unknown": UNKNOWN}.get(found["outcome"], 0)
    if code:
        raise typer.Exit(code)


def _show(checks: list[dict[str, Any]]) -> None:
    from rollback_daemon.faces.cli import show

    cells = [[show.word(one["outcome"]), show.escape(one["check"]), show.escape(one["evidence"])] for one in show.clean(checks)]
    show.rows(show.console(), ["OUTCOME", "CHECK", "EVIDENCE"], cells)


VERBS = (preflight,)
