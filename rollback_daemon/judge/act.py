"""What triggers lead to that fire, or whose budget is spent: which stage to go back to, once for each activation at a stage, and never up; or a
lesser service.

The lowest target wins and every trigger that asked is named. Lives here: what is done. Must not live here: when it is due (`due`), what flags
that somebody else changed lead to (`astray`).
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.flags.store import same
from rollback_daemon.judge import budgets, citing, lesser, limits
from rollback_daemon.judge.budgets import Budget
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.due import became_due, is_ripe
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import Happened, State, TriggerJudgement
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.judge.trigger import Active
from rollback_daemon.rules.duties import OnRaise
from rollback_daemon.rules.model import Action, ActionKind, Rollout, Stage
from rollback_daemon.rules.reading import Health, Verdict
from rollback_daemon.signals.observation import Labels, show_labels

_HOLDABLE = {Phase.BASELINE, Phase.SOAKING, Phase.READY, Phase.COMPLETE}


@dataclass(frozen=True, slots=True)
class Due:
    """A trigger whose action is owed, with the series that fired; or what is owed for a `budget` of it that is spent."""

    judged: TriggerJudgement
    series: tuple[Active, ...]
    action: Action
    target: Stage | None  # None: it does not ask for a rollback
    budget: Budget | None = None

    @property
    def name(self) -> str:
        return self.judged.trigger.name

    @property
    def keys(self) -> Iterator[str]:
        """What tells this activation from every other."""
        if self.budget:
            yield f"{self.name}:{self.budget}@{self.judged.state.spending.spent[self.budget].isoformat()}"
        yield from (f"{self.name}{show_labels(active.labels)}@{active.active_since.isoformat()}" for active in self.series)

    def since(self, position: Position, max_gap: timedelta, now: datetime) -> datetime:
        """Since when it is owed."""
        return min((became_due(self.judged.trigger, active, position, max_gap, now) for active in self.series), default=now)


def on_triggers(
    rollout: Rollout, state: State, position: Position, triggers: tuple[TriggerJudgement, ...], where: Whereabouts, now: datetime
) -> tuple[list[Happened], State]:
    """What firing triggers and spent budgets ask for, at most one transition, and the state in which they have had their say."""
    at_once = (judged for judged in triggers if judged.trigger.action.in_ is None)  # the others are announced: `escalating`
    due = [one for judged in at_once if (one := _due(rollout, judged, position, where, now))]  # before the budgets: breaches first
    due += [one for judged in triggers if judged.state.spending.spent for one in _overdrawn(rollout, judged, position, where)]
    if not due:
        return [], state
    wanting = [one for one in due if one.action.kind is not ActionKind.ALERT]
    happened = [_observed(one, now) for one in wanting if not _is_enforced(rollout, one)]
    enforced = [one for one in wanting if _is_enforced(rollout, one)]
    degrading = [one for one in enforced if one.action.kind is ActionKind.DEGRADE]
    rolled_back = list(_rollback(rollout, state, position, [one for one in enforced if one.target], where, now))
    if degrading and (rolled_back or position.open or _by_hand(rollout, where)):  # one thing after the other: it is due again in the next evaluation
        due = [one for one in due if one not in degrading]
    elif degrading:
        happened += _degrade(rollout, state, position, degrading, now)
    to_hold = [one for one in enforced if one not in degrading]
    return happened + (rolled_back or list(_hold(rollout, state, position, to_hold, now))), _spend(state, due, position)


def _by_hand(rollout: Rollout, where: Whereabouts) -> bool:
    """Whether something else has to follow first from flags that somebody set: a lesser service may still be more than those give."""
    return where.drift in {Drift.LOWER, Drift.OTHER} or (where.drift is Drift.HIGHER and rollout.flags.on_drift.raised is OnRaise.REVERT)


def _is_enforced(rollout: Rollout, due: Due) -> bool:
    return rollout.enforce and not due.judged.trigger.dry_run


def _observed(due: Due, now: datetime) -> Happened:
    return Happened(Event.OBSERVED, {"alert": due.name, "would": str(due.action), "why": list(_sentences(due, now))})


def _due(rollout: Rollout, judged: TriggerJudgement, position: Position, where: Whereabouts, now: datetime) -> Due | None:
    if not judged.armed:
        return None
    series = tuple(one for one in judged.state.active if not one.spent and is_ripe(judged.trigger, one, position, rollout.max_gap, now))
    action = judged.trigger.action
    return Due(judged, series, action, _target(rollout, action, position, where)) if series else None


def _overdrawn(rollout: Rollout, judged: TriggerJudgement, position: Position, where: Whereabouts) -> Iterator[Due]:
    """What is owed for budgets that are spent. They are counted only where the trigger is armed."""
    for budget in budgets.owed(judged.state.spending):
        action = budgets.action(judged.trigger, budget)
        yield Due(judged, (), action, _target(rollout, action, position, where), budget)


def previous(rollout: Rollout, position: Position, where: Whereabouts) -> int:
    """The number of the stage that "the previous one" means: below the one that the flags are at, or are being promoted to."""
    at = rollout.stage(position.goal if position.open_promotion else position.stage) or rollout.stages[0]
    number = max(at.number, where.stage.number) if where.drift is Drift.HIGHER and where.stage else at.number
    return max(0, number - 1)


def _target(rollout: Rollout, action: Action, position: Position, where: Whereabouts) -> Stage | None:
    """The stage to go back to: what the rule says, but never above where the record or the flags say that the rollout is."""
    if action.kind is not ActionKind.ROLLBACK:
        return None
    current = rollout.stage(position.stage) or rollout.stages[0]
    named = rollout.stage(action.to) if action.to else None
    number = min(named.number if named else previous(rollout, position, where), current.number)
    return rollout.stages[no_higher_than(number, where)]


def no_higher_than(number: int, where: Whereabouts) -> int:
    """A target stage as the flags allow it: flags lowered by hand stay as low as they are; flags of no stage lead to the bottom."""
    if where.drift is Drift.OTHER:
        return 0
    if where.drift is Drift.LOWER and where.stage is not None:
        return min(number, where.stage.number)
    return number


def _rollback(rollout: Rollout, state: State, position: Position, due: list[Due], where: Whereabouts, now: datetime) -> Iterator[Happened]:
    targets = [one.target for one in due if one.target]
    if not targets:
        return
    target = min(targets, key=lambda stage: stage.number)
    current = rollout.stage(position.stage) or rollout.stages[0]
    under_way = position.open
    if under_way and under_way.kind is Kind.ROLLBACK:
        going = rollout.stage(under_way.target) or rollout.stages[0]
        if going.number <= target.number:
            return
    elif target.number >= current.number and where.drift in {Drift.NONE, Drift.UNREADABLE} and not position.open_promotion:
        return
    target, said = limits.lowered(rollout, state.aftermath, target, now)
    why = [*(sentence for one in due for sentence in _sentences(one, now)), *said]
    more = {
        "code": _code(due),
        "triggers": _names(due),
        "activations": [key for one in due for key in one.keys],
        "breached_at": min(one.since(position, rollout.max_gap, now) for one in due).isoformat(),
        **_resting_on(rollout, state, due),
    }
    yield intended(rollout, position, Kind.ROLLBACK, target, why, "rollbackd", now, more)


def _degrade(rollout: Rollout, state: State, position: Position, due: list[Due], now: datetime) -> Iterator[Happened]:
    """Set the flags of a lesser service, all that are asked for in one go; nothing where they are set already, or would raise it."""
    stage = rollout.stage(position.stage) or rollout.stages[0]
    asked = {key: value for one in due for key, value in one.action.flags.items()}
    flags = lesser.at_stage(rollout, stage, asked)
    if all(key in position.degraded and same(position.degraded[key], value) for key, value in flags.items()):
        return
    why = [sentence for one in due for sentence in _sentences(one, now)]
    breached_at = min(one.since(position, rollout.max_gap, now) for one in due)
    more = {"code": Code.TRIGGER_FIRING, "triggers": _names(due), "breached_at": breached_at.isoformat()}
    more |= _resting_on(rollout, state, due)
    yield intended(rollout, position, Kind.DEGRADE, replace(stage, flags=flags), why, "rollbackd", now, more)


def intended(
    rollout: Rollout,
    position: Position,
    kind: Kind,
    target: Stage,
    why: list[str],
    by: str,
    now: datetime,
    more: Mapping[str, Any] | None = None,
) -> Happened:
    """The intent of a transition. Its id follows from what causes it, so the same activation can never mean two."""
    cause = "|".join([rollout.name, kind, target.name, position.entered.isoformat(), *(more or {}).get("activations", [now.isoformat()])])
    identity = f"{now:%Y%m%dT%H%M%SZ}-{hashlib.sha256(cause.encode()).hexdigest()[:8]}"
    body = {"id": identity, "kind": kind, "from": position.stage, "to": target.name, "flags": dict(target.flags), "why": why, "by": by}
    return Happened(Event.INTENDED, {**body, **(more or {})})


def _hold(rollout: Rollout, state: State, position: Position, due: list[Due], now: datetime) -> Iterator[Happened]:
    """Stop the way up: asked for by a trigger, or all that is left where there is no lower stage to go back to."""
    if not due or position.phase not in _HOLDABLE:
        return
    why = "; ".join(sentence for one in due for sentence in _sentences(one, now))
    yield Happened(Event.HELD, {"why": why, "by": "rollbackd", "code": _code(due), "triggers": _names(due), **_resting_on(rollout, state, due)})


def _resting_on(rollout: Rollout, state: State, due: list[Due]) -> dict[str, Any]:
    """The evidence that it is done for, if it is for any."""
    found = citing.cited(rollout, state.dossier, (one.judged.trigger for one in due))
    return {"evidence": found} if found else {}


def _code(due: list[Due]) -> Code:
    """Why, in one word: a breach, if there is one among several reasons."""
    return next((Code.TRIGGER_FIRING for one in due if one.budget is None), due[0].budget.code if due[0].budget else Code.TRIGGER_FIRING)


def _names(due: list[Due]) -> list[str]:
    """The triggers that asked, each once."""
    return list(dict.fromkeys(one.name for one in due))


def _spend(state: State, due: list[Due], position: Position) -> State:
    triggers = dict(state.triggers)
    for one in due:
        acted = {active.labels for active in one.series}
        before = triggers[one.name]
        if one.budget:
            triggers[one.name] = replace(before, spending=replace(before.spending, acted=(*before.spending.acted, one.budget)))
            continue
        active = tuple(replace(series, spent=True, acted_in=position.epoch) if series.labels in acted else series for series in before.active)
        triggers[one.name] = replace(before, active=active)
    return replace(state, triggers=triggers)


def _sentences(due: Due, now: datetime) -> Iterator[str]:
    if due.budget:
        yield budgets.sentence(due.judged.trigger, due.judged.state.spending, due.budget, due.judged.state.why)
    for active in islice(due.series, 5):
        yield sentence(due.judged, active, now)
    if len(due.series) > 5:
        yield f"{due.name}: and {len(due.series) - 5} more series"


def sentence(judged: TriggerJudgement, active: Active, now: datetime) -> str:
    """`ErrorRateHigh: error_rate 0.031 > 0.01 for 5m (held 5m15s)`: the value beside its limit, the window beside how long it was held."""
    trigger = judged.trigger
    value = "no data" if active.value is None else format_number(active.value)
    text = f"{trigger.name}: {trigger.test.subject}{show_labels(active.labels)} {value}"
    text += f" {trigger.test.limit}" if trigger.test.limit else ""
    reading = judged.assessment.series.get(active.labels)
    text += f" ({reading.why})" if reading and reading.verdict is Verdict.BREACHED and reading.why else ""
    if not trigger.for_:
        return text
    return f"{text} for {format_duration(trigger.for_)} (held {format_duration(now - active.held_since)})"


def trigger_changed(judged: TriggerJudgement, labels: Labels, was: Active | None, now_is: Active | None) -> Happened:
    """The record of a series that changed its phase."""
    known, reading = now_is or was, judged.assessment.series.get(labels)
    body = {
        "alert": judged.trigger.name,
        "labels": dict(labels),
        "phase": now_is.phase if now_is else "inactive",
        "value": now_is.value if now_is else reading.value if reading else None,
        "limit": judged.trigger.test.limit,
        "active_since": known.active_since.isoformat() if known else None,
    }
    return Happened(Event.TRIGGER, body)


def budget_changed(judged: TriggerJudgement, budget: Budget) -> Happened:
    """The record of a budget that is spent, or no longer."""
    trigger, spending = judged.trigger, judged.state.spending
    facts = {"alert": trigger.name, "budget": budget, "spent": budget in spending.spent, "then": str(budgets.action(trigger, budget))}
    if budget in spending.spent:
        return Happened(Event.BUDGET, {**facts, "why": budgets.sentence(trigger, spending, budget, judged.state.why)})
    why = "it can be seen again" if judged.state.health is Health.OK else "it is counted anew" if judged.armed else "it is not armed any more"
    return Happened(Event.BUDGET, {**facts, "why": f"{trigger.name}: {why}"})
