"""Everything that one loaded configuration keeps running: the watches, their cycles, the clients, the schedule.

A reload does all that can fail before anything live is touched; watches, and with them every rollout's place and pending time, survive it.
Lives here: what is long-lived, what belongs to a configuration, and the change from one to the next. Must not live here: signals, sockets.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import structlog

from rollback_daemon import handover
from rollback_daemon.clock import Clock
from rollback_daemon.config import Configuration, Loaded, roles_of
from rollback_daemon.cycle import PATIENCE, Cycle
from rollback_daemon.errors import ConfigurationError, JournalUnavailable, OperationRefused
from rollback_daemon.faces.alertmanager import Alertmanagers, Outcome, without_secrets
from rollback_daemon.faces.feed import Feed
from rollback_daemon.faces.metrics import Metrics
from rollback_daemon.faces.trails import Trails
from rollback_daemon.flags import settling
from rollback_daemon.flags.notice import FileNotice
from rollback_daemon.flags.store import FlagStore
from rollback_daemon.flags.stores import open_store
from rollback_daemon.following.asking import Following
from rollback_daemon.hooks.courier import Backlog
from rollback_daemon.hooks.outbox import Outbox
from rollback_daemon.incident_notes import IncidentNotes
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event
from rollback_daemon.paging import Paging
from rollback_daemon.rules.model import Rollout
from rollback_daemon.schedule import Schedule
from rollback_daemon.signals.probes import Probes
from rollback_daemon.signals.prometheus import Prometheus
from rollback_daemon.signals.questions import distinct
from rollback_daemon.signals.sources import Sources
from rollback_daemon.watch import Watch

_FINISH = 30.0  # seconds that a transition under way gets at the end; the next start goes on with it


class Guard:
    """The rollouts under guard. `load` is called first, then `start`, then again `load` for each new configuration."""

    def __init__(self, journal: Journal, metrics: Metrics, clock: Clock, external_url: str) -> None:
        self.metrics = metrics
        self.journal = journal
        self.feed, self.trails = Feed(), Trails()  # for people who look
        self._clock = clock
        self._watches: dict[str, Watch] = {}
        self._cycles: list[Cycle] = []
        self._paging = Paging(journal, metrics, clock, external_url)
        self._outbox = Outbox(journal, clock, self._put, metrics, external_url)
        self._notes = IncidentNotes(self._find, journal, clock, lambda: self._sources.prometheus if self._sources else None)
        self._loaded: Loaded | None = None
        self._sources: Sources | None = None
        self._alertmanagers: Alertmanagers | None = None
        self._schedule = Schedule(clock)
        self._unseen: set[timedelta] = set()  # the intervals whose first cycle has not ended
        self._changing = threading.RLock()  # one at a time: load, start, close
        self._notice = FileNotice(self._files_changed, structlog.get_logger().warning)
        self._again = threading.Timer(0, lambda: None)  # the next look at files that may be half written
        self._closed = False
        self.active = False
        self.holder = ""  # who is in charge, where this daemon is not

    @property
    def watches(self) -> Sequence[Watch]:
        """Every rollout, in the order of the rule files."""
        return tuple(self._watches.values())

    def watch(self, name: str) -> Watch:
        """The rollout of that name. Raises OperationRefused when there is none."""
        try:
            return self._watches[name]
        except KeyError:
            known = ", ".join(self._watches)
            raise OperationRefused(f'there is no rollout "{name}"; known: {known}') from None

    def hooks_behind(self, name: str) -> list[tuple[str, Backlog]]:
        """The hooks of that rollout that have not been told all there is to tell, with what waits for each."""
        return self._outbox.behind(name)

    @property
    def configuration(self) -> Configuration:
        """The daemon's configuration in force. Only after the first `load`."""
        assert self._loaded is not None  # noqa: S101 (only after the first `load`, as said)
        return self._loaded.configuration

    @property
    def journal_file(self) -> Path:
        """Where the journal is, for whoever looks at its disk."""
        return self.journal.file

    def person(self, name: str) -> Person:
        """Who that is: the roles that the configuration gives them."""
        return Person(name, roles_of(self._loaded.configuration, name) if self._loaded else frozenset())

    def promote(self, name: str, by: str, reason: str, via: str = "") -> str:
        """Start a promotion, judged on a look that is taken now. Raises OperationRefused."""
        watch, sources = self.watch(name), self._sources
        now = self._clock.now()
        fresh = sources.ask(distinct([watch.questions(now)]), now, max(watch.rollout.interval, PATIENCE)) if sources else None
        return watch.promote(by, reason, fresh, via)

    @property
    def evaluated(self) -> bool:
        """Whether every rollout has a place on its ladder and has been judged since the start or the last reload."""
        return all(watch.judgement is not None and watch.state.position is not None for watch in self.watches)

    def happened(self, rollout: Rollout, event: Event, body: Mapping[str, Any], at: datetime, opened: Open | None) -> None:
        """Something of a rollout went on record: the metrics count it, and hooks may be told. For the watches."""
        self.metrics.happened(rollout, event, body, at, opened)
        self._outbox.happened(rollout.name, event, body, at)
        self._notes.happened(rollout, event, body, at)
        self.feed.happened(rollout.name, event, body, at)

    def lateness(self, now: datetime) -> timedelta:
        """How long the most overdue group has been without an evaluation, beyond its own interval."""
        return self._schedule.lateness(now)

    def follow_clock(self) -> None:
        """To be called now and then: goes on at once when the clock was set back."""
        with self._changing:
            self._schedule.follow_clock()

    def load(self, loaded: Loaded) -> None:
        """Take up a configuration, in the place of the one before. Raises ConfigurationError, with nothing changed, when it cannot be."""
        with self._changing:
            stores = {one.name: open_store(one.flags.store, Path(one.flags.path), one.flags.backups) for one in loaded.rollouts}
            if problems := [*handover.problems(self._watches, loaded)]:
                raise ConfigurationError(problems)
            sources, alertmanagers = self._connected(loaded)
            self._schedule.stop()  # nothing above has touched what is live; nothing below may keep it from being started again
            old = self._sources
            self._sources, self._alertmanagers = sources, alertmanagers
            fresh, gone = self._exchange(loaded, stores)
            self._loaded = loaded
            self._cycles = self._groups()
            if self.active:
                self._recall(fresh)
                self._begin()
            self.trails.keep(self._watches)
            self.feed.reloaded(self._clock.now())
            if old is not None:
                old.close()
        for watch in gone:
            watch.drain()

    def start(self) -> None:
        """Take charge: read the journal, finish what is open, evaluate at once and from then on."""
        with self._changing:
            self.active = True
            self._examine_journal()
            self._recall(list(self.watches))
            self._begin()
            self._notes.catch_up(self._watches)

    def close(self) -> None:
        """Stop looking; let transitions finish the step that they are in; leave alerts to end by themselves, as a restart is no recovery."""
        with self._changing:
            self._closed = True
            self._notice.stop()
            self._again.cancel()
            if self._again.is_alive():
                self._again.join(5)
            self._schedule.stop()
            for watch in self.watches:
                watch.drain()
            deadline = time.monotonic() + _FINISH
            for watch in self.watches:
                watch.close(max(0.0, deadline - time.monotonic()))
            self._outbox.close()
            self._notes.close()
            if self._sources is not None:
                self._sources.close()
            if self._alertmanagers is not None:
                self._alertmanagers.close(timedelta(seconds=2))

    def _exchange(self, loaded: Loaded, stores: Mapping[str, FlagStore]) -> tuple[list[Watch], list[Watch]]:
        """The watches of the new configuration in the place of the old; returns those that are new and those that are gone."""
        before, self._watches = self._watches, {}
        fresh: list[Watch] = []
        for rollout in loaded.rollouts:
            watch = before.pop(rollout.name, None)
            if watch is None:
                watch = Watch(rollout, stores[rollout.name], self.journal, self._clock, self, settle=settling.SECONDS)
                fresh.append(watch)
            else:
                watch.reconfigure(rollout, stores[rollout.name])
            self._watches[rollout.name] = watch
        self.metrics.cover(loaded.rollouts)
        return fresh, list(before.values())

    def _find(self, name: str) -> Watch | None:
        """The rollout of that name, if it is still guarded."""
        return self._watches.get(name)

    def _put(self, name: str, happened: Happened) -> None:
        """On record, if the rollout is still guarded."""
        watch = self._watches.get(name)
        if watch is not None:
            watch.happen(happened)

    def _examine_journal(self) -> None:
        """Whether anybody has altered what is on record. It goes on in any case: an altered record must not leave a rollout unguarded."""
        try:
            faults = self.journal.verify()
        except JournalUnavailable:
            return  # said by _recall
        self._paging.altered(faults)
        self.metrics.journal_intact.set(not faults)
        for fault in faults:
            structlog.get_logger().error("the journal was altered", fault=fault)

    def _recall(self, watches: list[Watch]) -> None:
        """Where the journal says that these rollouts are. One that cannot be read now costs memory, and never the guard."""
        remembered: dict[str, str] = {}
        stopped: datetime | None = None
        try:
            self.journal.absorb_spill()
            remembered, stopped = self.journal.load_memory()
        except JournalUnavailable as error:
            structlog.get_logger().error("the journal cannot be read or written; going on with what can be known", error=str(error))
        self._outbox.follow([watch.rollout for watch in self.watches])
        for watch in watches:
            try:
                watch.recall(remembered.get(watch.rollout.name), stopped)
            except Exception:  # noqa: BLE001 (what is wrong with one rollout must not leave the others unguarded; it is logged with its place)
                structlog.get_logger().exception("a rollout could not be taken up where it was", rollout=watch.rollout.name)
        for watch in self.watches:
            watch.tell_rules()
            watch.recount(lambda name: self.person(name).roles)
            self.metrics.leader.labels(watch.rollout.name).set(1)

    def _connected(self, loaded: Loaded) -> tuple[Sources, Alertmanagers]:
        """The clients of a configuration; the Alertmanagers' stay, with what they were told, where their settings do."""
        settings = loaded.configuration
        prometheus = Prometheus(settings.prometheus.url, settings.prometheus.session(), settings.prometheus.timeout, self.metrics.query)
        sources = Sources(prometheus, Probes(settings.prometheus.timeout), Following())
        if self._alertmanagers is not None and self._loaded is not None:
            if self._loaded.configuration.alerting == settings.alerting:
                return sources, self._alertmanagers
            self._alertmanagers.close(timedelta(seconds=1))
        self.metrics.cover_alertmanagers([without_secrets(client.url) for client in settings.alerting.alertmanagers], Outcome)
        alertmanagers = Alertmanagers(
            [(client.url, client.session()) for client in settings.alerting.alertmanagers],
            resend_delay=settings.alerting.resend_delay,
            clock=self._clock,
            observe=self.metrics.notified,
            log=structlog.get_logger(),
            accepted=self._notes.accepted,
        )
        return sources, alertmanagers

    def _groups(self) -> list[Cycle]:
        assert self._sources is not None  # noqa: S101 (load connects before it groups)
        by_interval = sorted(self._watches.values(), key=lambda watch: watch.rollout.interval)
        return [
            Cycle(interval, tuple(group), self._sources, self.journal, self._clock, self.metrics, self._cycled)
            for interval, group in groupby(by_interval, key=lambda watch: watch.rollout.interval)
        ]

    def _begin(self) -> None:
        """Look at once and from then on, and between the cycles whenever a flag file changes."""
        self._unseen = {cycle.interval for cycle in self._cycles}
        self._schedule.start(self._cycles)
        self._notice.watch([watch.rollout.flags.path for watch in self.watches])

    def _files_changed(self, paths: frozenset[str]) -> None:
        """A flag file was changed, by us or by somebody else: the judge tells which. One that may be half written is looked at again soon."""
        concerned = [watch for watch in self.watches if watch.rollout.flags.path in paths]
        for watch in concerned:
            if watch.glance():
                self._after([watch], watch.rollout.interval)
        unsettled = frozenset(watch.rollout.flags.path for watch in concerned if watch.unsettled)
        if unsettled and not self._closed:
            self._again.cancel()
            self._again = threading.Timer(settling.SECONDS, self._files_changed, [unsettled])
            self._again.daemon = True
            self._again.start()

    def _cycled(self, watches: Sequence[Watch], interval: timedelta) -> None:
        """After each cycle. Hooks have to wait for the first one of every group: what they do must not come before a rollback."""
        self._unseen.discard(interval)
        if not self._unseen:
            self._outbox.begin()
        self._after(watches, interval)

    def _after(self, watches: Sequence[Watch], interval: timedelta) -> None:
        """After each cycle: tell the Alertmanagers everything that is active, of all groups, let the hooks go on, and show it."""
        self._outbox.look()
        if self._loaded is not None and self._alertmanagers is not None:
            labels = self._loaded.configuration.global_.external_labels
            self._paging.tell(self._alertmanagers, watches, self._watches.keys(), labels, interval)
        try:
            self.trails.evaluated(watches)
            self.feed.evaluated(watches, interval, self._clock.now())
        except Exception:  # noqa: BLE001 (what people look at must not end what guards them; it is logged with its place)
            structlog.get_logger().exception("what people look at could not be brought up to date")
