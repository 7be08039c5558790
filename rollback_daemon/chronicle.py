"""What happens to one rollout, put on record and told to whoever listens: the journal, the log, the metrics; and read again at a start.

Lives here: the order "on record first", and which events must be on record. Must not live here: what happens, or what follows from it.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog

from rollback_daemon import __version__
from rollback_daemon.clock import Clock
from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.machine import recorded
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import APART, Event
from rollback_daemon.rules import advice
from rollback_daemon.rules.model import Rollout


class Witness(Protocol):
    """Who is told what happens, for metrics."""

    def happened(self, rollout: Rollout, event: Event, body: Mapping[str, Any], at: datetime, opened: Open | None) -> None: ...


class Chronicle:
    """The record of one rollout. `opened` is always the transition that was open before the event that is told."""

    def __init__(self, name: str, journal: Journal, clock: Clock, witness: Witness) -> None:
        self._name, self._journal, self._clock, self._witness = name, journal, clock, witness
        self.say = structlog.get_logger().bind(rollout=name)

    @property
    def writable(self) -> bool:
        """Whether the last write to the journal succeeded."""
        return self._journal.writable

    def replay(self) -> State:
        """Where the rollout stands and what was said about it, as far as the journal can be read."""
        found = State()
        try:
            records = self._journal.records(self._name, kinds=[event for event in Event if event not in APART])
        except JournalUnavailable as error:
            self.say.error("the journal cannot be read; the place on the ladder follows from the flags", error=str(error))
            return found
        for record in records:
            try:
                found = recorded(found, Event(record.kind), record.body, record.at)
            except Exception as error:  # noqa: BLE001 (one altered record must not leave every rollout unguarded)
                what = "a record of the journal does not follow from those before it and is passed over"
                self.say.error(what, seq=record.seq, error=str(error) or type(error).__name__)
        return found

    def put(self, rollout: Rollout, happened: Happened, now: datetime, opened: Open | None, *, must: bool = False) -> None:
        """On record before anything else. What loosens must be on record; what tightens goes on without a journal, and is spilled.

        Raises Refusal for what must be on record and cannot be.
        """
        if must:
            try:
                self._journal.append(self._name, happened.event, happened.body, now)
            except JournalUnavailable as error:
                reason = Reason(Code.JOURNAL, f"the journal cannot be written: {error}")
                raise Refusal(f"{self._name} stays as it is", [reason]) from error
        else:
            self._journal.append_or_spill(self._name, happened.event, happened.body, now)
        self._tell(rollout, happened, now, opened)

    def put_all(self, rollout: Rollout, happened: Sequence[Happened], now: datetime, opened: Open | None) -> None:
        """What a step of the judge came to, in one transaction: twenty thousand series that fire must not keep a rollback waiting."""
        self._journal.append_many_or_spill(self._name, [(one.event.value, one.body) for one in happened], now)
        for one in happened:
            self._tell(rollout, one, now, opened)

    def remember(self, memory: str) -> None:
        """Before a transition starts: that its triggers have had their say must survive a kill. A journal that is away is not waited for."""
        if not self._journal.writable:
            return
        try:
            self._journal.save_memory({self._name: memory}, self._clock.now())
        except Exception as error:  # noqa: BLE001 (whatever it is: it must not stand between an intent and its flags)
            self.say.error("memory could not be kept", error=str(error))

    def tell_rules(self, rollout: Rollout, opened: Open | None) -> None:
        """Put on record which rules hold from now on, in words, unless they are those that held before."""
        try:
            known = self._journal.records(self._name, kinds=[Event.CONFIGURED], limit=1, newest_first=True)
        except JournalUnavailable:
            known = []
        if known and known[0].body.get("sha256") == rollout.digest:
            return
        body = {"file": rollout.file, "sha256": rollout.digest, "rules": advice.understood(rollout), "version": __version__, **_outline(rollout)}
        self.put(rollout, Happened(Event.CONFIGURED, body), self._clock.now(), opened)

    def _tell(self, rollout: Rollout, happened: Happened, now: datetime, opened: Open | None) -> None:
        self.say.log(_level(happened), str(happened.event), **_shown(happened.body))
        self._witness.happened(rollout, happened.event, happened.body, now, opened)


def _outline(rollout: Rollout) -> dict[str, Any]:
    """What makes the other records understood when the rule file is another one: the ladder, and the names of what is watched."""
    return {
        "mode": "enforce" if rollout.enforce else "observe",
        "ladder": {stage.name: stage.exposure for stage in rollout.stages},
        "triggers": [one.name for one in rollout.triggers],
        "gates": [one.name for one in rollout.gates],
    }


_LEVELS = {
    **dict.fromkeys((Event.ATTEMPTED, Event.RAN, Event.STEP, Event.REHEARSED, Event.FOLLOWED_UP), logging.ERROR),
    **dict.fromkeys((Event.INTENDED, Event.HELD, Event.DRIFT, Event.MISCONFIGURED, Event.SIGHT, Event.BUDGET, Event.REFUSED), logging.WARNING),
    **dict.fromkeys((Event.ESCALATED, Event.SCHEDULED), logging.WARNING),
}
_SHOWN_AS = {"level": "alert_level"}
_LONG = {"output", "activations", "rules", "seen", "bases", "checks", "signals", "ladder", "gates"}


def _level(happened: Happened) -> int:
    """How loud an event is in the log: bad news is a warning or an error, good news is not."""
    body = happened.body
    if (
        (happened.event in {Event.RAN, Event.STEP} and not body["error"])
        or body.get("passed")
        or body.get("drift") == Drift.NONE
        or body.get("blind") is False
        or body.get("wrong") == {}
        or body.get("spent") is False
    ):
        return logging.INFO
    return _LEVELS.get(happened.event, logging.INFO)


def _shown(body: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of an event that a log line has room for; `event` and `level` are structlog's own words."""
    return {_SHOWN_AS.get(key, key): value for key, value in body.items() if key not in _LONG}
