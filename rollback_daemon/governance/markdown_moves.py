"""What raised a rollout and what took it down, as sections of the Markdown report.

Lives here: climbs, descents, drift, rehearsals. Must not live here: what people said (`markdown_said`), the document (`markdown`), syntax (`tables`).
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.governance.entries import Entry
from rollback_daemon.governance.moves import OUTSIDE
from rollback_daemon.governance.tables import code, section, table, text, texts

GLASS = "**BREAK-GLASS**"
_CLIMB = ["Record", "When", "From -> to", "Exposed", "By", "How", "Why", "On the votes of", "How it ended"]
_DESCENT = ["Record", "When", "What", "From -> to", "Exposed", "By", "Why", "How it ended"]


def climbs(report: Mapping[str, Any]) -> Iterator[str]:
    """The table of every raise, and below it what the table has no room for."""
    yield from section("Who raised it", table(_CLIMB, map(_climb, report["climbs"])))
    for one in report["climbs"]:
        yield from _more(one)
    if given_up := report["given_up"]:
        yield from ["Begun, and given up before any flag was changed:", ""]
        yield from table(_CLIMB, map(_climb, given_up))


def _climb(one: Entry) -> list[str]:
    return [
        code(one["seq"]),
        clock(one["at"]),
        f"{text(one['from'])} -> {text(one['to'])}",
        _exposed(one),
        by(one),
        how(one),
        _why(one),
        "; ".join(voter(vote) for vote in one["votes"]) or "-",
        _end(one),
    ]


def how(one: Entry) -> str:
    """In which way it was raised; what went past the rules is loud."""
    return GLASS if one["how"] == "break-glass" else f"**{text(one['how'])}**" if one["how"] == OUTSIDE else text(one["how"])


def by(one: Entry) -> str:
    """Who did it, as far as it is known."""
    if one["by"] or "known" not in one:
        return text(one["by"])
    known = ", ".join(f"{text(name)} {text(value)}" for name, value in one["known"].items())
    return f"not known; of the flags: {known}" if known else "not known"


def voter(vote: Entry) -> str:
    """`ann (lead)`; a NO-GO and who resolved it stay beside it."""
    said = f"{text(vote['by'])} ({text(vote['role'])})"
    if vote["decision"] == "GO":
        return said
    return f"{said} **NO-GO**" + (f", resolved by {text(vote['resolved']['by'])}" if vote["resolved"] else "")


def _why(one: Entry) -> str:
    return changes(one["keys"]) if not one["why"] and one.get("keys") else texts(one["why"])


def changes(keys: Mapping[str, Any]) -> str:
    """`percentage: 10 -> 25` for each key that differs from the record."""
    return ", ".join(f"{text(key)}: {value(one['expected'])} -> {value(one['actual'])}" for key, one in keys.items()) or "-"


def value(found: Any) -> str:
    """A flag's value."""
    return "missing" if found is None else text(str(found).lower() if isinstance(found, bool) else found)


def _more(one: Entry) -> Iterator[str]:
    """What it went past, or what was missing for it; and its conditions."""
    if one.get("past"):
        yield from [f"{GLASS} of record {code(one['seq'])} went past:", "", *(f"- {text(said)}" for said in one["past"]), ""]
    if one.get("missing"):
        yield from [f"Record {code(one['seq'])} came from outside. A promotion there would have lacked:", ""]
        yield from [*(f"- {text(said)}" for said in one["missing"]), ""]


def descents(report: Mapping[str, Any]) -> list[str]:
    """The table of everything that took exposure, or service, down."""
    return section("Rollbacks and degradations", table(_DESCENT, map(_descent, report["descents"])))


def _descent(one: Entry) -> list[str]:
    what = f"{text(one['kind'])}" + (f" ({text(one['code'])})" if one["code"] else "")
    return [code(one["seq"]), clock(one["at"]), what, f"{text(one['from'])} -> {text(one['to'])}", _exposed(one), by(one), _why(one), _end(one)]


def _end(one: Entry) -> str:
    """How it ended, in which record, and how long it took."""
    said = text(one["outcome"])
    if one.get("seconds") is not None:
        said += f" in {lasted(one['seconds'])}"
    if one.get("seconds_from_breach") is not None:
        said += f", {lasted(one['seconds_from_breach'])} after it was due"
    if one["ended"] and one["ended"]["seq"] != one["seq"]:
        said += f", record {code(one['ended']['seq'])}" + (f": {text(one['ended']['why'])}" if one["ended"].get("why") else "")
    failures = one.get("failures", [])
    return said + (f"; {len(failures)} failed tries, the last: {text(failures[-1]['error'])}" if failures else "")


def drift(report: Mapping[str, Any]) -> list[str]:
    """Every time the flags were not those on record, and when they were again."""
    rows = ([code(one["seq"]), clock(one["at"]), *_drifted(one)] for one in report["drift"])
    return section("Drift", table(["Record", "When", "Flags", "On record -> found", "What is known of who"], rows))


def _drifted(one: Entry) -> list[str]:
    if one["drift"] == "none":
        return ["as on record again", "-", "-"]
    there = f", those of {text(one['stage'])}" if one["stage"] else ""
    known = ", ".join(f"{text(name)} {text(said)}" for name, said in one["known"].items())
    return [f"{text(one['drift'])}{there}", text(one["why"]) if one["why"] else changes(one["keys"]), known or "-"]


def rehearsals(report: Mapping[str, Any]) -> Iterator[str]:
    """Every rehearsal with its steps."""
    yield from section("Rehearsals", [] if report["rehearsals"] else ["None on record.", ""])
    for one in report["rehearsals"]:
        ended = "under way" if one["passed"] is None else "passed" if one["passed"] else "**failed**"
        took = f" after {lasted(one['seconds'])}" if one["seconds"] is not None else ""
        why = f": {text(one['ended']['why'])} (record {code(one['ended']['seq'])})" if one["ended"] else ""
        way = f"{text(one['from'])} -> {text(one['to'])}, asked for by {text(one['by'])}"
        yield f"Record {code(one['seq'])}, {clock(one['at'])}, {way}: {ended}{took}{why}"
        yield ""
        if one["steps"]:
            rows = ([code(step["seq"]), text(step["step"]), lasted(step["seconds"]), text(step["error"] or "passed")] for step in one["steps"])
            yield from table(["Record", "Step", "Took", "How it ended"], rows)


def _exposed(one: Entry) -> str:
    return f"{share(one['exposure_before'])} -> {share(one['exposure_after'])}"


def share(exposure: float | None) -> str:
    """An exposure, as people say it."""
    return "not known" if exposure is None else f"{exposure * 100:g} %"


def clock(at: str | None) -> str:
    """A time without its fractions."""
    return f"{at[:19].replace('T', ' ')} UTC" if at else "-"


def lasted(seconds: float) -> str:
    """A duration."""
    return format_duration(timedelta(seconds=seconds))
