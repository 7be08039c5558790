"""How the record looks at a terminal: the events of the journal in columns, and the scorecard.

Must not live here: the sentences (`faces.telling`), the present of a rollout (`show`), the report, which is Markdown (`governance`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from rollback_daemon.faces.cli.show import clock, escape, rows, tell, word
from rollback_daemon.faces.telling import GLASS, told

Event = Mapping[str, Any]
_ROOM = 60  # characters for what happened, below which it has no column of its own


def history(out: Console, events: Sequence[Event]) -> None:
    """What happened, a line each."""
    cells = [[clock(one["at"]), escape(one["event"]), escape(one.get("by", "")), _shown(told(one))] for one in events]
    rows(out, ["AT", "EVENT", "BY", "WHAT"], cells, room=_ROOM)


def _shown(sentence: str) -> str:
    return escape(sentence).replace(GLASS, f"[bold red]{GLASS}[/]", 1) if sentence.startswith(GLASS) else escape(sentence)


def scorecard(out: Console, card: Mapping[str, Any]) -> None:
    """Every check with its evidence, and what the points come to."""
    tell(out, "  ".join(_verdict(card)), 2)
    out.print()
    checks = [
        [word(one["outcome"]), escape(one["check"]) + ("" if one["blocking"] else " (blocks nothing)"), escape(one["evidence"])]
        for one in card["checks"]
    ]
    rows(out, ["OUTCOME", "CHECK", "EVIDENCE"], checks)
    if card["lines"]:
        out.print()
        points = [[escape(one["part"]), escape(one["check"]), f"{one['has']:g} of {one['worth']:g}", word(one["outcome"])] for one in card["lines"]]
        rows(out, ["PART", "CHECK", "POINTS", "OUTCOME"], points)


def _verdict(card: Mapping[str, Any]) -> Iterator[str]:
    to = f" -> {escape(card['to'])}" if card["to"] else ""
    yield f"[bold]{escape(card['rollout'])}[/]  {escape(card['stage'] or '-')}{to}"
    yield word(card["verdict"] or "unknown")
    if against := [one["check"] for one in card["checks"] if one["blocking"] and one["outcome"] != "pass"]:
        yield f"[bold red]blocked by {escape(', '.join(dict.fromkeys(against)))}[/]"
    if card["points"] is not None:
        yield f"{card['points']:g} of 100 (GO from {card['go']:g}, with monitoring from {card['monitor']:g})"
    if card["unsure"]:
        yield "[yellow]could change with what is unknown[/]"
