"""The Prometheus rules about the guard: promtool takes them, each is tested on both sides, and a real daemon has every series that they name."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollback_daemon.faces.alerts import JOURNAL_ALTERED, JOURNAL_UNWRITABLE, ROLLOUT_ALERTS
from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer, wait_until
from rollback_daemon.lab.toolset import Toolset
from tests.faces.http.bench import NOBODY_LISTENS, RULES, Bench

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"
FILE = SHIPPED / "rollbackd.rules.yml"
TESTS = ("rollbackd.rules_test.yml", "rollbackd.copies_test.yml")
GROUPS = {group["name"]: group["rules"] for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]}
ALERTS: list[dict[str, Any]] = [rule for rules in GROUPS.values() for rule in rules if "alert" in rule]
SELECTOR = re.compile(r"(?<![\w:])(rollback_daemon_\w+|up|process_start_time_seconds)(?![\w:])(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)[=!]~?"([^"]*)"')
HOOKED = """
verify: [{signals: gates, for: 1s}]
hooks: [{hook: Ticket, on: [held], command: [/bin/true]}]
"""


def promtool(toolset: Toolset, *arguments: str) -> str:
    """What it prints, run where the rules are."""
    assert toolset.promtool is not None
    done = subprocess.run([toolset.promtool, *arguments], cwd=SHIPPED, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.every_prometheus
def test_promtool_takes_rules_and_configuration_and_every_unit_test_passes(toolset: Toolset) -> None:
    assert f"{sum(map(len, GROUPS.values()))} rules found" in promtool(toolset, "check", "rules", FILE.name)
    assert "1 rule files found" in promtool(toolset, "check", "config", "prometheus.yml")
    promtool(toolset, "test", "rules", *TESTS)


def test_every_alert_is_tested_firing_and_silent() -> None:
    """The dead man's switch is never silent."""
    firing: set[str] = set()
    silent = {"RollbackdWatchdog"}
    for test in (test for name in TESTS for test in yaml.safe_load((SHIPPED / name).read_text(encoding="utf-8"))["tests"]):
        for one in test.get("alert_rule_test", ()):
            (firing if one["exp_alerts"] else silent).add(one["alertname"])
        for one in test.get("promql_expr_test", ()):
            found = set(re.findall(r'alertname="(\w+)"', "".join(sample["labels"] for sample in one["exp_samples"])))
            asked = {rule["alert"] for rule in ALERTS if _asks(one["expr"], rule)}
            firing |= found
            silent |= asked - found
    names = {rule["alert"] for rule in ALERTS}
    assert (names - firing, names - silent) == (set(), set())


def _asks(expr: str, rule: dict[str, Any]) -> bool:
    """Whether a test's query is about the alert."""
    known = {"alertname": rule["alert"], **rule["labels"]}
    wanted = re.findall(r'(alertname|told_by)=~?"([^"]*)"', expr)
    return bool(wanted) and all(re.fullmatch(value, known.get(label, "")) for label, value in wanted)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_is_so_how_bad_it_is_and_where_its_runbook_is(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "none"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    headings = re.findall(r"^## (.+)$", (SHIPPED / "RUNBOOK.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rule["annotations"]["runbook_url"].partition("#")[2] in {heading.lower().replace(" ", "-") for heading in headings}


def test_what_prometheus_tells_in_the_daemons_place_has_the_daemons_names_and_severities() -> None:
    own = {name: alert.severity for name, alert in ROLLOUT_ALERTS.items()} | dict.fromkeys((JOURNAL_ALTERED, JOURNAL_UNWRITABLE), "critical")
    copies = [rule for rule in GROUPS["rollbackd.copies"] if "alert" in rule]
    assert {rule["labels"]["told_by"] for rule in copies} == {"prometheus"}
    assert {rule["alert"]: rule["labels"]["severity"] for rule in copies}.items() <= own.items()
    assert not {rule["alert"] for rule in GROUPS["rollbackd"]} & set(own)


def named() -> Iterator[str]:
    """Every metric that the rules ask for, and every label value that they ask it for or leave out, as a query."""
    for rule in (rule for rules in GROUPS.values() for rule in rules):
        for name, matchers in SELECTOR.findall(rule["expr"]):
            yield name
            yield from (f'{name}{{{label}="{value}"}}' for label, values in MATCHER.findall(matchers) for value in values.split("|"))


def test_a_real_daemon_has_every_series_that_is_named_says_that_its_flags_are_gone_and_is_missed_when_it_is_killed(
    toolset: Toolset, alertmanager: AlertmanagerServer, tmp_path: Path
) -> None:
    rules = re.sub(r"for: (\d+)m", r"for: \1s", FILE.read_text(encoding="utf-8"))
    config = {"alerting": {"alertmanagers": [{"url": alertmanager.url}]}}
    daemon = Bench(tmp_path / "daemon", NOBODY_LISTENS, rules=RULES + HOOKED, config=config)
    with daemon:
        scrape = {"rollbackd": daemon.daemon.address}
        prometheus = PrometheusServer(
            toolset.prometheus,
            tmp_path / "prometheus",
            scrape,
            scrape_interval="200ms",
            rules=rules,
            alertmanager=alertmanager.address,
            flags=["--rules.alert.resend-delay=1s"],  # what is told before it has found its Alertmanager is told again only after that
        )
        with prometheus:
            prometheus.wait_for('up{job="rollbackd"} == 1', 20)
            prometheus.wait_for("rollback_daemon_flags_readable", 20)  # after the first look
            assert [query for query in dict.fromkeys(named()) if not prometheus.query(query)] == []
            wait_until(lambda: "RollbackdWatchdog" in _names(alertmanager), "the dead man's switch", 10)
            assert "RollbackdDown" not in _names(alertmanager)
            prometheus.wait_for('rollback_daemon_flags_readable == 1 and on (rollout) rollback_daemon_rollout_info{owner="deployment-lead"}')
            daemon.flags.unlink()
            prometheus.wait_for("rollback_daemon_flags_readable == 0")
            daemon.daemon.kill()
            wait_until(lambda: "RollbackdDown" in _names(alertmanager), "the guard to be missed", 20)


def _names(alertmanager: AlertmanagerServer) -> set[str]:
    return {one["labels"]["alertname"] for one in alertmanager.alerts()}
