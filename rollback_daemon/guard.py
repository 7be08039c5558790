"""Everything that one loaded configuration keeps running: the watches, their cycles, the clients, the schedule.

A reload does all that can fail before anything live is touched; watches, and with them every rollout's place and pending time, survive it.
Lives here: what is long-lived, what belongs to a configuration, and the change from one to the next. Must not live here: signals, sockets.
"""

import threading
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from rollback_daemon.clock import Clock, aligned
from rollback_daemon.config import Loaded
from rollback_daemon.cycle import Cycle
from rollback_daemon.errors import ConfigurationError, OperationRefused, Problem
from rollback_daemon.faces.alertmanager import Alertmanagers, Outcome, without_secrets
from rollback_daemon.faces.alerts import Alert, active, journal_altered, journal_unwritable
from rollback_daemon.faces.metrics import Metrics
from rollback_daemon.flags.stores import open_store
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.rules.model import BASELINE, Rollout
from rollback_daemon.signals.prometheus import Prometheus
from rollback_daemon.watch import Watch

_FINISH = 30.0  # seconds that a transition under way gets at the end; the next start goes on with it


class Guard:
    """The rollouts under guard. `load` is called first, then `start`, then again `load` for each new configuration."""

    def __init__(self, journal: Journal, metrics: Metrics, clock: Clock, external_url: str) -> None:
        self.metrics = metrics
        self.journal = journal
        self._clock, self._external_url = clock, external_url
        self._watches: dict[str, Watch] = {}
        self._cycles: list[Cycle] = []
        self._alerts: dict[str, list[Alert]] = {}
        self._alerting = threading.Lock()
        self._loaded: Loaded | None = None
        self._prometheus: Prometheus | None = None
        self._alertmanagers: Alertmanagers | None = None
        self._scheduler: BackgroundScheduler | None = None
        self._journal_since: datetime | None = None
        self._altered: list[str] = []
        self._altered_since: datetime | None = None
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

    @property
    def evaluated(self) -> bool:
        """Whether every rollout has a place on its ladder and has been judged since the start or the last reload."""
        return all(watch.judgement is not None and watch.state.position is not None for watch in self.watches)

    def lateness(self, now: datetime) -> timedelta:
        """How long the most overdue group has been without an evaluation, beyond its own interval."""
        last = [now - cycle.last - cycle.interval for cycle in self._cycles if cycle.last is not None]
        return max(last, default=timedelta())

    def load(self, loaded: Loaded) -> None:
        """Take up a configuration, in the place of the one before. Raises ConfigurationError, with nothing changed, when it cannot be."""
        stores = {rollout.name: open_store(rollout.flags.store, Path(rollout.flags.path), rollout.flags.backups) for rollout in loaded.rollouts}
        problems = [problem for rollout in loaded.rollouts for problem in self._conflicts(rollout)]
        if problems := [*problems, *self._abandoned(stores.keys(), loaded.file)]:
            raise ConfigurationError(problems)
        self._unschedule()
        for name in self._watches.keys() - stores.keys():
            self._watches.pop(name).close(_FINISH)
        before, self._watches = self._watches, {}
        fresh: list[Watch] = []
        for rollout in loaded.rollouts:
            watch = before.get(rollout.name)
            if watch is None:
                watch = Watch(rollout, stores[rollout.name], self.journal, self._clock, self.metrics)
                fresh.append(watch)
            else:
                watch.reconfigure(rollout, stores[rollout.name])
            self._watches[rollout.name] = watch
        self.metrics.cover(loaded.rollouts)
        self._connect(loaded)
        self._loaded = loaded
        self._cycles = self._groups()
        if self.active:
            self._recall(fresh)
            self._schedule()

    def start(self) -> None:
        """Take charge: read the journal, finish what is open, evaluate at once and from then on."""
        self.active = True
        self._examine_journal()
        self._recall(list(self.watches))
        self._schedule()

    def close(self) -> None:
        """Stop looking; let transitions finish the step that they are in; leave alerts to end by themselves, as a restart is no recovery."""
        self._unschedule()
        for watch in self.watches:
            watch.close(_FINISH)
        if self._prometheus is not None:
            self._prometheus.close()
        if self._alertmanagers is not None:
            self._alertmanagers.close(timedelta(seconds=2))

    def _examine_journal(self) -> None:
        """Whether anybody has altered what is on record. It goes on in any case: an altered record must not leave a rollout unguarded."""
        self._altered = self.journal.verify()
        self._altered_since = self._clock.now()
        self.metrics.journal_intact.set(not self._altered)
        for fault in self._altered:
            structlog.get_logger().error("the journal was altered", fault=fault)

    def _recall(self, watches: list[Watch]) -> None:
        self.journal.absorb_spill()
        remembered, stopped = self.journal.load_memory()
        for watch in watches:
            watch.recall(remembered.get(watch.rollout.name), stopped)
        for watch in self.watches:
            watch.tell_rules()
        for name in self._watches:
            self.metrics.leader.labels(name).set(1)

    def _abandoned(self, names: Collection[str], file: str) -> list[Problem]:
        """Rollouts that expose something and would be left without a guard."""
        left = [watch for name, watch in self._watches.items() if name not in names]
        exposed = [(watch, watch.state.position) for watch in left if watch.state.position and watch.state.position.phase is not Phase.BASELINE]
        return [
            Problem(
                file,
                0,
                0,
                "rule_files",
                f'"{watch.rollout.name}" is gone, but stands at "{position.stage}"; roll it back to baseline first',
            )
            for watch, position in exposed
            if position and (position.stage != BASELINE or position.open)
        ]

    def _conflicts(self, rollout: Rollout) -> list[Problem]:
        """What a running rollout forbids its new rule file."""
        watch = self._watches.get(rollout.name)
        position = watch.state.position if watch else None
        if watch is None or position is None:
            return []
        names = {position.stage, *([position.open.origin, position.open.target] if position.open else [])}
        problems = [
            Problem(rollout.file, 0, 0, "stages", f'"{name}" is gone, but {rollout.name} stands there; roll it back first')
            for name in sorted(names)
            if rollout.stage(name) is None
        ]
        if position.open and rollout.flags != watch.rollout.flags:
            problems.append(Problem(rollout.file, 0, 0, "flags", f"cannot change while {rollout.name} is {position.phase}; reload when it is done"))
        return problems

    def _connect(self, loaded: Loaded) -> None:
        settings = loaded.configuration
        old = self._prometheus
        self._prometheus = Prometheus(settings.prometheus.url, settings.prometheus.session(), settings.prometheus.timeout, self.metrics.query)
        if old is not None:
            old.close()
        if self._loaded is not None and self._loaded.configuration.alerting == settings.alerting and self._alertmanagers is not None:
            return
        if self._alertmanagers is not None:
            self._alertmanagers.close(timedelta(seconds=1))
        self.metrics.cover_alertmanagers([without_secrets(client.url) for client in settings.alerting.alertmanagers], Outcome)
        self._alertmanagers = Alertmanagers(
            [(client.url, client.session()) for client in settings.alerting.alertmanagers],
            resend_delay=settings.alerting.resend_delay,
            clock=self._clock,
            observe=self.metrics.notified,
            log=structlog.get_logger(),
        )

    def _groups(self) -> list[Cycle]:
        assert self._prometheus is not None  # noqa: S101 (load connects before it groups)
        by_interval = sorted(self._watches.values(), key=lambda watch: watch.rollout.interval)
        return [
            Cycle(interval, tuple(group), self._prometheus, self.journal, self._clock, self.metrics, self._after)
            for interval, group in groupby(by_interval, key=lambda watch: watch.rollout.interval)
        ]

    def _schedule(self) -> None:
        """One job for each interval group, on multiples of its interval, and one look at once."""
        now = self._clock.now()
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(max(1, len(self._cycles)))},
            # The default grace of 1 s would lose the evaluations of a busy moment; a late look is better than none.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for cycle in self._cycles:
            seconds = cycle.interval.total_seconds()
            first = aligned(now, cycle.interval) + cycle.interval
            self._scheduler.add_job(cycle.run, "interval", seconds=seconds, start_date=first)
            self._scheduler.add_job(cycle.run)
        self._scheduler.start()

    def _unschedule(self) -> None:
        if self._scheduler is not None:
            self._scheduler.remove_all_jobs()  # first: a scheduler that is stopped while it hands out a job dies with a traceback
            self._scheduler.shutdown(wait=True)
            self._scheduler = None

    def _after(self, watches: Sequence[Watch], interval: timedelta) -> None:
        """After each cycle: tell the Alertmanagers everything that is active, of all groups."""
        settings = self._loaded
        if settings is None or self._alertmanagers is None:
            return
        labels = settings.configuration.global_.external_labels
        with self._alerting:
            for watch in watches:
                if watch.judgement is not None:
                    self._alerts[watch.rollout.name] = active(
                        watch.rollout, watch.state, watch.judgement, external_url=self._external_url, external_labels=labels
                    )
            everything = [alert for name, alerts in self._alerts.items() if name in self._watches for alert in alerts]
            self._alertmanagers.update([*everything, *self._about_journal(labels)], interval)

    def _about_journal(self, labels: dict[str, str]) -> list[Alert]:
        writable = self.journal.writable
        self.metrics.journal_writable.set(writable)
        self._journal_since = None if writable else self._journal_since or self._clock.now()
        found = []
        if self._journal_since is not None:
            found.append(journal_unwritable(self._journal_since, external_url=self._external_url, external_labels=labels))
        if self._altered and self._altered_since is not None:
            found.append(journal_altered(self._altered_since, self._altered, external_url=self._external_url, external_labels=labels))
        return found
