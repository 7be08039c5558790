"""How results look at a terminal; the same without colours in a file. Tables by rich."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
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
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", value) if isinstance(value, str) else value


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


def history(events: Sequence[dict[str, Any]]) -> Table:
    """What happened, a line each."""
    return table(
        ["AT", "EVENT", "WHAT", "BY"], [[clock(one["at"]), escape(one["event"]), escape(told(one)), escape(one.get("by", ""))] for one in events]
    )


def told(event: dict[str, Any]) -> str:
    """One event of the journal as a sentence."""
    return _TOLD.get(event["event"], _why)(event)


def _why(event: dict[str, Any]) -> str:
    why = event.get("why") or ""
    return "; ".join(why) if isinstance(why, list) else str(why)


def _trigger(event: dict[str, Any]) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in event["labels"].items())
    value = "no data" if event["value"] is None else f"{event['value']:.6g}" if isinstance(event["value"], (int, float)) else event["value"]
    limit = f"limit {event['limit']}" if event["phase"] == "inactive" else event["limit"]
    return f"{event['alert']}{'{' + labels + '}' if labels else ''} {event['phase']} ({value} {limit})"


def _flags(event: dict[str, Any]) -> str:
    before = event["before"]
    changes = ", ".join(f"{key}: {_value(before.get(key))} -> {_value(value)}" for key, value in event["after"].items())
    return f"{changes}; backup {event['backup']}" if event["backup"] else changes


def _value(value: Any) -> str:
    return "absent" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


_TOLD: dict[str, Callable[[dict[str, Any]], str]] = {
    "adopted": lambda one: f"found at {one['stage']}; {one['why']}",
    "intended": lambda one: f"{one['kind']} {one['from']} -> {one['to']} [{one['id']}]: {_why(one)}",
    "applied": _flags,
    "ran": lambda one: f"{' '.join(one['command'])} in {one['seconds']} s" + (f": {one['error']}" if one["error"] else ""),
    "attempted": lambda one: f"{one['kind']} failed ({one['outcome']}), try {one['attempt']}: {one['error']}",
    "done": lambda one: f"{one['kind']} {one['from']} -> {one['to']} [{one['id']}]: flags read back",
    "abandoned": lambda one: f"{one['kind']} {one['from']} -> {one['to']} [{one['id']}] given up: {_why(one)}",
    "trigger": _trigger,
    "sight": lambda one: f"blind: {_why(one)}" if one["blind"] else "sees again",
    "drift": lambda one: "the flags are those on record" if one["drift"] == "none" else f"{one['drift']}: {_drift(one)}",
    "observed": lambda one: f"would {one['would']}: {_why(one)}",
    "configured": lambda one: f"rules of {one['file']} ({one['sha256'][:12]}): {'; '.join(one['rules'])}",
    "refused": lambda one: f"{one['request']} ({one['reason']}): {_why(one)}",
    "ready": lambda one: f"{one['stage']} is soaked and every gate passes",
    "unready": lambda one: f"{one['stage']} is no longer ready: {_why(one)}",
    "completed": lambda one: f"{one['stage']} is soaked; the rollout is complete",
}


def _drift(event: dict[str, Any]) -> str:
    changed = [f"{key} is {_value(one['actual'])}, should be {_value(one['expected'])}" for key, one in event["keys"].items()]
    return ", ".join(changed) or event["why"]


def explain(out: Console, one: dict[str, Any]) -> None:
    """One rollout in full."""
    out.print(
        f"[bold]{escape(one['rollout'])}[/]  {word(one['phase'])} at [bold]{escape(one['stage'] or '-')}[/], {share(one['exposure'])} exposed", end=""
    )
    out.print(f", since {clock(one['since'])}" + ("  (mode: observe)" if one["mode"] == "observe" else ""))
    for name, text in (("why", one["why"]), ("next", one["next"])):
        out.print(f"  {name:<9}{escape(text or '-')}")
    ladder = [f"[reverse]{escape(stage['stage'])}[/]" if stage["stage"] == one["stage"] else escape(stage["stage"]) for stage in one["stages"]]
    out.print(f"  ladder   {' > '.join(ladder)}   soaked {one['soaked']}")
    out.print(f"  flags    {escape(one['flags']['place'])}" + _differing(one["flags"]))
    if one["transition"]:
        opened = one["transition"]
        out.print(
            f"  under way  {opened['kind']} to {escape(opened['to'])} [{opened['id']}]"
            + (f": {escape(opened['failure'])}" if opened["failure"] else "")
        )
    out.print()
    for trigger in one["triggers"]:
        _explain_trigger(out, trigger)
    if one["gates"]:
        out.print("[bold]gates[/]")
        for gate in one["gates"]:
            out.print(f"  {word(gate['verdict']):<9} {escape(gate['sentence'])}")
    if one["warnings"]:
        out.print("[bold]what the server remarks[/]")
        for said in one["warnings"]:
            out.print(f"  {escape(said['query'])}: {escape(said['warning'])}")
    if one["blockers"]:
        out.print("[bold]what blocks a promotion[/]")
        for blocker in one["blockers"]:
            out.print(f"  {'?' if blocker['unknown'] else '-'} {escape(blocker['sentence'])}")


def _differing(flags: dict[str, Any]) -> str:
    if flags["unreadable"]:
        return f"  [red]cannot be read: {escape(flags['unreadable'])}[/]"
    changed = [f"{key} is {_value(one['actual'])}, should be {_value(one['expected'])}" for key, one in flags["differing"].items()]
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
