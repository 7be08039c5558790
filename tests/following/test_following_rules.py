"""A followed figure is one of the questions of a cycle: asked once, told apart from queries, and without a history."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.following.log import MISSING
from rollback_daemon.governance.program_checks import missing
from rollback_daemon.judge import figures
from rollback_daemon.judge.dossier import Dossier
from rollback_daemon.lab.backtesting.limits_of_history import untold
from rollback_daemon.lab.history import Grid, Walk
from rollback_daemon.lab.history.walk import NOT_FOLLOWED
from rollback_daemon.lab.testing.followed import found
from rollback_daemon.lab.testing.load import load as load_tests
from rollback_daemon.rules.expansion import expanded
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Failed, NoData, Value
from rollback_daemon.signals.questions import FollowedFigure, distinct, in_words, is_followed, is_query

GOOD = Path(__file__).parents[1] / "rules" / "good" / "evidence-followed.yml"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def rollout() -> Rollout:
    return load(GOOD)


def test_a_question_says_all_of_it_and_is_asked_once(rollout: Rollout) -> None:
    errors, slowest = distinct([rollout.questions(), load(GOOD).questions()])
    assert FollowedFigure.of(errors) == FollowedFigure(
        "/var/log/shop/calls.jsonl",
        "value",
        600,
        {"field": "/code", "aggregate": "count", "window": "5m", "time": "/timestamp", "where": {"/level": "error"}},
    )
    assert FollowedFigure.of(errors).question() == errors
    assert (is_followed(slowest), is_query(slowest)) == (True, False)
    words = (
        'value of the followed file /var/log/shop/calls.jsonl: aggregate count, field /code, time /timestamp, where {"/level": "error"}, window 5m'
    )
    assert in_words(errors) == words
    assert [one.asks for one in expanded(rollout)] == [(words,)]


def test_nothing_on_record_stands_in_for_it(rollout: Rollout) -> None:
    assert figures.as_observations(rollout, Dossier(), None, NOON) == {}


def test_it_has_no_history_and_a_backtest_says_so(rollout: Rollout) -> None:
    class Nothing:
        def fetch(self, query: str, grid: Grid) -> list[object]:
            raise AssertionError(f"{query} was asked")

    ((_, seen),) = Walk([rollout], Nothing()).through(Grid(NOON, timedelta(seconds=15), 1))  # type: ignore[arg-type]  # it is never asked
    assert seen == dict.fromkeys(rollout.questions(), NOT_FOLLOWED)
    assert untold(rollout)[0] == "figures of evidence have no history in Prometheus, so they are unknown all the time: trigger Errors, gate Slowest"


def test_a_folder_that_is_not_there_is_told_where_rules_are_checked(rollout: Rollout) -> None:
    told = 'the folder of the log "/var/log/shop/calls.jsonl" is not there, or cannot be read on this machine'
    assert [*missing(rollout)] == [(("evidence", name, "from", "follow"), told) for name in ("errors", "slowest")]


def test_a_test_of_rules_names_signals_that_follow_a_file(tmp_path: Path) -> None:
    (tmp_path / "test.yml").write_text(
        f"rule_files: [{GOOD}]\n"
        "tests:\n"
        "  - followed: [{signal: eror, values: 1}, {signal: errors, values: '{{count:1}}'}]\n"
        "    rollout_test: [{eval_time: 1m, stage: canary}]\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError) as refused:
        load_tests(tmp_path / "test.yml")
    assert [one.text for one in refused.value.problems] == [
        'unknown signal of a followed file "eror"; did you mean "errors"?',
        "a figure is a number, _ (no data) or stale (the file cannot be read), and no histogram",
    ]


def test_a_test_of_rules_can_tell_no_data_a_file_that_cannot_be_read_and_lines_that_are_missing() -> None:
    assert isinstance(found(None, missing=False), NoData)
    assert isinstance(found("stale", missing=False), Failed)
    assert found(3.0, missing=False) == Value({(): 3.0})
    torn = found(3.0, missing=True)
    assert isinstance(torn, Value)
    assert (torn.series, [*torn.unknown]) == ({(): 3.0}, [MISSING])
    assert isinstance(found(None, missing=True), Failed)
