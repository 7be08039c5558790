"""Moments as people write them, and the evaluations between two of them."""

from datetime import UTC, datetime, timedelta

import pytest

from rollback_daemon.lab.backtesting.times import MOST_EVALUATIONS, grid, moment

NOW = datetime(2026, 11, 20, 12, 0, 7, tzinfo=UTC)
QUARTER = timedelta(seconds=15)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", NOW),
        ("2h", NOW - timedelta(hours=2)),
        ("1d12h", NOW - timedelta(hours=36)),
        ("2026-11-20T03:12:00Z", datetime(2026, 11, 20, 3, 12, tzinfo=UTC)),
        ("2026-11-20T03:12:00+02:00", datetime(2026, 11, 20, 1, 12, tzinfo=UTC)),
        (" 2026-11-20 03:12 ", datetime(2026, 11, 20, 3, 12, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("1795144320", datetime(2026, 11, 20, 3, 12, tzinfo=UTC)),
        ("1795144320.5", datetime(2026, 11, 20, 3, 12, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_a_moment_may_be_written_in_several_ways(text: str, meant: datetime) -> None:
    assert moment(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "30", "2026-13-01", "25:00", "-2h", "1e9", "0001-01-01T00:00:00+05:00", "9000y"])
def test_what_is_no_moment_is_said_with_the_ways_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        moment(text, NOW)


def test_evaluations_are_at_the_times_of_the_daemon() -> None:
    found = grid(datetime(2026, 11, 20, 11, 59, 31, tzinfo=UTC), NOW, QUARTER, NOW)
    assert [f"{found.at(number):%H:%M:%S}" for number in range(found.count)] == ["11:59:45", "12:00:00"]


@pytest.mark.parametrize(
    ("begin", "end", "interval", "said"),
    [
        (timedelta(hours=1), timedelta(hours=2), QUARTER, "must be before"),
        (timedelta(hours=1), timedelta(hours=1), QUARTER, "must be before"),
        (timedelta(hours=1), timedelta(hours=-1), QUARTER, "in the future"),
        (timedelta(minutes=2), timedelta(minutes=1), timedelta(hours=1), "no evaluation between them"),
        (timedelta(days=3650), timedelta(), QUARTER, f"at most {MOST_EVALUATIONS:,}"),
    ],
)
def test_a_time_that_cannot_be_judged_is_refused(begin: timedelta, end: timedelta, interval: timedelta, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        grid(NOW - begin, NOW - end, interval, NOW)


def test_the_interval_that_is_proposed_for_too_long_a_time_is_enough() -> None:
    with pytest.raises(ValueError, match="--interval 1m46s"):
        grid(NOW - timedelta(days=3650), NOW, QUARTER, NOW)
    assert grid(NOW - timedelta(days=3650), NOW, timedelta(seconds=106), NOW).count <= MOST_EVALUATIONS
