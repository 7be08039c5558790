"""How declared evidence looks at a terminal: what it comes to, since when and for how long, and what was left out of it and why.

Must not live here: the rest of a rollout's present (`show`), records of evidence (`show_record`).
"""

from typing import Any

from rich.console import Console

from rollback_daemon.faces.cli.terminal import escape, labelled
from rollback_daemon.faces.telling import clock

_MOST = 5  # of what was left out; the report has all that is on record


def explain(out: Console, found: list[dict[str, Any]]) -> None:
    """Each in the order of the rule file; why it tells nothing stands first, where that is so."""
    for one in found:
        labelled(out, "evidence", f"{escape(one['evidence'])}  {'; '.join(filter(None, [_why(one), _made(one), escape(figures(one))]))}")
        left = [f"left out {name['name']} ({name['outcome']}): {name['reason']}" for name in one["excluded"]]
        more = [f"and {len(left) - _MOST} more left out"] if len(left) > _MOST else []
        coming = [one["coming"]["sentence"]] if one["coming"] else []
        for said in [*left[:_MOST], *more, *one["notes"], *coming]:
            labelled(out, "", escape(said))


def figures(one: dict[str, Any]) -> str:
    """`pass_rate 0.97, tests 100`."""
    return ", ".join(f"{name} {value:.6g}" for name, value in one["figures"].items())


def _why(one: dict[str, Any]) -> str:
    return f"[yellow]{escape(one['why'])}[/]" if one["why"] else ""


def _made(one: dict[str, Any]) -> str:
    return f"of {clock(one['made'])} by {escape(one['by'])}, counts for {one['max_age']}" if one["made"] else ""
