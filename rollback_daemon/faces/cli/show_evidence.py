"""How declared evidence looks at a terminal: what it comes to, since when and for how long, and what was left out of it and why.

Must not live here: the rest of a rollout's present (`show`), records of evidence (`show_record`).
"""

from typing import Any

from rich.console import Console

from rollback_daemon.faces.cli.terminal import escape, labelled
from rollback_daemon.faces.telling import UNDATED, clock

_MOST = 5  # of what was left out; the report has all that is on record


def explain(out: Console, found: list[dict[str, Any]]) -> None:
    """Each in the order of the rule file; why it tells nothing stands first, where that is so."""
    for one in found:
        first = filter(None, [_why(one), _made(one), escape(one["of"]), escape(figures(one))])
        labelled(out, "evidence", f"{escape(one['evidence'])}  {'; '.join(first)}")
        failed = [f"failed: {check}: {came_to}" for check, came_to in one["failed"].items()]
        left = [f"left out {name['name']} ({name['outcome']}): {name['reason']}" for name in one["excluded"]]
        more = [f"and {len(left) - _MOST} more left out"] if len(left) > _MOST else []
        coming = [one["coming"]["sentence"]] if one["coming"] else []
        for said in [*failed, *left[:_MOST], *more, *one["notes"], *coming]:
            labelled(out, "", escape(said))


def figures(one: dict[str, Any]) -> str:
    """`pass_rate 0.97 (97 %), tests 100, latency_p95 812 ms`. What is counted has no unit, and what is all or nothing needs none."""
    return ", ".join(f"{name} {_with_unit(value, one['units'].get(name, ''))}" for name, value in one["figures"].items())


def _with_unit(value: float, unit: str) -> str:
    match unit:
        case "" | "count":
            return f"{value:.6g}"
        case "ratio":
            return f"{value:.6g}" if value in {0, 1} else f"{value:.6g} ({value * 100:.6g} %)"
        case _:
            return f"{value:.6g} {'%' if unit == 'percent' else unit}"


def _why(one: dict[str, Any]) -> str:
    return f"[yellow]{escape(one['why'])}[/]" if one["why"] else ""


def _made(one: dict[str, Any]) -> str:
    if not one["made"]:
        return ""
    file = f"{escape(one['file'])}, " if one["file"] else ""
    at = clock(one["made"]) + ("" if one["dated"] else f" ({UNDATED})")
    return f"of {at} by {escape(one['by'])}, {file}sha256 {one['sha256'][:12]}, counts for {one['max_age']}"
