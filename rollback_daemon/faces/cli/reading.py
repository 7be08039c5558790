"""Verbs that read from a running daemon: `status`, `explain`, `history`, `scorecard`, `report`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rollback_daemon.faces.cli.client import DEFAULT_URL, FORMAT, NO, UNKNOWN, URL, USAGE, Format, call, fail, path_of, print_json

_MOST_EVENTS = 10_000
ROLLOUT = Annotated[str, typer.Argument(help="The rollout's name.")]


class CardFormat(StrEnum):
    """How a scorecard is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


class ReportFormat(StrEnum):
    """How a report is written."""

    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"


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

    show.statuses(show.console(), show.clean(found if isinstance(found, list) else [found]))


def explain(
    rollout: ROLLOUT,
    at: Annotated[str | None, typer.Option("--at", help="A moment of the past: 2026-11-20T03:12Z, Unix seconds, or how long ago, like 2h.")] = None,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Why a rollout is where it is: every trigger with its query, its value beside its limit, and what would change it; or why it was there then."""
    found = call("GET", url, path_of(rollout, "explain"), at=at)
    if output is Format.JSON:
        print_json(found)
        return
    from rollback_daemon.faces.cli import show

    if at is not None:
        from rollback_daemon.faces.cli import show_past

        show_past.explain(show.console(), show.clean(found))
        return
    show.explain(show.console(), show.clean(found))


def history(
    rollout: ROLLOUT,
    stage: Annotated[str | None, typer.Option("--stage", help="Only what led to this stage or is about it: its name, or its exposure.")] = None,
    event: Annotated[str | None, typer.Option("--event", help="Only events of these kinds, separated by commas: intended,done.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST_EVENTS, help="How many of the newest events.")] = 100,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """What happened to a rollout, oldest first: who or what, when, and why."""
    one_more = limit + 1 if output is Format.TABLE and limit < _MOST_EVENTS else limit  # tells whether there are older ones
    found = call("GET", url, path_of(rollout, "history"), limit=one_more, stage=stage, event=event)
    if output is Format.JSON:
        print_json(found)
        return
    from rollback_daemon.faces.cli import show, show_record

    if len(found) > limit:
        show.tell(show.console(), f"the newest {limit} events; older ones with --limit, of some kinds alone with --event", 0)
    show_record.history(show.console(), show.clean(found[-limit:]))


def scorecard(
    rollout: ROLLOUT,
    url: URL = DEFAULT_URL,
    output: Annotated[CardFormat, typer.Option("--format", help="For people, for programs, or for a document.")] = CardFormat.TABLE,
) -> None:
    """What the next promotion asks for, check by check, and the score: 0 it may go on, 1 it may not, 3 only what is unknown stands between."""
    found = call("GET", url, path_of(rollout, "scorecard"))
    if output is CardFormat.JSON:
        print_json(found)
    elif output is CardFormat.MARKDOWN:
        from rollback_daemon.governance.markdown import scorecard_markdown

        typer.echo(scorecard_markdown(found), nl=False)
    else:
        from rollback_daemon.faces.cli import show, show_record

        show_record.scorecard(show.console(), show.clean(found))
    if code := _exit_code(found):
        raise typer.Exit(code)


def _exit_code(card: dict[str, Any]) -> int:
    against = {one["outcome"] for one in card["checks"] if one["blocking"]}
    refused = card["verdict"] == "NO-GO" and not card["unsure"]
    if "fail" in against or refused:
        return NO
    return UNKNOWN if "unknown" in against or card["verdict"] in {None, "NO-GO"} else 0


def report(
    rollout: ROLLOUT,
    incident: Annotated[str | None, typer.Option("--incident", help="The report of one incident: its id, or last.")] = None,
    url: URL = DEFAULT_URL,
    output: Annotated[
        ReportFormat, typer.Option("--format", help="For people, for programs, or (of an incident) as a page.")
    ] = ReportFormat.MARKDOWN,
    file: Annotated[Path | None, typer.Option("--output", "--out", help="Where to write it; standard output when left out.")] = None,
) -> None:
    """The record of a rollout for an audit: who raised it, on whose word, what spoke against it, and what took it back; or that of one incident."""
    if incident is not None:
        from rollback_daemon.faces.cli.incidents import written

        _put(file, written(url, rollout, incident, output.value))
        return
    if output is ReportFormat.HTML:
        fail("only the report of an incident is made as html; name one by --incident, or use --format markdown", USAGE)
    found = call("GET", url, path_of(rollout, "report"))
    if output is ReportFormat.JSON and file is None:
        print_json(found)
        return
    if output is ReportFormat.JSON:
        import json

        text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    else:
        from rollback_daemon.governance.markdown import markdown

        text = markdown(found)
    _put(file, text)


def _put(file: Path | None, text: str) -> None:
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        fail(f"{file} cannot be written: {(error.strerror or 'no reason given').lower()}", USAGE)


VERBS = (status, explain, history, scorecard, report)
