"""Every query of the dashboards, asked of a real Prometheus that scraped a real daemon whose rollout climbed, fired and was rolled back."""

import base64
import hashlib
import math
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from rollback_daemon.faces.metrics import PREFIX
from rollback_daemon.lab.grafana.states import PHASES
from rollback_daemon.lab.remote_write import RECEIVER
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.lab.toolset import Toolset
from tests.faces.http.bench import NOBODY_LISTENS, Bench
from tests.grafana.looking import DASHBOARDS, Query, of_marks, of_panels, of_variables

ALL = pytest.mark.parametrize("name", DASHBOARDS)
RULES = """
rollout: checkout
owner: deployment-lead
runbook_url: https://runbooks.example.com/checkout
interval: 200ms
flags: {store: dotenv, path: flags.env}
baseline: {NEW_CHECKOUT: "false", SHARE: "0"}
evidence:
  tests: {kind: junit, max_age: 1d}
  strength: {kind: number, max_age: 1d, from: {command: [/bin/echo, "7"], every: 1h, timeout: 1m}}
stages:
  - {stage: canary, exposure: 10%, set: {NEW_CHECKOUT: "true", SHARE: "10"}, soak: 0s,
     requires: {config: {OTHER: stays}, evidence: [{evidence: tests, within: 1h}]}}
  - {stage: half, exposure: 50%, set: {SHARE: "50"}, soak: 1h}
signals:
  error_rate: {expr: errors or vector(0)}
  cost: {expr: vector(5), baseline: {window: 1s}}
  pass_rate: {evidence: tests, field: pass_rate}
gates:
  - {gate: Errors, signal: error_rate, below: 0.1%}
  - {gate: PassRate, signal: pass_rate, at_least: 98%}
triggers:
  - {alert: ErrorRateHigh, signal: error_rate, above: 1%, severity: critical, errors: {at_most: 5, then: hold}}
  - {alert: CostSpike, signal: cost, above: 200%, relative_to: baseline, for: 5m}
  - {alert: Slow, signal: cost, above: 10, action: alert, escalate_after: 1h}
escalation: [on-call, deployment-lead]
verify: [{signals: gates, for: 200ms}]
hooks: [{hook: Ticket, on: [rolled_back], command: [/bin/true]}]
follow_up: {after: [1d]}
"""
RUN_OF_TESTS = b'<testsuite tests="1"><testcase classname="shop" name="opens" time="0.1"/></testsuite>'
RIGHTLY_EMPTY = {"Degraded or restored", "A transition failed"}
"""Marks of what did not happen; without their `> 0` they have data like everything else."""
NAME = re.compile(r"\b((?:rollback_daemon|process|python)_\w+|up)(?=\{)")


class Watched:
    """The Prometheus that scraped the daemon, and the time that there is something to see of."""

    def __init__(self, server: PrometheusServer) -> None:
        self.server, self.began = server, time.time()

    def exported(self) -> set[str]:
        """Every metric that the daemon ever had, a histogram by its count."""
        names = {
            one["__name__"]
            for one, _ in self.server.query('last_over_time({job="rollbackd",__name__=~"rollback_daemon_.+|process_.+|python_.+"}[15m])')
        }
        return {one for one in names if not one.endswith(("_bucket", "_sum"))}

    def ask(self, query: Query, expr: str) -> list[dict[str, Any]]:
        """Series that have a number, as Grafana gets them: of now, or of all the time."""
        path, when = ("query", {}) if query.instant else ("query_range", {"start": self.began, "end": time.time(), "step": 0.2})
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(f"{self.server.url}/api/v1/{path}", data={"query": expr, **when}, timeout=20)
        assert answer.ok, f"{query.place}: {expr}: {answer.text}"
        found = answer.json()["data"]["result"]
        return [one for one in found if any(not math.isnan(float(value)) for _, value in one.get("values", [one.get("value")]))]


@pytest.fixture(scope="module")
def watched(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("dashboards")
    config = {"alerting": {"alertmanagers": [{"url": NOBODY_LISTENS}]}}
    with (
        PrometheusServer(toolset.prometheus, folder / "told", {}, flags=[RECEIVER]) as told,
        Bench(folder / "daemon", told.url, rules=RULES, config=config) as daemon,
        PrometheusServer(toolset.prometheus, folder / "scraping", {"rollbackd": daemon.daemon.address}, scrape_interval="200ms") as scraping,
    ):
        found = Watched(scraping)
        scraping.wait_for('rollback_daemon_rollout_phase{phase="baseline"} == 1', 20)
        hand_in(daemon)
        daemon.to_canary()
        scraping.wait_for('rollback_daemon_config_as_required == 1 and on () rollback_daemon_rollout_phase{phase="ready"} == 1', 20)
        daemon.set_error_rate(0.02)
        scraping.wait_for('rollback_daemon_trigger_phase{alert="ErrorRateHigh",phase="firing"} == 1', 20)
        scraping.wait_for('rollback_daemon_rollout_phase{phase="rolled_back"} == 1', 20)
        daemon.set_error_rate(0)
        scraping.wait_for(
            'rollback_daemon_verifications_total{outcome="verified"} > 0 and on () rollback_daemon_hook_deliveries_total{outcome="delivered"} > 0', 20
        )
        yield found


def hand_in(daemon: Bench) -> None:
    """The evidence that the first stage asks for."""
    file = {"file": "run.xml", "sha256": hashlib.sha256(RUN_OF_TESTS).hexdigest(), "bytes": len(RUN_OF_TESTS)}
    taken = daemon.ask_for("evidence/tests", reason="the run of today", content=base64.b64encode(RUN_OF_TESTS).decode(), **file)
    assert taken.ok, taken.text


@ALL
def test_every_query_of_every_panel_returns_data(watched: Watched, name: str) -> None:
    empty = []
    for query in of_panels(name):
        for alert in ("ErrorRateHigh", "CostSpike", "Slow") if "$alert" in query.expr else ("",):
            expr = query.filled("rollbackd", rollout="checkout", alert=alert)
            if not watched.ask(query, expr):
                empty.append(f"{query.place} {alert}: {expr}")
    assert empty == []


@ALL
def test_every_mark_returns_data_unless_what_it_marks_did_not_happen(watched: Watched, name: str) -> None:
    for query in of_marks(name):
        expr = query.filled("rollbackd", rollout="checkout")
        assert bool(watched.ask(query, expr)) is (query.place not in RIGHTLY_EMPTY), expr
        assert watched.ask(query, expr.removesuffix(" > 0")), expr


@ALL
def test_every_variable_has_a_value(watched: Watched, name: str) -> None:
    for query in of_variables(name):
        found = watched.ask(query, query.filled("rollbackd", rollout="checkout"))
        assert any(one["metric"].get(query.label) for one in found), query


@ALL
def test_where_no_daemon_was_seen_no_panel_shows_a_figure(watched: Watched, name: str) -> None:
    """A 0 made up for nothing would look like well."""
    shown = [query.place for query in of_panels(name) if watched.ask(query, query.filled("elsewhere", rollout="checkout", alert="Slow"))]
    assert shown == []


def test_every_metric_is_on_a_panel_and_no_panel_names_another(watched: Watched) -> None:
    named = {found for name in DASHBOARDS for query in of_panels(name) for found in NAME.findall(query.expr)}
    counts = {re.sub(r"_bucket$", "_count", one) for one in named} - {"up"}
    exported = watched.exported()
    assert (sorted(exported - counts), sorted(counts - exported)) == ([], [])
    assert {f"{PREFIX}rollout_info", f"{PREFIX}flags_readable", f"{PREFIX}config_as_required"} <= exported


def test_the_phases_of_the_rollout_are_told_in_their_words_and_in_their_order(watched: Watched) -> None:
    words = {state.number: state.word for state in PHASES}
    for name in ("rollbackd-overview", "rollbackd-rollout"):
        query = next(one for one in of_panels(name) if one.place in {"Phases: A", "Phase: A"} and not one.instant)
        [band] = watched.ask(query, query.filled("rollbackd", rollout="checkout"))
        seen = list(dict.fromkeys(words[int(float(value))] for _, value in band["values"]))
        met = [word for word in seen if word in {"at the baseline", "ready to promote", "rolled back"}]
        assert met == ["at the baseline", "ready to promote", "rolled back"], seen
