"""A simulation as plain values for people and programs: the timetable, and where it ends. Pure.

Lives here: the shape, and the words for what only a simulation tells. Must not live here: words for records (`governance.happenings`), HTTP,
terminals, what would stop it (`remedies`).
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from rollback_daemon.durations import format_coarse, format_duration, format_number
from rollback_daemon.faces.alerts import Alert
from rollback_daemon.governance.happenings import BAD, GOOD, PLAIN, WARN, line, timeline
from rollback_daemon.hooks.events import Notice
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.state import Judgement, State
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Failed, NoData, Observation, Value, show_labels
from rollback_daemon.simulation.acting import Moment, Run
from rollback_daemon.simulation.length import concerned, read_by
from rollback_daemon.simulation.remedies import remedies
from rollback_daemon.simulation.settings import Setting

_MOST = 1000  # steps of a timetable: more than anybody reads
_MOST_SERIES = 5
_ASSUMED = "flags are taken to be written and read back, programs and probes of a verification to succeed; what is not set stays as it was seen last"


def tell(run: Run) -> dict[str, Any]:
    """The simulation, JSON-ready. Times are beside the time that has passed from now on; values in the signals' own units."""
    present = run.present
    steps = [_timed(one, present.now) for moment in run.moments for one in _steps(run, moment)]
    ends = _standing(present.rollout, run.acted.state, run.acted.judgement)
    return {
        "rollout": present.rollout.name,
        "at": present.now.isoformat(),
        "seen_at": present.judgement.at.isoformat(),
        "interval": format_duration(present.rollout.interval),
        "for": format_coarse(run.asked),
        "at_stage": run.stage,
        "evaluations": run.evaluations,
        "whole": run.whole,
        "set": [_set(one, run) for one in run.settings],
        "remarks": [*run.laid.remarks, *_remarks(run, len(steps))],
        "assumed": _ASSUMED,
        "begins": _standing(present.rollout, run.begun, present.judgement),
        "steps": steps[:_MOST],
        "ends": ends,
        "outcome": _outcome(run, ends),
        "stops": remedies(run),
    }


def _remarks(run: Run, steps: int) -> Iterator[str]:
    rollout, flags = run.present.rollout, run.present.flags
    if not run.whole:
        yield f"it took too long, and was ended after {run.evaluations} evaluations; a shorter --for comes to its end"
    if steps > _MOST:
        yield f"of {steps} steps the first {_MOST} are shown"
    for trigger in concerned(rollout, run.settings) if run.settings else ():
        of_signals = {query for signal in trigger.test.signals() for query in signal.questions()}
        if left := {*trigger.test.questions()} - of_signals - {query for one in run.settings for query in one.queries}:
            yield f"{trigger.name} asks more, which stays as it was seen last; set it by the query itself: {'; '.join(sorted(left)[:_MOST_SERIES])}"
    if isinstance(flags, str) and run.stage is None:
        yield f"its flags cannot be read now ({flags}); where a transition follows, they are taken to be written all the same"
    if not rollout.enforce:
        yield "it is only observed (mode: observe): triggers change nothing"


def _set(one: Setting, run: Run) -> dict[str, Any]:
    seen = run.present.observations
    return {
        "set": one.text,
        "name": one.name,
        "labels": dict(one.labels) if one.labels else None,
        "value": one.shown,
        "queries": list(one.queries),
        "before": [_seen(seen.get(query)) for query in one.queries],
        "triggers": [trigger.name for trigger in run.present.rollout.triggers if {*one.queries} & read_by(trigger)],
        "gates": [
            gate.name for gate in run.present.rollout.gates if not gate.quiet and {*one.queries} & {*gate.signal.questions(), gate.signal.figure_key}
        ],
    }


def _seen(answer: Observation | None) -> str:
    """What was seen last, in a few words."""
    match answer:
        case Value() if len(answer.series) == 1 and not answer.unknown:
            ((labels, value),) = answer.series.items()
            return f"{show_labels(labels)} {format_number(value)}".strip()
        case Value():
            span = " to ".join(format_number(one) for one in sorted({min(answer.series.values()), max(answer.series.values())}))
            return f"{len(answer.series) + len(answer.unknown)} series, {span}"
        case NoData() | Failed():
            return answer.why
        case None:
            return "not asked yet"


def _standing(rollout: Rollout, state: State, judgement: Judgement | None) -> dict[str, Any]:
    position = state.position
    stage = rollout.stage(position.stage) if position else None
    phases = {name: known.phase for name, known in state.triggers.items()}
    return {
        "phase": position.phase if position else None,
        "stage": position.stage if position else None,
        "exposure": stage.exposure if stage and position and position.placed else None,
        "why": position.why if position else "",
        "soaked": format_coarse(state.soaked),
        "soak": format_duration(stage.soak) if stage else None,
        "blind": state.blind,
        "degraded": dict(position.degraded) if position else {},
        "firing": [name for name, phase in phases.items() if phase is TriggerPhase.FIRING],
        "pending": [name for name, phase in phases.items() if phase is TriggerPhase.PENDING],
        "blockers": [one.sentence for one in judgement.blockers] if judgement else [],
    }


def _outcome(run: Run, ends: dict[str, Any]) -> str:
    """Where it ends, in a sentence."""
    begins = run.begun.position
    stays = begins is not None and (begins.stage, begins.phase) == (ends["stage"], ends["phase"])
    exposed = "" if ends["exposure"] is None else f", {ends['exposure'] * 100:g} % exposed"
    where = f"{'stays' if stays else 'ends'} {ends['phase']} at {ends['stage']}{exposed}"
    latched = ends["phase"] in {Phase.ROLLED_BACK, Phase.FROZEN, Phase.HELD}
    return f"{run.present.rollout.name} {where}" + ("; it goes no further up until a person resumes it with a reason" if latched else "")


# the timetable

_Step = tuple[datetime, str, str, str, list[str]]
"""When, the kind of step, its tone, what happens in a line, and what there is to add."""


def _timed(step: _Step, now: datetime) -> dict[str, Any]:
    at, event, tone, what, more = step
    passed = max(at - now, timedelta())
    return {
        "at": at.isoformat(),
        "in": format_coarse(passed),
        "seconds": passed.total_seconds(),
        "event": event,
        "tone": tone,
        "what": what,
        "more": more,
    }


def _steps(run: Run, moment: Moment) -> Iterator[_Step]:
    for ours, same in groupby(moment.records, key=lambda record: record.kind in _OWN):
        if ours:
            yield from ((record.at, record.kind, *_OWN[record.kind](run, record)) for record in same)
        else:
            yield from ((datetime.fromisoformat(one["at"]), one["event"], one["tone"], one["what"], one["more"]) for one in timeline(same))
    yield from _alerts(moment.began, moment.at, "sent to Alertmanager", BAD)
    yield from _alerts(moment.ended, moment.at, "resolved", PLAIN)
    for notice in moment.notices:
        yield from _hooks(run, notice)


def _alerts(alerts: Iterable[Alert], at: datetime, what: str, tone: str) -> Iterator[_Step]:
    """Alerts that differ in their series alone share a step."""
    for (name, severity, stage), same in groupby(alerts, key=_in_short):
        found = list(same)
        where = f" at {stage}" if stage else ""
        count = f", {len(found)} series," if len(found) > 1 else ""
        said = [alert.annotations["summary"] for alert in found[:_MOST_SERIES] if "summary" in alert.annotations]
        yield at, "alert", tone, f"alert {name} ({severity}){where}{count} is {what}", said


def _in_short(alert: Alert) -> tuple[str, str, str]:
    return alert.labels["alertname"], alert.labels.get("severity", ""), alert.labels.get("stage", "")


def _hooks(run: Run, notice: Notice) -> Iterator[_Step]:
    for hook in run.present.rollout.aftercare.hooks:
        if notice.event in hook.on:
            how = "a command" if hook.command else "http"
            yield notice.at, "hook", PLAIN, f"hook {hook.name} ({how}) is called on {notice.event}", [notice.sentence]


def _ready(_run: Run, record: Record) -> tuple[str, str, list[str]]:
    return GOOD, f'ready at "{record.body["stage"]}": soaked, and every gate passes', []


def _unready(_run: Run, record: Record) -> tuple[str, str, list[str]]:
    return WARN, f'no longer ready at "{record.body["stage"]}"', list(record.body["why"])


def _completed(_run: Run, record: Record) -> tuple[str, str, list[str]]:
    return GOOD, f'complete at "{record.body["stage"]}"', []


def _adopted(_run: Run, record: Record) -> tuple[str, str, list[str]]:
    return PLAIN, f'taken to be at "{record.body["stage"]}"', [str(record.body["why"])]


def _observed(_run: Run, record: Record) -> tuple[str, str, list[str]]:
    return WARN, f"{record.body['alert']} asks for {record.body['would']}, and is only observed: nothing is done", list(record.body["why"])


def _applied(run: Run, record: Record) -> tuple[str, str, list[str]]:
    tone, what, more = line(record)
    command = run.present.rollout.flags.after_change
    return tone, what, [*more, f"then the command is run: {' '.join(command.argv)}"] if command else more


def _gate(_run: Run, record: Record) -> tuple[str, str, list[str]]:
    tone, what, more = line(record)
    return tone, what, [one.removeprefix(f"{record.body['gate']}: ") for one in more]  # it is named already


_OWN: dict[str, Callable[[Run, Record], tuple[str, str, list[str]]]] = {
    Event.READY: _ready,
    Event.UNREADY: _unready,
    Event.COMPLETED: _completed,
    Event.ADOPTED: _adopted,
    Event.OBSERVED: _observed,
    Event.APPLIED: _applied,
    Event.GATE: _gate,
}
"""The words for kinds that the report of an incident has none for, or of which a simulation knows more."""
