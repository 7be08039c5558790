"""Evidence as a section of the Markdown report: what counts now, everything that was taken, and what was left out of it and why.

Must not live here: what people said (`markdown_said`), the document (`markdown`), syntax (`tables`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rollback_daemon.durations import format_number
from rollback_daemon.governance.entries import Entry
from rollback_daemon.governance.markdown_moves import clock
from rollback_daemon.governance.tables import code, section, table, text

_NOW = ["Evidence", "Kind", "Counts", "Figures", "Made", "By", "SHA-256", "Comes from"]
_TAKEN = ["Record", "When", "Evidence", "Taken at", "By", "Why", "File", "SHA-256", "Bytes", "Made", "Figures"]
_SAME = ("by", "stage", "why", "file", "figures", "excluded", "notes")
ITSELF = "rollbackd"
"""By whom evidence is taken that a command of the daemon has made."""


def evidence(report: Mapping[str, Any]) -> Iterator[str]:
    """What the rules declare as it stands now, then every result that was taken, with what was left out of it by name."""
    yield from section("Evidence", [])
    if report["evidence_now"]:
        yield from ["What the rules declare, as of the last evaluation:", "", *table(_NOW, map(_now, report["evidence_now"]))]
        yield from ["All that was taken:", ""]
    runs = list(_runs(report["evidence"]))
    yield from table(_TAKEN, map(_taken, runs))
    for run in runs:
        yield from _about(run[-1])


def _runs(found: Iterable[Entry]) -> Iterator[list[Entry]]:
    """What the daemon itself took several times over, one after the other, with the same figures is one row: a year has very many of them."""
    runs: dict[int, list[Entry]] = {}
    open_: dict[str, list[Entry]] = {}
    for one in found:
        run = open_.get(one["evidence"], [])
        if not (run and one["by"] == ITSELF and all(one.get(name) == run[-1].get(name) for name in _SAME)):
            run = runs[one["seq"]] = open_[one["evidence"]] = []
        run.append(one)
    return iter(runs.values())


def _now(one: Mapping[str, Any]) -> list[str]:
    counts = f"**no**: {text(one['why'])}" if one["why"] else f"yes, for {text(one['max_age'])}"
    who = [clock(one["made"]), text(one["by"]), code(one["sha256"] or "-"), _comes(one["coming"])]
    return [text(one["evidence"]), text(one["kind"]), counts, _figures(one["figures"]), *who]


def _comes(coming: Mapping[str, Any] | None) -> str:
    if coming is None:
        return "handed in"
    return text(coming["from"]) + (f"; **the last try failed**: {text(coming['failed'])}" if coming["failed"] else "")


def _taken(run: list[Entry]) -> list[str]:
    """The last one of a run, with where the first one stands."""
    first, one = run[0], run[-1]
    which = f"{text(one['evidence'])}, {len(run)} times" if len(run) > 1 else text(one["evidence"])
    said = [text(one[name]) for name in ("stage", "by", "why", "file")]
    made = clock(one["made_at"]) if one.get("made_at") else "-"
    where = [_span(code(first["seq"]), code(one["seq"])), _span(clock(first["at"]), clock(one["at"]))]
    return [*where, which, *said, code(one["sha256"]), text(one["bytes"]), made, _figures(one.get("figures", {}))]


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _figures(figures: Mapping[str, float]) -> str:
    """`pass_rate 0.97, tests 100`, to the digits that a person reads."""
    return ", ".join(f"{text(name)} {text(format_number(value))}" for name, value in figures.items()) or "-"


def _about(one: Entry) -> Iterator[str]:
    """What was left out, each by its name with the reason that the rules give, and what the kind remarks."""
    said = [*map(_left_out, one.get("excluded", ())), *map(text, one.get("notes", ()))]
    if said:
        yield from _listed(f"Record {code(one['seq'])}, {text(one['evidence'])}:", said)


def _left_out(one: Any) -> str:
    if not isinstance(one, Mapping):
        return text(one)
    return f"left out: {text(one['name'])} ({text(one['outcome'])}), because: {text(one['reason'])}"


def _listed(head: str, lines: Iterable[str]) -> list[str]:
    return [head, "", *(f"- {line}" for line in lines), ""]
