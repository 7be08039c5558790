"""The report, and the scorecard, as Markdown that an auditor reads from top to bottom.

Lives here: the document's order, its headline, the compliance table and the appendix. Must not live here: facts (`report`), syntax (`tables`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rollback_daemon.governance import markdown_moves as moves
from rollback_daemon.governance import markdown_said as said
from rollback_daemon.governance.entries import Entry
from rollback_daemon.governance.markdown_evidence import evidence
from rollback_daemon.governance.tables import code, section, table, text, texts

_OTHERS = ("checkpoints", "evidence", "rehearsals", "handoffs", "follow_ups", "decisions", "refused", "holds", "drift", "rules")
_LISTS = ("climbs", "given_up", "descents", "votes", *_OTHERS)


def markdown(report: Mapping[str, Any]) -> str:
    """The whole document. Whatever people wrote stands in it as they wrote it, and as nothing else."""
    lines = [
        *_headline(report),
        *moves.climbs(report),
        *said.votes(report),
        *said.checkpoints(report),
        *evidence(report),
        *said.conditions(report),
        *moves.rehearsals(report),
        *moves.descents(report),
        *moves.drift(report),
        *said.holds(report),
        *said.handoffs(report),
        *said.follow_ups(report),
        *said.refused(report),
        *section("Compliance now", _compliance(report["scorecard"])),
        *_rules(report),
        *_appendix(report),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def scorecard_markdown(card: Mapping[str, Any]) -> str:
    """The scorecard as a document of its own."""
    return "\n".join([f"# {text(card['rollout'])}: scorecard", "", *_compliance(card)]).rstrip("\n") + "\n"


def _headline(report: Mapping[str, Any]) -> Iterator[str]:
    yield from [f"# {text(report['rollout'])}: the record of the rollout", ""]
    where = f"**{text(report['phase'])} at {text(report['stage'])}, {moves.share(report['exposure'])} exposed**"
    owner = f" Owner: {text(report['owner'])}." if report["owner"] else ""
    yield f"{where}, since {moves.clock(report['since'])}.{owner}" + (" Mode: observe; no flag is touched." if report["mode"] == "observe" else "")
    yield from ["", *_arrival(report)]
    if report["broken_glass"]:
        yield from [f"{moves.GLASS}: it was promoted to this stage past everything: {text(report['broken_glass'])}", ""]
    if report["degraded"]:
        lesser = ", ".join(f"{text(key)} = {moves.value(found)}" for key, found in report["degraded"].items())
        yield from [f"**Degraded**: {lesser}.", ""]
    rungs = [f"{text(one['stage'])} ({moves.share(one['exposure'])})" for one in report["ladder"]]
    here = [f"**{shown}**" if one["stage"] == report["stage"] else shown for one, shown in zip(report["ladder"], rungs, strict=True)]
    yield from [f"Ladder: {' -> '.join(here)}.", "", f"Next: {text(report['next'])}.", ""]
    journal = report["journal"]
    yield f"As of {moves.clock(report['at'])}. The journal then ended with record {code(journal['seq'])}, whose digest is {code(journal['digest'])}."
    yield ""


def _arrival(report: Mapping[str, Any]) -> Iterator[str]:
    """Who brought it to where it stands, and on what."""
    climbed = next((one for one in report["climbs"] if one["seq"] == report["arrived"]), None)
    fallen = next((one for one in report["descents"] if one["seq"] == report["arrived"]), None)
    if climbed:
        yield f"Brought there by {_mover(climbed)}: {moves.how(climbed)}, {texts(climbed['why'])}.{_on(climbed)}"
    elif fallen:
        yield f"Taken there by {_mover(fallen)}: {texts(fallen['why'])}."
    else:
        yield "What brought it there is not on record."
    rests = next((one for one in report["climbs"] if report["standing"] and one["seq"] == report["standing"][-1]), None)
    if rests and rests is not climbed:
        yield f"That stage was climbed to by {_mover(rests)}: {moves.how(rests)}, {texts(rests['why'])}.{_on(rests)}"
    yield ""


def _mover(one: Entry) -> str:
    return f"{moves.by(one)} at {moves.clock(one['at'])} (record {code(one['seq'])})"


def _on(climb: Entry) -> str:
    return f" It rests on the votes of {'; '.join(map(moves.voter, climb['votes']))}." if climb["votes"] else ""


def _compliance(card: Mapping[str, Any]) -> Iterator[str]:
    """What the next promotion asks for, with the evidence for each, and what that comes to."""
    way = f"{text(card['stage'])} -> {text(card['to'])}" if card["to"] else f"{text(card['stage'])}, with no stage above"
    points = "not known" if card["points"] is None else f"{card['points']:g} of 100"
    unsure = ", which could change with what is unknown" if card["unsure"] else ""
    limits = f"GO from {card['go']:g} on, with monitoring from {card['monitor']:g} on"
    yield from [f"{way}: **{text(card['verdict'] or 'not known')}**, {points}{unsure} ({limits}). Evaluated {moves.clock(card['at'])}.", ""]
    checks = ([_outcome(one), text(one["check"]), "yes" if one["blocking"] else "no", text(one["evidence"])] for one in card["checks"])
    yield from table(["Outcome", "Check", "Blocks", "Evidence"], checks)
    lines = ([text(one["part"]), text(one["check"]), f"{one['has']:g}", f"{one['worth']:g}", _outcome(one)] for one in card["lines"])
    yield from table(["Part", "Check", "Points", "Of", "Outcome"], lines)


def _outcome(one: Mapping[str, Any]) -> str:
    return text(one["outcome"]) if one["outcome"] == "pass" else f"**{text(one['outcome'])}**"


def _rules(report: Mapping[str, Any]) -> list[str]:
    rows = ([code(one["seq"]), moves.clock(one["at"]), text(one["file"]), code(one["sha256"]), text(one["version"])] for one in report["rules"])
    return section("Rule files that held", table(["Record", "From", "File", "SHA-256", "rollbackd"], rows))


def _appendix(report: Mapping[str, Any]) -> Iterator[str]:
    """Which records of the journal each section rests on."""
    rows = [[text(name.replace("_", " ")), ", ".join(map(str, numbers)) or "-"] for name in _LISTS if (numbers := _numbers(report[name]))]
    if broken := [one["seq"] for one in report["climbs"] if one["how"] == "break-glass"]:
        rows.append([moves.GLASS, ", ".join(map(str, broken))])
    if report["unread"]:
        rows.append(["**not understood**", ", ".join(f"{one['seq']} ({text(one['event'])})" for one in report["unread"])])
    yield from section("Appendix: records of the journal", table(["Section", "Records"], rows))


def _numbers(found: Any) -> list[int]:
    """Every `seq` in it, and in what it holds."""
    if isinstance(found, dict):
        own = {found["seq"]} if isinstance(found.get("seq"), int) else set()
        return sorted(own.union(*map(_numbers, found.values())))
    return sorted(set().union(*map(_numbers, found))) if isinstance(found, list) else []
