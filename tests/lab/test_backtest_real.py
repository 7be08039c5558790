"""A backtest against a real Prometheus: the same as having stood there, whatever is missing; and what is told where it cannot be."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rollback_daemon.clock import aligned
from rollback_daemon.faces.cli import app
from rollback_daemon.http_client import HTTPClient
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.lab.backtesting.backtest import backtest
from rollback_daemon.lab.backtesting.order import Wish, understand
from rollback_daemon.lab.backtesting.run import Interrupted, Progress, Settings
from rollback_daemon.lab.backtesting.server import Server
from rollback_daemon.lab.faults import Answer, Proxy, Request
from rollback_daemon.lab.history import Fetcher, Grid, Patience, Walk
from rollback_daemon.lab.remote_write import RECEIVER, STALE, Sample, Series, write
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.replay import Replay
from rollback_daemon.rules.load import load
from rollback_daemon.signals.prometheus import Prometheus

EVERY = timedelta(seconds=15)
COUNT = 240  # an hour
BEGIN = aligned(datetime.now(UTC) - timedelta(days=2), timedelta(hours=1))
END = BEGIN + (COUNT - 1) * EVERY
OVER = ("--from", BEGIN.isoformat(), "--to", END.isoformat())
SCRIPT = "<script>alert(1)</script>"
HEAD = """
rollout: checkout
owner: payments
flags: {store: dotenv, path: flags.env}
baseline: {NEW: "false"}
stages:
  - {stage: canary, exposure: 10%, set: {NEW: "some"}, soak: 5m}
  - {stage: full, exposure: 100%, set: {NEW: "true"}, soak: 5m}
"""
RULES = (
    HEAD
    + """
signals:
  load: {expr: sum by (s) (m)}
  fresh: {expr: 'm{s="a"}', max_age: 1m}
  busy: {expr: sum(m), needs: {expr: 'sum(changes(n[2m]))', at_least: 3}}
  growing: {expr: avg(n), baseline: {window: 10m, at_least: 1m}}
  paired: {expr: m * on () n}
gates: [{gate: Load, signal: busy, below: 20}]
triggers:
  - {alert: LoadHigh, signal: load, above: 10, for: 1m}
  - {alert: Stuck, signal: fresh, above: 15, action: hold}
  - {alert: Busy, signal: busy, above: 18, for: 30s, keep_firing_for: 1m, action: alert}
  - {alert: Growing, signal: growing, above: 150%, relative_to: baseline, action: alert}
  - {alert: Paired, signal: paired, above: 100, action: alert}
  - {alert: Often, violations: {signal: load, above: 9, at_least: 3, out_of: 5}, action: alert}
  - {alert: Whole, expr: 'm > 9 and m < 12', for: 30s, keep_firing_for: 45s}
  - {alert: Gone, expr: 'absent(m{s="b"})', for: 1m, action: alert}
"""
)
SIMPLE = HEAD + "triggers: [{alert: LoadHigh, expr: 'm{s=\"a\"} > 10', for: 1m, action: {rollback: baseline}}]\n"


def history() -> list[Series]:
    """An hour: spikes, a NaN, gaps shorter and longer than a sample counts, a stale marker, a series that comes and goes."""

    def at(number: int) -> float:
        return (BEGIN + number * EVERY).timestamp()

    def a(number: int) -> list[float | str]:
        if 60 <= number < 63:
            return [float("nan")]
        if 100 <= number < 105 or 130 <= number < 165:
            return []
        return [12.0] if 20 <= number < 30 or 180 <= number < 200 else [16.0] if number == 90 else [5.0 + number % 3]

    first: list[Sample] = [(at(number), value) for number in range(COUNT) for value in a(number)]
    second: list[Sample] = [(at(number), 11.0 if 40 <= number < 50 else 4.0) for number in range(30, 120)]
    second += [(at(120), STALE), *((at(number), 4.0) for number in range(200, COUNT))]
    third: list[Sample] = [(at(number), float(max(40, min(150, number)))) for number in range(-60, COUNT)]
    return [
        Series({"__name__": "m", "s": "a"}, first),
        Series({"__name__": "m", "s": "b"}, second),
        Series({"__name__": "n", "s": SCRIPT}, third),
        *(Series({"__name__": "k", "s": name}, third) for name in "xy"),
    ]


@pytest.fixture(scope="module")
def recorded(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with PrometheusServer(toolset.prometheus, tmp_path_factory.mktemp("recorded"), {}, flags=[RECEIVER]) as server:
        write(server.url, [Series({"__name__": "anchor"}, [((BEGIN - timedelta(hours=1)).timestamp(), 1.0)])])
        write(server.url, history())
        yield server


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yml"
    file.write_text(SIMPLE, encoding="utf-8")
    return file


def verb(server: str, *words: str | Path) -> Result:
    return CliRunner().invoke(app, ["backtest", "--prometheus", server, *map(str, words)], env={"COLUMNS": None})


def seen(state: State) -> Any:
    """All that the judge knows, save for the words of a failed query, in which the server names series in no order."""
    triggers = {
        name: (one.active, one.health, one.unknown_since, one.breaches, one.no_data, one.errors, one.memory) for name, one in state.triggers.items()
    }
    return triggers, state.position, state.dossier, state.soaked, state.tenure, state.prospects


def told(happened: tuple[Happened, ...]) -> list[Any]:
    return [(one.event, one.body.get("kind"), one.body.get("from"), one.body.get("to"), one.body.get("labels")) for one in happened]


@pytest.mark.oldest_and_newest
def test_it_is_as_if_one_had_asked_at_every_evaluation(recorded: PrometheusServer, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES, encoding="utf-8")
    ruled = load(tmp_path / "rules.yml")
    looking_back, standing_there = (Replay(ruled, dict(ruled.stages[-1].flags)) for _ in range(2))
    events, unknown = set[str](), set[str]()
    with closing(Prometheus(recorded.url, HTTPClient(url=recorded.url).session(), timedelta(seconds=60))) as prometheus:
        for now, observations in Walk([ruled], Fetcher(prometheus), piece=50).through(Grid(BEGIN, EVERY, COUNT)):
            asked = prometheus.ask(observations, now)
            happened = looking_back.cycle(observations, now)
            assert told(happened) == told(standing_there.cycle(asked, now)), now
            assert seen(looking_back.state) == seen(standing_there.state), now
            events |= {f"{one.event} {one.body.get('alert', one.body.get('kind', ''))}" for one in happened}
            unknown |= {f"{name} {one.health}" for name, one in looking_back.state.triggers.items()}
    assert {f"trigger {one.name}" for one in ruled.triggers} | {"intended rollback"} <= events
    assert {"LoadHigh no_data", "Stuck no_data", "Busy no_data", "Paired error"} <= unknown


def test_a_table_tells_what_would_have_happened_and_a_page_shows_it(recorded: PrometheusServer, rules: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = verb(recorded.url, rules, *OVER, "--no-cache", "--html", page)
    assert ran.exit_code == 0, ran.output
    assert "checkout (" in ran.stdout
    assert f"{BEGIN + 24 * EVERY:%Y-%m-%d %H:%M:%S}  rollback full > baseline" in ran.stdout
    assert re.search(r"LoadHigh +2 .* LoadHigh > 10 for 1m", ran.stdout)
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg ") == 2
    assert not re.search(r"<script|<link|https?://(?!127|www\.w3\.org)|@import|url\((?!#)", text)


def test_whatever_stands_in_a_label_is_text_on_the_page(recorded: PrometheusServer, rules: Path, tmp_path: Path) -> None:
    triggers = "triggers: [{alert: Big, expr: n > 100, action: alert}, {alert: Any, expr: 'n or m > 100', action: alert}]"
    rules.write_text(HEAD + triggers, encoding="utf-8")
    page = tmp_path / "page.html"
    assert verb(recorded.url, rules, *OVER, "--no-cache", "--html", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


class Door(Proxy):
    """Lets in whoever sends these words in `Authorization`, and remembers the tenants; refuses everybody once `shut`."""

    def __init__(self, upstream: str, words: str) -> None:
        self.words, self.shut, self.keys = words, False, set[str | None]()
        super().__init__(upstream)

    def answer(self, request: Request, /) -> Answer:
        self.keys.add(request.headers.get("X-Key"))
        if self.shut or request.headers.get("Authorization") != self.words:
            return Answer(b"who are you?", "text/plain", 401)
        return super().answer(request)


HIDDEN = "unmistakable-4711"
BASIC = base64.b64encode(f"u:{HIDDEN}".encode()).decode()


@pytest.mark.parametrize(
    ("credentials", "words"),
    [("basic_auth: {username: u, password_file: secret}", f"Basic {BASIC}"), ("authorization: {credentials_file: secret}", f"Bearer {HIDDEN}")],
)
def test_no_secret_of_the_configuration_is_in_anything_that_is_left(
    recorded: PrometheusServer, rules: Path, tmp_path: Path, credentials: str, words: str
) -> None:
    config, secret, cache, page = (tmp_path / name for name in ("config.yml", "secret", "cache", "page.html"))
    secret.write_text(HIDDEN, encoding="utf-8")

    def ran(url: str, *more: str | Path) -> Result:
        headers = f"http_headers: {{X-Key: {{files: [secret]}}, X-Tenant: {{values: [{HIDDEN}]}}}}"
        config.write_text(f"prometheus:\n  url: {url}\n  {credentials}\n  {headers}\nrule_files: [rules.yml]\n", encoding="utf-8")
        wanted = [rules, *OVER, "--config.file", config, "--cache", cache, *more]
        return CliRunner().invoke(app, ["backtest", *map(str, wanted)], env={"COLUMNS": None})

    with Door(recorded.url, words) as door:
        told = [ran(door.url, "--format", "json"), ran(door.url, "--html", page)]
        door.shut = True
        told.append(ran(door.url))
    told.append(ran("http://127.0.0.1:1"))
    secret.write_text(f"{HIDDEN}\n{HIDDEN}", encoding="utf-8")
    told.append(ran(recorded.url))
    assert [one.exit_code for one in told] == [0, 0, 2, 3, 2], [one.output for one in told]
    assert door.keys == {HIDDEN}
    kept = list(cache.iterdir())
    left = [*(one.output for one in told), page.read_text(), *(gzip.decompress(file.read_bytes()).decode() + file.name for file in kept)]
    assert kept
    assert not [one for one in left if HIDDEN in one or BASIC in one]


def test_a_document_has_it_all_and_exit_codes_are_as_asked_for(recorded: PrometheusServer, rules: Path, tmp_path: Path) -> None:
    other, labels = tmp_path / "other.yml", tmp_path / "incidents.csv"
    other.write_text(SIMPLE.replace("for: 1m", "for: 2m"), encoding="utf-8")
    labels.write_text(f"start,end\n{(BEGIN + 20 * EVERY).isoformat()},{(BEGIN + 30 * EVERY).isoformat()}\n", encoding="utf-8")
    more = ("--compare", other, "--labels", labels, "--fail-on", "rollback", "--format", "json", "--cache", tmp_path / "cache")
    ran = verb(recorded.url, rules, *OVER, *more)
    assert ran.exit_code == 1, ran.output
    document = json.loads(ran.stdout)
    (one,) = document["rollouts"]
    assert (one["evaluations"], one["rollbacks"], document["format"]) == (COUNT, 1, 1)
    assert document["prometheus"]["version"].startswith(("2.", "3."))
    assert [moved["seconds_later"] for moved in document["compared"]["triggers"][0]["moved"]] == [60, 60]
    assert [caught["after"] for caught in document["scored"][0]["rollbacks"]["caught"]] == [60]
    again = json.loads(verb(recorded.url, rules, *OVER, *more).stdout)
    for told_again in (document, again):
        for part in (told_again["rollouts"][0], told_again["other"]):
            part.pop("judge_seconds")
        told_again.pop("made_at")
    assert again == document


def test_a_query_that_the_server_does_not_take_is_a_mistake(recorded: PrometheusServer, rules: Path) -> None:
    rules.write_text(SIMPLE.replace('m{s="a"}', "rate(m[5])"), encoding="utf-8")
    ran = verb(recorded.url, rules, *OVER, "--no-cache")
    assert ran.exit_code == 2, ran.output
    assert "rate(m[5])" in ran.stderr


def test_a_query_that_fails_every_time_could_not_be_told(recorded: PrometheusServer, rules: Path) -> None:
    rules.write_text(HEAD + "triggers: [{alert: Load, expr: 'm > 10'}, {alert: Twice, expr: 'sum(k) * on () k > 1'}]", encoding="utf-8")
    ran = verb(recorded.url, rules, *OVER, "--no-cache")
    assert ran.exit_code == 3, ran.output
    assert "could not tell: sum(k) * on () k failed every time: HTTP 422: execution: found duplicate series" in ran.stdout


def test_a_time_of_which_nothing_is_known_is_said_for_each_query(recorded: PrometheusServer, rules: Path) -> None:
    ran = verb(recorded.url, rules, "--from", "2001-01-01", "--to", "2001-01-02", "--no-cache")
    assert ran.exit_code == 3
    assert 'm{s="a"}: returned nothing' in ran.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--from", "1h", "--to", "2h"), 2, "must be before"),
        (("--from", "tomorrow"), 2, "is no time"),
        (("--from", "1h", "--stage", "ful"), 2, 'did you mean "full"?'),
        (("--from", "1h", "--stage", "full", "--climb"), 2, "exclude each other"),
        (("--from", "1h", "--resume-after", "soon"), 2, "or never"),
        (("--from", "1h", "--fail-on", "missed"), 2, "need --labels"),
        (("--from", "1h", "--html", "/nowhere/page.html"), 2, "its folder must exist"),
        (("--from", "1h", "--labels", "/nowhere.csv"), 2, "cannot be read"),
        (("--from", "1h"), 3, "no answer from http://127.0.0.1:1"),
    ],
)
def test_mistakes_are_told_and_what_is_away_could_not_be_asked(rules: Path, words: tuple[str, ...], code: int, said: str) -> None:
    ran = verb("http://127.0.0.1:1", rules, *words)
    assert (ran.exit_code, said in ran.stderr) == (code, True), ran.output


class Dying(Proxy):
    """Kills the server behind it after so many range queries."""

    def __init__(self, server: PrometheusServer, after: int) -> None:
        self.server, self.left, self.answered = server, after, list[str]()
        super().__init__(server.url)

    def answer(self, request: Request, /) -> Answer:
        if "/query_range" in request.path:
            self.left -= 1
            if self.left < 0 and self.server.running:
                self.server.kill()
        answer = super().answer(request)
        if "/query_range" in request.path and answer.status == 200:
            self.answered.append(request.path + request.body.decode())
        return answer


def test_what_a_server_that_was_killed_had_answered_is_not_asked_again(toolset: Toolset, rules: Path, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    settings = Settings(piece=20, parallel=2)
    order = understand(Wish([rules], BEGIN.isoformat(), END.isoformat(), "http://127.0.0.1:1", settings=settings), now)
    with PrometheusServer(toolset.prometheus, tmp_path / "prometheus", {}, flags=[RECEIVER]) as prometheus:
        write(prometheus.url, history())
        with Dying(prometheus, after=5) as proxy:
            client, patience = HTTPClient(url=proxy.url), Patience(2, 0.0, 0.0)
            with Server(client, patience) as server, pytest.raises(Interrupted, match="502") as ended:
                backtest(order, server, tmp_path / "cache", Progress(), now)
            before = list(proxy.answered)
            proxy.left = 1000
            prometheus.start()
            with Server(client, patience) as server:
                document, _ = backtest(order, server, tmp_path / "cache", Progress(), now)
    assert ended.value.at is not None
    assert len(before) == 5
    assert document["rollouts"][0]["rollbacks"] == 1
    assert len(proxy.answered) == len(set(proxy.answered)) == 12
