"""The verb that makes triggers of other tools' rules: `import`. No daemon is asked."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollback_daemon.faces.cli.client import FORMAT, NO, USAGE, Format, fail, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rollback_daemon.errors import Problem
    from rollback_daemon.lab.importing.draft import Draft

_NAME = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*")


class Chosen(StrEnum):
    """The action of every imported trigger."""

    ALERT = "alert"
    HOLD = "hold"
    ROLLBACK = "rollback"


class Only(StrEnum):
    """A part of the rule file."""

    TRIGGERS = "triggers"


def import_(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILES...", help="Alerting rules, PrometheusRules, AnalysisTemplates, MetricTemplates, Canaries.")
    ],
    rollout: Annotated[str, typer.Option("--rollout", help="Its name in the rule file; that of the first file by default.")] = "",
    action: Annotated[Chosen, typer.Option("--action", help="What every trigger does.")] = Chosen.ALERT,
    arguments: Annotated[
        list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="A value for a template; may be given several times.")
    ] = None,
    only: Annotated[Only | None, typer.Option("--only", help="Just signals and triggers, to be pasted into a rule file.")] = None,
    target: Annotated[Path | None, typer.Option("--output", help="Where to write the rule file; standard output by default.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    output: FORMAT = Format.TABLE,
) -> None:
    """Make a rule file of other tools' rules. What could not be carried over, or means something else here, is listed by place."""
    from rollback_daemon.errors import ConfigurationError
    from rollback_daemon.lab import importing
    from rollback_daemon.lab.importing import writing
    from rollback_daemon.lab.importing.draft import Wanted

    name = rollout or _named(paths[0])
    if not _NAME.fullmatch(name):
        fail(f'"{name}" is no name of a rollout; use letters, digits, "_", "." and "-" only', USAGE)
    if target and target.exists() and not force:
        fail(f"{target} is there already; say --force to overwrite it", USAGE)
    try:
        draft = importing.gather(paths, Wanted(action.value, _pairs(arguments or [])))
    except ConfigurationError as error:
        _say(error.problems)
        raise typer.Exit(USAGE) from None
    interval = draft.settle(whole=only is None)
    rules = writing.rule_file(draft, name, interval, whole=only is None)
    text = writing.written(rules, draft, ", ".join(path.name for path in paths)) if draft.carried else ""
    if target and text:
        _write(target, text)
    _tell(draft, rules, "" if target else text, output)
    if not draft.carried:
        raise typer.Exit(NO)


import_.__name__ = "import"  # what the verb is called, which no function can be in Python


def _named(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", path.name.split(".")[0]).strip("-.") or "imported"


def _pairs(given: list[str]) -> dict[str, str]:
    for one in given:
        if not one.partition("=")[1] or one.startswith("="):
            fail(f'--arg "{one}" is no argument; write it like --arg name=value', USAGE)
    return {name: value for name, _, value in (one.partition("=") for one in given)}


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{target} cannot be written: {(error.strerror or type(error).__name__).lower()}", USAGE)


def _say(problems: "Iterable[Problem]") -> None:
    from rollback_daemon.faces.cli.terminal import clean

    for problem in problems:
        typer.echo(clean(str(problem)), err=True)


def _tell(draft: "Draft", rules: dict[str, Any], text: str, output: Format) -> None:
    if output is Format.JSON:
        notes = [
            {"kind": one.kind.value, **{key: getattr(one.problem, key) for key in ("file", "line", "column", "path", "text")}} for one in draft.notes
        ]
        told = {"carried": draft.carried, "total": draft.total, "recording": draft.recording}
        print_json({"rules": rules if draft.carried else None, "notes": notes, **told})
        return
    typer.echo(text, nl=False)
    _say(note.problem for note in draft.notes)
    recording = f", {draft.recording} recording rule{'s' if draft.recording > 1 else ''} left to the server" if draft.recording else ""
    counted = f"{len(draft.notes)} note{'s' if len(draft.notes) != 1 else ''}"
    typer.echo(f"carried over {draft.carried} of {draft.total} rules{recording}; {counted}", err=True)


VERBS = (import_,)
