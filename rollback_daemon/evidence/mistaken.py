"""Files that are good ones of another kind: said in one sentence, with what would be right, and not field by field.

Lives here: what the formats that the verbs read and write look like. Must not live here: reading any of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rollback_daemon.evidence.kind import Source

_MARKDOWN = b"# Release gate "


@dataclass(frozen=True, slots=True)
class _Look:
    """What a file is called, how it is recognised, and where it is got from."""

    called: str
    seen: Callable[[dict[str, Any]], bool]
    remedy: str


def _format(value: dict[str, Any]) -> str:
    return str(value.get("format", ""))


_LOOKS = {
    "release_gate": _Look(
        "what `rollbackd gate` writes",
        lambda value: _format(value).startswith("rollbackd release gate"),
        "run `rollbackd gate` first, and hand in the JSON that it writes",
    ),
    "shadow_diff": _Look(
        "what `rollbackd shadow-diff` writes",
        lambda value: _format(value).startswith("rollbackd shadow diff"),
        "run `rollbackd shadow-diff` first, and hand in what it writes with --out",
    ),
    "results": _Look(
        "a raw result file of a case runner",
        lambda value: "engine" in value and isinstance(value.get("cases"), list),
        "give the file that the case runner wrote",
    ),
    "soak": _Look("a soak report", lambda value: {"config", "overall", "buckets"} <= value.keys(), "give the report that the harness wrote"),
    "parity": _Look("a parity report", lambda value: {"suites", "mismatches_total"} <= value.keys(), "give the report of the parity check"),
}


def refuse_mistaken(source: Source, value: Any, wanted: str) -> None:
    """Raise ConfigurationError for a file that is plainly of another of these kinds than `wanted`."""
    if not isinstance(value, dict) or _LOOKS[wanted].seen(value):
        return
    found = next((one for one in _LOOKS.values() if one.seen(value)), None)
    if found is not None:
        source.refuse(f"is {found.called}, not {_LOOKS[wanted].called}; {_LOOKS[wanted].remedy}")


def refuse_markdown(source: Source) -> None:
    """Raise ConfigurationError for the Markdown that `rollbackd gate` writes beside its JSON."""
    if source.data.startswith(_MARKDOWN):
        source.refuse("is the Markdown of a release gate, for people; hand in the JSON that stands beside it")
