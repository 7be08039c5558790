"""A rollout acted out from its present state on: evaluations at the daemon's own interval, with answers that are supposed. Pure, and bounded.

Lives here: what it begins with, what is seen of each evaluation. Must not live here: decisions (the judge), what happens beside it
(`replay`), for how long it goes on (`length`), words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from rollback_daemon.clock import aligned
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.errors import OperationRefused
from rollback_daemon.faces.alerts import Alert, active
from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.hooks.events import Notice, notices
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge import baselines, machine
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.replay import Replay
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Observations
from rollback_daemon.simulation.laying import Laid, lay
from rollback_daemon.simulation.length import bounded, wanted
from rollback_daemon.simulation.settings import BadSettingError, Setting


@dataclass(frozen=True, slots=True)
class Present:
    """All that is known of a rollout now. `flags` as they can be read, or the sentence that says why they cannot; `before`: what is on record."""

    rollout: Rollout
    state: State
    judgement: Judgement
    observations: Observations
    flags: Mapping[str, FlagValue] | str
    now: datetime
    before: Sequence[Record] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """One evaluation: what went on record, what hooks were told, which alerts began and ended, and what was known after it."""

    at: datetime
    records: tuple[Record, ...]
    notices: tuple[Notice, ...]
    began: tuple[Alert, ...]
    ended: tuple[Alert, ...]
    judgement: Judgement | None
    state: State

    @property
    def is_news(self) -> bool:
        """Whether there is anything to tell of it."""
        return bool(self.records or self.notices or self.began or self.ended)


@dataclass(slots=True)
class Acted(Replay):
    """The replay, with what it would have put on record."""

    records: list[Record] = field(default_factory=list)
    _before: Mapping[str, FlagValue] = field(default_factory=dict)

    def write(self, now: datetime) -> list[Happened]:
        """As the replay does, with the flags on record as they were before."""
        self._before = {} if isinstance(self.flags, str) else self.flags
        return Replay.write(self, now)

    def recorded(self, happened: Happened, now: datetime) -> None:
        """Kept as the journal would have it."""
        body = dict(happened.body)
        if happened.event is Event.APPLIED and not isinstance(self.flags, str):
            after = {key: value for key, value in self.flags.items() if key not in self._before or not same(value, self._before[key])}
            body |= {"before": dict(self._before), "after": after, "backup": ""}
        self.records.append(Record(len(self.records) + 1, now, self.rollout.name, str(happened.event), body, ""))


@dataclass(frozen=True, slots=True)
class Run:
    """A simulation that has ended. `whole`: it came to the end of the time `asked`; `moments` are those with news, and the last one."""

    present: Present
    settings: tuple[Setting, ...]
    laid: Laid
    stage: str | None
    asked: timedelta
    begun: State
    moments: tuple[Moment, ...]
    evaluations: int
    whole: bool
    acted: Acted


def simulate(
    present: Present,
    settings: Sequence[Setting],
    asked: timedelta | None = None,
    stage: str | None = None,
    *,
    proceed: Callable[[], bool] = lambda: True,
    external_labels: Mapping[str, str] | None = None,
) -> Run:
    """What would happen within the time `asked` (None: until every trigger concerned could have acted), if it stood at `stage` since now.

    `proceed` is asked after each evaluation whether there may be another. Raises OperationRefused where nothing can be told of the rollout now,
    BadSettingError for a stage that there is not and a time that is too long.
    """
    _refuse(present)
    rollout = present.rollout
    laid = lay(settings, rollout, present.observations, present.judgement.at)
    acted = Acted(rollout, present.flags, present.state, present.judgement)
    before: set[frozenset[tuple[str, str]]] = {_identity(alert) for alert in _alerts(acted, external_labels)}
    moments: list[Moment] = []
    _stand(acted, present, stage)
    acted.settle(present.now)
    begun = acted.state
    whole, at = True, _first(present)
    length = wanted(rollout, begun, settings, present.now) if asked is None else bounded(rollout, asked)
    end, count, told = max(at, present.now + length), 0, 0
    while at <= end:
        acted.cycle(laid.at(at), at)
        count += 1
        alerts = {_identity(alert): alert for alert in _alerts(acted, external_labels)}
        moment = _moment(acted, present, at, told, before, alerts)
        told = len(acted.records)
        before = set(alerts)
        if moment.is_news:
            moments.append(moment)
        at += rollout.interval
        if at <= end and not proceed():
            whole = False
            break
    return Run(present, tuple(settings), laid, stage, length, begun, tuple(moments), count, whole, acted)


def _refuse(present: Present) -> None:
    name, position = present.rollout.name, present.state.position
    if position is None:
        raise OperationRefused(
            f"nothing can be told of {name} yet: its flags have never been read; ask again when `rollbackd status` knows its stage"
        )
    if position.rehearsing:
        raise OperationRefused(f"a rollback of {name} is being rehearsed; ask again when that has ended")


def _stand(acted: Acted, present: Present, name: str | None) -> None:
    """Put it at the stage, as if its flags had just been found so."""
    if name is None:
        return
    stage = acted.ladder.stage(name)
    if stage is None:
        known = [one.name for one in acted.rollout.stages]
        raise BadSettingError([f'{acted.rollout.name} has no stage "{name}"; {did_you_mean(name, known)}'])
    phase = Phase.SOAKING if stage.number else Phase.BASELINE
    bases = baselines.captured(acted.rollout, acted.state.prospects)
    body = {"stage": stage.name, "phase": phase, "why": "supposed to stand there since now", "bases": bases}
    acted.flags = dict(stage.flags)
    acted.state = machine.apply(acted.state, Happened(Event.ADOPTED, body), present.now)


def _first(present: Present) -> datetime:
    """The next evaluation of the daemon."""
    return max(aligned(present.now, present.rollout.interval), present.judgement.at) + present.rollout.interval


def _alerts(acted: Acted, labels: Mapping[str, str] | None) -> list[Alert]:
    if acted.judgement is None:
        return []
    return active(acted.rollout, acted.state, acted.judgement, external_url="", external_labels=labels or {})


def _identity(alert: Alert) -> frozenset[tuple[str, str]]:
    return frozenset(alert.labels.items())


def _moment(
    acted: Acted,
    present: Present,
    at: datetime,
    told: int,
    before: set[frozenset[tuple[str, str]]],
    alerts: Mapping[frozenset[tuple[str, str]], Alert],
) -> Moment:
    began = tuple(alert for key, alert in alerts.items() if key not in before)
    names = {alert.labels["alertname"] for alert in began}
    gone = [dict(key) for key in before - alerts.keys()]
    ended = tuple(Alert(labels, {}, at, "") for labels in gone if labels["alertname"] not in names)
    records = tuple(acted.records[told:])
    heard = tuple(notice for offset, one in enumerate(records) for notice in notices(one, _last(present, acted.records, told + offset)))
    return Moment(at, records, heard, began, ended, acted.judgement, acted.state)


def _last(present: Present, records: Sequence[Record], before: int) -> Callable[[tuple[Event, ...]], Record | None]:
    """The newest record of these kinds: of those that were simulated, as many as there were `before`, or else on record."""

    def last(kinds: tuple[Event, ...]) -> Record | None:
        both = chain((records[number] for number in range(before - 1, -1, -1)), reversed(present.before))
        return next((one for one in both if one.kind in {*map(str, kinds)}), None)

    return last
