"""What follows a rollback or completion, at the terminal. Must not live here: the rest of an explanation (`show`)."""

from typing import Any

from rich.console import Console
from rich.markup import escape


def explain(out: Console, one: dict[str, Any]) -> None:
    """That part of an explanation; nothing where nothing follows."""
    for escalated in one["escalations"]:
        _explain_escalation(out, escalated)
    if one["aftermath"]:
        _explain_aftermath(out, one["aftermath"])
    if one["follow_ups"] and one["follow_ups"]["completed"]:
        _explain_follow_ups(out, one["follow_ups"])


def _explain_escalation(out: Console, one: dict[str, Any]) -> None:
    """How far a trigger has come that goes on firing, and what follows if nobody does anything."""
    reached = [f"{level['level'] or 'firing'} since {_clock(level['since'])}" for level in one["levels"]]
    then = f"; next at {_clock(one['next'])}" if one["next"] else ""
    out.print(f"[bold]escalation[/]  {escape(one['alert'])}  {escape(', '.join(reached) or '-')}{then}")
    if one["unseen"]:
        out.print(f"  [yellow]cannot be seen now[/]: {escape(one['unseen'])}; it waits")
    if said := one["acknowledged"]:
        out.print(f"  acknowledged at {_clock(said['at'])}, {escape(said['why'])}")
    if rollback := one["rollback"]:
        out.print(f"  [bold red]rollback announced[/]  to {escape(rollback['to'])} at {_clock(rollback['due'])}: {escape(rollback['why'])}")
        out.print("  `rollbackd cancel` lets it not be")
    if said := one["cancelled"]:
        out.print(f"  the rollback was cancelled at {_clock(said['at'])}, {escape(said['why'])}")


def _explain_aftermath(out: Console, one: dict[str, Any]) -> None:
    steps = f", {one['passed']} of {one['of']} steps passed" if one["of"] else ""
    out.print(f"[bold]after the rollback[/]  {escape(one['verification'])}{steps}, by {escape(one['way'])}  (incident {one['incident']})")
    if one["why"]:
        out.print(f"  {escape(one['why'])}")


def _explain_follow_ups(out: Console, one: dict[str, Any]) -> None:
    """Every look after completion: those that were, those to come, and what a person said at the end."""
    out.print(f"[bold]follow-ups[/]  {', '.join(one['after'])} after it was complete at {_clock(one['completed'])}")
    for look in one["looks"]:
        tries = f", {look['tries']} tries" if look["tries"] > 1 else ""
        colour = {"passed": "green", "missed": "yellow"}.get(look["outcome"], "bold red")
        why = f": {escape(look['why'])}" if look["why"] else ""
        out.print(f"  {look['after']:<4} [{colour}]{look['outcome']}[/]  {_clock(look['at'])}{tries}{why}")
    if one["next"]:
        out.print(f"  {one['next']['after']:<4} due at {_clock(one['next']['at'])}")
    if one["decision_due"]:
        out.print("  [yellow]a person decides now[/]: `rollbackd decide` says keep, clean-up or tune")
    if said := one["decision"]:
        out.print(f"  decided: [bold]{said['decision']}[/], by {escape(said['by'])}: {escape(said['why'])}")


def _clock(at: str) -> str:
    """A time of the API without its fractions."""
    return at[:19].replace("T", " ") + "Z"
