"""The result of a backtest on a terminal.

Lives here: columns and order. Must not live here: facts, sentences (`lab.backtesting.words`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from rollback_daemon.faces.cli.terminal import escape, rows, tell
from rollback_daemon.lab.backtesting import words

Entry = Mapping[str, Any]
_MOST_ROWS = 40
_ALL = "--format json has all of them"


def show(out: Console, document: Entry) -> None:
    """The whole document."""
    server = document["prometheus"]
    version = f" {server['version']}" if server["version"] else ", which does not say its version,"
    tell(out, f"[bold]backtest[/bold] against Prometheus{escape(version)} at {escape(server['url'])}")
    for number, one in enumerate(document["rollouts"]):
        _rollout(out, one)
        if document["scored"]:
            _scored(out, document["scored"][number])
    if document["compared"]:
        _compared(out, document)
    for one in document["queries"]:
        if one["query"] in document["hopeless"]:
            tell(out, f"[red]could not tell[/red]: {escape(one['query'])} failed every time: {escape(one['why'])}")
        elif not one["samples"]:
            tell(out, f"[yellow]no data at all[/yellow]: {escape(one['query'])}")


def _rollout(out: Console, one: Entry) -> None:
    out.print()
    tell(out, f"[bold]{escape(one['rollout'])}[/bold] ({escape(one['file'])}): [bold]{escape(words.headline(one))}[/bold]")
    often = f"{one['evaluations']:,} evaluations, one every {words.span(one['interval'])}"
    tell(out, f"  {words.clock(one['from'])} to {words.clock(one['to'])} UTC, {often}; {escape(words.begins(one))}")
    tell(out, f"  {escape(words.stood(one))}")
    if told := words.ends(one):
        tell(out, f"  {escape(told)}")
    for said in one["untold"]:
        tell(out, f"  [yellow]note[/yellow]: {escape(said)}")
    out.print()
    rows(out, ("TRIGGER", "FIRED", "FIRING", "PENDING", "BREACHED", "UNKNOWN", "LIMIT"), [_trigger(trigger) for trigger in one["triggers"]], room=12)
    out.print()
    rows(out, ("TRIGGER", "CLOSEST"), [[escape(trigger["alert"]), escape(words.closest(trigger))] for trigger in one["triggers"]])
    for said, names in words.blind(one["triggers"]).items():
        tell(out, f"  [yellow]{escape(', '.join(names))} could not be told[/yellow]: {escape(said)}")
    if one["gates"]:
        out.print()
        rows(out, ("GATE", "PASSING", "VIOLATED", "UNKNOWN", "LAST WHY NOT"), [_gate(gate) for gate in one["gates"]])
    fires = [(trigger, fire) for trigger in one["triggers"] for fire in trigger["fires"]]
    fires.sort(key=lambda pair: str(pair[1]["fired"]))
    _listed(out, ("FIRED", "TRIGGER", "FIRE"), [_fire(trigger, fire) for trigger, fire in fires])
    _listed(out, ("AT", "DECISION", "WHY"), [_decision(made) for made in one["decisions"]])


def _listed(out: Console, heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    if cells:
        out.print()
        rows(out, heads, cells[:_MOST_ROWS])
    if len(cells) > _MOST_ROWS:
        tell(out, f"  and {len(cells) - _MOST_ROWS} more; {_ALL}")


def _trigger(one: Entry) -> list[str]:
    colour = "red" if one["fired"] else "yellow" if one["unknown"]["share"] == 1 else "green"
    times = [words.span(one["firing_seconds"]) if one["fired"] else "-", words.span(one["pending_seconds"]) if one["pending_seconds"] else "-"]
    measured = [words.longest(one), words.share(one["unknown"]["share"])]
    return [f"[{colour}]{escape(one['alert'])}[/{colour}]", str(one["fired"]), *times, *measured, escape(words.limit(one))]


def _gate(one: Entry) -> list[str]:
    shares = [words.share(one[name]) for name in ("passing", "violated", "unknown")]
    return [escape(one["gate"]), *shares, escape(one["why"]) if one["evaluations"] else "not asked for where it stood"]


def _fire(trigger: Entry, fire: Entry) -> list[str]:
    return [words.clock(fire["fired"]), escape(trigger["alert"]), escape(words.fire(fire, trigger["limit"]))]


def _decision(one: Entry) -> list[str]:
    colour = "red" if "rollback" in one["kind"] else "yellow" if one["latches"] else "none"
    return [words.clock(one["at"]), f"[{colour}]{escape(words.decision(one))}[/{colour}]", escape(words.reasons(one))]


def _scored(out: Console, one: Entry) -> None:
    out.print()
    tell(out, f"[bold]against {one['incidents']} incidents[/bold], each widened by {words.span(one['tolerance'])}")
    hidden = one["rollbacks"]["not_exposed"]
    told = f"; not exposed: {', '.join(hidden)}" if hidden else ""
    cells = [["[bold]rollbacks[/bold]", escape(words.score(one["rollbacks"]) + told)]]
    cells += [[escape(trigger["alert"]), escape(words.score(trigger))] for trigger in one["triggers"]]
    rows(out, ("WHAT", "SCORE"), cells)
    if one["rollbacks"]["missed"]:
        tell(out, f"  missed by the rollbacks: {escape(', '.join(one['rollbacks']['missed'][:_MOST_ROWS]))}")
    if one["outside"]:
        tell(out, f"  outside of the history: {escape(', '.join(one['outside'][:_MOST_ROWS]))}")


def _compared(out: Console, document: Entry) -> None:
    one = document["compared"]
    out.print()
    tell(out, f"[bold]with {escape(one['file'])} instead[/bold]{'' if one['different'] else ': no difference'}")
    tell(out, f"  {escape(words.headline(document['other']))}")
    tell(out, f"  {escape(words.stood(document['other']))}")
    out.print()
    cells = [[escape(trigger["alert"]), *_change(trigger, words.only_in(trigger, document))] for trigger in one["triggers"]]
    rows(out, ("TRIGGER", "FIRED", "UNKNOWN", "WHAT IS DIFFERENT"), cells)
    _listed(out, ("AT", "CHANGE", "DECISION"), [[at, word, escape(what)] for at, word, what in words.changes(one)])


def _change(one: Entry, only: str) -> list[str]:
    fired = f"{one['fired'][0]} > {one['fired'][1]}" if one["fired"][0] != one["fired"][1] else str(one["fired"][0])
    unknown = [words.share(value) for value in one["unknown"]]
    parts = [only] if only else []
    if one["limits"][0] != one["limits"][1] and not one["only_in"]:
        parts.append(f"{one['limits'][0]} becomes {one['limits'][1]}")
    for word in ("added", "gone"):
        parts += [f"{word} {words.clock(each['fired'])}" for each in one[word][:_MOST_ROWS]]
    parts += [f"{words.clock(each['fired'])} is {words.later(each['seconds_later'])}" for each in one["moved"][:_MOST_ROWS]]
    told = "; ".join(parts) or "-"
    return [fired, unknown[0] if unknown[0] == unknown[1] else " > ".join(unknown), escape(told)]
