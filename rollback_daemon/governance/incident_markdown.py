"""The report of one incident as Markdown, from the headline to the line of every record.

Lives here: the document's order. Must not live here: facts (`incident_report`), words that every format has (`incident_words`), syntax (`tables`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rollback_daemon.governance.entries import Entry
from rollback_daemon.governance.happenings import flag, number
from rollback_daemon.governance.incident_words import FIELDS, QUESTIONS, cause, clock, lasted, offset, outcome, short
from rollback_daemon.governance.markdown_moves import share
from rollback_daemon.governance.tables import code, section, table, text, texts

_EVIDENCE = ["Record", "Evidence", "File", "SHA-256", "By", "Handed in", "Made", "Figures", "Failed checks"]


def incident_markdown(report: Mapping[str, Any]) -> str:
    """The whole document. Whatever people wrote stands in it as they wrote it, and as nothing else."""
    lines = [
        *_headline(report),
        *section("What only people know", _people(report["postmortem"])),
        *section("Figures", _figures(report)),
        *section("Signals", _signals(report)),
        *(section("Evidence that it rests on", table(_EVIDENCE, map(_evidence, report["evidence"]))) if report["evidence"] else ()),
        *section("Flags", table(["Flag", "Before", "After"], ([code(one["flag"]), *_values(one)] for one in report["flags"]))),
        *section("Rollbacks and their verification", _rollbacks(report)),
        *section("Who was told", table(["When", "Alert", "Severity", "Alertmanager"], map(_told, report["told"]))),
        *section("Minute by minute", _timeline(report)),
        *section(
            "Other incidents at the same time", table(["Rollout", "Incident", "From -> to", "Began", "Ended"], map(_other, report["overlapping"]))
        ),
        *_end(report),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _headline(report: Mapping[str, Any]) -> Iterator[str]:
    yield from [f"# {text(report['rollout'])}: incident {code(report['incident'])}", ""]
    state = f"over since {clock(report['ended'])}" if report["ended"] else "open"
    way = f"{text(report['from'])} -> {text(report['exposure']['stage_after'])}"
    yield f"**{way}: {text(outcome(report))}**; {state}. Began {clock(report['began'])}. Cause: {text(cause(report))}."
    yield f"Owner: {text(report['owner'])}." if report["owner"] else ""
    yield f"Runbook: {text(report['runbook_url'])}" if report["runbook_url"] else ""
    yield from ["", *(f"- {text(said)}" for said in report["why"]), ""]
    if report["why_unverified"]:
        yield from [f"**Not verified**: {text(report['why_unverified'])}", ""]
    if ended := report["ended_by"]:
        yield from [f"Ended by {text(ended['by'])} ({text(ended['event'])}): {texts(ended['why'])}.", ""]


def _people(found: Mapping[str, Any]) -> Iterator[str]:
    done = found["complete"]
    if found["missing"]:
        yield from [f"**Still missing: {texts(found['missing'], ', ')}.**", ""]
    elif done:
        yield from [f"Completed by {text(done['by'])}, {clock(done['at'])} (record {code(done['seq'])}).", ""]
    else:
        yield from ["Nothing is missing; nobody has said that it is complete.", ""]
    for name, title in FIELDS.items():
        said = found["fields"][name]
        yield from [f"### {title.capitalize()}", ""]
        yield f"{text(said['text'])} ({text(said['by'])}, {clock(said['at'])}, record {code(said['seq'])})" if said else f"_{QUESTIONS[name]}_"
        yield ""


def _figures(report: Mapping[str, Any]) -> Iterator[str]:
    times, exposed = report["times"], report["exposure"]
    since, begun = ("First breach", "breach") if times["breached"] else ("Decision", "decision")
    breached = f"; breach seen for {lasted(exposed['seconds_breached'])}" if exposed["seconds_breached"] is not None else ""
    rows = [
        [f"{since} to flags read back", lasted(times[f"{begun}_to_flags"])],
        ["Due to flags read back", lasted(times["due_to_flags"])],
        [f"{since} to verified", lasted(times[f"{begun}_to_verified"])],
        ["Exposed", f"{share(exposed['before'])} -> {share(exposed['after'])}"],
        ["For how long", f"{lasted(exposed['seconds'])} at {text(exposed['stage_before'])}{breached}"],
        ["Open for", lasted(times["open"])],
    ]
    yield from table(["Figure", "Value"], rows)


def _signals(report: Mapping[str, Any]) -> Iterator[str]:
    """The worst and the last of each series: what a plot would show, in figures."""
    rows = []
    for one in report["signals"]:
        values = [point[1] for point in one["points"]]
        labels = ", ".join(f"{name}={value}" for name, value in one["labels"].items())
        ends = [f"{value:.6g}" for value in (min(values), max(values), values[-1])] if values else ["-", "-", "-"]
        rows.append([text(one["name"]), text(labels), text(one["limit"]), *ends, text(one["unit"])])
    yield from table(["Signal", "Labels", "Limit", "Lowest", "Highest", "Last", "Unit"], rows)
    if report["plotted"] and report["plotted"]["why"]:
        yield from [f"Not on record: {texts(report['plotted']['why'])}.", ""]


def _evidence(one: Entry) -> list[str]:
    figures = ", ".join(f"{text(name)} {text(number(value))}" for name, value in one["figures"].items()) or "-"
    failed = "; ".join(f"**{text(check)}**: {text(said)}" for check, said in one["failed"].items()) or "-"
    who = [code(one["sha256"]) if one["sha256"] else "-", text(one["by"] or "-"), clock(one["handed_in"]), clock(one["made"])]
    return [code(one["seq"]), text(one["evidence"]), text(one["file"]), *who, figures, failed]


def _values(one: Entry) -> list[str]:
    return [text(flag(one["before"])), text(flag(one["after"]))]


def _rollbacks(report: Mapping[str, Any]) -> Iterator[str]:
    for one in report["transitions"]:
        back = f", way back {one['way'] + 1}" if one["way"] else ""
        took = f" in {lasted(one['seconds'])}" if one["seconds"] is not None else ""
        yield from [f"### {text(one['from'])} -> {text(one['to'])}{back}: {text(one['outcome'])}{took}", ""]
        yield from (f"- try that failed, {clock(tried['at'])}: {text(tried['error'])}" for tried in one["failures"])
        yield from _verification(one)
        for again in one["again"]:
            yield from [f"#### Verified again, asked for by {texts(again['why'] or [again['by']])}", ""]
            yield from _verification(again)


def _verification(one: Entry) -> Iterator[str]:
    """How one went: what it came to, and its steps."""
    if one["verified"]:
        why = text(one["verified"]["why"] or "")
        yield from ["", f"**{text(one['verified']['outcome'])}** {clock(one['verified']['at'])}. {why}".rstrip(" -"), ""]
    yield from table(["Record", "Ended", "Step", "Took", "Outcome", "Why", "Output"], map(_step, one["steps"]))


def _step(one: Entry) -> list[str]:
    passed = text(one["outcome"]) if one["outcome"] == "pass" else f"**{text(one['outcome'])}**"
    return [code(one["seq"]), clock(one["at"]), text(one["step"]), lasted(one["seconds"]), passed, text(one["why"]), text(one["output"])]


def _told(one: Entry) -> list[str]:
    return [clock(one["at"]), text(one["alertname"]), text(one["severity"]), text(one["alertmanager"])]


def _timeline(report: Mapping[str, Any]) -> Iterator[str]:
    start = report["times"]["breached"] or report["times"]["decided"]
    rows = (
        [code(one["seq"]), short(one["at"]), offset(start, one["at"]), "; ".join(map(text, [one["what"], *one["more"]]))]
        for one in report["timeline"]
    )
    yield from table(["Record", "UTC", "After", "What happened"], rows)
    if report["left_out"]:
        yield from [f"{report['left_out']} lines from the middle are left out; the journal has them.", ""]


def _other(one: Entry) -> list[str]:
    return [text(one["rollout"]), code(one["incident"]), f"{text(one['from'])} -> {text(one['to'])}", clock(one["began"]), clock(one["ended"])]


def _end(report: Mapping[str, Any]) -> Iterator[str]:
    history = ([code(one["seq"]), clock(one["at"]), text(one["by"]), _written(one), text(one["why"])] for one in report["postmortem"]["history"])
    if report["postmortem"]["history"]:
        yield from section("What was written, and when", table(["Record", "When", "By", "What", "Why"], history))
    unread = f" Records that could not be understood: {', '.join(str(one['seq']) for one in report['unread'])}." if report["unread"] else ""
    yield f"As of {clock(report['at'])}.{unread}"


def _written(one: Entry) -> str:
    said = "; ".join(f"{FIELDS.get(name, name)}: {text(value)}" for name, value in one["fields"].items()) or "-"
    return f"{said} (complete)" if one["complete"] else said
