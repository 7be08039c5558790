"""What is asked for on the command line: whose history, which files, how often; and every mistake in it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.lab.backtesting.limits_of_history import untold
from rollback_daemon.lab.backtesting.order import Order, Wish, understand
from rollback_daemon.lab.backtesting.server import Server
from rollback_daemon.rules.load import load

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULES = """
rollout: checkout
owner: payments
flags: {store: dotenv, path: flags.env}
baseline: {NEW: "false"}
stages: [{stage: all, exposure: 100%, set: {NEW: "true"}, soak: 1h, requires: {checkpoints: [day-0]}}]
signals: {health: {http: ['http://127.0.0.1:8000/health']}, load: {expr: load}}
gates: [{gate: Health, signal: health, at_least: 1}]
triggers: [{alert: LoadHigh, signal: load, above: 1}, {alert: Down, signal: health, below: 1}]
verify: [{command: [/bin/true]}, {signals: gates, for: 5m}]
"""
CONFIG = """
global: {evaluation_interval: 30s}
prometheus: {url: 'http://127.0.0.1:9090', http_headers: {X-Scope-OrgID: {values: [TENANT]}}, basic_auth: {username: u, password_file: secret}}
rule_files: [rules.yml]
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yml"
    file.write_text(RULES, encoding="utf-8")
    return file


def configured(folder: Path, tenant: str = "one") -> Path:
    (folder / "secret").write_text("hidden", encoding="utf-8")
    file = folder / f"{tenant}.yml"
    file.write_text(CONFIG.replace("TENANT", tenant), encoding="utf-8")
    return file


def test_the_daemons_configuration_says_whom_to_ask_and_how_often(rules: Path, tmp_path: Path) -> None:
    order = understand(Wish([rules], "1h", "now", config_file=configured(tmp_path)), NOW)
    assert order.client.basic_auth is not None
    assert order.client.basic_auth.password_file == str(tmp_path / "secret")
    assert [(grid.step, grid.count) for grid in order.grids.values()] == [(timedelta(seconds=30), 121)]


def test_answers_of_another_tenant_or_version_are_others_and_no_secret_tells_them_apart(rules: Path, tmp_path: Path) -> None:
    def identity(tenant: str, version: str) -> str:
        order: Order = understand(Wish([rules], "1h", "now", config_file=configured(tmp_path, tenant)), NOW)
        with Server(order.client) as server:
            return server.identity(version)

    names = [identity("one", "2.42.0"), identity("two", "2.42.0"), identity("one", "3.5.3")]
    assert len(set(names)) == 3
    before = names[0]
    (tmp_path / "secret").write_text("rotated", encoding="utf-8")
    assert identity("one", "2.42.0") == before


def test_an_interval_may_be_asked_for_and_a_gap_grows_with_it(rules: Path) -> None:
    order = understand(Wish([rules], "1h", "now", "http://127.0.0.1:9090", interval="1m"), NOW)
    assert [(one.interval, one.max_gap) for one in order.rollouts] == [(timedelta(minutes=1), timedelta(minutes=3))]


def test_every_mistake_is_told_at_once(rules: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(RULES.replace("above: 1", "abov: 1"), encoding="utf-8")
    wish = Wish(
        [rules, broken], "soon", "now", "127.0.0.1:9090", interval="15", compare=tmp_path / "none.yml", tolerance="much", resume_after="later"
    )
    with pytest.raises(ConfigurationError) as told:
        understand(wish, NOW)
    said = "\n".join(map(str, told.value.problems))
    for word in ("abov", "none.yml", "--from", "--prometheus", "--interval", "--compare", "--tolerance", "--resume-after"):
        assert word in said


@pytest.mark.parametrize(
    "wrong",
    [
        "authorization: Bearer HIDDEN",
        "authorization: {credentials: HIDDEN}",
        "basic_auth: 'u:HIDDEN'",
        "basic_auth: {username: u, password: HIDDEN}",
        "http_headers: {X-Key: HIDDEN}",
        "http_headers: {X-Key: {values: HIDDEN}}",
        'http_headers: {X-Key: {values: ["HIDDEN\\n"]}}',
        "url: 'ftp://u:HIDDEN@127.0.0.1'",
        "url: 'http://u:HIDDEN@127.0.0.1:99999'",
        "url: 'http://u:HIDDEN@127.0.0.1'",
    ],
)
def test_a_secret_that_was_written_in_the_wrong_place_is_not_repeated(rules: Path, tmp_path: Path, wrong: str) -> None:
    address = "" if wrong.startswith("url") else "url: 'http://127.0.0.1:1'"
    (tmp_path / "config.yml").write_text(f"prometheus:\n  {wrong}\n  {address}\nrule_files: [rules.yml]\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as told:
        understand(Wish([rules], "1h", "now", config_file=tmp_path / "config.yml"), NOW)
    assert f"{tmp_path / 'config.yml'}:2:" in str(told.value)
    assert "HIDDEN" not in str(told.value)
    assert "HIDDEN" not in repr(told.value.problems)


@pytest.mark.parametrize(("server", "config"), [("", False), ("http://127.0.0.1:9090", True)])
def test_one_server_must_be_named(rules: Path, tmp_path: Path, server: str, config: bool) -> None:
    with pytest.raises(ConfigurationError, match="--prometheus"):
        understand(Wish([rules], "1h", "now", server, configured(tmp_path) if config else None), NOW)


def test_what_history_cannot_tell_is_said(rules: Path) -> None:
    assert untold(load(rules)) == [
        "HTTP endpoints have no history, so they are unknown all the time: trigger Down, gate Health",
        "approvals, checkpoints, evidence and rehearsals are taken as given",
        "programs, HTTP checks and log scans that verify a rollback are taken to pass",
    ]
