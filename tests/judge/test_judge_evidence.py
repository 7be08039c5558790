"""Figures of evidence: what they mean for triggers, gates and requirements, for how long, and in whatever order files are handed in."""

import contextlib
import itertools
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.errors import ConfigurationError, OperationRefused
from rollback_daemon.judge import consent, figures
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.lab.backtesting.limits_of_history import untold
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Value
from rollback_daemon.simulation.settings import BadSettingError, understand
from tests.evidence.samples import JUNIT
from tests.judge.world import START, World, flags_of, intents

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
RULES = """
rollout: checkout
owner: ann
interval: 15s
flags: {store: dotenv, path: .env}
baseline: {NEW: "no"}
evidence:
  tests: {kind: junit, max_age: 1d}
stages:
  - {stage: canary, exposure: 10%, set: {NEW: "yes"}}
  - {stage: full, exposure: 100%, set: {NEW: "all"}, requires: {evidence: [{evidence: tests, within: 2h}]}}
signals:
  pass_rate: {evidence: tests, field: pass_rate}
gates:
  - {gate: PassRate, signal: pass_rate, at_least: 98%}
triggers:
  - {alert: PassRateLow, signal: pass_rate, below: 95%}
  - {alert: Untested, violations: {signal: pass_rate, below: 97%, more_than: 1}, action: hold}
  - {alert: Unsound, violations: {of: gates, more_than: 3}, action: alert}
"""
BY = Person("ann", frozenset())


def rules(folder: Path, text: str = RULES) -> Rollout:
    (folder / "checkout.yml").write_text(text, encoding="utf-8")
    return load(folder / "checkout.yml")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Rollout:
    return rules(tmp_path_factory.mktemp("rules"))


def at_canary(rollout: Rollout) -> World:
    world = World(rollout, flags_of(rollout, "canary"))
    world.evaluate({}, START)
    return world


def reading(rollout: Rollout, made_at: datetime | None = None, **found: float) -> figures.Reading:
    declared = rollout.declared("tests")
    assert declared is not None
    return figures.Reading(declared.read_as, found, made_at)


def hand_in(world: World, now: datetime, pass_rate: float, made_at: datetime | None = None) -> None:
    said, file = reading(world.rollout, made_at, pass_rate=pass_rate), consent.File("junit.xml", f"{pass_rate}", 9)
    world.accept(consent.evidence(world.ladder, world.state, BY, "tests", "CI", file, said, now), now)


def checks(world: World) -> dict[str, str]:
    assert world.judgement is not None
    return {one.name: f"{'NO ' if one.code else ''}{one.evidence}" for one in world.judgement.checks}


def test_a_figure_beyond_its_limit_takes_the_rollout_back_at_the_next_evaluation(checkout: Rollout) -> None:
    world = at_canary(checkout)
    hand_in(world, START + SECOND, 0.94)
    assert intents(world) == []
    world.evaluate({}, START + 15 * SECOND)
    assert intents(world) == ["rollback canary>baseline"]


def test_a_good_figure_lets_it_be_promoted_and_violations_count_a_poor_one(checkout: Rollout) -> None:
    world = at_canary(checkout)
    assert checks(world)["PassRate"].startswith("NO ")
    hand_in(world, START + SECOND, 0.99)
    world.evaluate({}, START + 15 * SECOND)
    assert not [text for text in checks(world).values() if text.startswith("NO ")]
    hand_in(world, START + 16 * SECOND, 0.96)
    for cycle in (2, 3):
        world.evaluate({}, START + cycle * 15 * SECOND)
    assert world.position.phase is Phase.HELD
    assert "pass_rate 0.96" in checks(world)["PassRate"]


@given(ages=st.lists(st.integers(0, 80_000), min_size=1, max_size=4, unique=True))
def test_the_order_in_which_files_are_handed_in_changes_nothing(checkout: Rollout, ages: list[int]) -> None:
    files = [(START - age * SECOND, (age % 101) / 100) for age in ages]
    ended = set()
    for permuted in itertools.islice(itertools.permutations(files), 6):
        world = at_canary(checkout)
        for made, pass_rate in (*permuted, *permuted):
            with contextlib.suppress(OperationRefused):  # an older one than that on record
                hand_in(world, START + SECOND, pass_rate, made)
        ended.add((world.state.dossier.evidence["tests"].made, world.state.dossier.evidence["tests"].figures["pass_rate"]))
    assert ended == {max(files)}


@given(made=st.one_of(st.none(), st.integers(-86_000, 300)), waited=st.integers(0, 200_000), pass_rate=st.floats(0, 1))
def test_a_figure_tells_nothing_once_it_is_too_old_and_a_restart_changes_nothing(
    checkout: Rollout, made: int | None, waited: int, pass_rate: float
) -> None:
    world = at_canary(checkout)
    handed = START + SECOND
    hand_in(world, handed, pass_rate, None if made is None else handed + made * SECOND)
    now, since = handed + waited * SECOND, handed + (made or 0) * SECOND
    before = figures.as_observations(checkout, world.state.dossier, world.state.position, now)
    world.forget()
    after = figures.as_observations(checkout, world.state.dossier, world.state.position, now)
    assert before == after
    (seen,) = after.values()
    assert getattr(seen, "series", None) == ({(): pass_rate} if now - since <= DAY else None)


def test_it_says_why_there_is_no_data(checkout: Rollout, tmp_path: Path) -> None:
    world = at_canary(checkout)
    assert 'evidence "tests" is not on record' in checks(world)["PassRate"]
    hand_in(world, START + SECOND, 0.99)
    world.evaluate({}, START + 2 * DAY)
    assert 'evidence "tests" is 1d23h59m59s old, must be no older than 1d' in checks(world)["PassRate"]
    assert intents(world) == []
    for now, why in ((START - HOUR, "has not come yet: a clock is wrong"), (START + HOUR, "was read by other rules")):
        others = rules(tmp_path, RULES.replace("max_age: 1d}", 'max_age: 1d, exclude: [{name: "x*", reason: y}]}')) if now > START else checkout
        (seen,) = figures.as_observations(others, world.state.dossier, world.state.position, now).values()
        assert why in getattr(seen, "why", "")


def test_required_evidence_counts_only_as_long_as_it_is_young_enough(checkout: Rollout) -> None:
    world = at_canary(checkout)
    hand_in(world, START + SECOND, 0.99, START - HOUR)
    with pytest.raises(OperationRefused, match="and the newest counts"):
        hand_in(world, START + 2 * SECOND, 1.0, START - 2 * HOUR)
    world.evaluate({}, START + 15 * SECOND)
    assert checks(world)["evidence tests"].startswith('evidence "tests" by ann, 1h15s old, sha256 ')
    world.evaluate({}, START + HOUR + MINUTE)
    assert checks(world)["evidence tests"] == 'NO evidence "tests" is 2h1m old, must be no older than 2h'
    world.evaluate({}, START + DAY)
    assert checks(world)["evidence tests"] == 'NO evidence "tests" is 1d1h old, must be no older than 1d'


def test_what_is_declared_is_never_taken_on_its_digest_alone_or_too_old_or_by_other_rules(checkout: Rollout) -> None:
    world = at_canary(checkout)
    file = consent.File("junit.xml", "0" * 64, 9)
    for said, why in (
        (None, "hand in the file itself"),
        (reading(checkout, START - 2 * DAY, pass_rate=1.0), 'evidence "tests": junit.xml was made 2d ago, and must be no older than 1d'),
        (figures.Reading("junit 0", {"pass_rate": 1.0}), "have just changed"),
    ):
        with pytest.raises(OperationRefused, match=why):
            consent.evidence(world.ladder, world.state, BY, "tests", "CI", file, said, START)
    with pytest.raises(OperationRefused, match=r'^there is no evidence "test" in the rules of checkout; did you mean "tests"\?$'):
        consent.evidence(world.ladder, world.state, BY, "test", "CI", file)
    assert not world.state.dossier.evidence


def test_a_file_is_read_by_its_kind_and_what_is_kept_for_people_is_bounded(checkout: Rollout) -> None:
    declared = checkout.declared("tests")
    assert declared is not None
    ill = "".join(f'<testcase classname="t" name="{"long" * 200}{n}"><failure/></testcase>' for n in range(500))
    said = figures.read(declared, f"<testsuite name='x'>{ill}</testsuite>".encode(), "junit.xml", START)
    assert said.figures["failures"] == 500
    assert len(json.dumps(said.told)) < 20_000
    assert figures.read(declared, JUNIT.encode(), "junit.xml", START + 1000 * DAY).figures["pass_rate"] == 0.5
    with pytest.raises(ConfigurationError, match=r"junit\.xml.* is no XML"):
        figures.read(declared, b"<testsuite", "junit.xml", START)


def test_a_simulation_sets_a_figure_like_any_signal(checkout: Rollout) -> None:
    (setting,) = understand(["pass_rate=94%"], checkout)
    assert (setting.queries, setting.value) == (("figure pass_rate of evidence tests",), 0.94)
    with pytest.raises(BadSettingError, match="has no series"):
        understand(['pass_rate{a="b"}=94%'], checkout)
    world = at_canary(checkout)
    hand_in(world, START + SECOND, 0.99)
    world.evaluate(dict.fromkeys(setting.queries, Value({(): 0.94})), START + 15 * SECOND)
    assert intents(world) == ["rollback canary>baseline"]


def test_a_backtest_says_that_it_knows_no_evidence(checkout: Rollout) -> None:
    blind = "trigger PassRateLow, trigger Unsound, trigger Untested, gate PassRate"
    assert untold(checkout)[0] == f"figures of evidence have no history in Prometheus, so they are unknown all the time: {blind}"
