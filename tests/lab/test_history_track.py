"""Columns of recorded answers, and the walk over them: each evaluation sees what an instant query would have brought, however it was fetched."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.lab.history import Grid, Track, Walk
from rollback_daemon.signals.observation import NOTHING, Failed, Failure, NoData, Observation, Value
from tests.judge.world import relative, rollout, trigger
from tests.lab.recorded import EVERY, START, Recorded, Sample, hours, result

AWAY = Failed(Failure.REFUSED, "HTTP 422: execution: too much")
GRID = Grid(START, EVERY, 6)


def points(*values: float | str) -> list[tuple[float, str]]:
    return [(GRID.at(number).timestamp(), str(value)) for number, value in enumerate(values)]


def test_a_gap_is_no_data_and_a_nan_is_no_number() -> None:
    track = Track(GRID)
    track.take(result({"": [points(5)[0], (GRID.at(2).timestamp(), "NaN"), (GRID.at(3).timestamp(), "+Inf")]}))
    assert [track.observation(number) for number in range(4)] == [
        Value({(): 5.0}),
        NoData(NOTHING),
        NoData("the value is NaN"),
        Value({(): float("inf")}),
    ]


def test_nothing_after_a_zero_is_not_zero() -> None:
    track = Track(GRID)
    track.take(result({"": [points(0)[0], (GRID.at(2).timestamp(), "0")]}))
    assert [track.observation(number) for number in range(3)] == [Value({(): 0.0}), NoData(NOTHING), Value({(): 0.0})]


def test_series_that_differ_in_their_name_alone_cannot_be_told_apart() -> None:
    track = Track(GRID)
    two = [{"metric": {"__name__": name, "s": "a"}, "values": points(1)} for name in ("m", "n")]
    track.take([*two, {"metric": {"s": "b"}, "values": points(2)}])
    assert track.observation(0) == Value({(("s", "b"),): 2.0}, {(("s", "a"),): "several series have the same labels; aggregate them"})


def test_a_native_histogram_is_there_without_a_number() -> None:
    track = Track(GRID)
    track.take([{"metric": {}, "histograms": [(GRID.at(1).timestamp(), {"count": "1"})]}])
    assert track.observation(0) == NoData(NOTHING)
    assert track.observation(1) == NoData("is a native histogram; use histogram_quantile or histogram_avg")


def test_what_does_not_change_is_the_same_object_and_what_failed_is_not_it() -> None:
    track = Track(GRID)
    track.take(result({"": points(1, 1, 2, 2, 2, 2)}))
    track.fail(GRID.part(4, 1), AWAY)
    seen = [track.observation(number) for number in range(6)]
    assert seen[0] is seen[1]
    assert seen[2] is seen[3]
    assert seen[4] is AWAY
    assert seen[5] == seen[3]


SAMPLES = st.sampled_from([1.0, 2.0, None, float("nan"), AWAY])


@given(st.lists(SAMPLES, min_size=1, max_size=40), st.integers(1, 50), st.integers(0, 100))
@settings(max_examples=60)
def test_the_size_of_the_pieces_makes_no_difference(values: list[Sample], piece: int, late: int) -> None:
    grid = Grid(START + late * EVERY, EVERY, len(values))
    known = {grid.at(number): value for number, value in enumerate(values)}
    ruled = rollout(trigger("High", "errors", above=1.5))

    def walked(size: int) -> list[Observation]:
        source = Recorded({"errors": lambda now: known[now]})
        return [seen["errors"] for _, seen in Walk([ruled], source, piece=size, workers=2).through(grid)]

    assert walked(piece) == walked(1000)


def test_pieces_begin_at_the_same_times_wherever_the_history_begins() -> None:
    def begins(grid: Grid) -> set[float]:
        source = Recorded({})
        list(Walk([rollout(trigger("High", above=1.5))], source, piece=100).through(grid))
        return {part.start.timestamp() for _, part in source.asked if part.start > grid.start}

    early, late = hours(6), Grid(START + 7 * EVERY, EVERY, 1000)
    assert begins(late)
    assert begins(late) <= begins(early)


def test_a_baseline_is_asked_for_at_the_first_evaluation_and_then_as_often_as_the_daemon_does() -> None:
    ruled = rollout(trigger("Double", relative("latency"), above=2.0))
    queries = ruled.triggers[0].test.questions()
    (mean, count) = next(ruled.relative_signals()).baseline_questions() or ("", "")
    grid = Grid(START + 3 * EVERY, EVERY, 50)
    source = Recorded({})
    seen = [(now, mean in observations, count in observations) for now, observations in Walk([ruled], source, piece=7).through(grid)]
    asked = [now for now, has_mean, has_count in seen if has_mean and has_count]
    assert "latency" in set(queries)
    assert asked == [grid.start + number * timedelta(minutes=1) for number in range(13)]
    assert asked == sorted(part.at(number) for query, part in source.asked if query == mean for number in range(part.count))


def test_nothing_is_asked_twice_by_rollouts_that_share_a_query() -> None:
    source = Recorded({})
    list(Walk([rollout(trigger("High", above=1.5)), rollout(trigger("Higher", above=2.5))], source, piece=30).through(hours(0.5)))
    assert len(source.asked) == len({(query, part.start) for query, part in source.asked})


def test_no_more_than_the_next_piece_is_fetched_ahead_however_long_the_history_is() -> None:
    source, grid = Recorded({}), Grid(START, EVERY, 100)
    for number, _ in enumerate(Walk([rollout(trigger("High", above=1.5))], source, piece=10).through(grid)):
        assert len(source.asked) <= number // 10 + 2
    assert len(source.asked) == 10
