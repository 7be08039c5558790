"""How a past moment of a rollout looks at a terminal.

Lives here: the order of what is told. Must not live here: words for events (`show_record`), words and colours of states (`show`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from rollback_daemon.faces.cli.show import clock, escape, flag_value, labelled, rows, share, tell, word
from rollback_daemon.faces.telling import told

_WIDTH = 11  # of a label, "under way" and a gap


def explain(out: Console, one: Mapping[str, Any]) -> None:
    """What was so then, and why; what came before it, and what came next."""
    where = f"{word(one['phase'])} at [bold]{escape(one['stage'] or '-')}[/], {share(one['exposure'])} exposed"
    mode = "  (mode: observe)" if one["mode"] == "observe" else ""
    tell(out, f"[bold]{escape(one['rollout'])}[/] at {clock(one['at'])}  {where}, since {clock(one['since'])}{mode}", 2)
    _said(out, "why", escape("; ".join(filter(None, [one["why"], f"by {one['by']}" if one["by"] else ""])) or "-"))
    _said(out, "rules", _rules(one))
    _said(out, "flags", _flags(one))
    for label, said in _standing(one):
        _said(out, label, said)
    _transition(out, one["transition"])
    quiet = [trigger["alert"] for trigger in one["triggers"] if trigger["phase"] == "inactive" and not trigger["series"]]
    for trigger in one["triggers"]:
        if trigger["alert"] in quiet:
            continue
        tell(out, f"[bold]{escape(trigger['alert'])}[/]  {word(trigger['phase'])}", 2)
        for series in trigger["series"][:5]:
            labelled(
                out, "value", f"{escape(series['sentence'].removeprefix(trigger['alert'] + ' '))}, {series['phase']} since {clock(series['since'])}"
            )
    if quiet:
        tell(out, f"{word('inactive')}  {escape(', '.join(quiet))}", 2)
    for title, lines in (("gates that did not pass", one["gates"]), ("budgets that were spent", one["budgets"])):
        if lines:
            out.print(f"[bold]{title}[/]")
        for line in lines:
            tell(out, f"  {escape(line.get('sentence') or line['why'])}, since {clock(line['since'])}")
    _events(out, "what happened before", one["before"])
    _events(out, "what came next", one["after"])
    out.print("[bold]what is not on record[/]")
    for said in one["unknown"]:
        tell(out, f"  ? {escape(said)}")


def _said(out: Console, label: str, text: str) -> None:
    labelled(out, label, text, width=_WIDTH)


def _rules(one: Mapping[str, Any]) -> str:
    if not one["rules_sha256"]:
        return "not on record"
    now = "and still do" if one["same_rules_now"] else "and others hold now"
    return f"{escape(one['file'])} ({one['rules_sha256'][:12]}) held since {clock(one['rules_since'])}, {now}"


def _flags(one: Mapping[str, Any]) -> str:
    expected = one["flags"]["expected"]
    said = "not on record" if expected is None else escape(", ".join(f"{key}: {flag_value(value)}" for key, value in expected.items()))
    if differing := one["flags"]["differing"]:
        changed = [f"{key} was {flag_value(found['actual'])}, should have been {flag_value(found['expected'])}" for key, found in differing.items()]
        said += f"  [yellow]{escape(', '.join(changed))}[/], since {clock(one['drift_since'])}"
    elif one["drift"] != "none":
        said += f"  [red]{escape(one['drift'])}[/], since {clock(one['drift_since'])}"
    return said


def _standing(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was wrong or open then, beside the triggers."""
    if one["blind"]:
        yield "blind", f"[red]since {clock(one['sight']['since'])}[/]: {escape('; '.join(one['sight']['why']))}"
    if one["misconfigured"]:
        yield "config", escape("; ".join(one["misconfigured"]))
    if one["degraded"]:
        yield "degraded", escape(", ".join(f"{key} is {flag_value(value)}" for key, value in one["degraded"].items()))
    if one["broken_glass"]:
        yield "glass", f"[bold red]BREAK-GLASS[/] {escape(one['broken_glass'])}"
    if one["rehearsing"]:
        yield "rehearsal", escape(f"{one['rehearsing']['id']}, from {one['rehearsing']['stage']}")
    if one["incident"]:
        yield "incident", escape(f"{one['incident']}, verification: {one['verification']}")
    for escalated in one["escalations"]:
        due = f", rollback to {escalated['announced']['to']} announced for {clock(escalated['announced']['due'])}" if escalated["announced"] else ""
        hand = f", in the hands of {escalated['acknowledged']}" if escalated["acknowledged"] else ""
        yield "level", escape(f"{escalated['alert']}: {escalated['level'] or 'level 1'}{due}{hand}")
    for made in one["evidence"]:
        figures = ", ".join(f"{name} {value:.6g}" for name, value in made["figures"].items())
        yield "evidence", escape("; ".join(filter(None, [made["sentence"], figures])))
    if vote := one["proposal"]:
        votes = ", ".join(f"{each['by']} {each['decision']}" for each in vote["votes"]) or "nobody had voted"
        yield (
            "vote",
            escape(f"on {vote['to']}, by {vote['by']}, {vote['needed']} of {', '.join(vote['roles'])} until {clock(vote['expires'])}: {votes}"),
        )


def _transition(out: Console, one: Mapping[str, Any] | None) -> None:
    if one is None:
        return
    labelled(
        out, "under way", escape(f"{one['kind']} {one['from']} -> {one['to']} [{one['id']}], by {one['by'] or 'rollbackd'}: {'; '.join(one['why'])}")
    )
    for step in one["steps"]:
        _said(out, "", f"{clock(step['at'])}  {step['event']}{escape(': ' + step['error']) if step['error'] else ''}")
    ended = f"{one['ended']['event']} at {clock(one['ended']['at'])}" if one["ended"] else "nothing yet"
    _said(out, "", f"then: {ended}")


def _events(out: Console, title: str, events: Sequence[Mapping[str, Any]]) -> None:
    out.print(f"[bold]{title}[/]" + ("" if events else "  nothing"))
    if events:
        rows(
            out,
            ["AT", "EVENT", "BY", "WHAT"],
            [[clock(one["at"]), escape(one["event"]), escape(one.get("by", "")), escape(told(one))] for one in events],
        )
