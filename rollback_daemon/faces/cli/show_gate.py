"""Release gates and comparisons of two engines on the terminal. Must not live here: scoring, files, exit codes."""

from typing import Any

from rich.console import Console

from rollback_daemon.evidence.scoring.gate_report import limit_text, value_text
from rollback_daemon.faces.cli.terminal import escape, rows, tell

_COLOURS = {"go": "green", "no-go": "red", "cannot tell": "yellow", "pass": "green", "fail": "red", "unknown": "yellow", "not asked": "dim"}
_MOST_CASES = 20  # of one check; the files have all of them


def gate(out: Console, document: dict[str, Any]) -> None:
    """The decision, each check with its value beside its limit, and the cases that it is about."""
    tell(out, f"release gate {escape(document['label'])}, stage {document['stage']} %, engine {escape(str(document['engine']))}")
    tell(out, f"{_coloured(document['decision'], upper=True)}: {escape(document['next'])}")
    _warn(out, document["warnings"])
    cells = [
        [escape(one["check"]), _coloured(one["outcome"]), escape(value_text(one)), escape(limit_text(one)), escape(one["sentence"])]
        for one in document["checks"]
    ]
    rows(out, ["CHECK", "OUTCOME", "VALUE", "LIMIT", "WHAT WAS SEEN"], cells)
    for check in document["checks"]:
        if check["cases"]:
            tell(out, f"{escape(check['check'])}:")
        for one in check["cases"][:_MOST_CASES]:
            tell(out, f"  - {escape(_name(one))}, run {one['run']}: {escape(one['why'])} ({escape(one['place'])})")
        _more(out, check["cases"])


def shadow_diff(out: Console, document: dict[str, Any]) -> None:
    """The decision, and each case that got better or worse, or stands on one side only."""
    files = document["files"]
    tell(out, f"shadow diff of {escape(files['v2']['engine'])} and {escape(files['v3']['engine'])}")
    tell(out, f"{_coloured(document['decision'], upper=True)}: {escape(document['next'])}")
    for side in ("v2", "v3"):
        _warn(out, files[side]["warnings"])
    tell(out, ", ".join(f"{name} {number}" for name, number in document["counts"].items()))
    cells = [
        [name, escape(_name(one)), "critical" if one["critical"] else "-", escape(_turned(one)), escape(_places(one))]
        for name in ("regressed", "improved", "new", "missing")
        for one in document[name]
    ]
    if cells:
        rows(out, ["WHAT", "CASE", "CRITICAL", "TURNED", "WHERE"], cells)


def _warn(out: Console, warnings: list[str]) -> None:
    """Right below the decision: below a long table nobody reads them."""
    for warning in warnings:
        tell(out, f"[yellow]warning:[/] {escape(warning)}")


def _turned(one: dict[str, Any]) -> str:
    said = [f"worse: {', '.join(one['worse'])}" if one["worse"] else "", f"better: {', '.join(one['better'])}" if one["better"] else ""]
    return "; ".join(filter(None, said)) or "-"


def _places(one: dict[str, Any]) -> str:
    return ", ".join(one[side]["place"] for side in ("v2", "v3") if one[side])


def _name(one: dict[str, Any]) -> str:
    return f"{one['case']} as {one['role']}" if one["role"] else str(one["case"])


def _more(out: Console, cases: list[Any]) -> None:
    if len(cases) > _MOST_CASES:
        tell(out, f"  and {len(cases) - _MOST_CASES} more")


def _coloured(word: str, *, upper: bool = False) -> str:
    return f"[{_COLOURS[word]}]{word.upper() if upper else word}[/]"
