"""What is drawn and what is measured: headroom, rings of values, pictures, and the numbered events."""

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.faces.feed import Feed
from rollback_daemon.faces.headroom import left
from rollback_daemon.faces.page.sparkline import HEIGHT, WIDTH, sparkline
from rollback_daemon.faces.trails import Trails
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.measures import Condition, Op
from tests.faces.page.scene import AWAY, Scene

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMBERS = st.floats(allow_nan=False, allow_infinity=True)
LIMITS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("breach", "value", "unit", "expected"),
    [
        (Condition(Op.ABOVE, 0.01), 0.004, "", 0.6),
        (Condition(Op.ABOVE, 0.01), 0.0, "", 1.0),
        (Condition(Op.ABOVE, 0.01), 0.01, "", 0.0),
        (Condition(Op.ABOVE, 0.01), 0.031, "", -1.0),
        (Condition(Op.ABOVE, 0), 0, "", 1.0),
        (Condition(Op.ABOVE, 0), 1, "", -1.0),
        (Condition(Op.BELOW, 0.95), 0.99, "", 0.8),
        (Condition(Op.BELOW, 95), 99, "%", 0.8),
        (Condition(Op.BELOW, 100), 150, "MB", 0.5),
        (Condition(Op.OUTSIDE, 10, 20), 12.5, "", 0.5),
        (Condition(Op.AT_LEAST, 5), 5, "", -0.001),
    ],
)
def test_headroom_is_the_share_of_the_way_that_is_left(breach: Condition, value: float, unit: str, expected: float) -> None:
    assert left(breach, value, unit) == pytest.approx(expected)


@given(st.sampled_from([Op.ABOVE, Op.BELOW, Op.AT_LEAST, Op.AT_MOST]), LIMITS, NUMBERS, st.sampled_from(["", "%", "s"]))
def test_headroom_is_negative_exactly_where_the_limit_is_breached(op: Op, limit: float, value: float, unit: str) -> None:
    found = left(Condition(op, limit), value, unit)
    assert -1 <= found <= 1
    assert (found < 0) is Condition(op, limit).holds(value)


@given(st.lists(st.one_of(NUMBERS, st.just(math.nan)), max_size=30), st.lists(LIMITS, max_size=3))
def test_every_picture_stays_in_its_frame(values: list[float], limits: list[float]) -> None:
    drawn = sparkline([float(second) for second in range(len(values))], values, limits)
    if drawn is None:
        return
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[0-9.e+]+) (-?[0-9.e+]+)", drawn.svg)]
    assert points
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert not re.search("nan|inf", drawn.svg)


def test_rings_are_bounded_and_remember_what_was_not_seen(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.trails = Trails(points=40)
    try:
        scene.see(100).see(errors=AWAY)
        times, lines = scene.trails.of("checkout")
        assert [line.signal.name for line, _ in lines] == ["error_rate", "latency", "cost", "Pasted"]
        assert {len(values) for _, values in lines} == {len(times)} == {40}
        assert (lines[0][1][-2], math.isnan(lines[0][1][-1])) == (0.002, True)
        assert [limit.of for limit in lines[0][0].limits] == ["ErrorRateHigh", "Errors"]
        scene.trails.evaluated([scene.watch("checkout")])
        assert scene.trails.of("checkout")[0] == times, "the same evaluation counts once"
        scene.trails.keep([])
        assert scene.trails.of("checkout") == ((), [])
    finally:
        scene.close()


@given(st.integers(0, 60), st.integers(0, 70), st.integers(1, 20))
def test_events_are_had_in_order_or_it_is_said_that_some_are_gone(count: int, after: int, most: int) -> None:
    feed = Feed(kept=25)
    for number in range(count):
        feed.happened("checkout", Event.HELD, {"number": number}, NOW)
    found = feed.after(after, most)
    if after > count or after < count - 25:
        assert found is None
    else:
        assert found is not None
        assert [one.number for one in found] == list(range(after + 1, min(after + most, count) + 1))


def test_listeners_are_woken_and_news_are_for_whom_they_concern(tmp_path: Path) -> None:
    feed, woken = Feed(), list[int]()
    scene = Scene(tmp_path)

    def wake() -> None:
        woken.append(feed.newest)

    try:
        feed.listen(wake)
        feed.happened("basket", Event.PLOTTED, {"signals": ["many"]}, NOW)
        feed.evaluated([scene.watch("checkout")], timedelta(seconds=15), NOW)
        feed.leave(wake)
        feed.reloaded(NOW)
        found = feed.after(0)
        assert found is not None
        assert woken == [1, 2]
        assert [one.concerns("checkout") for one in found] == [False, True, True]
        assert found[0].body == {}, "what is long is not kept twice"
    finally:
        scene.close()
