"""One step of the judge: what is seen, against what is asked, gives what happens.

The order is fixed: breaches first, in every phase; then sight; then the way up. On its own the machine only ever lowers exposure.
Lives here: the step and the application of events to the state. Must not live here: how one trigger or gate is judged, requests of people.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from rollback_daemon.judge import act, due
from rollback_daemon.judge.adoption import adopt
from rollback_daemon.judge.drift import Drift, Whereabouts, locate, whereabouts
from rollback_daemon.judge.gates import is_watching, judge_gate, obstacles, of_position
from rollback_daemon.judge.position import Position, fold, not_ahead
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.state import GateJudgement, Happened, Judgement, Sight, State, Step, TriggerJudgement
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.judge.trigger import TriggerState, advance, restored
from rollback_daemon.rules.model import Rollout, Trigger
from rollback_daemon.rules.reading import Verdict

_ON_THE_WAY = {Phase.SOAKING, Phase.READY, Phase.COMPLETE}


def step(rollout: Rollout, state: State, sight: Sight, now: datetime) -> Step:
    """Judge one rollout once. `now` is the time that the queries were asked for."""
    adopted = list(adopt(rollout, state.position, sight.flags))
    state = _apply_all(state, adopted, now)
    position = not_ahead(state.position, now, rollout.max_gap) if state.position else None
    state = replace(state, position=position)
    gates = tuple(judge_gate(gate, sight.observations, now) for gate in rollout.gates)
    if position is None:
        return _waiting(rollout, state, sight, gates, now)
    where = whereabouts(rollout, position, sight.flags, now)
    triggers = tuple(_judge(rollout, trigger, state, position, where, sight, now) for trigger in rollout.triggers)
    changes = [*_trigger_changes(state, triggers), *_sight_changes(rollout, state, triggers, now), *_drift_changes(state, position, where)]
    state = replace(
        state,
        triggers={one.trigger.name: one.state for one in triggers},
        soaked=_soaked(rollout, state, position, gates, triggers, where, now),
        stepped=now,
        blind_since=_blind_since(state, triggers, now),
        drift=where.drift if position.open is None else state.drift,
        drift_since=None if where.drift is Drift.NONE else state.drift_since or now,
    )
    decided, state = act.on_triggers(rollout, state, position, triggers, where, now)
    decided = decided or list(act.on_lowered_flags(rollout, position, where, now))
    state = _apply_all(state, [*changes, *decided], now)
    in_the_way = tuple(obstacles(rollout, position, gates, triggers, where))
    climbed = list(_climb(rollout, state, in_the_way, now))
    state = _apply_all(state, climbed, now)
    why_not = (*of_position(rollout, state, state.position or position), *in_the_way)
    return Step(state, (*adopted, *changes, *decided, *climbed), Judgement(now, triggers, gates, where, why_not))


def apply(state: State, happened: Happened, at: datetime) -> State:
    """The state after one event, whoever caused it. Raises IllegalTransition and changes nothing when the table forbids it."""
    position = fold(state.position, happened.event, happened.body, at)
    state = replace(state, position=position)
    if happened.event is Event.SIGHT:
        return replace(state, blind=happened.body["blind"])
    if happened.event in {Event.ADOPTED, Event.DONE}:
        return replace(state, soaked=timedelta())
    return state


def wake(rollout: Rollout, state: State, now: datetime) -> State:
    """The state when the daemon starts again, before its first step at `now`."""
    if state.stepped is None:
        return state
    known = {trigger.name: trigger for trigger in rollout.triggers}
    triggers = {name: restored(known[name], one, state.stepped, now, rollout.max_gap) for name, one in state.triggers.items() if name in known}
    return replace(state, triggers=triggers)


def _apply_all(state: State, happened: Iterable[Happened], now: datetime) -> State:
    for one in happened:
        state = apply(state, one, now)
    return state


def _waiting(rollout: Rollout, state: State, sight: Sight, gates: tuple[GateJudgement, ...], now: datetime) -> Step:
    """Its flags have never been read: nothing is known, so nothing is decided and nothing goes on record."""
    where = locate(rollout, rollout.stages[0], sight.flags)
    triggers = tuple(
        TriggerJudgement(trigger, TriggerState(), trigger.test.assess(sight.observations, {}, now, rollout.max_gap)[0], armed=False)
        for trigger in rollout.triggers
    )
    reason = Reason(Code.FLAGS_UNREADABLE, f"its flags cannot be read: {where.why}")
    return Step(replace(state, stepped=now), (), Judgement(now, triggers, gates, where, (reason,)))


def _judge(rollout: Rollout, trigger: Trigger, state: State, position: Position, where: Whereabouts, sight: Sight, now: datetime) -> TriggerJudgement:
    before = state.triggers.get(trigger.name, _NEVER)
    if before.counted_from != position.counted_from:  # more is exposed, or a person said go on: what is counted is counted from here
        before = replace(before, memory={}, counted_from=position.counted_from)
    assessment, memory = trigger.test.assess(sight.observations, before.memory, now, rollout.max_gap)
    after = advance(trigger, before, assessment, memory, now, rollout.max_gap)
    armed = due.is_armed(trigger, position, where, now)
    if after.active:
        after = replace(after, active=tuple(due.told(one, position, armed=armed) for one in after.active))
    return TriggerJudgement(trigger, after, assessment, armed)


_NEVER = TriggerState()


def _trigger_changes(state: State, triggers: tuple[TriggerJudgement, ...]) -> Iterator[Happened]:
    for one in triggers:
        known = state.triggers.get(one.trigger.name, _NEVER)
        if not known.active and not one.state.active:
            continue
        before = {active.labels: active for active in known.active}
        after = {active.labels: active for active in one.state.active}
        for labels in dict.fromkeys([*before, *after]):
            was, now_is = before.get(labels), after.get(labels)
            if (was.phase if was else None) is not (now_is.phase if now_is else None):
                yield act.trigger_changed(one, labels, was, now_is)


def _sight_changes(rollout: Rollout, state: State, triggers: tuple[TriggerJudgement, ...], now: datetime) -> Iterator[Happened]:
    since = _blind_since(state, triggers, now)
    blind = since is not None and (state.blind or now - since >= rollout.max_gap)
    if blind != state.blind:
        why = [f"{one.trigger.name}: {one.state.why or 'no data'}" for one in triggers if _cannot_see(one)]
        yield Happened(Event.SIGHT, {"blind": blind, "why": why})


def _blind_since(state: State, triggers: tuple[TriggerJudgement, ...], now: datetime) -> datetime | None:
    """Since when an armed trigger could not see."""
    return (state.blind_since or now) if any(_cannot_see(one) for one in triggers) else None


def _cannot_see(one: TriggerJudgement) -> bool:
    return one.armed and one.state.unknown_since is not None and not one.trigger.dry_run


def _drift_changes(state: State, position: Position, where: Whereabouts) -> Iterator[Happened]:
    """News of drift; none while flags are being changed, when the record and the flags have to differ."""
    if where.drift is not state.drift and position.open is None:
        keys = {key: {"expected": expected, "actual": actual} for key, (expected, actual) in (where.keys or {}).items()}
        yield Happened(Event.DRIFT, {"drift": where.drift, "keys": keys, "why": where.why})


def _soaked(
    rollout: Rollout,
    state: State,
    position: Position,
    gates: tuple[GateJudgement, ...],
    triggers: tuple[TriggerJudgement, ...],
    where: Whereabouts,
    now: datetime,
) -> timedelta:
    """Time earned at this stage: only while it is seen and all is well there.

    None while held, blind, pending, firing, with a gate that does not pass or flags of another stage, and none for a gap longer than `max_gap`,
    which is not having looked. Never more than the stage is old, whatever a memory from before a crash says.
    """
    before = min(state.soaked, max(timedelta(), now - position.entered))
    if state.stepped is None or position.phase not in _ON_THE_WAY or where.drift is not Drift.NONE:
        return before
    if any(gate.verdict is not Verdict.CLEAR for gate in gates):
        return before
    if any(one.state.unknown_since or one.state.active for one in triggers if is_watching(one, position)):
        return before
    passed = now - max(state.stepped, position.entered)
    return before + passed if timedelta() < passed <= rollout.max_gap else before


def _climb(rollout: Rollout, state: State, why_not: tuple[Reason, ...], now: datetime) -> Iterator[Happened]:
    """Ready, no longer ready, complete. Never a promotion: that is a person's."""
    position = state.position
    if position is None or position.phase not in _ON_THE_WAY or position.entered > now:
        return
    stage = rollout.stage(position.stage) or rollout.stages[0]
    at_top = stage is rollout.stages[-1]
    earned = state.soaked >= stage.soak and not why_not
    if position.phase is Phase.COMPLETE:
        if not at_top:
            yield Happened(Event.UNREADY, {"stage": stage.name, "why": [f'"{stage.name}" is no longer its highest stage']})
    elif earned and at_top:
        yield Happened(Event.COMPLETED, {"stage": stage.name})
    elif earned and position.phase is Phase.SOAKING:
        yield Happened(Event.READY, {"stage": stage.name})
    elif not earned and position.phase is Phase.READY:
        yield Happened(Event.UNREADY, {"stage": stage.name, "why": [str(reason) for reason in why_not] or ["its soak was made longer"]})
