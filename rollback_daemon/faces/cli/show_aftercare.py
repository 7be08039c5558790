"""What follows a rollback or completion, at the terminal. Must not live here: the rest of an explanation (`show`)."""

from typing import Any

from rich.console import Console

from rollback_daemon.faces.cli.terminal import escape, labelled, tell
from rollback_daemon.faces.telling import clock


def explain(out: Console, one: dict[str, Any]) -> None:
    """That part of an explanation; nothing where nothing follows."""
    for escalated in one["escalations"]:
        _explain_escalation(out, one["rollout"], escalated)
    if one["aftermath"]:
        _explain_aftermath(out, one["aftermath"])
    if one["follow_ups"] and one["follow_ups"]["completed"]:
        _explain_follow_ups(out, one["follow_ups"])
    for hook in one.get("hooks", ()):
        _explain_hook(out, hook)


def _explain_escalation(out: Console, rollout: str, one: dict[str, Any]) -> None:
    """How far a trigger has come that goes on firing, and what follows if nobody does anything."""
    reached = [f"{level['level'] or 'firing'} since {clock(level['since'])}" for level in one["levels"]]
    then = f"; next at {clock(one['next'])}" if one["next"] else ""
    levels = f"  {escape(', '.join(reached))}{then}" if reached else ""
    tell(out, f"[bold]{'escalation' if reached else 'announcement'}[/]  {escape(one['alert'])}{levels}", 2)
    if one["unseen"]:
        tell(out, f"  [yellow]cannot be seen now[/]: {escape(one['unseen'])}; it waits")
    if said := one["acknowledged"]:
        tell(out, f"  acknowledged at {clock(said['at'])}, {escape(said['why'])}")
    if rollback := one["rollback"]:
        when = f"at {clock(rollback['due'])}, in {rollback['left']}"
        tell(out, f"  [bold red]rollback announced[/]  to {escape(rollback['to'])} {when}: {escape(rollback['why'])}")
        tell(out, escape(f'  `rollbackd cancel {rollout} {one["alert"]} --reason "..."` lets it not be'))
    if said := one["cancelled"]:
        tell(out, f"  the rollback was cancelled at {clock(said['at'])}, {escape(said['why'])}")
        tell(out, f"  none is announced again while {escape(one['alert'])} fires")


def _explain_aftermath(out: Console, one: dict[str, Any]) -> None:
    """The incident that is open: how its verification stands, and what follows by itself."""
    steps = f", {one['passed']} of {one['of']} steps passed" if one["of"] else ""
    tell(out, f"[bold]after the rollback[/]  {escape(one['verification'])}{steps}, by {escape(one['way'])}  (incident {one['incident']})", 2)
    if one["step"]:
        labelled(out, "step", escape(one["step"]))
    if one["why"]:
        labelled(out, "why", escape(one["why"]))
    if one["next"]:
        labelled(out, "next", f"{escape(one['next']['way'])} at {clock(one['next']['at'])}")
    if one["stopped"]:
        tell(out, f"  no further way back is taken: {escape(one['stopped'])}")


def _explain_hook(out: Console, one: dict[str, Any]) -> None:
    """A hook that has not been told all there is to tell."""
    waiting = "1 event waits" if one["waiting"] == 1 else f"{one['waiting']} events wait"
    tries = f", {one['attempts']} failed so far" if one["attempts"] else ", and its call has not ended yet"
    tell(out, f"[bold yellow]hook behind[/]  {escape(one['hook'])}  {waiting} since {clock(one['since'])}, the first is {one['on']}{tries}", 2)
    for said in filter(None, (one["error"], one["output"])):
        tell(out, f"  {escape(said)}")


def _explain_follow_ups(out: Console, one: dict[str, Any]) -> None:
    """Every look after completion: those that were, those to come, and what a person said at the end."""
    tell(out, f"[bold]follow-ups[/]  {', '.join(one['after'])} after it was complete at {clock(one['completed'])}", 2)
    for look in one["looks"]:
        tries = f", {look['tries']} tries" if look["tries"] > 1 else ""
        colour = {"passed": "green", "missed": "yellow"}.get(look["outcome"], "bold red")
        why = f": {escape(look['why'])}" if look["why"] else ""
        tell(out, f"  {look['after']:<4} [{colour}]{look['outcome']}[/]  {clock(look['at'])}{tries}{why}")
    if one["next"]:
        tell(out, f"  {one['next']['after']:<4} due at {clock(one['next']['at'])}")
    if one["decision_due"]:
        out.print("  [yellow]a person decides now[/]: `rollbackd decide` says keep, clean-up or tune")
    if said := one["decision"]:
        tell(out, f"  decided: [bold]{said['decision']}[/], by {escape(said['by'])}: {escape(said['why'])}")
