"""What goes on record beside an incident: the signals around it as they were, and who was told. Done on a thread of its own, off every lock.

Nothing waits for it, and what it fails to do costs a plot or a line of the report. Lives here: the queue, and asking. Must not live here: which
signals those are (`governance.around`), what an alert is.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from rollback_daemon.clock import Clock
from rollback_daemon.governance.around import plotted, together, wanted, windows
from rollback_daemon.governance.incident_records import find
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.escalation import Escalations
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Failed, Labels

_WAITING = 1000  # things to be noted; beyond that they are let go
_GIVING_WAY = 1.0  # seconds
_MOST_TOLD = 200  # alerts and Alertmanagers of one incident


class Noted(Protocol):
    """The watch of a rollout."""

    lock: threading.RLock

    @property
    def ladder(self) -> Rollout: ...
    @property
    def state(self) -> State: ...
    def happen(self, happened: Happened) -> None: ...


class AsksBack(Protocol):
    """What knows the past of a signal; `signals.prometheus.Prometheus` is the one."""

    def over_time(self, query: str, start: datetime, end: datetime, step: timedelta) -> Mapping[Labels, Sequence[tuple[float, float]]] | Failed: ...


class IncidentNotes:
    """Thread-safe; every call returns at once."""

    def __init__(self, watch: Callable[[str], Noted | None], journal: Journal, clock: Clock, prometheus: Callable[[], AsksBack | None]) -> None:
        """`watch` gives the watch of a rollout by its name, `prometheus` whom to ask at the moment."""
        self._watch, self._journal, self._clock, self._prometheus = watch, journal, clock, prometheus
        self._todo: queue.Queue[Callable[[], None] | None] = queue.Queue(_WAITING)
        self._told: dict[str, tuple[str, set[tuple[str, str]]]] = {}  # by rollout: its incident or what leads to one, and who took what
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def happened(self, rollout: Rollout, event: Event, body: Mapping[str, Any], at: datetime) -> None:  # noqa: ARG002 (as others are told)
        """Told what went on record. After what ends an incident's last verification, or a rollback that has none: keep the signals around it."""
        if _is_end(event, body):
            self._soon(lambda: self._plot(rollout.name))

    def accepted(self, alertmanager: str, alerts: Iterable[Mapping[str, str]]) -> None:
        """An Alertmanager (its address without secrets) has taken alerts with these labels."""
        labels = [one for one in alerts if "rollout" in one]
        if labels:
            self._soon(lambda: self._tell(alertmanager, labels))

    def catch_up(self, names: Iterable[str]) -> None:
        """After a start: keep the signals of what ended while nobody could."""
        for name in names:
            watch = self._watch(name)
            known = watch.state.aftermath if watch else None
            if known and known.incident and known.done and not known.verifying:
                self._soon(lambda name=name: self._plot(name, again=False))  # type: ignore[misc]  # the default binds the name of this round

    def close(self, patience: float = 2.0) -> None:
        """Finish what is under way, for at most `patience` seconds, and let go of the rest."""
        with self._starting:
            self._closed, thread = True, self._thread
        if thread is not None:
            try:
                self._todo.put_nowait(None)
            except queue.Full:
                return
            thread.join(patience)

    def _soon(self, note: Callable[[], None]) -> None:
        with self._starting:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="incident-notes", daemon=True)
                self._thread.start()
        try:
            self._todo.put_nowait(note)
        except queue.Full:
            structlog.get_logger().warning("too much to be noted of incidents at once; some of it is let go")

    def _run(self) -> None:
        while (note := self._todo.get()) is not None and not self._closed:
            try:
                note()
            except Exception as error:  # noqa: BLE001 (what a report lacks must not end the thread; it is logged)
                structlog.get_logger().error("an incident could not be noted", error=str(error) or type(error).__name__)

    def _plot(self, name: str, *, again: bool = True) -> None:
        watch, prometheus = self._watch(name), self._prometheus()
        if watch is None:
            return
        with watch.lock:
            rollout, state = watch.ladder, watch.state
        if not state.aftermath.incident:
            return  # somebody was quicker to resume it
        one, _ = find(self._journal, name, state.aftermath.incident)
        if not again and any(one.of_kind(Event.PLOTTED)):
            return
        asked, over = wanted(rollout, one), windows(rollout, one, self._clock.now())
        answers = {
            made.signal.expr: together([prometheus.over_time(made.signal.expr, part.start, part.end, part.step) for part in over])
            for made in asked
            if prometheus is not None
        }
        self._put(watch, Happened(Event.PLOTTED, plotted(one, asked, answers, state.dossier.bases, over)))

    def _tell(self, alertmanager: str, alerts: Sequence[Mapping[str, str]]) -> None:
        by_rollout: dict[str, list[Mapping[str, str]]] = {}
        for labels in alerts:
            by_rollout.setdefault(labels["rollout"], []).append(labels)
        for name, mine in by_rollout.items():
            watch = self._watch(name)
            if watch is not None:
                self._tell_of(name, watch, alertmanager, mine)

    def _tell_of(self, name: str, watch: Noted, alertmanager: str, alerts: Sequence[Mapping[str, str]]) -> None:
        """Those of an incident; before one, those of triggers that escalate or have a rollback announced: that is how it is going to begin."""
        incident, leading = watch.state.aftermath.incident, watch.state.escalations
        about, names = incident or _begun(leading), leading.triggers.keys()
        mine = [one for one in alerts if incident or names & {one.get("alertname"), one.get("trigger")}]
        if not about or not mine:
            return
        known = self._known(name, about)
        fresh = {_facts(one) for one in mine if (one.get("alertname", ""), alertmanager) not in known}
        if fresh and len(known) < _MOST_TOLD:
            known |= {(alert, alertmanager) for alert, *_ in fresh}
            told = [_alert(*one) for one in sorted(fresh)]
            body = {"incident": incident, "alerts": told, "alertmanager": alertmanager}
            self._put(watch, Happened(Event.TOLD, body if incident else {**body, "before": about}))

    def _put(self, watch: Noted, happened: Happened) -> None:
        """On record, but not in the middle of a transition: a rollback must not wait for the disk because of a note."""
        deadline = time.monotonic() + _GIVING_WAY
        while (position := watch.state.position) and position.open and not position.open.failure and time.monotonic() < deadline:
            time.sleep(0.02)
        watch.happen(happened)

    def _known(self, name: str, about: str) -> set[tuple[str, str]]:
        """Who has taken what of this incident, or of what leads to one; after a restart the journal knows."""
        if name not in self._told or self._told[name][0] != about:
            bodies = (one.body for one in self._journal.records(name, kinds=[Event.TOLD], limit=_MOST_TOLD, newest_first=True))
            mine = (body for body in bodies if (body.get("incident") or body.get("before")) == about)
            self._told[name] = about, {(alert["alertname"], body["alertmanager"]) for body in mine for alert in body["alerts"]}
        return self._told[name][1]


def _begun(known: Escalations) -> str:
    """Since when triggers escalate, or have a rollback announced, which tells that time from every other such time; "" outside of one."""
    begun = [at for one in known.triggers.values() for at in (*(level.at for level in one.levels), *([one.announced.at] if one.announced else []))]
    return min(begun).isoformat() if begun else ""


def _facts(labels: Mapping[str, str]) -> tuple[str, str, str]:
    return labels.get("alertname", ""), labels.get("severity", ""), labels.get("trigger", "")


def _alert(name: str, severity: str, trigger: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, **({"trigger": trigger} if trigger else {})}


def _is_end(event: Event, body: Mapping[str, Any]) -> bool:
    """Whether nothing more follows by itself."""
    if event is Event.UNVERIFIED or (event is Event.ABANDONED and body.get("kind") == Kind.ROLLBACK):
        return bool(body.get("final") or body.get("unknown"))
    return event is Event.VERIFIED or (event is Event.DONE and body.get("kind") == Kind.ROLLBACK and not body.get("verify"))
