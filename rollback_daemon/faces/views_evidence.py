"""Declared evidence as plain values: what is on record, what it comes to, whether it still tells anything, and how it comes by itself.

Must not live here: HTTP, terminals, decisions.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from textwrap import shorten
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.lines import Settings
from rollback_daemon.judge.attempts import Attempt
from rollback_daemon.judge.dossier import Evidence
from rollback_daemon.judge.figures import counted_from, in_order, missing, why_untold
from rollback_daemon.rules.duties import Declared, Followed, Inbox, Scheduled
from rollback_daemon.signals.observation import NoData, Value
from rollback_daemon.watch import Watch

_SHORT = 100  # characters of a cause in a line of its rollout


def evidence(watch: Watch) -> list[dict[str, Any]]:
    """Each in the order of the rule file. `why`: why its figures tell nothing, empty where they do. Times as of the last evaluation."""
    rollout, now = watch.rollout, watch.judgement.at if watch.judgement else None
    found = []
    for one in rollout.evidence:
        made = watch.state.dossier.evidence.get(one.name)
        facts = {"evidence": one.name, "kind": one.kind, "max_age": format_duration(one.max_age), "units": _units(watch, one), "of": _of(one)}
        if isinstance(one.comes, Followed):
            found.append({**facts, **_made(None), **_followed(watch, one), "coming": _coming(watch, one)})
            continue
        if made is None:
            why = f"it is not on record; {missing(rollout, one.name)}"
        else:
            since = counted_from(one, watch.state.position)
            why = why_untold(one, made, max(now, made.at), rollout.max_gap, since) if now else "nothing has been evaluated yet"
        found.append({**facts, "figures": in_order(one.kind, made.figures) if made else {}, **_made(made), "why": why, "coming": _coming(watch, one)})
    return found


def _units(watch: Watch, one: Declared) -> dict[str, str]:
    """What each figure is in, where that can be told: by its kind, or else by a signal that is this figure."""
    own = {name: figure.unit for name, figure in KINDS[one.kind].figures.items()}
    said = {signal.figure: signal.unit for signal in watch.rollout.signals if signal.evidence == one.name and signal.unit}
    return {name: unit for name in own if (unit := own[name] or said.get(name, ""))}


def _of(one: Declared) -> str:
    """Of JSON lines, which of them become what; empty for other kinds, which say it by their name."""
    if not isinstance(one.settings, Settings):
        return ""
    where = " and ".join(f"{pointer} is {json.dumps(value, ensure_ascii=False)}" for pointer, value in one.settings.where.items())
    return f"{one.settings.aggregate} of {one.settings.field} over {format_duration(one.settings.window)}" + (f", where {where}" if where else "")


def unjudged(watch: Watch) -> list[str]:
    """Evidence that figures rest on and that went on record after the last evaluation: what that said of them is from before."""
    state, judgement = watch.state, watch.judgement
    if judgement is None or state.position is None or state.position.open:
        return []
    used = {signal.evidence for signal in watch.rollout.signals if signal.evidence}
    return [name for name, made in state.dossier.evidence.items() if name in used and made.at > judgement.at]


def _followed(watch: Watch, one: Declared) -> dict[str, Any]:
    """What its file told at the last evaluation: the figures that signals are, and why one of them tells nothing, or not all."""
    seen = watch.observations[1] if watch.observations else {}
    figures, why = dict[str, float](), list[str]()
    for signal in watch.rollout.signals:
        if signal.evidence != one.name:
            continue
        answer = seen.get(signal.followed, NoData("nothing has been evaluated yet"))
        if isinstance(answer, Value):
            figures |= dict.fromkeys([signal.figure], *answer.series.values())
            why += answer.unknown.values()
        else:
            why.append(answer.why)
    return {"figures": figures, "why": "; ".join(dict.fromkeys(why))}


def trouble(watch: Watch) -> Iterator[str]:
    """Evidence that should have come by itself and did not, in a few words each."""
    for one in watch.rollout.evidence:
        attempt = watch.state.attempts.get(one.name, Attempt())
        if why := attempt.away or attempt.failed:
            yield f"EVIDENCE {one.name}: {shorten(why, _SHORT, placeholder='…')}"


def _coming(watch: Watch, one: Declared) -> dict[str, Any] | None:
    """How it comes by itself, and how that went; None where somebody hands it in. `sentence` says all of it."""
    if one.comes is None:
        return None
    known = watch.state.attempts.get(one.name, Attempt())
    source = _source(one.comes)
    failed, since = (known.away, known.away_since) if known.away else (known.failed, known.since)
    times = {"tried": known.tried, "succeeded": known.succeeded, "failing_since": since, "running_since": known.running, "next": known.next}
    facts = {"from": source, "failed": failed, **{name: _time(at) if at else None for name, at in times.items()}}
    return {**facts, "sentence": "; ".join(filter(None, [f"comes from {source}", *_went(one.comes, known)]))}


def _source(comes: Inbox | Scheduled | Followed) -> str:
    match comes:
        case Inbox(folder=folder, files=files):
            return f'the folder {folder}, files "{files}"'
        case Scheduled(command=command, every=every, result=result):
            return f"{command.argv[0]} every {format_duration(every)}" + (f", which writes {result}" if result else "")
        case Followed(path=path):
            return f"the last lines of {path}"


def _went(comes: Inbox | Scheduled | Followed, known: Attempt) -> Iterator[str]:
    if isinstance(comes, Followed):
        return
    if known.tried is None:
        yield "it has not been tried yet"
    elif isinstance(comes, Inbox):
        yield f"looked into at {_clock(known.tried)}"
    elif known.running:
        yield f"it has been running since {_clock(known.running)}"
    else:
        yield f"last run at {_clock(known.tried)}"
    if known.next:
        yield f"next run at {_clock(known.next)}"
    if known.away and known.away_since:
        yield f"AWAY since {_clock(known.away_since)}: {known.away}"
    if known.since:
        yield f"FAILING since {_clock(known.since)}: {known.failed}"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _made(made: Evidence | None) -> dict[str, Any]:
    if made is None:
        return {"handed_in": None, "made": None, "dated": False, "by": "", "file": "", "sha256": "", "failed": {}, "excluded": [], "notes": []}
    facts = {
        "handed_in": _time(made.at),
        "made": _time(made.made),
        "dated": made.made_at is not None,
        "by": made.by,
        "file": made.file,
        "sha256": made.digest,
        "failed": dict(made.failed),
    }
    return {**facts, "excluded": [dict(one) for one in made.excluded], "notes": list(made.notes)}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
