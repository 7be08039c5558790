"""When a firing trigger reaches its next level, when a rollback is announced, and when an announced one is due. Pure.

A level, an announcement and a rollback each need the breach to be seen in this very evaluation; and what was once begun ends only where the trigger
is seen and does not fire: what cannot be seen waits. Lives here: those decisions. Must not live here: what is on record of them (`escalation`), what
a breach leads to at once (`act`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.judge import citing, limits
from rollback_daemon.judge.act import intended, no_higher_than, previous, sentence
from rollback_daemon.judge.drift import Drift, Whereabouts
from rollback_daemon.judge.due import is_ripe
from rollback_daemon.judge.escalation import Announced, Escalated, clock
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import Happened, State, TriggerJudgement
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.judge.trigger import Active
from rollback_daemon.rules.model import ActionKind, Rollout, Stage, Trigger


def decide(rollout: Rollout, state: State, triggers: tuple[TriggerJudgement, ...], where: Whereabouts, now: datetime) -> Iterator[Happened]:
    """What time alone brings to triggers that go on firing; at most one transition."""
    if state.position is None:
        return
    known, there = state.escalations.triggers, {judged.trigger.name for judged in triggers}
    yield from (_eased(name, "the rule file has no such trigger any more") for name in known if name not in there)
    concerned = (judged for judged in triggers if judged.state.active or judged.trigger.name in known)
    cases = [_Case(rollout, state, state.position, judged, known.get(judged.trigger.name), where, now) for judged in concerned]
    for case in cases:
        yield from case.happens()
    yield from _rollback(rollout, state, [case for case in cases if case.is_due()], now)


def climbs(trigger: Trigger) -> bool:
    """Whether the trigger has levels."""
    return trigger.escalate_after is not None and not trigger.dry_run


def announces(trigger: Trigger) -> bool:
    """Whether the trigger's own action is a rollback that is announced first."""
    return trigger.action.kind is ActionKind.ROLLBACK and trigger.action.in_ is not None


def level_names(rollout: Rollout) -> tuple[str, ...]:
    """The levels that have a name; where there is nothing but a rollback, the time before that is a level without one."""
    return rollout.aftercare.escalation.levels or ("",)


def coming(rollout: Rollout, judged: TriggerJudgement, known: Escalated) -> datetime | None:
    """When the next level is due, or the announcement after the last one, if it goes on and is seen; None where nothing is to come.

    Time out of sight does not count.
    """
    after, last = judged.trigger.escalate_after, len(known.levels) >= len(level_names(rollout))
    if after is None or known.since is None or known.acknowledged or not known.levels:
        return None
    if last and (known.announced or known.cancelled or not rollout.aftercare.escalation.rollback):
        return None
    return known.since + max(timedelta(), out_of_sight(judged) - known.unseen) + after


def out_of_sight(judged: TriggerJudgement) -> timedelta:
    """How long the trigger could not be seen while it fired, in gaps longer than `max_gap`."""
    return max((one.unseen for one in judged.state.active), default=timedelta())


@dataclass(frozen=True, slots=True)
class _Case:
    """One trigger in this evaluation, with what is on record of it."""

    rollout: Rollout
    state: State
    position: Position
    judged: TriggerJudgement
    known: Escalated | None
    where: Whereabouts
    now: datetime

    @property
    def trigger(self) -> Trigger:
        return self.judged.trigger

    @property
    def breached(self) -> Active | None:
        """The first series that people are told of and whose breach is seen now."""
        return next((one for one in self.judged.state.active if one.alerting and one.firing_since and one.seen == self.now), None)

    @property
    def unseen(self) -> timedelta:
        return out_of_sight(self.judged)

    def happens(self) -> Iterator[Happened]:
        """What becomes of it, a rollback apart."""
        if self.known and (over := self._over()):
            yield _eased(self.trigger.name, over)
            return
        if self.known and self.known.announced and (moot := self._moot(self.known.announced)):
            yield self._event(Event.CANCELLED, why=moot, by="rollbackd", moot=True, unseen=self.unseen.total_seconds())
            return
        breached = self.breached
        if breached is None:
            return
        if climbs(self.trigger):
            yield from self._climb(breached)
        yield from self._announce(breached)

    def is_due(self) -> bool:
        """Whether the rollback that is announced for it may begin now."""
        announced = self.known.announced if self.known else None
        if announced is None or announced.due > self.now or self._is_busy() or not self.rollout.enforce:
            return False
        return self._is_ripe() and not self._over() and not self._moot(announced)

    def target(self, to: str | None) -> Stage:
        """The stage to go back to: what was said, but never above where the record or the flags say that the rollout is."""
        current = self.rollout.stage(self.position.stage) or self.rollout.stages[0]
        named = self.rollout.stage(to) if to else None
        number = named.number if named else previous(self.rollout, self.position, self.where)
        return self.rollout.stages[no_higher_than(min(number, current.number), self.where)]

    # ends

    def _over(self) -> str:
        """Why all that is on record of it ends; "" while it goes on. What cannot be seen goes on."""
        if self.trigger.dry_run and self.known and (self.known.levels or self.known.announced):
            return "it is a dry run now"
        if not climbs(self.trigger) and not announces(self.trigger):
            return "the rule file says no more that it escalates"
        clear = not self.judged.state.active and self.judged.state.unknown_since is None
        return "it does not fire any more" if clear else ""

    def _moot(self, announced: Announced) -> str:
        """Why an announced rollback will not be, whoever wants it; "" while it may be."""
        if self._is_busy():
            return ""
        if not self.rollout.enforce:
            return "its mode is observe now, in which no flag is touched"
        if self.rollout.stage(announced.to) is None:
            return f'there is no stage "{announced.to}" any more'
        if not self._is_lower(self.target(announced.to)):
            return f'it is at "{self.position.stage}" already'
        away = not self.judged.armed and self.position.stage not in self.trigger.stages
        return f'it is at "{self.position.stage}", where the trigger does not count' if away else ""

    def _is_busy(self) -> bool:
        """Whether its flags are being changed, or practised with: then nothing else is begun."""
        return self.position.open is not None or self.position.rehearsing is not None

    def _is_ripe(self) -> bool:
        """Whether the breach is seen now, where it counts, and was held against this stage for long enough."""
        active = self.judged.state.active
        return self.judged.armed and any(is_ripe(self.trigger, one, self.position, self.rollout.max_gap, self.now) for one in active)

    def _is_lower(self, target: Stage) -> bool:
        current = self.rollout.stage(self.position.stage) or self.rollout.stages[0]
        return target.number < current.number or self.where.drift in {Drift.HIGHER, Drift.OTHER}

    # levels

    def _climb(self, breached: Active) -> Iterator[Happened]:
        levels, reached = level_names(self.rollout), len(self.known.levels) if self.known else 0
        if reached == 0 or self.known is None:
            yield self._reached(levels, 1, sentence(self.judged, breached, self.now))
        elif reached < len(levels) and self._is_overdue(self.known):
            yield self._reached(levels, reached + 1, f"{sentence(self.judged, breached, self.now)}; {self._unresolved()}")

    def _reached(self, levels: tuple[str, ...], number: int, why: str) -> Happened:
        return self._event(Event.ESCALATED, level=levels[number - 1], number=number, why=why, unseen=self.unseen.total_seconds())

    def _is_overdue(self, known: Escalated) -> bool:
        """Whether its level has lasted for long enough."""
        at = coming(self.rollout, self.judged, known)
        return at is not None and at <= self.now

    def _unresolved(self) -> str:
        level = self.known.level if self.known else ""
        return f"neither resolved nor acknowledged for {format_duration(self.trigger.escalate_after or timedelta())}" + (
            f" at {level}" if level else ""
        )

    # announcements

    def _announce(self, breached: Active) -> Iterator[Happened]:
        known = self.known or Escalated()
        asked = self._asked(known)
        if asked is None or known.announced or known.cancelled or self._is_busy() or not self._is_ripe():
            return
        to, ahead, why = asked
        target = self.target(to)
        if not self._is_lower(target):
            return
        said = "; ".join(filter(None, [sentence(self.judged, breached, self.now), why]))
        if self.rollout.enforce and not self.trigger.dry_run:
            due = self.now + ahead
            yield self._event(Event.SCHEDULED, due=due.isoformat(), to=target.name, why=said)
        elif not known.observed:
            yield self._event(Event.OBSERVED, would=f"rollback to {target.name} in {format_duration(ahead)}", why=[said], announced=True)

    def _asked(self, known: Escalated) -> tuple[str | None, timedelta, str] | None:
        """Which rollback is to be announced: to where, how long ahead, and what is said of it beside the breach."""
        last, action = self.rollout.aftercare.escalation, self.trigger.action
        if announces(self.trigger):
            return action.to, action.in_ or timedelta(), ""
        if last.rollback and climbs(self.trigger) and len(known.levels) >= len(level_names(self.rollout)) and self._is_overdue(known):
            return last.to, last.in_, self._unresolved()
        return None

    def _event(self, event: Event, **body: Any) -> Happened:
        return Happened(event, {"alert": self.trigger.name, **body})


def _eased(name: str, why: str) -> Happened:
    return Happened(Event.EASED, {"alert": name, "why": f"{name}: {why}"})


def _rollback(rollout: Rollout, state: State, due: list[_Case], now: datetime) -> Iterator[Happened]:
    """The announced rollbacks whose time has come, as one: the lowest target wins and every trigger is named."""
    cases = [(case, case.known.announced) for case in due if case.known and case.known.announced]
    if not cases or state.position is None:
        return
    target, said = limits.lowered(rollout, state.aftermath, min((case.target(one.to) for case, one in cases), key=lambda one: one.number), now)
    why = [f"{sentence(case.judged, case.breached, now)}; announced for {clock(one.due)}" for case, one in cases if case.breached]
    more: dict[str, Any] = {
        "code": Code.ESCALATED,
        "triggers": [case.trigger.name for case, _ in cases],
        "announced": {case.trigger.name: case.unseen.total_seconds() for case, _ in cases},
        "activations": [f"{case.trigger.name}@{one.due.isoformat()}" for case, one in cases],
        "breached_at": min(max(one.due, case.breached.held_since) for case, one in cases if case.breached).isoformat(),
    }
    if found := citing.cited(rollout, state.dossier, (case.trigger for case, _ in cases)):
        more["evidence"] = found
    yield intended(rollout, state.position, Kind.ROLLBACK, target, [*why, *said], "rollbackd", now, more)
