"""What it would take for a simulation to end otherwise: what stops a trigger that acted, and why another did not act. Pure.

Lives here: those sentences. Must not live here: what happened (`telling`).
"""

from collections.abc import Iterator
from datetime import timedelta

from rollback_daemon.durations import format_coarse, format_duration, format_number
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge import budgets
from rollback_daemon.judge.state import TriggerJudgement
from rollback_daemon.judge.transitions import Event
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.model import ActionKind, Trigger
from rollback_daemon.rules.reading import Health, Reading, Verdict
from rollback_daemon.signals.observation import show_labels
from rollback_daemon.simulation.acting import Run
from rollback_daemon.simulation.length import concerned

_MOST = 20


def remedies(run: Run) -> list[str]:
    """What would stop what happened; where a trigger concerned did nothing, why."""
    acting = list(_acting(run))
    judged = {one.trigger.name: one for one in run.acted.judgement.triggers} if run.acted.judgement else {}
    found: list[str] = []
    for name in dict.fromkeys(acting):
        trigger = next((one for one in run.present.rollout.triggers if one.name == name), None)
        found += _stops(run, trigger) if trigger else []
    for trigger in concerned(run.present.rollout, run.settings):
        if trigger.name not in acting and trigger.name in judged:
            found.append(_idle(run, judged[trigger.name]))
    return found if len(found) <= _MOST else [*found[:_MOST], f"and {len(found) - _MOST} more triggers"]


def _acting(run: Run) -> Iterator[str]:
    """The triggers that led to something, in order."""
    for record in (one for moment in run.moments for one in moment.records):
        if record.kind in {Event.INTENDED, Event.HELD}:
            yield from record.body.get("triggers", ())
        elif record.kind in {Event.SCHEDULED, Event.OBSERVED}:
            yield record.body["alert"]


def _stops(run: Run, trigger: Trigger) -> Iterator[str]:
    spent = next((one for one in _records(run, trigger, Event.BUDGET) if one.body.get("spent")), None)
    fired = next((one for one in _records(run, trigger, Event.TRIGGER) if one.body["phase"] == TriggerPhase.FIRING), None)
    if fired is not None:
        after = f" before {_after(fired.at - run.present.now)}"
        held = trigger.for_ and not _was_firing(run, trigger)
        yield f"{trigger.name} does not fire " + (f"if {_clear(trigger)} in one evaluation{after}" if held else f"while {_clear(trigger)}")
    elif spent is not None:
        yield f"{trigger.name} does not act if it can see again before {_after(spent.at - run.present.now)}"
    elif _was_firing(run, trigger):
        yield f"{trigger.name} fires already; it ends when {_clear(trigger)}"
    if any(_records(run, trigger, Event.SCHEDULED)):
        yield f"an announced rollback is stopped by `rollbackd cancel {run.present.rollout.name} {trigger.name} --reason ...`"


def _records(run: Run, trigger: Trigger, kind: Event) -> Iterator[Record]:
    return (one for moment in run.moments for one in moment.records if one.kind == kind and one.body.get("alert") == trigger.name)


def _was_firing(run: Run, trigger: Trigger) -> bool:
    known = run.present.state.triggers.get(trigger.name)
    return known is not None and known.phase is TriggerPhase.FIRING


def _clear(trigger: Trigger) -> str:
    """`error_rate <= 0.01`."""
    condition = trigger.test.condition
    if condition is None:
        return f"{trigger.test.subject} is not {trigger.test.limit}" if trigger.test.limit else f"{trigger.test.subject} returns nothing"
    return f"{trigger.test.subject} {condition.negated}"


def _after(time: timedelta) -> str:
    return f"+{format_coarse(max(time, timedelta()))}"


def _idle(run: Run, one: TriggerJudgement) -> str:
    """Why a trigger that reads what is set led to nothing."""
    trigger, state, at = one.trigger, one.state, run.acted.position.stage
    if state.phase is TriggerPhase.INACTIVE and state.health is Health.OK:
        return f"{trigger.name} does not fire: {_nearest(one)}"
    if not one.armed:
        return f'{trigger.name} takes no action at "{at}": {_unarmed(run, trigger, at)}'
    if state.health is not Health.OK:
        used = "".join(f"; {budgets.used(trigger, state.spending, budget)}" for budget in budgets.of(trigger))
        return f"{trigger.name} cannot tell ({state.why or 'no data'}), and what it cannot see it does not act on{used}"
    if state.phase is TriggerPhase.PENDING:
        last = run.acted.state.stepped or run.present.now
        left = min(series.active_since + trigger.for_ - last for series in state.active)
        return f"{trigger.name} is pending, and fires in {format_coarse(max(left, timedelta()))} more; --for says how long it goes on"
    only = "its action is to alert alone" if trigger.action.kind is ActionKind.ALERT else "it has acted at this stage, or there is no lower one"
    return f"{trigger.name} fires, and nothing follows: {only}"


def _unarmed(run: Run, trigger: Trigger, at: str) -> str:
    if at in trigger.stages:
        return f"its initial_delay of {format_duration(trigger.initial_delay)} is not over"
    if run.begun.position and run.begun.position.stage != at:
        return "the rollout had come to there"
    return f"it is armed at {', '.join(stage.name for stage in run.present.rollout.stages if stage.name in trigger.stages)}; --at-stage says where"


def _nearest(one: TriggerJudgement) -> str:
    trigger = one.trigger
    told = [(labels, reading) for labels, reading in one.assessment.series.items() if reading.value is not None and reading.verdict is Verdict.CLEAR]
    if not told:
        return f"{trigger.test.subject} has no value to hold against its limit" if trigger.test.limit else f"{trigger.test.subject} returns nothing"
    condition = trigger.test.condition
    labels, reading = max(told, key=lambda pair: condition.margin(pair[1].value or 0.0) if condition else 0.0)
    return f"{trigger.test.subject}{show_labels(labels)} {_number(reading)}, limit {trigger.test.limit}"


def _number(reading: Reading) -> str:
    return format_number(reading.value) if reading.value is not None else "no data"
