"""JSON lines: a field, an aggregate, a window, and lines that are not as they should be."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.evidence.samples import Aggregate, Samples
from tests.evidence.raw import NOW, read
from tests.evidence.samples import lines


def logged(*values: Any, seconds: float = 10, **other: Any) -> list[dict[str, Any]]:
    """A line for each value, the first one the oldest, so many seconds apart, the last one now."""
    begin = NOW.timestamp() - seconds * (len(values) - 1)
    return [{"timestamp": begin + seconds * index, "latency": one, **other} for index, one in enumerate(values)]


def value(data: list[dict[str, Any]] | str, **settings: Any) -> float | None:
    text = data if isinstance(data, str) else lines(data)
    return read("jsonl", text, **{"field": "/latency", **settings}).figures.get("value")


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("last", 4), ("count", 5), ("sum", 15), ("mean", 3), ("min", 1), ("max", 5), ("p50", 3), ("p95", 5), ("p99", 5)],
)
def test_aggregates(aggregate: str, expected: float) -> None:
    assert value(logged(1, 5, 3, 2, 4), aggregate=aggregate) == expected


def test_only_lines_of_the_window_count() -> None:
    assert value(logged(*range(100), seconds=60), aggregate="count", window="10m") == 10
    assert value(logged(1, 2, seconds=3600), aggregate="sum", window="5m") == 2


def test_fields_and_times_are_found_by_pointers() -> None:
    line = {"at": "2026-11-20T11:59:00+00:00", "took": [{"a/b": {"m~n": 7}}]}
    assert value([line], field="/took/0/a~1b/m~0n", time="/at") == 7


def test_where_says_which_lines_count() -> None:
    data = [*logged(1, event="tool", ok=True), *logged(2, event="tool", ok=1), *logged(4, event="chat", ok=True)]
    assert value(data, aggregate="sum", where={"/event": "tool"}) == 3
    assert value(data, aggregate="sum", where={"/ok": True}) == 5
    assert value(data, field="/event", aggregate="count", where={"/event": "chat"}) == 1


def test_nothing_counted_is_zero_and_nothing_measured_is_nothing() -> None:
    for data in ("", lines(logged(1, event="chat"))):
        assert value(data, aggregate="count", where={"/event": "corrupt"}) == 0
        assert value(data, aggregate="mean", where={"/event": "corrupt"}) is None


def test_nan_is_no_data() -> None:
    assert value(lines(logged(3)) + '{"timestamp": "2026-11-20T11:59:59Z", "latency": NaN}\n{"latency": null}\n') == 3


def test_a_half_written_last_line_is_no_mistake_and_a_whole_one_counts() -> None:
    whole = lines(logged(1, 2))
    result = read("jsonl", whole[:-20], field="/latency")
    assert (result.figures["value"], result.notes) == (1, ("the last line is not written to its end; it is left for the next look",))
    assert value(whole.rstrip("\n")) == 2


def test_all_mistakes_are_told_at_once_each_with_its_line() -> None:
    text = '{"latency": 1}\nTraceback:\n' + lines(logged("slow")) + '[]\n{"latency": 1, "timestamp": "at noon"}\n'
    with pytest.raises(ConfigurationError) as error:
        value(text)
    assert [str(one) for one in error.value.problems] == [
        'evidence:1:0: has no time at /timestamp; "time" says where it is',
        "evidence:2:1: is no JSON: expecting value",
        "evidence:3:0: has no number at /latency; only the aggregate count takes anything",
        'evidence:4:0: must be an object, like {"timestamp": "2026-11-20T03:12:00Z", ...}',
        'evidence:5:0: "at noon" is no time; write it as RFC 3339 has it, with its zone, for instance 2026-11-20T03:12:00Z',
    ]


@pytest.mark.parametrize("settings", [{"field": "latency"}, {"window": "0s"}, {"aggregate": "median"}, {"every": 1}, {"where": {"event": "x"}}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        value(logged(1), **settings)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.randoms())
def test_the_order_of_lines_changes_nothing(values: list[float], order: Any) -> None:
    data = logged(*values)
    shuffled = order.sample(data, len(data))
    for aggregate in ("last", "sum", "p95"):
        assert value(data, aggregate=aggregate) == value(shuffled, aggregate=aggregate)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=30), st.integers(0, 10), st.integers(-1, 9))
def test_samples_come_in_any_order_and_are_those_of_the_window(made: list[tuple[int, int]], looked: int, since: int) -> None:
    samples = Samples()
    for place, (at_, value) in enumerate(made):
        samples.add(at_, value)
        if place % (looked + 1) == 0:
            samples.aggregated(Aggregate.P50, since)
    left = [value for at_, value in sorted(made, key=lambda one: one[0]) if at_ > since]
    samples.forget(since - 1)
    assert samples.aggregated(Aggregate.LAST, since) == (left[-1] if left else None)
    for aggregate, percent in ((Aggregate.P50, 50), (Aggregate.P95, 95)):
        assert samples.aggregated(aggregate, since) == (sorted(left)[math.ceil(percent * len(left) / 100) - 1] if left else None)
