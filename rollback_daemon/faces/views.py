"""A rollout as plain values for people and programs: what the API answers, the command line prints and, later, the page shows.

Lives here: the shape, and the sentences that say what would change something. Must not live here: HTTP, terminals, decisions.
"""

from collections.abc import Iterator
from datetime import datetime
from textwrap import shorten
from typing import Any

from rollback_daemon.durations import format_coarse, format_duration, format_number
from rollback_daemon.faces import views_evidence
from rollback_daemon.faces.views_aftercare import after_completion, after_rollback, aftercare, trouble
from rollback_daemon.judge import budgets, postmortem, readiness, required_config
from rollback_daemon.judge.act import sentence
from rollback_daemon.judge.dossier import Proposal
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.gates import gate_sentence
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.required_config import Setting
from rollback_daemon.judge.state import GateJudgement, State, TriggerJudgement
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.judge.trigger import Active, TriggerPhase
from rollback_daemon.rules.measures import Condition, OnNoData
from rollback_daemon.rules.model import ActionKind, Stage
from rollback_daemon.rules.reading import Health, Reading, Verdict
from rollback_daemon.signals.observation import Labels, NoData, Value, show_labels
from rollback_daemon.signals.questions import is_followed
from rollback_daemon.watch import Watch

_SHORT = 100  # characters of a reason in a line of its rollout
_MOST_SERIES = 20  # of one trigger, furthest first: more than anybody reads


def summary(watch: Watch) -> dict[str, Any]:
    """One rollout in a line: where it is and what needs a person."""
    rollout, state, judgement = watch.rollout, watch.state, watch.judgement
    position = state.position
    stage = rollout.stage(position.stage) if position else None
    return {
        "rollout": rollout.name,
        "owner": rollout.owner,
        "mode": "enforce" if rollout.enforce else "observe",
        "phase": position.phase if position else None,
        "stage": position.stage if position else None,
        "exposure": stage.exposure if stage and position and position.placed else None,
        "since": time_of(position.since or position.entered if position else None),
        "entered": time_of(position.entered if position else None),
        "why": position.why if position else "its flags have not been read yet",
        "blind": state.blind,
        "drift": state.drift,
        "degraded": dict(position.degraded) if position else {},
        "broken_glass": position.broken_glass if position else "",
        "firing": [one.trigger.name for one in judgement.triggers if one.state.phase is TriggerPhase.FIRING] if judgement else [],
        "pending": [one.trigger.name for one in judgement.triggers if one.state.phase is TriggerPhase.PENDING] if judgement else [],
        "silent": [one.trigger.name for one in judgement.triggers if _is_silent(one, state)] if judgement else [],
        "evaluated_at": time_of(judgement.at if judgement else None),
        "unjudged": views_evidence.unjudged(watch),
        "next": what_next(watch),
    }


def _is_silent(one: TriggerJudgement, state: State) -> bool:
    """Whether it fires, and nobody is told, as it has not fired where it is armed."""
    known = state.triggers.get(one.trigger.name, one.state)
    return known.phase is TriggerPhase.FIRING and not any(series.alerting for series in known.active)


def explanation(watch: Watch) -> dict[str, Any]:
    """One rollout in full: the ladder, every trigger and gate with its value beside its limit, and what would change it."""
    rollout, state, judgement = watch.rollout, watch.state, watch.judgement
    position = state.position
    return {
        **summary(watch),
        "next": _and_next(watch),
        "file": rollout.file,
        "runbook_url": rollout.runbook_url,
        "rules_sha256": rollout.digest,
        "interval": format_duration(rollout.interval),
        "flags": {"store": rollout.flags.store, "place": watch.place, **_flags(watch)},
        "config": [_setting(one) for one in judgement.whereabouts.settings] if judgement else [],
        "soaked": format_coarse(state.soaked),
        "stages": [
            {
                "stage": stage.name,
                "exposure": stage.exposure,
                "soak": format_duration(stage.soak),
                "flags": dict(stage.flags),
                "requires": list(_required(stage)),
                "promote": "automatic" if stage.automatic else "manual",
            }
            for stage in rollout.stages
        ],
        "transition": under_way(position),
        "triggers": [trigger_view(one, judgement.at) for one in judgement.triggers] if judgement else [],
        "gates": [_gate(one) for one in judgement.gates] if judgement else [],
        "evidence": views_evidence.evidence(watch),
        "proposal": put_to_the_vote(state.dossier.proposal),
        "baselines": {name: [{"labels": dict(labels), "value": value} for labels, value in one.items()] for name, one in state.dossier.bases.items()},
        **aftercare(watch),
        "warnings": list(_warnings(watch)),
        "blockers": [{"code": one.code, "unknown": one.code.unknown, "sentence": one.sentence} for one in judgement.blockers] if judgement else [],
    }


def scorecard(watch: Watch) -> dict[str, Any]:
    """The compliance report of one rollout: every check of the next promotion with its evidence, and the score that they come to."""
    rollout, judgement = watch.rollout, watch.judgement
    position = watch.state.position
    stage = rollout.stage(position.stage) if position else None
    following = rollout.above(stage) if stage else None
    checks = judgement.checks if judgement else ()
    card = readiness.score(rollout, checks) if judgement else None
    return {
        "rollout": rollout.name,
        "stage": stage.name if stage else None,
        "to": following.name if following else None,
        "at": time_of(judgement.at if judgement else None),
        "points": card.points if card else None,
        "verdict": card.verdict if card else None,
        "unsure": card.unsure if card else True,
        "go": rollout.scoring.go,
        "monitor": rollout.scoring.monitor,
        "lines": [_line(one) for one in card.lines] if card else [],
        "checks": [
            {"check": one.name, "outcome": one.outcome, "code": one.code, "blocking": one.blocking, "evidence": one.evidence} for one in checks
        ],
    }


def _line(one: readiness.Line) -> dict[str, Any]:
    return {"part": one.part, "check": one.check, "worth": round(one.worth, 2), "has": round(one.has, 2), "outcome": one.outcome}


def _setting(one: Setting) -> dict[str, Any]:
    facts = {"key": one.key, "expected": one.expected, "actual": one.actual, "stage": one.stage}
    return {**facts, "outcome": "unknown" if one.met is None else "pass" if one.met else "fail", "sentence": str(one)}


def what_next(watch: Watch) -> str:
    """What comes next, and who has to move."""
    return _and_next(watch, more=", see explain")


def _and_next(watch: Watch, more: str = "") -> str:
    """`more`: where the rest of what stands against a promotion is told. That evidence does not come is told last: it has taken nothing back."""
    return "; ".join(filter(None, [*_trouble(watch), after_rollback(watch), _next(watch, more), *views_evidence.trouble(watch)]))


def _trouble(watch: Watch) -> Iterator[str]:
    """What is wrong with the guard's own sight, before anything else."""
    judgement = watch.judgement
    where = judgement.whereabouts if judgement else None
    if watch.state.blind and judgement:
        why = next((one.state.why for one in judgement.triggers if one.armed and one.state.unknown_since), "") or "no data"
        yield f"NOT GUARDED: {why}"
    if where is not None and where.drift is Drift.UNREADABLE:
        yield f"FLAGS UNREADABLE: {where.why}"
    elif where is not None and where.keys:
        yield f"DRIFT: {', '.join(sorted(where.keys))} not as on record"
    for one in watch.state.misconfigured:
        yield f"CONFIG: {one}"
    yield from _budgets_used(watch)
    position = watch.state.position
    if position and position.degraded:
        yield f"DEGRADED: {', '.join(sorted(position.degraded))}"
    if position and position.broken_glass:
        yield f"BREAK-GLASS: {shorten(position.broken_glass, _SHORT, placeholder='…')}"
    yield from trouble(watch)


def _budgets_used(watch: Watch) -> Iterator[str]:
    """What is spent of a budget, or nearest to that."""
    triggers = watch.judgement.triggers if watch.judgement else ()
    used = [(one, budget, budgets.share(one.trigger, one.state.spending, budget)) for one in triggers for budget in budgets.of(one.trigger)]
    if not used:
        return
    one, budget, share = max(used, key=lambda each: each[2])
    if share > 0:
        then = f"then {budgets.action(one.trigger, budget)}" if share < 1 else f"BUDGET SPENT, {budgets.action(one.trigger, budget)}"
        yield f"{one.trigger.name}: {budgets.used(one.trigger, one.state.spending, budget)}, {then}"


def _next(watch: Watch, more: str) -> str:
    position, judgement = watch.state.position, watch.judgement
    if position is None:
        return "waiting until its flags can be read"
    if position.open is not None:
        return f"{position.open.kind} to {position.open.target} is under way" + (
            f"; it failed so far: {position.open.failure}" if position.open.failure else ""
        )
    if position.rehearsing is not None:
        return f"a rollback is being rehearsed; {position.rehearsing.stage} follows when its steps have passed"
    if position.phase in {Phase.ROLLED_BACK, Phase.FROZEN} and (owed := postmortem.owed(watch.rollout, watch.state)):
        return f"stays until the report of incident {owed.subject} is complete (rollbackd postmortem), and a person resumes it"
    if position.phase in {Phase.ROLLED_BACK, Phase.HELD, Phase.FROZEN}:
        return f"stays until a person resumes it with a reason: {shorten(position.why, _SHORT, placeholder='…')}"
    if judgement is None:
        return "waiting for its first evaluation"
    if news := views_evidence.unjudged(watch):
        within = format_duration(watch.rollout.interval)
        return f"evidence {', '.join(news)} is newer than the last evaluation; the next one, within {within}, acts on it"
    stage = watch.rollout.stage(position.stage) or watch.rollout.stages[0]
    if stage is watch.rollout.stages[-1]:
        return "; ".join(filter(None, ["at the top, and still watched", after_completion(watch)]))
    following = watch.rollout.stages[stage.number + 1].name
    if judgement.blockers:
        others = f" (and {len(judgement.blockers) - 1} more{more})" if len(judgement.blockers) > 1 else ""
        return f"promotion to {following} waits: {judgement.blockers[0].sentence}{others}"
    return f"may be promoted to {following} by a person"


def _required(stage: Stage) -> Iterator[str]:
    """What a stage asks for before it is climbed to, in words."""
    requires = stage.requires
    yield from (f"checkpoint {name}" for name in requires.checkpoints)
    yield from (f"evidence {one.name}" + (f" with {one.how_good}" if one.good else "") for one in requires.evidence)
    if requires.rehearsal is not None:
        yield f"a rehearsal within {format_duration(requires.rehearsal)}"
    yield from (f"config {key} {required_config.shown(value)}" for key, value in requires.config.items())
    if requires.approvals is not None:
        yield f"approvals: {requires.approvals}"


def put_to_the_vote(proposal: Proposal | None) -> dict[str, Any] | None:
    """The vote that is open."""
    if proposal is None:
        return None
    return {
        "id": proposal.id,
        "by": proposal.by,
        "why": proposal.why,
        "to": proposal.target,
        "at": time_of(proposal.at),
        "expires": time_of(proposal.expires),
        "roles": list(proposal.roles),
        "needed": proposal.needed,
        "votes": [
            {
                "by": vote.by,
                "role": vote.role,
                "decision": "GO" if vote.go else "NO-GO",
                "why": vote.why,
                "at": time_of(vote.at),
                "conditions": list(vote.conditions),
                "resolved": vote.resolved,
            }
            for vote in proposal.votes
        ],
    }


def _warnings(watch: Watch) -> Iterator[dict[str, str]]:
    """What the server said beside good answers: that they are partial, or that a query is not what it seems. A followed file is no server, and what
    of it cannot be read stands with its evidence."""
    observations = watch.observations[1] if watch.observations else {}
    for query in observations:
        if is_followed(query):
            continue
        seen = observations.get(query)
        if isinstance(seen, (Value, NoData)):
            yield from ({"query": query, "warning": text} for text in seen.warnings)


def _flags(watch: Watch) -> dict[str, Any]:
    where = watch.judgement.whereabouts if watch.judgement else None
    differing = {key: {"expected": expected, "actual": actual} for key, (expected, actual) in (where.keys or {}).items()} if where else {}
    return {"differing": differing, "unreadable": where.why if where else ""}


def under_way(position: Position | None) -> dict[str, Any] | None:
    """The transition under way."""
    opened = position.open if position else None
    if opened is None:
        return None
    return {
        "id": opened.id,
        "kind": opened.kind,
        "from": opened.origin,
        "to": opened.target,
        "at": time_of(opened.at),
        "why": list(opened.why),
        "by": opened.by,
        "applied": opened.applied,
        "failure": opened.failure,
    }


def trigger_view(one: TriggerJudgement, now: datetime) -> dict[str, Any]:
    """One trigger with each value beside its limit, and what would change it."""
    trigger = one.trigger
    active = {series.labels: series for series in one.state.active}
    readings, condition = one.assessment.series, trigger.test.condition
    series = sorted(dict.fromkeys([*active, *readings]), key=lambda labels: _urgency(condition, active.get(labels), readings.get(labels)))
    return {
        "alert": trigger.name,
        "phase": one.state.phase,
        "health": one.state.health,
        "why": one.state.why,
        "armed": one.armed,
        "action": str(trigger.action),
        "severity": trigger.severity,
        "dry_run": trigger.dry_run,
        "subject": trigger.test.subject,
        "limit": trigger.test.limit,
        "expr": trigger.test.expr,
        "for": format_duration(trigger.for_),
        "counted": {"breaches": one.state.breaches, "no_data": one.state.no_data, "errors": one.state.errors},
        "budgets": list(_budgets(one)),
        "series": [_series(one, labels, active.get(labels), one.assessment.series.get(labels), now) for labels in series[:_MOST_SERIES]],
        "change": "; ".join(_changes(one, now)),
    }


def _budgets(one: TriggerJudgement) -> Iterator[dict[str, Any]]:
    """How much of its budgets is used, of those that it has."""
    trigger, spending = one.trigger, one.state.spending
    for budget in budgets.of(trigger):
        yield {
            "budget": budget,
            "used": round(budgets.share(trigger, spending, budget), 4),
            "spent": time_of(spending.spent.get(budget)),
            "then": str(budgets.action(trigger, budget)),
            "sentence": budgets.used(trigger, spending, budget),
        }


def _urgency(condition: Condition | None, active: Active | None, reading: Reading | None) -> tuple[int, float]:
    """Firing first, then pending; among those, what is furthest past the limit."""
    order = {TriggerPhase.FIRING: 0, TriggerPhase.PENDING: 1}
    value = reading.value if reading and reading.value is not None else 0.0
    return (order[active.phase] if active else 2, -(condition.margin(value) if condition else value))


def _series(one: TriggerJudgement, labels: Labels, active: Active | None, reading: Reading | None, now: datetime) -> dict[str, Any]:
    value = reading.value if reading else active.value if active else None
    left = one.trigger.for_ - (now - active.active_since) if active and active.phase is TriggerPhase.PENDING else None
    return {
        "labels": dict(labels),
        "value": value,
        "verdict": reading.verdict if reading else Verdict.UNKNOWN,
        "phase": active.phase if active else TriggerPhase.INACTIVE,
        "since": time_of(active.active_since if active else None),
        "fires_in": format_duration(left) if left is not None else None,
        "sentence": sentence(one, active, now) if active else _calm(one, labels, reading),
    }


def _calm(one: TriggerJudgement, labels: Labels, reading: Reading | None) -> str:
    """A value, and what is known beside it: of one that is held against its baseline, both. Whose a clear figure is, is told with the evidence."""
    test, value = one.trigger.test, reading.value if reading else None
    said = "" if reading is None or value is None or any(signal.evidence for signal in test.signals()) else reading.why
    return f"{test.subject}{show_labels(labels)} {_number(value)}{f' ({said})' if said else ''}"


def _changes(one: TriggerJudgement, now: datetime) -> Iterator[str]:
    """What would change this trigger."""
    trigger, subject = one.trigger, f"{one.trigger.test.subject} {one.trigger.test.limit}".strip()
    if one.state.health is Health.NO_DATA and one.assessment.no_data is OnNoData.IGNORE:
        yield f"no data, which counts as clear ({one.state.why or 'no data'})"
    elif one.state.health is not Health.OK:
        yield f"cannot tell ({one.state.why or 'no data'}); phases stay as they are until it can"
    acted = sorted({active.acted_in.split("@")[0] for active in one.state.active if active.acted_in})
    if acted and trigger.action.kind is not ActionKind.ALERT:
        yield f"has acted at {', '.join(acted)}"
    elif not one.armed:
        unheard = one.state.phase is TriggerPhase.FIRING and not any(active.alerting for active in one.state.active)
        yield "takes no action at this stage" + (", and alerts nobody" if unheard else "")
    pending = [active for active in one.state.active if active.phase is TriggerPhase.PENDING]
    if pending:
        first = min(pending, key=lambda active: active.active_since)
        yield f"fires in {format_duration(trigger.for_ - (now - first.active_since))} unless a clear evaluation comes first"
    elif one.state.phase is TriggerPhase.FIRING:
        kept = f" and has stayed so for {format_duration(trigger.keep_firing_for)}" if trigger.keep_firing_for else ""
        yield f"resolves when it is no longer {subject}{kept}"
    elif one.state.health is Health.OK:
        yield f"breached once {subject}" + (f" holds for {format_duration(trigger.for_)}" if trigger.for_ else "")


def _gate(judged: GateJudgement) -> dict[str, Any]:
    return {
        "gate": judged.gate.name,
        "verdict": {Verdict.CLEAR: "passes", Verdict.BREACHED: "violated", Verdict.UNKNOWN: "unknown"}[judged.verdict],
        "value": judged.value,
        "condition": str(judged.gate.condition),
        "applies": judged.applies,
        "blocking": judged.gate.blocking,
        "sentence": gate_sentence(judged),
    }


def _number(value: float | None) -> str:
    return "unknown" if value is None else format_number(value)


def time_of(at: datetime | None) -> str | None:
    """A moment as the API writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
