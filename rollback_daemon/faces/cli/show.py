"""How results look at a terminal; the same without colours in a file. Tables by rich.

Lives here: the present of a rollout, and what every verb prints with. Must not live here: what happened to it (`show_record`).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rollback_daemon.faces.cli import show_aftercare

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_COLOURS = {
    "firing": "bold red",
    "failed": "bold red",
    "rolling_back": "bold red",
    "rolled_back": "red",
    "violated": "red",
    "error": "red",
    "pending": "yellow",
    "held": "yellow",
    "unknown": "yellow",
    "no_data": "yellow",
    "promoting": "cyan",
    "ready": "green",
    "complete": "green",
    "passes": "green",
    "pass": "green",
    "fail": "bold red",
    "GO": "green",
    "GO with monitoring": "yellow",
    "NO-GO": "bold red",
}


def console() -> Console:
    """Standard output; wide enough for whole lines where it is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=240, soft_wrap=True)


def clean(value: Any) -> Any:
    """The same with control characters written out: nothing that somebody put into a label or a reason may steer the terminal."""
    if isinstance(value, dict):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, list):
        return [clean(one) for one in value]
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], value) if isinstance(value, str) else value


def word(text: Any) -> str:
    """A state, in the colour of its urgency."""
    shown = escape(str(text if text is not None else "-"))
    return f"[{_COLOURS[str(text)]}]{shown}[/]" if str(text) in _COLOURS else shown


def share(value: float | None) -> str:
    """An exposure, as people say it."""
    return "-" if value is None else f"{value * 100:g} %"


def clock(at: str | None) -> str:
    """A time of the API without its fractions."""
    return at[:19].replace("T", " ") + "Z" if at else "-"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table, no lines but the one under its heads."""
    made = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        made.add_row(*row)
    return made


def statuses(rollouts: Sequence[dict[str, Any]]) -> Table:
    """Every rollout in a line."""
    heads = ["ROLLOUT", "PHASE", "STAGE", "EXPOSED", "SINCE", "FIRING", "PENDING", "NEXT"]
    return table(
        heads,
        [
            [
                escape(one["rollout"]) + (" (observe)" if one["mode"] == "observe" else ""),
                word(one["phase"]),
                escape(one["stage"] or "-"),
                share(one["exposure"]),
                clock(one["since"]),
                ", ".join(map(word_firing, one["firing"])) or "-",
                escape(", ".join(one["pending"])) or "-",
                escape(one["next"]),
            ]
            for one in rollouts
        ],
    )


def word_firing(name: str) -> str:
    """The name of a trigger that fires."""
    return f"[bold red]{escape(name)}[/]"


def flag_value(value: Any) -> str:
    """The value of a flag, as people write it."""
    return "absent" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def explain(out: Console, one: dict[str, Any]) -> None:
    """One rollout in full."""
    _standing(out, one)
    for trigger in one["triggers"]:
        _explain_trigger(out, trigger)
    if one["gates"]:
        out.print("[bold]gates[/]")
        for gate in one["gates"]:
            out.print(f"  {word(gate['verdict']):<9} {escape(gate['sentence'])}" + ("" if gate["blocking"] else "  (blocks nothing)"))
    _explain_baselines(out, one["baselines"])
    if one["warnings"]:
        out.print("[bold]what the server remarks[/]")
        for said in one["warnings"]:
            out.print(f"  {escape(said['query'])}: {escape(said['warning'])}")
    show_aftercare.explain(out, one)
    if one["proposal"]:
        _explain_proposal(out, one["proposal"])
    if one["blockers"]:
        out.print("[bold]what blocks a promotion[/]")
        for blocker in one["blockers"]:
            out.print(f"  {'?' if blocker['unknown'] else '-'} {escape(blocker['sentence'])}")


def _standing(out: Console, one: dict[str, Any]) -> None:
    """Where it stands, and what it stands on."""
    out.print(
        f"[bold]{escape(one['rollout'])}[/]  {word(one['phase'])} at [bold]{escape(one['stage'] or '-')}[/], {share(one['exposure'])} exposed", end=""
    )
    out.print(f", since {clock(one['since'])}" + ("  (mode: observe)" if one["mode"] == "observe" else ""))
    for name, text in (("why", one["why"]), ("next", one["next"])):
        out.print(f"  {name:<9}{escape(text or '-')}")
    ladder = [f"[reverse]{escape(stage['stage'])}[/]" if stage["stage"] == one["stage"] else escape(stage["stage"]) for stage in one["stages"]]
    out.print(f"  ladder   {' > '.join(ladder)}   soaked {one['soaked']}")
    for stage in one["stages"]:
        if stage["requires"]:
            itself = ", climbed to by itself" if stage["promote"] == "automatic" else ""
            out.print(f"  {escape(stage['stage'])} asks for {escape('; '.join(stage['requires']))}{itself}")
    out.print(f"  flags    {escape(one['flags']['place'])}" + _differing(one["flags"]))
    if one["broken_glass"]:
        out.print(f"  [bold red]BREAK-GLASS[/]  it came to this stage past everything: {escape(one['broken_glass'])}")
    if one["degraded"]:
        lesser = ", ".join(f"{key} is {flag_value(value)}" for key, value in one["degraded"].items())
        out.print(f"  [yellow]degraded[/]  {escape(lesser)}, until somebody restores it")
    if one["transition"]:
        opened = one["transition"]
        out.print(
            f"  under way  {opened['kind']} to {escape(opened['to'])} [{opened['id']}]"
            + (f": {escape(opened['failure'])}" if opened["failure"] else "")
        )
    out.print()


def _explain_baselines(out: Console, baselines: dict[str, Any]) -> None:
    """What relative limits are held against at this stage."""
    if baselines:
        out.print("[bold]baselines of this stage[/]")
        for name, series in baselines.items():
            out.print(f"  {escape(name)}  {escape(', '.join(map(_base, series)))}")


def _base(series: dict[str, Any]) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in series["labels"].items())
    value = f"{series['value']:.6g}" if isinstance(series["value"], (int, float)) else series["value"]
    return f"{{{labels}}} {value}" if labels else str(value)


def _explain_proposal(out: Console, one: dict[str, Any]) -> None:
    """The vote that is open."""
    asked = f"{one['needed']} of {', '.join(one['roles'])} until {clock(one['expires'])}"
    out.print(f"[bold]put to the vote[/]  {escape(one['to'])}, by {escape(one['by'])}: {escape(one['why'])}  ({escape(asked)})")
    for vote in one["votes"]:
        conditions = f"; on condition: {', '.join(vote['conditions'])}" if vote["conditions"] else ""
        resolved = f"; resolved by {vote['resolved']}" if vote["resolved"] else ""
        out.print(f"  {word(vote['decision'])}  {escape(vote['by'])} as {escape(vote['role'])}: {escape(vote['why'] + conditions + resolved)}")
    if not one["votes"]:
        out.print("  nobody has voted yet")


def _differing(flags: dict[str, Any]) -> str:
    if flags["unreadable"]:
        return f"  [red]cannot be read: {escape(flags['unreadable'])}[/]"
    changed = [f"{key} is {flag_value(one['actual'])}, should be {flag_value(one['expected'])}" for key, one in flags["differing"].items()]
    return f"  [yellow]{escape(', '.join(changed))}[/]" if changed else "  as on record"


def _explain_trigger(out: Console, one: dict[str, Any]) -> None:
    what = f"{escape(one['action'])}  severity {escape(one['severity'])}"
    out.print(f"[bold]{escape(one['alert'])}[/]  {word(one['phase'])}  health {word(one['health'])}  {what}")
    if one["expr"]:
        out.print(f"  query    {escape(one['expr'])}")
    for series in one["series"][:5]:
        since = f", since {clock(series['since'])}" if series["since"] else ""
        left = f", fires in {series['fires_in']}" if series["fires_in"] else ""
        limit = "" if series["since"] else f", limit {one['limit']}" + (f" for {one['for']}" if one["for"] != "0s" else "")
        out.print(f"  value    {escape(series['sentence'].removeprefix(one['alert'] + ': '))}{escape(limit)}{since}{left}")
    out.print(f"  change   {escape(one['change'])}")
