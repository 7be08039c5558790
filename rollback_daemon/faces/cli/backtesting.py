"""The verb `backtest`: rule files over recorded history, with no daemon running.

Lives here: options, progress, exit codes. Must not live here: the backtest (`lab.backtesting`), its words (`show_backtest`).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollback_daemon.faces.cli.client import FORMAT, NO, UNKNOWN, USAGE, Format, fail, print_json

if TYPE_CHECKING:
    from rollback_daemon.lab.backtesting.order import Order, Wish
    from rollback_daemon.lab.backtesting.run import Progress


class FailOn(StrEnum):
    """What makes the exit code 1."""

    ROLLBACK = "rollback"  # something was rolled back, or would have been
    FIRING = "firing"  # a trigger fired
    DIFFERENCE = "difference"  # --compare shows one
    MISSED = "missed"  # an incident of --labels was missed by the rollbacks
    FALSE = "false"  # a rollback belongs to no incident


def backtest(
    paths: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Rule files; several share their queries.")],
    begin: Annotated[str, typer.Option("--from", help="2026-11-20T03:12:00Z, 2026-11-20 03:12 (UTC), Unix seconds, or how long ago: 30d.")],
    end: Annotated[str, typer.Option("--to", help="Likewise.")] = "now",
    prometheus: Annotated[str, typer.Option("--prometheus", help="The server whose history it is.")] = "",
    config_file: Annotated[Path | None, typer.Option("--config.file", help="Or the daemon's configuration: its section prometheus.")] = None,
    interval: Annotated[str, typer.Option("--interval", help="Evaluate so often, instead of as the rule file says.")] = "",
    stage: Annotated[str | None, typer.Option("--stage", help="Where it stands at the begin; the highest stage if left out.")] = None,
    climb: Annotated[bool, typer.Option("--climb", help="Begin at the baseline; a person promotes as soon as gates and soak allow it.")] = False,
    resume_after: Annotated[str, typer.Option("--resume-after", help="A person resumes so long after a rollback, or never.")] = "1h",
    compare: Annotated[Path | None, typer.Option("--compare", help="Another version of the rule file, over the same history.")] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="Incidents that are known, as CSV: start,end[,name][,rollout].")] = None,
    tolerance: Annotated[str, typer.Option("--tolerance", help="With --labels: by so much incidents are widened on both sides.")] = "5m",
    fail_on: Annotated[list[FailOn] | None, typer.Option("--fail-on", help="What makes the exit code 1; may be given several times.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with plots to this file.")] = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Where answers are kept; $XDG_CACHE_HOME/rollbackd/backtest if left out.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ask everything, keep nothing.")] = False,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=8, help="Queries at once.")] = 4,
    piece: Annotated[int, typer.Option("--piece", min=1, max=11_000, help="Evaluations asked for in one query.")] = 2880,
    output: FORMAT = Format.TABLE,
) -> None:
    """Run rule files over recorded history. What would have fired and been rolled back, when, how close it came, what could not be told."""
    from rollback_daemon.lab.backtesting.order import Wish
    from rollback_daemon.lab.backtesting.run import Settings

    settings = Settings(stage, climb, None, parallel, piece, plotted=html is not None)
    wish = Wish(paths, begin, end, prometheus, config_file, interval, compare, labels, tolerance, resume_after, settings)
    _check(html, fail_on or [], compare=compare is not None, labels=labels is not None)
    kept = None if no_cache else cache or _cache()
    document, page = _run(wish, kept, html is not None)
    if html is not None:
        _write(html, page())
    if output is Format.JSON:
        print_json(document)
    else:
        from rollback_daemon.faces.cli import show_backtest
        from rollback_daemon.faces.cli.terminal import clean, console

        show_backtest.show(console(), clean(document))
    _end(document, fail_on or [])


def _check(html: Path | None, fail_on: list[FailOn], *, compare: bool, labels: bool) -> None:
    """What would be a pity to find out at the end."""
    if FailOn.DIFFERENCE in fail_on and not compare:
        fail("--fail-on difference needs --compare", USAGE)
    if {FailOn.MISSED, FailOn.FALSE} & set(fail_on) and not labels:
        fail("--fail-on missed and false need --labels", USAGE)
    if html is None:
        return
    from rollback_daemon.lab.backtesting.plots import REMEDY, drawable

    if not drawable():
        fail(REMEDY, USAGE)
    if not html.absolute().parent.is_dir() or html.is_dir():
        fail(f'--html: "{html}" cannot be written: its folder must exist, and it must be a file', USAGE)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "rollbackd" / "backtest"


def _run(wish: "Wish", cache: Path | None, plotted: bool) -> tuple[dict[str, Any], Callable[[], str]]:
    """The document, and what makes its page. Ends the program where there is none."""
    from rollback_daemon.clock import SystemClock
    from rollback_daemon.errors import ConfigurationError
    from rollback_daemon.lab.backtesting.backtest import NothingThere, backtest
    from rollback_daemon.lab.backtesting.order import understand
    from rollback_daemon.lab.backtesting.run import Interrupted
    from rollback_daemon.lab.backtesting.server import Server, Unreachable

    kept = f"; what was fetched until then is kept in {cache}, and the same command goes on from there" if cache else ""
    now = SystemClock().now()
    try:
        order = understand(wish, now)
        with Server(order.client) as server, _progress(order) as progress:
            document, ledgers = backtest(order, server, cache, progress, now)
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(USAGE) from None
    except Unreachable as error:
        fail(str(error), UNKNOWN)
    except Interrupted as error:
        reached = f"judged until {error.at:%Y-%m-%d %H:%M:%S} UTC" if error.at else "before the first evaluation"
        fail(f"the server gave no usable answer ({error}), {reached}{kept}", UNKNOWN)
    except KeyboardInterrupt:
        fail(f"stopped{kept}", UNKNOWN)
    except NothingThere as error:
        for said in error.said:
            typer.echo(f"  {said}", err=True)
        fail("there is no history of any query in that time; is it the right server, and does it keep samples for so long?", UNKNOWN)

    def page() -> str:
        from rollback_daemon.lab.backtesting.page import html

        return html(document, ledgers)

    return document, page if plotted else str


@contextmanager
def _progress(order: "Order") -> "Iterator[Progress]":
    """A bar on standard error, if that is a terminal."""
    from rich.console import Console

    from rollback_daemon.lab.backtesting.run import Progress

    err = Console(stderr=True)
    if not err.is_terminal:
        yield Progress()
        return
    from rich import progress as rich_progress

    columns = (
        rich_progress.BarColumn(),
        rich_progress.TaskProgressColumn(),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.description}"),
    )
    with rich_progress.Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("asking", total=order.evaluations)

        def fetched(done: int, of: int) -> None:
            bar.update(task, description=f"{done} of {of} queries")

        yield Progress(lambda more: bar.advance(task, more), fetched)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f'--html: "{file}" cannot be written: {error.strerror}', USAGE)


def _end(document: dict[str, Any], fail_on: list[FailOn]) -> None:
    """The exit code: 3 where a query failed every time, 1 for what was asked for by --fail-on, else 0."""
    from rollback_daemon.lab.backtesting import report

    scored = [one["rollbacks"] for one in document["scored"] or []]
    found = {
        FailOn.ROLLBACK: report.rolled_back(document),
        FailOn.FIRING: report.fired(document),
        FailOn.DIFFERENCE: bool(document["compared"] and document["compared"]["different"]),
        FailOn.MISSED: any(one["missed"] for one in scored),
        FailOn.FALSE: any(one["false"] for one in scored),
    }
    if document["hopeless"]:
        raise typer.Exit(UNKNOWN)
    if any(found[one] for one in fail_on):
        raise typer.Exit(NO)


VERBS = (backtest,)
