"""How results look at a terminal; the same without colours in a file.

Lives here: the present of a rollout, and the words and colours that every verb prints with. Must not live here: what happened to it (`show_record`),
how lines are folded (`terminal`).
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from rollback_daemon.faces.cli import show_aftercare, show_evidence
from rollback_daemon.faces.cli.terminal import clean, console, escape, has_room, labelled, rows, tell
from rollback_daemon.faces.telling import clock, flag_value

__all__ = ["clean", "clock", "console", "escape", "explain", "flag_value", "labelled", "rows", "share", "statuses", "tell", "word"]
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


def word(text: Any) -> str:
    """A state, in the colour of its urgency."""
    shown = escape(str(text if text is not None else "-"))
    return f"[{_COLOURS[str(text)]}]{shown}[/]" if str(text) in _COLOURS else shown


def share(value: float | None) -> str:
    """An exposure, as people say it."""
    return "-" if value is None else f"{value * 100:g} %"


def statuses(out: Console, rollouts: Sequence[dict[str, Any]]) -> None:
    """Every rollout in a line, or in a few short ones where that has no room."""
    heads = ["ROLLOUT", "PHASE", "SINCE", "STAGE", "EXPOSED", "FIRING", "PENDING", "NEXT"]
    cells = [
        [
            _called(one),
            word(one["phase"]),
            clock(one["since"]),
            escape(one["stage"] or "-"),
            share(one["exposure"]),
            _firing(one) or "-",
            escape(", ".join(one["pending"])) or "-",
            escape(one["next"]),
        ]
        for one in rollouts
    ]
    if has_room(out, heads, cells):
        rows(out, heads, cells)
        return
    for one in rollouts:
        _status(out, one)


def _called(one: dict[str, Any]) -> str:
    return escape(one["rollout"]) + (" (observe)" if one["mode"] == "observe" else "")


def _status(out: Console, one: dict[str, Any]) -> None:
    """One rollout in a few lines."""
    exposed = f", {share(one['exposure'])} exposed" if one["exposure"] is not None else ""
    phase = f"[bold]{_called(one)}[/]  {word(one['phase'])} since {clock(one['since'])}"
    tell(out, f"{phase}, at {escape(one['stage'] or '-')}{exposed}{_entered(one)}", 2)
    for label, said in (("firing", _firing(one)), ("pending", escape(", ".join(one["pending"])))):
        if said:
            labelled(out, label, said)
    labelled(out, "next", escape(one["next"]))


def _entered(one: dict[str, Any]) -> str:
    """Since when it is at its stage, where that is not since when it is in its phase."""
    return f", there since {clock(one['entered'])}" if one["entered"] != one["since"] else ""


def _firing(one: dict[str, Any]) -> str:
    """What fires; where it is not armed nothing follows, and nobody is alerted."""
    return ", ".join(f"{escape(name)} (not armed)" if name in one["silent"] else word_firing(name) for name in one["firing"])


def word_firing(name: str) -> str:
    """The name of a trigger that fires."""
    return f"[bold red]{escape(name)}[/]"


def explain(out: Console, one: dict[str, Any]) -> None:
    """One rollout in full."""
    _standing(out, one)
    cancelled = {escalated["alert"]: escalated["cancelled"] for escalated in one["escalations"] if escalated["cancelled"]}
    for trigger in one["triggers"]:
        _explain_trigger(out, trigger, cancelled.get(trigger["alert"]))
    if one["gates"]:
        out.print("[bold]gates[/]")
        for gate in one["gates"]:
            said = f"{escape(gate['sentence'])}" + ("" if gate["blocking"] else "  (blocks nothing)")
            tell(out, f"  {word(gate['verdict'])}{' ' * (9 - len(gate['verdict']))} {said}", 12)
    _explain_baselines(out, one["baselines"])
    if one["warnings"]:
        out.print("[bold]what the server remarks[/]")
        for said in one["warnings"]:
            tell(out, f"  {escape(said['query'])}: {escape(said['warning'])}")
    show_aftercare.explain(out, one)
    if one["proposal"]:
        _explain_proposal(out, one["proposal"])
    if one["blockers"]:
        out.print("[bold]what blocks a promotion[/]")
        for blocker in one["blockers"]:
            tell(out, f"  {'?' if blocker['unknown'] else '-'} {escape(blocker['sentence'])}")


def _standing(out: Console, one: dict[str, Any]) -> None:
    """Where it stands, and what it stands on."""
    stands = f"[bold]{escape(one['rollout'])}[/]  {word(one['phase'])} since {clock(one['since'])}, at [bold]{escape(one['stage'] or '-')}[/], "
    stands += f"{share(one['exposure'])} exposed{_entered(one)}"
    tell(out, stands + ("  (mode: observe)" if one["mode"] == "observe" else ""), 2)
    for name, text in (("why", one["why"]), ("next", one["next"])):
        labelled(out, name, escape(text or "-"))
    ladder = [f"[reverse]{escape(stage['stage'])}[/]" if stage["stage"] == one["stage"] else escape(stage["stage"]) for stage in one["stages"]]
    labelled(out, "ladder", f"{' > '.join(ladder)}   soaked {one['soaked']}")
    for stage in one["stages"]:
        if stage["requires"]:
            itself = ", climbed to by itself" if stage["promote"] == "automatic" else ""
            tell(out, f"  {escape(stage['stage'])} asks for {escape('; '.join(stage['requires']))}{itself}")
    labelled(out, "flags", escape(one["flags"]["place"]) + _differing(one["flags"]))
    for setting in one["config"]:
        labelled(out, "config", f"{word(setting['outcome'])}  {escape(setting['sentence'])}")
    show_evidence.explain(out, one["evidence"])
    if one["broken_glass"]:
        tell(out, f"  [bold red]BREAK-GLASS[/]  it came to this stage past everything: {escape(one['broken_glass'])}")
    if one["degraded"]:
        lesser = ", ".join(f"{key} is {flag_value(value)}" for key, value in one["degraded"].items())
        tell(out, f"  [yellow]degraded[/]  {escape(lesser)}, until somebody restores it")
    if one["transition"]:
        opened = one["transition"]
        failure = f": {escape(opened['failure'])}" if opened["failure"] else ""
        tell(out, f"  under way  {opened['kind']} to {escape(opened['to'])} {escape('[' + opened['id'] + ']')}{failure}")
    out.print()


def _explain_baselines(out: Console, baselines: dict[str, Any]) -> None:
    """What relative limits are held against at this stage."""
    if baselines:
        out.print("[bold]baselines of this stage[/]")
        for name, series in baselines.items():
            tell(out, f"  {escape(name)}  {escape(', '.join(map(_base, series)))}")


def _base(series: dict[str, Any]) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in series["labels"].items())
    value = f"{series['value']:.6g}" if isinstance(series["value"], (int, float)) else series["value"]
    return f"{{{labels}}} {value}" if labels else str(value)


def _explain_proposal(out: Console, one: dict[str, Any]) -> None:
    """The vote that is open."""
    asked = f"{one['needed']} of {', '.join(one['roles'])} until {clock(one['expires'])}"
    tell(out, f"[bold]put to the vote[/]  {escape(one['to'])}, by {escape(one['by'])}: {escape(one['why'])}  ({escape(asked)})", 2)
    for vote in one["votes"]:
        conditions = f"; on condition: {', '.join(vote['conditions'])}" if vote["conditions"] else ""
        resolved = f"; resolved by {vote['resolved']}" if vote["resolved"] else ""
        tell(out, f"  {word(vote['decision'])}  {escape(vote['by'])} as {escape(vote['role'])}: {escape(vote['why'] + conditions + resolved)}")
    if not one["votes"]:
        out.print("  nobody has voted yet")


def _differing(flags: dict[str, Any]) -> str:
    if flags["unreadable"]:
        return f"  [red]cannot be read: {escape(flags['unreadable'])}[/]"
    changed = [f"{key} is {flag_value(one['actual'])}, should be {flag_value(one['expected'])}" for key, one in flags["differing"].items()]
    return f"  [yellow]{escape(', '.join(changed))}[/]" if changed else "  as on record"


def _explain_trigger(out: Console, one: dict[str, Any], cancelled: dict[str, Any] | None) -> None:
    what = f"{escape(one['action'])}  severity {escape(one['severity'])}"
    tell(out, f"[bold]{escape(one['alert'])}[/]  {word(one['phase'])}  health {word(one['health'])}  {what}", 2)
    if cancelled:
        labelled(out, "rollback", f"[yellow]cancelled[/] by {escape(cancelled['by'])}, and not announced again while it fires")
    if one["expr"]:
        labelled(out, "query", escape(one["expr"]))
    for series in one["series"][:5]:
        since = f", since {clock(series['since'])}" if series["since"] else ""
        left = f", fires in {series['fires_in']}" if series["fires_in"] else ""
        limit = "" if series["since"] else f", limit {one['limit']}" + (f" for {one['for']}" if one["for"] != "0s" else "")
        labelled(out, "value", f"{escape(series['sentence'].removeprefix(one['alert'] + ': '))}{escape(limit)}{since}{left}")
    for budget in one["budgets"]:
        spent = f"[red]spent[/] since {clock(budget['spent'])}, " if budget["spent"] else "then "
        labelled(out, "budget", f"{escape(budget['sentence'])}, {spent}{escape(budget['then'])}")
    labelled(out, "change", escape(one["change"]))
