"""Every event of the journal as a sentence, the same at the terminal and on the page.

Lives here: those sentences. Must not live here: how they are laid out (`cli.show_record`, `page`), which of them are shown.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rollback_daemon.judge.postmortem import FIELDS

Event = Mapping[str, Any]
GLASS = "BREAK-GLASS"
UNDATED = "when it was handed in: it does not say when it was made"


def clock(at: str | None) -> str:
    """A time of the API without its fractions."""
    return at[:19].replace("T", " ") + "Z" if at else "-"


def flag_value(value: Any) -> str:
    """The value of a flag, as people write it."""
    return "absent" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def told(event: Event) -> str:
    """One event of the journal as a sentence."""
    return _TOLD.get(event["event"], _why)(event)


def _why(event: Event) -> str:
    why = event.get("why") or ""
    return "; ".join(why) if isinstance(why, list) else str(why)


def _trigger(event: Event) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in event["labels"].items())
    value = "no data" if event["value"] is None else f"{event['value']:.6g}" if isinstance(event["value"], (int, float)) else event["value"]
    held = f"{value}, limit" if event["phase"] == "inactive" else value
    beside = f"{held} {event['limit']}" if event["limit"] else value
    return f"{event['alert']}{'{' + labels + '}' if labels else ''} {event['phase']} ({beside})"


def _gate(event: Event) -> str:
    return f"{'passes' if event['passes'] else 'does not pass'}: {_why(event)}"


def _flags(event: Event) -> str:
    before = event["before"]
    changes = ", ".join(f"{key}: {flag_value(before.get(key))} -> {flag_value(value)}" for key, value in event["after"].items())
    return "; ".join([changes or "no flag had to be changed", *([f"backup {event['backup']}"] if event["backup"] else [])])


def _move(event: Event) -> str:
    """A transition in a few words; one that stays at its stage by the way that it takes."""
    if event["from"] != event["to"]:
        return f"{event['kind']} {event['from']} -> {event['to']}"
    way = f"way back {event['way'] + 1} ({event.get('way_kind', 'flags')})" if event.get("way") else _by_way(event)
    return f"{way} at {event['to']}"


def _by_way(event: Event) -> str:
    return f"{event['kind']} by {event['way_kind']}" if event.get("way_kind", "flags") != "flags" else str(event["kind"])


def _intended(event: Event) -> str:
    """A transition with what it rests on, or went past."""
    sentence = f"{_move(event)} [{event['id']}]: {_why(event)}"
    if event.get("code") == "break_glass":
        return f"{GLASS} {sentence}; past: {'; '.join(event.get('past', [])) or 'nothing that stood against it'}"
    if votes := event.get("approved_by"):
        return f"{sentence}; on the votes of {'; '.join(map(_voter, votes))}"
    return f"{sentence}; nobody voted" if event.get("code") == "automatic" else sentence


def _voter(vote: Mapping[str, Any]) -> str:
    conditions = f" on condition: {', '.join(vote['conditions'])}" if vote["conditions"] else ""
    dissent = "" if vote["go"] else " NO-GO" + (f", resolved by {vote['resolved']}" if vote["resolved"] else "")
    return f"{vote['by']} ({vote['role']}){dissent}{conditions}"


def _proposed(event: Event) -> str:
    asked = f"{event['needed']} of {', '.join(event['roles'])} until {clock(event['expires'])}"
    against = "".join(f"; the NO-GO of {one['by']} stands" for one in event.get("against", ()))
    return f"{event['stage']} -> {event['to']} [{event['id']}]: {event['why']}; it needs {asked}{against}{_seen(event)}"


def _voted(event: Event) -> str:
    conditions = f"; on condition: {', '.join(event['conditions'])}" if event["conditions"] else ""
    return f"{_go(event)} as {event['role']} on {event['to']} [{event['id']}]: {event['why']}{conditions}{_seen(event)}"


def _seen(event: Event) -> str:
    """The score that lay before whoever said it."""
    seen = event.get("seen")
    return f"; saw {seen['score']:g} points, {seen['verdict']}" if seen else ""


def _go(event: Event) -> str:
    return "GO" if event["go"] else "NO-GO"


def _checkpoint(event: Event) -> str:
    report = f"; report {event['sha256'][:12]}" if event.get("sha256") else ""
    return f"{event['checkpoint']} {_go(event)} at {event['stage']}: {event['why']}{report}"


def _evidence(event: Event) -> str:
    figures = "".join(f", {name} {value:.6g}" for name, value in event.get("figures", {}).items())
    what = f"{event['file']}, {event['bytes']} bytes, sha256 {event['sha256'][:12]}{figures}"
    return f"{event['evidence']} at {event['stage']}: {what}: {event['why']}"


def _plotted(event: Event) -> str:
    """A figure of evidence is none of these: it has no history beyond the record itself."""
    many = len(event["signals"])
    return f"{many} series around {event['incident']} kept" if many else f"no series around {event['incident']}: Prometheus has none of its signals"


def _drift(event: Event) -> str:
    """From what is on record to what was found, what is known of who, and what a promotion there would have lacked."""
    if event["drift"] == "none":
        return "the flags are those on record"
    changed = [f"{key}: {flag_value(one['expected'])} -> {flag_value(one['actual'])}" for key, one in event["keys"].items()]
    there = f", those of {event['stage']}" if event.get("stage") else ""
    known = [f"{name} {text}" for name, text in event.get("known", {}).items()]
    parts = [f"{event['drift']}{there}: {', '.join(changed) or event['why']}"]
    parts += [f"known: {', '.join(known)}"] if known else []
    parts += [f"a promotion would have lacked: {'; '.join(event['missing'])}"] if event.get("missing") else []
    return "; ".join(parts)


def _written(event: Event) -> str:
    fields = [f"{title}: {event['fields'][name]}" for name, title in FIELDS.items() if name in event["fields"]]
    said = [*fields, *(["the report is complete"] if event["complete"] else [])]
    return f"{event['incident']}: {'; '.join(said)} ({_why(event)})"


def _first_of(rules: Sequence[str]) -> str:
    """The first rule, and how many more there are: all of them would bury what happened."""
    more = f"; and {len(rules) - 1} more, see --format json" if len(rules) > 1 else ""
    return f": {rules[0]}{more}" if rules else ""


_CAME_TO = {"pass": "passed", "fail": "did not pass", "unknown": "could not tell"}
_TOLD: dict[str, Callable[[Event], str]] = {
    "postmortem": _written,
    "told": lambda one: f"{one['alertmanager']} took {', '.join(alert['alertname'] for alert in one['alerts'])}",
    "plotted": lambda one: _plotted(one) + (f"; {_why(one)}" if one["why"] else ""),
    "adopted": lambda one: f"found at {one['stage']}; {one['why']}",
    "intended": _intended,
    "applied": _flags,
    "ran": lambda one: f"{' '.join(one['command'])} in {one['seconds']} s" + (f": {one['error']}" if one["error"] else ""),
    "attempted": lambda one: f"{one['kind']} failed ({one['outcome']}), try {one['attempt']}: {one['error']}",
    "done": lambda one: f"{_move(one)} [{one['id']}]: flags read back",
    "abandoned": lambda one: f"{_move(one)} [{one['id']}] given up: {_why(one)}",
    "trigger": _trigger,
    "gate": _gate,
    "sight": lambda one: f"blind: {_why(one)}" if one["blind"] else "sees again",
    "budget": lambda one: f"spent, {one['then']}: {_why(one)}" if one["spent"] else f"{one['alert']} is within its budget ({one['budget']}) again",
    "drift": _drift,
    "misconfigured": lambda one: _why(one) or f"the configuration is what {one['stage']} requires",
    "observed": lambda one: f"would {one['would']}: {_why(one)}",
    "configured": lambda one: f"rules of {one['file']} ({one['sha256'][:12]}){_first_of(one['rules'])}",
    "refused": lambda one: f"{one['request']} ({one['reason']}): {_why(one)}",
    "ready": lambda one: f"{one['stage']} is soaked and every gate passes",
    "unready": lambda one: f"{one['stage']} is no longer ready: {_why(one)}",
    "completed": lambda one: f"{one['stage']} is soaked; the rollout is complete",
    "proposed": _proposed,
    "voted": _voted,
    "withdrawn": lambda one: f"{_go(one)} as {one['role']} taken back [{one['id']}]: {one['why']}",
    "resolved": lambda one: f"the NO-GO of {one['of']} [{one['id']}] is resolved: {one['why']}",
    "voided": lambda one: f"the vote on {one['to']} [{one['id']}] is void, with its {one['votes']} votes: {one['why']}",
    "checkpoint": _checkpoint,
    "evidence": _evidence,
    "step": lambda one: (
        f"{one['step']} {'failed' if one['error'] else 'passed'} in {one['seconds']} s" + (f": {one['error']}" if one["error"] else "")
    ),
    "rehearsed": lambda one: (
        f"rehearsal {'passed' if one['passed'] else 'failed'} at {one['stage']} in {one['seconds']} s [{one['id']}]: {one['why']}"
    ),
    "escalated": lambda one: f"{one['level'] or 'level 1'}: {one['why']}",
    "scheduled": lambda one: f"rollback to {one['to']} at {clock(one['due'])}: {one['why']}",
    "acknowledged": lambda one: f"{one['alert']} at {one['level'] or 'level 1'}: {one['why']}",
    "cancelled": lambda one: f"the rollback announced for {one['alert']}: {one['why']}",
    "handoff": lambda one: f"handed over to {one['to']} at {one['stage']}: {one['why']}",
    "followed_up": lambda one: (
        f"follow-up {one['number']} of {one['of']} {one['outcome']} in {one['seconds']} s"
        + (f", try {one['try']}" if one["try"] > 1 else "")
        + (f"; missed before it: {len(one['missed'])}" if one.get("missed") else "")
        + f": {one['why']}"
    ),
    "resumed": lambda one: _why(one) + (f"; its verification was dropped: {one['dropped']}" if one.get("dropped") else ""),
    "verifying": lambda one: f"once more: {one['why']}",
    "checked": lambda one: f"{one['step']} {_CAME_TO[one['outcome']]} in {one['seconds']} s" + (f": {one['error']}" if one["error"] else ""),
    "verified": lambda one: f"by {one['way'] or 'flags'}, in {one['steps']} steps",
    "unverified": lambda one: f"{one['why']}; next: {one['next']}",
    "hooked": lambda one: (
        f"{one['hook']} was told of {one['on']}" + (f", after {one['attempts']} tries" if one["attempts"] > 1 else "")
        if not one["error"]
        else f"{one['hook']} could not be told of {one['on']}{', it is tried again' if one.get('retrying') else ''}: {one['error']}"
        + (f"; it said: {one['output']}" if one["output"] else "")
    ),
    "backed_up": lambda one: f"{one['backup']}: {one['why']}",
    "decided": lambda one: f"{one['decision']} at {one['stage']}: {one['why']}",
}
