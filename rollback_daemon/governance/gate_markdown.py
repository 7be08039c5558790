"""A release gate as Markdown, for the person who decides and the one who asks about it later.

Lives here: the words. Must not live here: scoring, the JSON document that this is made of.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rollback_daemon.evidence.scoring.gate_report import limit_text, value_text
from rollback_daemon.governance.tables import code, section, table, text

_MOST_CASES = 100  # in a list; the JSON has all of them


def gate(document: Mapping[str, Any], sha256: str) -> str:
    """The document as Markdown. `sha256` is that of the JSON file that stands beside it."""
    return "\n".join(_lines(document, sha256)).rstrip() + "\n"


def _lines(document: Mapping[str, Any], sha256: str) -> Iterator[str]:
    yield f"# Release gate {text(document['label'])}: stage {document['stage']} %, {document['decision'].upper()}"
    yield ""
    yield f"**{text(document['next'])}**"
    yield ""
    yield from (f"- **Warning:** {text(one)}" for one in document["warnings"])
    yield from [""] * bool(document["warnings"])
    counted, left = document["counted"], document["not_counted"]
    yield f"- overall_go: **{str(document['overall_go']).lower()}**; next stage: {code(document['next_stage']) if document['next_stage'] else 'none'}"
    yield f"- engine: {text(document['engine'])}"
    yield f"- what counts: {counted['first_runs']} first runs of {counted['cases']} cases, of which {counted['passed']} passed; {_when(counted)}"
    yield f"- not counted: reruns {left['reruns']}, diagnostic runs {left['diagnostic_runs']}, copies {left['copies']}"
    yield f"- the same as JSON has SHA-256 {code(sha256)}"
    yield ""
    rows = ([_outcome(one), text(one["check"]), text(value_text(one)), text(limit_text(one)), text(one["sentence"])] for one in document["checks"])
    yield from section("Checks", table(["Outcome", "Check", "Value", "Limit", "What was seen"], rows))
    for one in document["checks"]:
        if one["cases"]:
            yield from section(f"Cases of {text(one['check'])}", _cases(one["cases"]))
    if document["not_passed"]:
        yield from section("First runs that did not pass", _cases(document["not_passed"]))
    yield from section("How it was scored", [*(f"- {text(name)}: {text(said)}" for name, said in document["method"].items()), ""])
    files = ([text(one["file"]), code(one["sha256"]), text(one["engine"]), text(one["started_at"]), str(one["runs"])] for one in document["files"])
    yield from section("Files", table(["File", "SHA-256", "Engine", "Session began", "Runs"], files))


def _when(counted: Mapping[str, Any]) -> str:
    return f"begun from {text(counted['first_began'])} to {text(counted['last_began'])}" if counted["first_began"] else "none began"


def _outcome(check: Mapping[str, Any]) -> str:
    return text(check["outcome"]) if check["outcome"] in {"pass", "not asked"} else f"**{text(check['outcome'])}**"


def _cases(cases: list[Mapping[str, Any]]) -> list[str]:
    rows = ([text(one["case"]), text(one["role"]), str(one["run"]), text(one["why"]), text(one["place"])] for one in cases[:_MOST_CASES])
    lines = table(["Case", "Role", "Run", "Why", "Where"], rows)
    return [*lines, f"And {len(cases) - _MOST_CASES} more, in the JSON.", ""] if len(cases) > _MOST_CASES else lines
