"""Fetching in pieces that the server takes, again when it was away; and keeping what was fetched."""

import gzip
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.lab.backtesting.server import Tally
from rollback_daemon.lab.history import Fetcher, Grid, HistoryGone, Kept, Patience, prune
from rollback_daemon.signals.observation import Failed, Failure
from tests.lab.recorded import EVERY, START

AT_ONCE = Patience(attempts=3, first=0.0, longest=0.0)
TOO_MANY = Failed(Failure.REFUSED, "HTTP 422: execution: query processing would load too many samples into memory")
GONE = Failed(Failure.UNREACHABLE, "no answer from the server: Connection refused")
SLOW = Failed(Failure.TIMEOUT, "no complete answer within 120s")
GRID = Grid(START, EVERY, 64)
LATER = START + timedelta(days=1)
Answer = Callable[[Grid], Sequence[Mapping[str, Any]] | Failed]


@dataclass(slots=True)
class Scripted:
    """Answers range queries as it is told, and remembers them."""

    answer: Answer
    asked: list[Grid] = field(default_factory=list)

    def range(self, _query: str, start: datetime, end: datetime, step: timedelta) -> Sequence[Mapping[str, Any]] | Failed:
        self.asked.append(Grid(start, step, (end - start) // step + 1))
        return self.answer(self.asked[-1])


def good(grid: Grid) -> Sequence[Mapping[str, Any]] | Failed:
    return [{"metric": {}, "values": [[grid.at(number).timestamp(), "1"] for number in range(grid.count)]}]


def _never(_grid: Grid) -> Failed:
    return TOO_MANY


def fetched(answer: Answer, grid: Grid = GRID, **more: Any) -> tuple[list[Any], Scripted]:
    source = Scripted(answer)
    return Fetcher(source, AT_ONCE, **more).fetch("m", grid), source


def test_what_is_too_large_for_the_server_is_asked_for_in_halves() -> None:
    pieces, source = fetched(lambda grid: TOO_MANY if grid.count > 16 else good(grid))
    assert [part.count for part, _ in pieces] == [16, 16, 16, 16]
    assert [part.start for part, _ in pieces] == [GRID.at(number) for number in (0, 16, 32, 48)]
    assert len(source.asked) == 7


def test_what_fails_at_one_time_alone_costs_that_time_alone() -> None:
    bad = GRID.at(37)
    pieces, _ = fetched(lambda grid: TOO_MANY if grid.start <= bad <= grid.end else good(grid))
    failed = [part for part, result in pieces if isinstance(result, Failed)]
    assert [(part.start, part.count) for part in failed] == [(bad, 1)]
    assert sum(part.count for part, _ in pieces) == GRID.count


def test_hopeless_is_only_what_failed_every_time() -> None:
    bad = GRID.at(37)
    sometimes, always = (Tally(Fetcher(Scripted(answer), AT_ONCE)) for answer in (lambda grid: TOO_MANY if grid.start <= bad else good(grid), _never))
    for tally in (sometimes, always):
        tally.fetch("m", GRID)
    assert (sometimes.hopeless, always.hopeless) == ([], ["m"])
    assert (sometimes.queries["m"].failed, sometimes.queries["m"].evaluations) == (38, 64)


def test_a_query_that_fails_everywhere_is_not_asked_for_each_time() -> None:
    pieces, source = fetched(lambda _: TOO_MANY, Grid(START, EVERY, 10_000), most_splits=20)
    assert all(isinstance(result, Failed) for _, result in pieces)
    assert len(source.asked) == 41


def test_time_outs_are_split_less_often_as_each_may_take_as_long_again() -> None:
    _, source = fetched(lambda _: SLOW, Grid(START, EVERY, 10_000))
    assert len(source.asked) == 17


def test_a_server_that_is_away_for_a_moment_is_asked_again() -> None:
    answers = iter([GONE, Failed(Failure.MALFORMED, "the answer is not JSON"), good(GRID), Failed(Failure.REFUSED, "HTTP 429: too many"), good(GRID)])
    assert [fetched(lambda _: next(answers))[0] for _ in range(2)] == [[(GRID, good(GRID))]] * 2


def test_a_server_that_stays_away_ends_it_with_its_words() -> None:
    with pytest.raises(HistoryGone, match="Connection refused"):
        fetched(lambda _: GONE)


def moved(grid: Grid, seconds: float) -> Any:
    return [{"metric": {}, "values": [[grid.at(number).timestamp() + seconds, "1"] for number in range(grid.count)]}]


@pytest.mark.parametrize("seconds", [-3600, -7, -15, 7, 15, 3600])
def test_answers_for_other_times_than_were_asked_for_are_none(seconds: float) -> None:
    with pytest.raises(HistoryGone, match="for other times than were asked for"):
        fetched(lambda grid: moved(grid, seconds))


TIME = START.timestamp()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        "text",
        [1],
        [{"values": []}],
        [{"metric": {}}],
        [{"metric": {"s": 5}, "values": []}],
        [{"metric": {}, "values": [[TIME, None]]}],
        [{"metric": {}, "values": [[TIME, "one"]]}],
        [{"metric": {}, "values": [[float("nan"), "1"]]}],
        [{"metric": {}, "values": [[float("inf"), "1"]]}],
        [{"metric": {}, "histograms": [5]}],
    ],
)
def test_what_is_no_answer_is_asked_for_again_and_ends_it(wrong: Any) -> None:
    answers = iter([wrong, good(GRID)])
    assert fetched(lambda _: next(answers))[0] == [(GRID, good(GRID))]
    with pytest.raises(HistoryGone, match="not what the API promises"):
        fetched(lambda _: wrong)


def test_waiting_between_two_tries_is_done_by_whoever_may_have_to_end_it() -> None:
    waits: list[float] = []
    with pytest.raises(HistoryGone):
        Fetcher(Scripted(lambda _: GONE), Patience(attempts=3, first=1.0, longest=2.0), sleep=waits.append).fetch("m", GRID)
    assert len(waits) == 2


def test_the_ends_of_a_range_are_not_those_of_an_evaluation() -> None:
    source = Scripted(good)
    pieces = Fetcher(source, AT_ONCE).fetch("m - m @ start()", GRID.part(0, 5))
    assert [part.count for part, _ in pieces] == [1] * 5


def kept(folder: Path, answer: Answer = good, server: str = "a", now: datetime = LATER) -> tuple[Kept, Scripted]:
    source = Scripted(answer)
    return Kept(Fetcher(source, AT_ONCE), folder, server, now), source


def test_what_was_kept_is_the_same_and_asks_nothing(tmp_path: Path) -> None:
    bad = GRID.at(3)
    first, asked = kept(tmp_path, lambda grid: TOO_MANY if grid.start <= bad <= grid.end else good(grid))
    again, silent = kept(tmp_path)
    before = first.fetch("m", GRID)
    assert again.fetch("m", GRID) == before
    assert asked.asked
    assert not silent.asked


@pytest.mark.parametrize("other", ["query", "server", "time"])
def test_nothing_is_kept_for_another(tmp_path: Path, other: str) -> None:
    kept(tmp_path)[0].fetch("m", GRID)
    again, source = kept(tmp_path, server="b" if other == "server" else "a")
    again.fetch("n" if other == "query" else "m", GRID.part(1, 63) if other == "time" else GRID)
    assert source.asked


def test_what_may_still_change_and_what_took_too_long_is_asked_again(tmp_path: Path) -> None:
    kept(tmp_path, now=GRID.end + timedelta(minutes=5))[0].fetch("m", GRID)
    kept(tmp_path, lambda _: SLOW)[0].fetch("n", GRID)
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_damaged_is_fetched_anew(tmp_path: Path) -> None:
    kept(tmp_path)[0].fetch("m", GRID)
    (file,) = tmp_path.iterdir()
    good_file = file.read_bytes()
    told = gzip.decompress(good_file)
    odd = [b"[{}]", b"{}", b"null", b"[" * 100_000, b"[]", told.replace(b'"count":64', b'"count":63'), told.replace(b'"1"', b'"one"')]
    odd += [
        told.replace(b'"count":64', b'"count":1000000000000'),
        told.replace(b'"start":"2026', b'"start":"2025'),
        told.replace(b'"metric":{}', b'"m":5'),
    ]
    assert told not in odd
    for damaged in (b"", b"no gzip", b"\x1f\x8b\x08\x00" + b"\xff" * 50, good_file[:-9], *map(gzip.compress, odd)):
        file.write_bytes(damaged)
        again, source = kept(tmp_path)
        assert again.fetch("m", GRID) == [(GRID, good(GRID))]
        assert source.asked


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert kept(tmp_path / "file" / "below")[0].fetch("m", GRID) == [(GRID, good(GRID))]


def test_what_nobody_used_for_a_month_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept(tmp_path)[0].fetch("m", GRID)
    (file,) = tmp_path.iterdir()
    mine = tmp_path / "mine.json.gz"
    mine.touch()
    killed = tmp_path / f"{file.name}.4711"
    killed.touch()
    for one in (file, mine, killed):
        os.utime(one, (START.timestamp(), START.timestamp()))
    prune(tmp_path, START + timedelta(days=29))
    assert file.exists()
    prune(tmp_path, START + timedelta(days=31))
    assert [one.name for one in tmp_path.iterdir()] == ["mine.json.gz"]
