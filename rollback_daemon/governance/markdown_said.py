"""What people and checks have put on record, as sections of the Markdown report.

Lives here: votes, conditions, checkpoints, holds, handoffs, refusals, follow-ups. Must not live here: transitions (`markdown_moves`), evidence
(`markdown_evidence`), the document (`markdown`), syntax (`tables`).
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.governance.entries import Entry
from rollback_daemon.governance.markdown_moves import clock
from rollback_daemon.governance.tables import code, section, table, text, texts

_VOTE = ["Record", "When", "Who", "Role", "Vote", "Why", "On condition", "What they saw", "What became of it"]


def votes(report: Mapping[str, Any]) -> Iterator[str]:
    """Every proposal with its votes; dissent is loud, and stays."""
    yield from section("Votes", [] if report["votes"] else ["None on record.", ""])
    for one in report["votes"]:
        yield from [f"### {text(one['stage'])} -> {text(one['to'])}, proposed by {text(one['by'])}", ""]
        asked = f"{one['needed']} of the roles {texts(one['roles'], ', ')}, until {clock(one['expires'])}"
        yield f"Record {code(one['seq'])}, {clock(one['at'])}: {text(one['why'])}. It needs {asked}. Saw: {_seen(one['seen'])}."
        ended = one["ended"]
        yield f"Outcome: **{text(one['outcome'])}**" + (f", record {code(ended['seq'])}: {text(ended['why'])}." if ended else ".")
        yield f"Rule file {code(one['rules'][:12])}; digest of what was on record for it {code(one['evidence'][:12])}."
        yield ""
        yield from table(_VOTE, (_vote(vote, one["outcome"]) for vote in one["votes"]))


def _vote(one: Entry, outcome: str) -> list[str]:
    decision = one["decision"] if one["decision"] == "GO" else "**NO-GO**"
    said = [text(one["by"]), text(one["role"]), decision, text(one["why"]), texts(one["conditions"]), _seen(one["seen"])]
    return [*_found(one), *said, _afterwards(one, outcome)]


def _afterwards(vote: Entry, outcome: str) -> str:
    if gone := vote["withdrawn"]:
        return f"withdrawn {clock(gone['at'])}: {text(gone['why'])}, record {code(gone['seq'])}"
    if solved := vote["resolved"]:
        return f"resolved by {text(solved['by'])} {clock(solved['at'])}: {text(solved['why'])}, record {code(solved['seq'])}"
    if outcome not in {"open", "carried out"}:
        return "ended with the proposal"
    return "counts" if vote["decision"] == "GO" else "**stands**"


def _seen(seen: Mapping[str, Any]) -> str:
    """`score 92.5, GO; not passing: soak (fail)`."""
    if not seen:
        return "no evaluation"
    against = [f"{text(name)} ({text(outcome)})" for name, (outcome, _) in seen["checks"].items() if outcome != "pass"]
    return f"score {text(seen['score'])}, {text(seen['verdict'])}; " + (f"not passing: {', '.join(against)}" if against else "every check passed")


def _found(one: Entry) -> list[str]:
    """Where an auditor finds it: the number of the record, and its time."""
    return [code(one["seq"]), clock(one["at"])]


def conditions(report: Mapping[str, Any]) -> list[str]:
    """What votes depended on that the present stage rests on."""
    rows = ([code(one["seq"]), text(one["to"]), text(one["by"]), text(one["condition"])] for one in report["conditions"])
    return section("Conditions still to watch", table(["Record", "For", "Asked by", "Condition"], rows))


def checkpoints(report: Mapping[str, Any]) -> list[str]:
    """Every decision at a checkpoint."""
    rows = (
        [
            *_found(one),
            text(one["checkpoint"]),
            text(one["stage"]),
            _loud(one["decision"]),
            text(one["by"]),
            text(one["why"]),
            code(one["sha256"] or "-"),
        ]
        for one in report["checkpoints"]
    )
    return section("Checkpoints", table(["Record", "When", "Checkpoint", "Made at", "Decision", "By", "Why", "Report (SHA-256)"], rows))


def _loud(decision: str) -> str:
    return decision if decision == "GO" else f"**{text(decision)}**"


def refused(report: Mapping[str, Any]) -> list[str]:
    """Who asked for what, and why not."""
    rows = ([*_found(one), text(one["request"]), text(one["by"]), text(one["reason"]), texts(one["why"])] for one in report["refused"])
    return section("Refused requests", table(["Record", "When", "Asked for", "By", "Their reason", "Why not"], rows))


def holds(report: Mapping[str, Any]) -> list[str]:
    """Who stopped the way up, and who opened it again."""
    rows = ([*_found(one), text(one["what"]), text(one["by"]), texts(one["why"])] for one in report["holds"])
    return section("Holds", table(["Record", "When", "What", "By", "Why"], rows))


def handoffs(report: Mapping[str, Any]) -> list[str]:
    """Who handed the watch over to whom."""
    rows = ([*_found(one), text(one["stage"]), text(one["by"]), text(one["to"]), text(one["why"])] for one in report["handoffs"])
    return section("Handoffs", table(["Record", "When", "At", "From", "To", "Why"], rows))


def follow_ups(report: Mapping[str, Any]) -> Iterator[str]:
    """Every look after completion, and what a person said after the last; nothing where there was none."""
    if not (report["follow_ups"] or report["decisions"]):
        return
    rows = ([*_found(one), _which(one), _outcome(one["outcome"]), text(one["why"]), _left_out(one)] for one in report["follow_ups"])
    yield from section("Follow-ups after completion", table(["Record", "When", "Which", "Outcome", "Why", "Missed before it"], rows))
    for one in report["decisions"]:
        who = f"decided by {text(one['by'])} {clock(one['at'])}, record {code(one['seq'])}"
        yield from [f"**{text(one['decision'])}**, {who}: {text(one['why'])}.", ""]


def _which(one: Entry) -> str:
    again = f", try {one['try']}" if one["try"] > 1 else ""
    return f"{one['number']} of {one['of']} ({format_duration(timedelta(seconds=one['after']))}){again}"


def _left_out(one: Entry) -> str:
    return texts((format_duration(timedelta(seconds=gone["after"])) for gone in one["missed"]), ", ")


def _outcome(outcome: str) -> str:
    return outcome if outcome == "passed" else f"**{text(outcome)}**"
