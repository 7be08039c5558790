"""One trigger through time: `inactive -> pending -> firing` for each series, as in Prometheus, and what differs on purpose.

As in Prometheus: `for` counts from the first breached evaluation, a clear one resets it, a cleared firing series is kept for
`keep_firing_for`, a longer `for` un-fires. Differs: unknown is not clear, so a failed query or a lack of data leaves the phase alone (see
`OnNoData`); and a pending series that was out of sight for longer than `max_gap` starts over, because acting is costlier than alerting. What
fires goes on firing, for people; but what it may still do is then counted from the return of sight (`held_since`).

Lives here: phases. Must not live here: actions, and which stage a trigger is armed at.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rollback_daemon.judge.budgets import Spending
from rollback_daemon.rules.measures import OnNoData
from rollback_daemon.rules.model import Trigger
from rollback_daemon.rules.reading import Assessment, Health, Memory, Reading, Verdict
from rollback_daemon.signals.observation import Labels

GRACE = timedelta(minutes=10)
"""After a restart a `for` as long as this needs at least this much more, and a shorter one starts over: Prometheus' `for-grace-period`."""
TOLERANCE = timedelta(hours=1)
"""After a longer stop everything pending starts over: Prometheus' `rules.alert.for-outage-tolerance`."""


class TriggerPhase(StrEnum):
    """A trigger's phase is that of its furthest series."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class Active:
    """A series that is pending or firing.

    `seen` is the last evaluation with a breach. `alerting`: it fired where the trigger is armed, so people are told; `stage` is where that was.
    `unbroken_since`: since when the breach is there without a clear evaluation or a gap, if that is not since `active_since`. `acted_in` is the
    `Position.epoch` in which its action was taken; `spent`: that is the present one. `unseen`: how long it was out of sight while it fired, in
    gaps longer than `max_gap`.
    """

    labels: Labels
    active_since: datetime
    seen: datetime
    firing_since: datetime | None = None
    missing_since: datetime | None = None
    value: float | None = None
    alerting: bool = False
    stage: str = ""
    unbroken_since: datetime | None = None
    acted_in: str = ""
    spent: bool = False
    unseen: timedelta = timedelta()

    @property
    def held_since(self) -> datetime:
        """Since when the breach has been seen without interruption."""
        return self.unbroken_since or self.active_since

    @property
    def phase(self) -> TriggerPhase:
        return TriggerPhase.FIRING if self.firing_since else TriggerPhase.PENDING


@dataclass(frozen=True, slots=True)
class TriggerState:
    """What is known of a trigger after an evaluation. Breaches, lack of data and errors are counted apart, over the daemon's life.

    `memory` is the kind's own, and counts from the time that stands beside it. `spending`: what is used of its budgets.
    """

    active: tuple[Active, ...] = ()
    health: Health = Health.OK
    why: str = ""
    unknown_since: datetime | None = None
    breaches: int = 0
    no_data: int = 0
    errors: int = 0
    memory: Memory = field(default_factory=dict)
    counted_from: datetime | None = None
    spending: Spending = field(default_factory=Spending)

    @property
    def phase(self) -> TriggerPhase:
        if not self.active:
            return TriggerPhase.INACTIVE
        return TriggerPhase.FIRING if any(one.firing_since for one in self.active) else TriggerPhase.PENDING


def advance(trigger: Trigger, state: TriggerState, assessment: Assessment, memory: Memory, now: datetime, max_gap: timedelta) -> TriggerState:
    """The state after the evaluation at `now`."""
    verdicts = {reading.verdict for reading in assessment.series.values()}
    calm = not state.active and assessment.health is Health.OK and verdicts == {Verdict.CLEAR}  # nearly always, and there are millions in a backtest
    active = () if calm else tuple(_each(trigger, state, assessment, now, max_gap))
    unknown = not calm and is_unknown(assessment)
    health = assessment.health if assessment.health is not Health.OK else Health.NO_DATA if unknown else Health.OK
    breached = Verdict.BREACHED in verdicts
    unknown_first: Iterable[Reading] = assessment.series.values()  # a clear value has notes, too
    if Verdict.UNKNOWN in verdicts:
        unknown_first = sorted(unknown_first, key=lambda one: one.verdict is not Verdict.UNKNOWN)
    return TriggerState(
        active=active,
        health=health,
        why=assessment.why or next((reading.why for reading in unknown_first if reading.why), ""),
        unknown_since=(state.unknown_since or now) if unknown else None,
        breaches=state.breaches + breached,
        no_data=state.no_data + (health is Health.NO_DATA),
        errors=state.errors + (health is Health.ERROR),
        memory=memory,
        counted_from=state.counted_from,
        spending=state.spending,
    )


def is_unknown(assessment: Assessment) -> bool:
    """Whether something that should have been seen was not. With `no_data: ignore` only errors count; what is still being collected never does."""
    if assessment.health is Health.ERROR:
        return True
    if assessment.no_data is OnNoData.IGNORE or assessment.health is Health.COLLECTING:
        return False
    return assessment.health is Health.NO_DATA or any(reading.verdict is Verdict.UNKNOWN for reading in assessment.series.values())


def restored(trigger: Trigger, state: TriggerState, stopped: datetime, now: datetime, max_gap: timedelta) -> TriggerState:
    """The state after the daemon was away from `stopped` until `now`, as Prometheus restores its alerts: time away is not time pending.

    What starts over after a long stop does so by itself, when it is seen again: until then nobody knows.
    """
    away = now - stopped
    if away <= max_gap:
        return state
    if away > TOLERANCE or trigger.for_ < GRACE:
        return state
    return replace(state, active=tuple(_after_stop(trigger, one, stopped, now) for one in state.active))


def _after_stop(trigger: Trigger, one: Active, stopped: datetime, now: datetime) -> Active:
    if one.firing_since:
        return one
    left = trigger.for_ - (stopped - one.active_since)
    return replace(one, active_since=now + max(left, GRACE) - trigger.for_, seen=now)


def _each(trigger: Trigger, state: TriggerState, assessment: Assessment, now: datetime, max_gap: timedelta) -> Iterator[Active]:
    known = {one.labels: one for one in state.active}
    readings = dict(assessment.series)
    if not readings and not known and _counts_as(Verdict.UNKNOWN, assessment) is Verdict.BREACHED:
        readings[()] = Reading(Verdict.UNKNOWN)  # nothing at all is seen, and that is a breach: give it a series to stand on
    for labels in dict.fromkeys([*known, *readings]):
        one, reading = known.get(labels), readings.get(labels)
        verdict = _verdict(one, reading, assessment, now, max_gap)
        after: Active | None = one
        if verdict is Verdict.BREACHED:
            after = _breached(trigger, one or Active(labels, now, now), reading.value if reading else None, now, max_gap)
        elif verdict is Verdict.CLEAR and one is not None:
            after = _cleared(trigger, one, now)
        if after is not None:
            yield after


def _verdict(one: Active | None, reading: Reading | None, assessment: Assessment, now: datetime, max_gap: timedelta) -> Verdict:
    """One series' verdict, the policy for what was not seen applied."""
    if reading is not None and (reading.verdict is not Verdict.UNKNOWN or reading.stays):
        return reading.verdict
    if reading is None and assessment.health in {Health.OK, Health.COLLECTING} and one is not None:  # the series has vanished, others are there
        gone = assessment.no_data in {OnNoData.DROP, OnNoData.IGNORE} or one.value is None or now - one.seen > max_gap
        return Verdict.CLEAR if gone else Verdict.UNKNOWN
    return _counts_as(Verdict.UNKNOWN, assessment)


def _counts_as(verdict: Verdict, assessment: Assessment) -> Verdict:
    """What not seeing counts as. A failed query never counts as anything else: an outage is no reason to act."""
    if assessment.health is Health.ERROR:
        return verdict
    policy: Mapping[OnNoData, Verdict] = {
        OnNoData.BREACH: Verdict.BREACHED,
        OnNoData.IGNORE: Verdict.CLEAR,
        OnNoData.DROP: Verdict.CLEAR,
    }
    return policy.get(assessment.no_data, verdict)


def _breached(trigger: Trigger, one: Active, value: float | None, now: datetime, max_gap: timedelta) -> Active:
    gap = now - one.seen > max_gap or one.seen > now  # seen in the future: the clock was set back
    since = now if gap and one.firing_since is None else one.active_since
    firing = now - since >= trigger.for_
    lost = now - one.seen if gap and one.firing_since and not one.missing_since else timedelta()
    return replace(
        one,
        active_since=since,
        seen=now,
        unseen=one.unseen + max(timedelta(), lost),
        missing_since=None,
        value=None if value is None else float(value),  # a count, too: the same before and after a restart
        unbroken_since=now if gap or one.missing_since else one.unbroken_since,
        firing_since=(one.firing_since or now) if firing else None,
    )


def _cleared(trigger: Trigger, one: Active, now: datetime) -> Active | None:
    missing = one.missing_since or now
    if one.firing_since is None or now - missing >= trigger.keep_firing_for:
        return None
    return replace(one, missing_since=missing)
