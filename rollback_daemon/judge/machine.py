"""One step of the judge: what is seen, against what is asked, gives what happens.

The order is fixed: breaches first, in every phase; then flags that somebody else changed; then sight; then the way up. On its own the machine
only ever lowers exposure. Lives here: the step and the application of events to the state. Must not live here: how one trigger or gate is
judged, requests of people.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from traceback import extract_tb
from typing import Any

from rollback_daemon.judge import (
    act,
    aftermath,
    astray,
    baselines,
    budgets,
    config_news,
    dossier,
    due,
    escalating,
    escalation,
    figures,
    follow_ups,
    gate_news,
    lesser,
    recovery,
    relief,
    required_config,
    tenure,
)
from rollback_daemon.judge.adoption import adopt
from rollback_daemon.judge.approvals import why_void
from rollback_daemon.judge.drift import Drift, Whereabouts, locate, whereabouts
from rollback_daemon.judge.gates import FLAGS, is_watching, judge_gate, judge_quiet, of_flags
from rollback_daemon.judge.position import Position, fold, not_ahead
from rollback_daemon.judge.reasons import Check, Code
from rollback_daemon.judge.standing import all_checks, seen_checks
from rollback_daemon.judge.state import GateJudgement, Happened, Judgement, Sight, State, Step, TriggerJudgement
from rollback_daemon.judge.transitions import APART, Event, Phase
from rollback_daemon.judge.trigger import TriggerState, advance, restored
from rollback_daemon.judge.turned_back import shifted
from rollback_daemon.rules.model import Rollout, Trigger
from rollback_daemon.rules.reading import Assessment, Health, Memory, Verdict

_ON_THE_WAY = {Phase.SOAKING, Phase.READY, Phase.COMPLETE}
_AT_REST = {*_ON_THE_WAY, Phase.BASELINE, Phase.HELD}


def step(rollout: Rollout, state: State, sight: Sight, now: datetime) -> Step:
    """Judge one rollout once. `now` is the time that the queries were asked for."""
    state = shifted(state, now, rollout.max_gap)
    own, rollout = rollout, ladder(rollout, state)
    state = replace(state, prospects=baselines.measured(rollout, state.prospects, sight.observations, now))
    adopted = list(adopt(rollout, state.position, sight.flags))
    if state.position is None:  # nobody knows when its stage began: the time before it was first seen is all there is to hold it against
        adopted = [replace(one, body={**one.body, "bases": baselines.captured(rollout, state.prospects)}) for one in adopted]
    state = _apply_all(state, adopted, now)
    position = not_ahead(state.position, now, rollout.max_gap) if state.position else None
    state = replace(state, position=position)
    of_evidence = figures.as_observations(rollout, state.dossier, position, now)  # what is supposed in a simulation comes before it
    sight = replace(sight, observations={**of_evidence, **sight.observations, **baselines.as_observations(rollout, state.dossier)})
    if position is None:
        return _waiting(rollout, state, sight, now)
    where = whereabouts(rollout, position, sight.flags, now)
    triggers = tuple(_judge(rollout, trigger, state, position, where, sight, now) for trigger in rollout.triggers)
    gates, record = _gates(rollout, state, position, triggers, where, sight, now)
    seen = seen_checks(rollout, state, position, gates, triggers, where, now)
    drifted = astray.news(rollout, state, position, where, sight, seen, now)
    news = [*_trigger_changes(state, triggers), *_budget_changes(state, triggers), *_sight_changes(rollout, state, triggers, now), *drifted]
    news += [*_voided(rollout, state, position, now), *gate_news.changes(state, position, gates)]
    news += config_news.changes(state, position, where, sight.trace)
    state = _configured(state, position, where, now)
    before = state
    state = replace(
        state,
        triggers={one.trigger.name: one.state for one in triggers},
        soaked=_soaked(rollout, state, position, gates, triggers, where, now),
        stepped=now,
        blind_since=_blind_since(state, triggers, now),
        drift=where.drift if position.open is None else state.drift,
        drift_since=_drift_since(state, position, where, now),
        tenure=record,
        waited=recovery.waited(rollout, state, gates, now),
        eased=relief.eased(rollout, state, triggers, now),
        failing=gate_news.failing(rollout, state, position, gates),
    )
    decided, state = act.on_triggers(rollout, state, position, triggers, where, now)
    state = _apply_all(state, [*news, *decided], now)
    if not any(one.event is Event.INTENDED for one in decided) and state.position is not None:  # one transition at a time, breaches first
        straight = list(astray.decide(rollout, before, state.position, where, sight, now))
        state, decided = _apply_all(state, straight, now), [*decided, *straight]
    state, later = _with_time(own, state, gates, triggers, where, now)
    decided = [*decided, *later]
    climbed = list(_climb(rollout, state, required_config.without_due(seen, where.settings), now))
    state = _apply_all(state, climbed, now)
    judgement = Judgement(now, triggers, gates, where, seen, all_checks(rollout, state, state.position or position, seen, now))
    return Step(state, (*adopted, *news, *decided, *climbed), judgement)


def _with_time(
    own: Rollout, state: State, gates: tuple[GateJudgement, ...], triggers: tuple[TriggerJudgement, ...], where: Whereabouts, now: datetime
) -> tuple[State, list[Happened]]:
    """What time alone brings, one thing after the other: each sees what those before it have begun. `own` is the ladder without what is degraded."""
    rollout, happened = ladder(own, state), list[Happened]()
    brings: tuple[Callable[[State], Iterator[Happened]], ...] = (
        lambda known: escalating.decide(rollout, known, triggers, where, now),
        lambda known: recovery.decide(rollout, known, gates, now),
        lambda known: relief.decide(own, known, where, now),
    )
    for one in brings:
        more = list(one(state))
        state, happened = _apply_all(state, more, now), [*happened, *more]
    return state, happened


def glance(rollout: Rollout, state: State, judgement: Judgement, sight: Sight, now: datetime) -> Step:
    """What follows from the flags alone, between two evaluations: the way up and the triggers stay as the last `judgement` has them."""
    rollout = ladder(rollout, state)
    position = state.position
    if position is None or isinstance(sight.flags, str):
        return Step(state, (), judgement)
    where = whereabouts(rollout, position, sight.flags, now)
    news = [*astray.news(rollout, state, position, where, sight, judgement.seen, now), *config_news.changes(state, position, where, sight.trace)]
    decided = list(astray.decide(rollout, state, position, where, sight, now))
    drift = where.drift if position.open is None else state.drift
    state = replace(_configured(state, position, where, now), drift=drift, drift_since=_drift_since(state, position, where, now))
    state = _apply_all(state, [*news, *decided], now)
    of_file = (of_flags(where), *required_config.checks(where.settings))
    seen = (*of_file, *(check for check in judgement.seen if check.name != FLAGS and not required_config.is_check(check)))  # of the evaluation
    checks = all_checks(rollout, state, state.position or position, seen, now)
    return Step(state, (*news, *decided), replace(judgement, whereabouts=where, seen=seen, checks=checks))


def _configured(state: State, position: Position, where: Whereabouts, now: datetime) -> State:
    known = config_news.misconfigured(state, position, where)
    return replace(state, misconfigured=known, misconfigured_since=config_news.since(state, known, now))


def _drift_since(state: State, position: Position, where: Whereabouts, now: datetime) -> datetime | None:
    """Since when the flags have not been those on record; None when they are."""
    if where.drift is Drift.NONE:
        return None
    return now if astray.is_anew(state, position, where) else state.drift_since or now


def ladder(rollout: Rollout, state: State) -> Rollout:
    """The ladder as it is now: with the flags that are degraded in the place of every stage's own."""
    return lesser.ladder(rollout, state.position.degraded) if state.position else rollout


def apply(state: State, happened: Happened, at: datetime) -> State:
    """The state after one event, whoever caused it. Raises IllegalTransition and changes nothing when the table forbids it."""
    before = state.position
    state = recorded(state, happened.event, happened.body, at)
    position = state.position
    if happened.event is Event.SIGHT:
        return replace(state, blind=happened.body["blind"])
    if happened.event is Event.ADOPTED or (happened.event is Event.DONE and before and position and position.entered != before.entered):
        returned = before.rehearsing if before and before.rehearsing and position and position.entered == before.rehearsing.entered else None
        return replace(state, soaked=returned.soaked if returned else timedelta())
    return state


def recorded(state: State, event: Event, body: Mapping[str, Any], at: datetime) -> State:
    """What the journal tells after one more record. Raises IllegalTransition, and changes nothing, for one that cannot follow."""
    return replace(
        state,
        position=fold(state.position, event, body, at) if event not in APART else state.position,
        dossier=dossier.fold(state.dossier, event, body, at),
        aftermath=aftermath.fold(state.aftermath, event, body, at),
        escalations=escalation.fold(state.escalations, event, body, at),
        followed_up=follow_ups.fold(state.followed_up, event, body, at),
    )


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


def _waiting(rollout: Rollout, state: State, sight: Sight, now: datetime) -> Step:
    """Its flags have never been read: nothing is known, so nothing is decided and nothing goes on record."""
    where = locate(rollout, rollout.stages[0], sight.flags)
    gates = tuple(judge_gate(gate, sight.observations, rollout.stages[0].name, now) for gate in rollout.gates)
    triggers = tuple(
        TriggerJudgement(trigger, TriggerState(), _assess(trigger, sight, {}, now, rollout.max_gap)[0], armed=False) for trigger in rollout.triggers
    )
    unreadable = Check("flags", f"its flags cannot be read: {where.why}", Code.FLAGS_UNREADABLE)
    return Step(replace(state, stepped=now), (), Judgement(now, triggers, gates, where, (unreadable,), (unreadable,)))


def _voided(rollout: Rollout, state: State, position: Position, now: datetime) -> Iterator[Happened]:
    """A proposal that counts no more is taken off the table, on record."""
    proposal = state.dossier.proposal
    if proposal and position.open is None and (why := why_void(rollout, state.dossier, position, now)):
        yield Happened(Event.VOIDED, {"id": proposal.id, "why": why, "to": proposal.target, "votes": len(proposal.votes)})


_UNSEEN = tenure.GateRecord()


def _firing_since(one: TriggerJudgement) -> datetime | None:
    """Since when the trigger fires; of several series the last one counts, as each is news."""
    if not one.state.active:
        return None
    return max((active.firing_since for active in one.state.active if active.firing_since), default=None)


def _gates(
    rollout: Rollout, state: State, position: Position, triggers: tuple[TriggerJudgement, ...], where: Whereabouts, sight: Sight, now: datetime
) -> tuple[tuple[GateJudgement, ...], tenure.Tenure]:
    """The gates, and what the stage has come to with this evaluation. While flags are changed, rehearsed, drifting or
    not configured as required, nothing is earned there."""
    record = tenure.begun(state.tenure, position.tenure)
    judged = {gate.name: judge_gate(gate, sight.observations, position.stage, now) for gate in rollout.gates if not gate.quiet}
    if position.phase in _AT_REST and not position.open and not position.rehearsing and where.sound:
        firing = {one.trigger.name: max(since, position.tenure) for one in triggers if is_watching(one, position) and (since := _firing_since(one))}
        passed = _passed(max(state.stepped, position.entered), now, rollout.max_gap) if state.stepped else None
        counts = {
            name: tenure.counted(one.gate, record.gates.get(name, _UNSEEN), one.verdict, passed, now, rollout.max_gap)
            for name, one in judged.items()
            if one.applies
        }
        record = replace(tenure.with_fired(record, firing), gates=counts)
    elif record.gates:
        gap = _passed(state.stepped, now, rollout.max_gap) if state.stepped else None
        record = replace(record, gates={name: tenure.paused(one, judged[name].verdict, gap) for name, one in record.gates.items() if name in judged})
    gates = (
        judge_quiet(gate, record, position) if gate.quiet else replace(judged[gate.name], record=record.gates.get(gate.name, _UNSEEN))
        for gate in rollout.gates
    )
    return tuple(gates), record


def _passed(since: datetime, now: datetime, max_gap: timedelta) -> timedelta | None:
    """The time from one evaluation to the next; None where that was too long to count."""
    return now - since if timedelta() <= now - since <= max_gap else None


def _assess(trigger: Trigger, sight: Sight, memory: Memory, now: datetime, max_gap: timedelta) -> tuple[Assessment, Memory]:
    """What the trigger makes of the answers. A defect in one kind is an error of that trigger, and must not keep the others from acting."""
    try:
        return trigger.test.assess(sight.observations, memory, now, max_gap)
    except Exception as error:  # noqa: BLE001 (a defect in one kind of trigger must not blind the others)
        place = extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__} in {place.filename.rpartition('/')[2]}:{place.lineno}, which is a defect of rollbackd; report it"
        return Assessment(health=Health.ERROR, why=why), memory


def _judge(rollout: Rollout, trigger: Trigger, state: State, position: Position, where: Whereabouts, sight: Sight, now: datetime) -> TriggerJudgement:
    before = state.triggers.get(trigger.name, _NEVER)
    begins = _counted_from(trigger, position)
    if before.counted_from != begins:
        before = replace(before, memory={}, counted_from=begins)
    assessment, memory = _assess(trigger, sight, before.memory, now, rollout.max_gap)
    after = advance(trigger, before, assessment, memory, now, rollout.max_gap)
    armed = due.is_armed(trigger, position, where, now)
    if after.active:
        after = replace(after, active=tuple(due.told(one, position, armed=armed) for one in after.active))
    spending = budgets.advance(trigger, before.spending, after.health, position, now, rollout.max_gap, armed=armed)
    if spending != after.spending:
        after = replace(after, spending=spending)
    return TriggerJudgement(trigger, after, assessment, armed)


def _counted_from(trigger: Trigger, position: Position) -> datetime | None:
    """From when on what a kind counts is counted: more is exposed, or a person said go on. What is about those who are exposed begins anew with each
    stage, the lower ones too: what was seen above is no evidence against them."""
    if any(signal.exposed_only for signal in trigger.test.signals()):
        return max(position.entered, position.counted_from or position.entered)
    return position.counted_from


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


def _budget_changes(state: State, triggers: tuple[TriggerJudgement, ...]) -> Iterator[Happened]:
    for one in triggers:
        known, after = state.triggers.get(one.trigger.name, _NEVER).spending, one.state.spending
        for budget in budgets.Budget if known.spent or after.spent else ():
            if (budget in known.spent) is not (budget in after.spent):
                yield act.budget_changed(one, budget)


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

    None while held, degraded, blind, pending, firing, with a gate that does not pass, flags of another stage or another configuration than it
    requires, and none for a gap longer than
    `max_gap`, which is not having looked. Never more than the stage is old, whatever a memory from before a crash says.
    """
    if position.rehearsing:
        return state.soaked
    before = min(state.soaked, max(timedelta(), now - position.entered))
    if state.stepped is None or position.phase not in _ON_THE_WAY or position.degraded or not where.sound:
        return before
    if any(gate.counts and gate.verdict is not Verdict.CLEAR for gate in gates):
        return before
    if any(one.state.unknown_since or one.state.active for one in triggers if is_watching(one, position)):
        return before
    passed = now - max(state.stepped, position.entered)
    return before + passed if timedelta() < passed <= rollout.max_gap else before


def _climb(rollout: Rollout, state: State, seen: Iterable[Check], now: datetime) -> Iterator[Happened]:
    """Ready, no longer ready, complete. Ready is what has earned the next stage; what people owe it is another matter. Never a promotion."""
    position = state.position
    if position is None or position.phase not in _ON_THE_WAY or position.entered > now or position.open:
        return
    stage = rollout.stage(position.stage) or rollout.stages[0]
    at_top = stage is rollout.stages[-1]
    why_not = [check.reason for check in seen if check.reason]
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
