"""The verb `flags`: how the flags of a rollout are, a copy of them, and a copy put back. What changes something takes a reason, which goes on record.

Must not live here: whether a copy may be put back; the daemon says.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollback_daemon.faces.cli.changing import ROLLOUT, WAIT, transition
from rollback_daemon.faces.cli.client import DEFAULT_URL, FORMAT, NO, UNKNOWN, URL, USAGE, Format, call, fail, path_of, print_json

if TYPE_CHECKING:
    from rich.console import Console

_ROOM = 20  # characters that the last column needs; reasons are short here
_NAME = re.compile(r"(?P<before>.+\.rollbackd-)(?P<own>.+)(?P<after>\.bak)")  # of a copy


class Action(StrEnum):
    """What is to be done with the flags."""

    STATUS = "status"
    BACKUP = "backup"
    RESTORE = "restore"


def flags(
    rollout: ROLLOUT,
    action: Annotated[Action, typer.Argument(help="Look at them, keep a copy, or put one back.")] = Action.STATUS,
    backup: Annotated[
        str | None, typer.Argument(help="The copy to put back, or a part of its name; the newest one that may be when left out.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it goes on record. `backup` and `restore` need it.")] = None,
    wait: WAIT = 60,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """The flags as they are beside those on record, with the copies that are kept: 0 as on record, 1 they differ, 3 they cannot be read.

    `backup` keeps a copy. `restore` puts one back that has the flags of the stage on record or a lower one: a rollback, with all that follows one.
    """
    if backup is not None and action is not Action.RESTORE:
        fail(f'`{action}` takes no copy; "{backup}" is one too many', USAGE)
    if action is Action.STATUS:
        _status(call("GET", url, path_of(rollout, "flags")), output)
        return
    if reason is None:
        fail(f"say why you want to {action} them, by --reason; it goes on record", USAGE)
    if action is Action.RESTORE:
        transition(url, rollout, "flags/restore", {"reason": reason, "backup": backup}, wait, output)
        return
    made = call("POST", url, path_of(rollout, "flags", "backup"), {"reason": reason})
    if output is Format.JSON:
        print_json(made)
    else:
        from rollback_daemon.faces.cli import show

        show.console().print(show.clean(made["backup"]), markup=False, soft_wrap=True)


def _status(found: dict[str, Any], output: Format) -> None:
    if output is Format.JSON:
        print_json(found)
    else:
        _show(found)
    if found["as_on_record"] is not True:
        raise typer.Exit(UNKNOWN if found["as_on_record"] is None else NO)


def _show(said: dict[str, Any]) -> None:
    from rollback_daemon.faces.cli import show
    from rollback_daemon.faces.cli.terminal import escape

    out, found = show.console(), show.clean(said)
    show.tell(out, f"[bold]{escape(found['rollout'])}[/]  {_standing(found)}", 2)
    show.labelled(out, "place", f"{escape(found['place'])} ({found['store']})")
    if found["trace"]:
        show.labelled(out, "changed", escape(_changed(found["trace"])))
    for name in ("under_way", "unreadable"):
        if found[name]:
            show.tell(out, f"  {name.replace('_', ' ')}  {escape(found[name])}")
    out.print()
    show.rows(out, ["FLAG", "ON RECORD", "ACTUAL"], [_row(one, found) for one in found["flags"]], room=_ROOM)
    out.print()
    if found["backups_unreadable"]:
        show.tell(out, f"its copies cannot be found: {escape(found['backups_unreadable'])}", 2)
    elif not found["backups"]:
        out.print("no copy of them is kept")
    else:
        _copies(out, found["backups"])


def _copies(out: "Console", copies: Sequence[dict[str, Any]]) -> None:
    """The copies that are kept, each by the part of its name that tells it from the others; what all of them share stands above."""
    from rollback_daemon.faces.cli import show
    from rollback_daemon.faces.cli.terminal import escape

    named = [_NAME.fullmatch(one["backup"]) for one in copies]
    alike = {(name["before"], name["after"]) if name else None for name in named}
    shared = alike.pop() if len(alike) == 1 else None
    if shared:
        show.tell(out, f"copies in {escape('*'.join(shared))}, by what stands for the *:", 2)
    names = [name["own"] if name and shared else one["backup"].rsplit("/", 1)[-1] for name, one in zip(named, copies, strict=True)]
    cells = [_copy(one, name) for one, name in zip(copies, names, strict=True)]
    show.rows(out, ["BACKUP", "TAKEN", "FLAGS OF", "MAY BE RESTORED"], cells, room=_ROOM)


def _standing(found: dict[str, Any]) -> str:
    from rollback_daemon.faces.cli.terminal import escape

    on_record = f"{escape(found['stage'])} on record" if found["stage"] else "nothing on record yet"
    if found["as_on_record"] is None:
        return f"{on_record}, [yellow]its flags cannot be held against it[/]"
    there = f"those of {escape(found['flags_of'])}" if found["flags_of"] else "those of no stage"
    return f"{on_record}, its flags are {'as on record' if found['as_on_record'] else f'[red]{there}[/]'}"


def _changed(trace: dict[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in sorted(trace.items(), key=lambda one: one[0] != "modified"))


def _row(one: dict[str, Any], found: dict[str, Any]) -> list[str]:
    from rollback_daemon.faces.cli import show
    from rollback_daemon.faces.cli.terminal import escape

    expected = escape(show.flag_value(one["expected"])) if found["stage"] else "-"
    actual = "-" if found["unreadable"] else "absent" if one["absent"] else escape(show.flag_value(one["actual"]))
    return [escape(one["flag"]), expected, f"[red]{actual}[/]" if one["differs"] else actual]


def _copy(one: dict[str, Any], shown: str) -> list[str]:
    from rollback_daemon.faces.cli import show
    from rollback_daemon.faces.cli.terminal import escape

    taken = show.clock(one["trace"].get("modified"))
    name = one["backup"].rsplit("/", 1)[-1]
    return [escape(shown), taken, escape(one["stage"] or ("cannot be read" if one["unreadable"] else "no stage")), _may(one, name)]


def _may(one: dict[str, Any], name: str) -> str:
    from rollback_daemon.faces.cli.terminal import escape

    return escape(f"no: {one['why_not'].removeprefix(f'{name}: ')}") if one["why_not"] else "yes"


VERBS = (flags,)
