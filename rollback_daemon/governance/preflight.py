"""Before day one: whether everything that a rollout rests on is there. Nothing is changed, and nothing that guards is kept waiting.

Lives here: what is asked, all at the same time, and the order of the findings. Must not live here: what an answer means (`sight_checks`,
`file_checks`, `program_checks`, `evidence_checks`).
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from rollback_daemon.config import Configuration
from rollback_daemon.flags.store import FlagStore
from rollback_daemon.flags.stores import open_store
from rollback_daemon.governance import evidence_checks, file_checks, program_checks, sight_checks
from rollback_daemon.governance.finding import Finding, overall
from rollback_daemon.http_client import HTTPClient
from rollback_daemon.judge.dossier import Dossier
from rollback_daemon.judge.position import Position
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.fetch import NoPage, fetch
from rollback_daemon.signals.observation import Failed, Observation
from rollback_daemon.signals.probes import Probes
from rollback_daemon.signals.prometheus import AlertingRule, Prometheus

WITHIN = timedelta(seconds=7)
"""The most that a preflight waits for others; the command line waits ten seconds for the daemon."""


@dataclass(frozen=True, slots=True)
class Askers:
    """How others are asked. Each takes a few seconds at most, may be called from any thread, and raises nothing.

    `alertmanagers` has a text for each that is configured: why it does not answer, or nothing where it does.
    """

    services: Callable[[Sequence[str]], Mapping[str, Observation]]
    queries: Callable[[Sequence[str]], Mapping[str, Observation]]
    alert_rules: Callable[[], Sequence[AlertingRule] | Failed]
    alertmanagers: Callable[[], Mapping[str, str]]


def preflight(
    rollout: Rollout,
    position: Position | None,
    configuration: Configuration,
    journal: Path | None,
    now: datetime,
    within: timedelta = WITHIN,
    dossier: Dossier | None = None,
) -> dict[str, Any]:
    """Every check as JSON values: `rollout`, `at`, `outcome` (pass, fail, unknown) and `checks`, each with `check`, `outcome`, `evidence`.

    `journal` is the journal's file, None where it is in no file of this machine; `dossier` is what is on record of evidence. Takes little more than
    `within`, whatever is away.
    """
    settings = configuration.prometheus
    with contextlib.ExitStack() as open_until_the_end:
        # connections of its own: what guards must not wait for what only looks
        prometheus = Prometheus(settings.url, settings.session(), within)
        open_until_the_end.callback(prometheus.close)
        probes = Probes(within)
        open_until_the_end.callback(probes.close)
        askers = Askers(
            services=lambda urls: probes.ask(urls, within),
            queries=lambda queries: prometheus.ask(queries, now),
            alert_rules=prometheus.alert_rules,
            alertmanagers=lambda: ask_alertmanagers(configuration.alerting.alertmanagers, within),
        )
        store = open_store(rollout.flags.store, Path(rollout.flags.path), rollout.flags.backups)
        found = findings(rollout, position, store, askers, dossier, prometheus=settings.url, journal=journal, now=now)
    return {
        "rollout": rollout.name,
        "at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "outcome": overall(found).value,
        "checks": [{"check": one.check, "outcome": one.outcome.value, "evidence": one.evidence} for one in found],
    }


def findings(
    rollout: Rollout,
    position: Position | None,
    store: FlagStore,
    askers: Askers,
    dossier: Dossier | None = None,
    *,
    prometheus: str,
    journal: Path | None,
    now: datetime,
) -> list[Finding]:
    """Every check in its order. `prometheus` is the address that is asked, for people."""
    wanted, flags = rollout.preflight, Path(rollout.flags.path)
    endpoints = tuple(dict.fromkeys([*wanted.services, *(url for signal in rollout.signals for url in signal.endpoints)]))
    with ThreadPoolExecutor(4, thread_name_prefix="preflight") as pool:
        services = pool.submit(askers.services, endpoints)
        answers = pool.submit(askers.queries, [sight_checks.ANSWERS, *sight_checks.needed(rollout)])
        rules = pool.submit(askers.alert_rules) if wanted.alert_rules else None
        alertmanagers = pool.submit(askers.alertmanagers)
    return [
        *sight_checks.services(endpoints, services.result()),
        sight_checks.prometheus(prometheus, answers.result()),
        *sight_checks.queries(rollout, answers.result()),
        *file_checks.disks(flags, journal, wanted.disk_free),
        *file_checks.flags(rollout, position, store),
        file_checks.folder(flags),
        file_checks.own_backup(flags, now),
        *program_checks.findings(rollout),
        *evidence_checks.evidence(rollout, position, dossier or Dossier(), now, {one.name: program_checks.why_away(one) for one in rollout.evidence}),
        *(file_checks.backups(one, now) for one in wanted.backups),
        *sight_checks.alert_rules(wanted.alert_rules, rules.result() if rules else ()),
        *sight_checks.alertmanagers(alertmanagers.result()),
    ]


def ask_alertmanagers(clients: Sequence[HTTPClient], within: timedelta) -> dict[str, str]:
    """For the address of each: why it does not answer, or nothing where it does."""
    if not clients:
        return {}
    deadline = time.monotonic() + within.total_seconds()
    with ThreadPoolExecutor(len(clients), thread_name_prefix="preflight") as pool:
        return dict(zip([one.url for one in clients], pool.map(lambda one: _why_not(one, deadline), clients), strict=True))


def _why_not(client: HTTPClient, deadline: float) -> str:
    why = ""
    for path in ("/-/ready", "/api/v2/status"):  # what serves Alertmanager's API without being one may know only the second
        page = fetch(_below(client.url, path), deadline, session=client.session())
        if isinstance(page, NoPage):
            return page.why
        if 200 <= page.status < 300:
            return ""
        why = f"answered {page.status}"
        if page.status != 404:
            break
    return why


def _below(url: str, path: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + path, parts.query, ""))
