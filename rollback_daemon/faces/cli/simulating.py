"""The verb `simulate`: what would happen if signals had other values, as a timetable. It changes nothing.

Must not live here: what would happen (the daemon tells it).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollback_daemon.faces.cli.client import DEFAULT_URL, FORMAT, UNKNOWN, URL, USAGE, Format, call, fail, path_of, print_json

if TYPE_CHECKING:
    from rich.console import Console

_EARNING = {"soaking", "ready", "complete"}
_COLOURS = {"bad": "red", "warn": "yellow", "good": "green"}


def simulate(
    rollout: Annotated[str, typer.Argument(help="The rollout's name.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help='NAME=VALUE of a signal, a trigger or one series: error_rate=2%, Latency=700ms, errors="no data", errors{pod="a"}=failed.'
        ),
    ] = None,
    for_: Annotated[str | None, typer.Option("--for", help="For how long: 10m. Else as long as every trigger concerned needs to act.")] = None,
    at_stage: Annotated[str | None, typer.Option("--at-stage", help="As if it stood at this stage since now.")] = None,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """What would happen if signals were otherwise. Told step by step, with all else as it was seen last; nothing is changed."""
    if not settings and at_stage is None:
        fail("nothing is supposed; add --set NAME=VALUE (error_rate=2%) or --at-stage STAGE", USAGE)
    query: dict[str, Any] = {"set": settings, "for": for_, "at_stage": at_stage}  # two of them are words of Python
    found = call("GET", url, path_of(rollout, "simulation"), **query)
    if output is Format.JSON:
        print_json(found)
    else:
        from rollback_daemon.faces.cli import show

        _show(show.console(), show.clean(found))
    if not found["whole"]:
        raise typer.Exit(UNKNOWN)


def _show(out: "Console", found: dict[str, Any]) -> None:
    from rollback_daemon.faces.cli.show import clock, escape, labelled, rows, share, tell, word

    begins = found["begins"]
    stands = (
        f"[bold]{escape(found['rollout'])}[/]  {word(begins['phase'])} at [bold]{escape(begins['stage'])}[/], {share(begins['exposure'])} exposed"
    )
    supposed = " (supposed)" if found["at_stage"] else ""
    tell(out, f"{stands}{supposed}, soaked {begins['soaked']} of {begins['soak']}", 2)
    labelled(out, "for", f"{found['for']} from {clock(found['at'])}, {found['evaluations']} evaluations, one each {found['interval']}")
    for one in found["set"]:
        readers = ", ".join([*one["triggers"], *(f"gate {name}" for name in one["gates"])]) or "nothing"
        labelled(out, "set", f"{escape(one['set'])}, last seen {escape('; '.join(one['before']))}, read by {escape(readers)}")
    for remark in found["remarks"]:
        labelled(out, "note", escape(remark))
    labelled(out, "assumed", escape(found["assumed"]))
    out.print()
    cells = [["+" + one["in"], clock(one["at"]), _what(one)] for one in found["steps"]]
    rows(out, ["IN", "AT", "WHAT"], cells or [["-", "-", "nothing changes"]])
    out.print()
    ends = found["ends"]
    labelled(out, "ends", escape(found["outcome"]))
    if ends["phase"] in _EARNING:
        labelled(out, "soaked", f"{ends['soaked']} of {ends['soak']}")
    for text in ends["blockers"][:3]:
        labelled(out, "blocks", escape(text))
    for text in found["stops"]:
        labelled(out, "change", escape(text))


def _what(one: dict[str, Any]) -> str:
    from rollback_daemon.faces.cli.show import escape

    said, colour = escape(one["what"]), _COLOURS.get(one["tone"])
    more = f": {escape('; '.join(one['more']))}" if one["more"] else ""
    return (f"[{colour}]{said}[/]" if colour else said) + more


VERBS = (simulate,)
