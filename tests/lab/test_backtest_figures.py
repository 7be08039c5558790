"""What is counted of triggers and gates over a history: fires, headroom, time that could not be told; and what a plot keeps of it."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.lab.backtesting import trigger_ledger
from rollback_daemon.lab.backtesting.lines import BUCKETS, FIRING, MOST_LINES, PENDING, UNKNOWN, Lines
from rollback_daemon.lab.backtesting.report import Entry
from rollback_daemon.lab.backtesting.run import Settings
from rollback_daemon.rules.reading import Assessment, Reading, Verdict
from rollback_daemon.signals.observation import Failed, Failure, Labels
from tests.judge.world import gate, rollout, trigger
from tests.lab.recorded import Sample, at, backtested, between, hours, ledger

AWAY = Failed(Failure.REFUSED, "HTTP 422: execution: too much")
HIGH = trigger("High", "errors", for_="5m", action="alert", above=10)


def counted(history: dict[str, Sample], **limits: Any) -> Entry:
    """The trigger over two hours that are 1 but for these minutes (`12:30`)."""

    def told(now: datetime) -> Sample:
        return history.get(f"{now:%H:%M}", 1.0)

    ruled = trigger("High", "errors", for_="5m", action="alert", **(limits or {"above": 10}))
    found: Entry = backtested(rollout(ruled), hours(2), {"errors": told})["triggers"][0]
    return found


def test_a_breach_that_was_too_short_is_pending_and_no_fire() -> None:
    found = counted({"12:30": 30, "12:31": 20})
    assert (found["fired"], found["fires"], found["pending_seconds"], found["longest_breach"]) == (0, [], 120, 105)
    assert found["closest"] == {"value": 30, "labels": {}, "at": "2026-03-01T12:30:00Z", "headroom": -20, "of_limit": -2}


def test_headroom_is_what_was_left_to_the_limit() -> None:
    assert counted({"12:30": 8.0})["closest"] == {"value": 8, "labels": {}, "at": "2026-03-01T12:30:00Z", "headroom": 2, "of_limit": 0.2}


@pytest.mark.parametrize(
    ("limits", "headroom", "of_limit"),
    [
        ({"below": 0.5}, 0.25, 0.5),
        ({"outside": (0.0, 10.0)}, 0.75, None),  # the nearer limit is 0, which nothing is a share of
        ({"outside": (0.5, 10.0)}, 0.25, 0.5),
        ({"above": 0.0}, -1.0, None),
    ],
)
def test_headroom_is_counted_to_the_limit_that_is_nearer(limits: dict[str, float | tuple[float, float]], headroom: float, of_limit: float) -> None:
    found = counted({"12:30": 0.75}, **limits)["closest"]
    assert (found["headroom"], found["of_limit"]) == (headroom, of_limit)


def test_an_infinite_value_is_a_word() -> None:
    assert counted({"12:30": float("inf")})["closest"]["headroom"] == "-Inf"


def test_no_data_and_failed_queries_are_counted_apart_with_their_longest_stretch() -> None:
    found = counted({"12:10": None, "12:30": AWAY, "12:31": AWAY, "12:32": None, "12:33": AWAY, "12:40": float("nan")})["unknown"]
    assert found["no_data"]["share"] == pytest.approx(12 / 481)
    assert (found["no_data"]["longest"], found["no_data"]["longest_from"]) == (60, "2026-03-01T12:10:00Z")
    assert found["failed"] == {"share": 12 / 481, "longest": 120, "longest_from": "2026-03-01T12:30:00Z", "why": AWAY.why}
    assert found["share"] == pytest.approx(24 / 481)


def test_each_series_fires_on_its_own_and_its_peak_is_its_own() -> None:
    found = backtested(rollout(HIGH), hours(2), {"errors": lambda now: {"a": 20.0 + now.minute, "b": 5.0 if now.minute < 30 else 15.0}})
    fires = found["triggers"][0]["fires"]
    assert [(one["labels"], one["fired"][11:16], one["peak"]) for one in fires] == [
        ({"s": "a"}, "12:05", 79.0),
        ({"s": "b"}, "12:35", 15.0),
        ({"s": "b"}, "13:35", 15.0),
    ]
    assert [one["resolved"] and one["resolved"][11:16] for one in fires] == [None, "13:00", "14:00"]


def test_a_trigger_that_is_not_armed_where_it_stands_fires_and_leads_to_nothing() -> None:
    only = trigger("High", "errors", stages=("canary",), above=10)
    found = backtested(rollout(only), hours(1), {"errors": between("12:30", "12:31", 20)})
    assert (found["rollbacks"], found["triggers"][0]["armed"]) == (0, 0)
    assert [(one["armed"], one["followed"]) for one in found["triggers"][0]["fires"]] == [(False, [])]


def test_fires_that_are_too_many_to_keep_are_counted() -> None:
    flapping = {"errors": lambda now: 20.0 if now.second % 30 == 0 else 1.0}
    found = backtested(rollout(trigger("High", "errors", action="alert", above=10)), hours(trigger_ledger.MOST_PERIODS / 100), flapping)["triggers"][
        0
    ]
    assert (found["fired"], len(found["fires"]), found["fires_left_out"]) == (6001, 5000, 1001)


def test_a_gate_passes_for_a_share_of_the_time_in_which_it_is_asked_for() -> None:
    slow = {"latency": lambda now: None if now.minute < 6 else 9.0 if now.minute < 30 else 1.0}
    (found,) = backtested(rollout(HIGH, gate("Slow", "latency", below=5)), hours(1), slow)["gates"]
    shares = [found[name] for name in ("passing", "violated", "unknown")]
    assert shares == pytest.approx([120 / 241, 96 / 241, 25 / 241])


def test_what_a_plot_keeps_does_not_grow_with_the_history() -> None:
    found = ledger(rollout(HIGH), hours(12), {"errors": lambda now: float(now.minute)}, Settings(plotted=True)).triggers["High"].lines
    assert found is not None
    points = list(found.points(()))
    assert len(points) <= 2 * BUCKETS
    assert max(value for _, value in points) == 59
    assert min(value for _, value in points) == 0
    assert list(found.bands(FIRING))
    assert list(found.bands(PENDING))
    assert not list(found.bands(UNKNOWN))


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=1500))
def test_no_extreme_of_a_series_is_lost_in_its_line(values: list[float | None]) -> None:
    lines = Lines(len(values))
    for index, value in enumerate(values):
        lines.take(index, Assessment({} if value is None else {(): Reading(Verdict.CLEAR, value)}), 0 if value is not None else UNKNOWN)
    finite = [value for value in values if value is not None and abs(value) != float("inf")]
    drawn = [value for _, value in lines.points(())] if lines.series else []
    if len(finite) == len([value for value in values if value is not None]) and finite:
        assert (min(drawn), max(drawn)) == (min(finite), max(finite))
    assert all(value in finite for value in drawn)


def test_many_series_share_a_line_and_are_counted() -> None:
    lines = Lines(10)
    readings: dict[Labels, Reading] = {(("s", str(number)),): Reading(Verdict.CLEAR, float(number)) for number in range(MOST_LINES + 3)}
    lines.take(0, Assessment(readings), 0)
    assert (len(lines.series), lines.others) == (MOST_LINES + 1, 3)
    assert [value for _, value in lines.points(None)] == [float(MOST_LINES), float(MOST_LINES + 2)]


def test_the_longest_breach_is_told_beside_the_window() -> None:
    found = backtested(rollout(HIGH), hours(2), {"errors": between("12:30", "12:47", 20)})["triggers"][0]
    assert (found["for"], found["longest_breach"], found["firing_seconds"]) == (300, 1005, 720)
    assert found["fires"][0]["peak_at"] == at("12:30").isoformat().replace("+00:00", "Z")
