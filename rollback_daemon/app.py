"""The daemon's life: start, take charge, reload, stop. This module wires; it decides nothing.

Main thread: signals, the lease, the watchdog. Other threads: the web server, one per interval group while it evaluates, one per transition
under way, one per Alertmanager.
"""

import contextlib
import signal
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from rollback_daemon import __version__, config
from rollback_daemon.clock import Clock, SystemClock
from rollback_daemon.config import Loaded
from rollback_daemon.errors import ConfigurationError, JournalUnavailable, Problem
from rollback_daemon.faces import page, systemd
from rollback_daemon.faces.http.access import Access, Entry
from rollback_daemon.faces.http.reach import NOWHERE, Reach
from rollback_daemon.faces.http.server import WebServer
from rollback_daemon.faces.metrics import Metrics, RolloutCollector
from rollback_daemon.guard import Guard
from rollback_daemon.journal.journal import Journal
from rollback_daemon.journal.lease import lease_for

_BEAT = 0.25  # seconds between looks at signals and lease


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line of `rollbackd run` says. Where `reach` has no URL, it is the address that is listened on."""

    config_file: Path
    storage_url: str
    host: str
    port: int
    reach: Reach = NOWHERE
    web_config_file: Path | None = None


class Daemon:
    """One process of rollbackd."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Reads the configuration and opens the journal. Raises ConfigurationError or JournalUnavailable."""
        self._settings = settings
        self._log = structlog.get_logger()
        self._clock = clock or SystemClock()
        registry = CollectorRegistry()
        for collector in (GCCollector, PlatformCollector, ProcessCollector):
            collector(registry=registry)
        self._metrics = Metrics(registry)
        self._access = Access(settings.web_config_file)
        loaded, entry = self._read()
        self._admit(loaded, entry)
        self._lease = lease_for(settings.storage_url)
        self._lease_unknown = False
        self._journal = Journal.open(settings.storage_url, last_resort=self._last_resort, observe=self._metrics.journal_append.observe)
        self.guard = Guard(self._journal, self._metrics, self._clock, settings.reach.url or self._own_url())
        self.guard.load(loaded)
        registry.register(RolloutCollector(lambda: self.guard.watches if self.guard.active else ()))
        self._loaded_well()
        self._stop, self._reload_wanted = threading.Event(), threading.Event()
        self._reloading = threading.Lock()

    def run(self) -> int:
        """Guard until told to stop. Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        where = self._settings.host, self._settings.port
        web = WebServer(self.guard, self._metrics.registry, self.reload, self._access, *where, [page.add], self._settings.reach)
        web.start()
        self._log.info("started", version=__version__, address=web.address, rollouts=[watch.rollout.name for watch in self.guard.watches])
        try:
            return self._live()
        finally:
            systemd.notify(STOPPING="1")
            self._log.info("stopping")
            self.guard.close()
            web.stop()
            self._lease.release()
            self._journal.close()

    def reload(self) -> None:
        """Load the configuration, all rule files and the web configuration again.

        Raises ConfigurationError, and leaves what is running alone, if anything is wrong.
        """
        with self._reloading:
            systemd.reloading()
            try:
                loaded, entry = self._read()
                self.guard.load(loaded)
            except ConfigurationError as error:
                self._metrics.reload_ok.set(0)
                self._log.error("the configuration was not reloaded; the one before stays", problems=[str(problem) for problem in error.problems])
                raise
            finally:
                systemd.notify(READY="1")
            self._admit(loaded, entry)
            self._loaded_well()
            self._log.info("reloaded", rollouts=[watch.rollout.name for watch in self.guard.watches])

    def _read(self) -> tuple[Loaded, Entry]:
        """The configuration and the web configuration, as they are now. Raises ConfigurationError with the mistakes of both."""
        problems: list[Problem] = []
        loaded: Loaded | None = None
        entry: Entry | None = None
        try:
            loaded = config.load(self._settings.config_file)
        except ConfigurationError as error:
            problems += error.problems
        try:
            entry = self._access.read()
        except ConfigurationError as error:
            problems += error.problems
        if loaded is None or entry is None:
            raise ConfigurationError(problems)
        return loaded, entry

    def _admit(self, loaded: Loaded, entry: Entry) -> None:
        self._access.take(entry)
        self._access.open_reading = loaded.configuration.web.open_reading
        if entry.web.users and entry.context is None and self._settings.host not in {"127.0.0.1", "::1", "localhost"}:
            self._log.warning("passwords cross the network as they are; add tls_server_config to the web configuration")

    def _own_url(self) -> str:
        """Where people reach the daemon, as far as it knows."""
        host = "localhost" if self._settings.host in {"0.0.0.0", "::"} else self._settings.host  # noqa: S104 (told apart, not bound)
        return f"{self._access.scheme}://{f'[{host}]' if ':' in host else host}:{self._settings.port}{self._settings.reach.routes}"

    def _live(self) -> int:
        said_passive = False
        pause = systemd.watchdog_interval()
        while not self._stop.is_set():
            mine = self._may_act()
            if mine and not self.guard.active:
                self._take_charge()
            elif not mine and self.guard.active:
                self._log.error("the lease on the journal is lost; stopping, so that there is one guard and not two", holder=self._holder())
                return 1
            elif not mine and not said_passive:
                said_passive = True
                self.guard.holder = self._holder() or ""
                self._log.warning("another daemon is in charge of this journal; staying passive until it ends", holder=self.guard.holder)
                systemd.notify(READY="1", STATUS="passive: another daemon is in charge")
            if self._reload_wanted.is_set():
                self._reload_wanted.clear()
                self._try_reload()
            self.guard.follow_clock()
            if pause and (not self.guard.active or self.guard.lateness(self._clock.now()) < timedelta(seconds=max(pause, 30))):
                systemd.notify(WATCHDOG="1")
            self._stop.wait(_BEAT)
        return 0

    def _try_reload(self) -> None:
        """A reload that fails, for whatever reason, leaves the configuration before in force."""
        try:
            self.reload()
        except ConfigurationError:
            return  # said and counted
        except Exception:  # noqa: BLE001 (a defect here must not end the guard)
            self._metrics.reload_ok.set(0)
            self._log.exception("the reload failed; the configuration before stays")

    def _may_act(self) -> bool:
        """Whether this daemon is the one in charge.

        Where that cannot be found out, say because the journal's disk is gone, whoever is in charge stays so: a rollback does not wait for a disk,
        and nobody else can take charge of a journal that is not there.
        """
        try:
            mine = self._lease.try_acquire()
        except JournalUnavailable as error:
            if not self._lease_unknown:
                self._log.error("whether this daemon is still in charge cannot be found out; it goes on as it is", error=str(error))
            self._lease_unknown = True
            return self.guard.active
        self._lease_unknown = False
        return mine

    def _holder(self) -> str | None:
        with contextlib.suppress(JournalUnavailable):
            return self._lease.holder()
        return None

    def _take_charge(self) -> None:
        started = time.monotonic()
        self.guard.start()
        systemd.notify(READY="1", STATUS=f"guarding {len(self.guard.watches)} rollouts")
        self._log.info("in charge", seconds=round(time.monotonic() - started, 3))

    def _loaded_well(self) -> None:
        self._metrics.reload_ok.set(1)
        self._metrics.reload_at.set(self._clock.now().timestamp())

    def _last_resort(self, line: str) -> None:
        self._log.error("neither the journal nor its spill file can be written; this record is only here", record=line)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload_wanted.set()


def run(settings: Settings) -> int:
    """Run the daemon; says what is wrong and returns 2 when it cannot be configured, 1 when it cannot keep a journal."""
    try:
        return Daemon(settings).run()
    except ConfigurationError as error:
        for problem in error.problems:
            structlog.get_logger().error("not configured", problem=str(problem))
        return 2
    except JournalUnavailable as error:
        structlog.get_logger().error("no journal", error=str(error))
        return 1
