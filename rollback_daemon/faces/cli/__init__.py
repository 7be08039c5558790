"""The command line: `rollbackd VERB`. One file for each family of verbs; a verb imports what it needs when it is called, and no more.

Exit codes: 0 yes or done, 1 no or refused, 2 usage or configuration, 3 could not tell.
"""

import typer

from rollback_daemon import __version__
from rollback_daemon.faces.cli import (
    aftercare,
    backtesting,
    before,
    changing,
    files,
    flags,
    gating,
    importing,
    incidents,
    reading,
    serve,
    simulating,
    testing,
    voting,
)
from rollback_daemon.faces.cli.client import with_login
from rollback_daemon.faces.cli.completion import with_names

app = typer.Typer(
    name="rollbackd",
    help="Takes a feature-flag rollout back when Prometheus says it hurts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rollbackd {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and exit.")) -> None:
    """Takes a feature-flag rollout back when Prometheus says it hurts."""


for family in (serve, files, testing, backtesting, importing, gating, before, reading, simulating, changing, flags, voting, aftercare, incidents):
    for verb in family.VERBS:
        app.command(verb.__name__)(with_login(with_names(verb)))


def main() -> None:
    """The console script. Help and mistakes name the program, however it was started."""
    app(prog_name="rollbackd")
