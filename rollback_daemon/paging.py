"""Which alerts the Alertmanagers are told after each cycle: those of every rollout, and those about the guard itself.

Lives here: keeping what is active, for all groups together. Must not live here: what is worth an alert (`faces.alerts`), sending (`alertmanager`).
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from rollback_daemon.clock import Clock
from rollback_daemon.faces.alertmanager import Alertmanagers
from rollback_daemon.faces.alerts import Alert, active, journal_altered, journal_unwritable
from rollback_daemon.faces.metrics import Metrics
from rollback_daemon.journal.journal import Journal
from rollback_daemon.watch import Watch


class Paging:
    """The active alerts. Thread-safe: cycles of several groups end at the same time."""

    def __init__(self, journal: Journal, metrics: Metrics, clock: Clock, external_url: str) -> None:
        self._journal, self._metrics, self._clock, self._external_url = journal, metrics, clock, external_url
        self._lock = threading.Lock()
        self._alerts: dict[str, list[Alert]] = {}
        self._unwritable_since: datetime | None = None
        self._altered: Sequence[str] = ()
        self._altered_since: datetime | None = None

    def altered(self, faults: Sequence[str]) -> None:
        """What was found to be wrong with the journal; nothing where it is whole."""
        self._altered, self._altered_since = faults, self._clock.now()

    def tell(
        self, alertmanagers: Alertmanagers, watches: Sequence[Watch], names: Collection[str], labels: Mapping[str, str], interval: timedelta
    ) -> None:
        """Tell everything that is active, of all rollouts called `names`, after these `watches` were judged. `labels` are the external ones."""
        with self._lock:
            for watch in watches:
                if watch.judgement is not None:
                    self._alerts[watch.rollout.name] = active(
                        watch.rollout, watch.state, watch.judgement, external_url=self._external_url, external_labels=labels
                    )
            everything = [alert for name, alerts in self._alerts.items() if name in names for alert in alerts]
            alertmanagers.update([*everything, *self._about_journal(labels)], interval)

    def _about_journal(self, labels: Mapping[str, str]) -> list[Alert]:
        writable = self._journal.writable
        self._metrics.journal_writable.set(writable)
        self._unwritable_since = None if writable else self._unwritable_since or self._clock.now()
        found = []
        if self._unwritable_since is not None:
            found.append(journal_unwritable(self._unwritable_since, external_url=self._external_url, external_labels=labels))
        if self._altered and self._altered_since is not None:
            found.append(journal_altered(self._altered_since, self._altered, external_url=self._external_url, external_labels=labels))
        return found
