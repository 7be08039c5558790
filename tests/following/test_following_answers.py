"""What is said of a followed file: a value, why there is none, and what of the window is missing."""

import gzip
import os
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.evidence.samples import Aggregate, Samples
from rollback_daemon.following.asking import Following
from rollback_daemon.following.beginning import Readable, beginning
from rollback_daemon.following.log import MISSING, Log
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from tests.following.writer import NOON, Writer, asked


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    one = Writer(tmp_path)
    yield one
    one.close()


@pytest.fixture
def log(writer: Writer) -> Iterator[Log]:
    one = Log(str(writer.path))
    yield one
    one.close()


def look(log: Log, writer: Writer, question: str = "", seconds: float = 10) -> Observation:
    question = question or asked(writer.path)
    return log.ask([question], writer.now, time.monotonic() + seconds)[question]


def broken(writer: Writer, text: bytes = b"Traceback:\n") -> None:
    with writer.path.open("ab") as file:
        file.write(text)


def later(writer: Writer, seconds: float) -> None:
    writer.now += timedelta(seconds=seconds)


def test_a_file_that_is_not_there_is_a_failure_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    answer = Log(str(path)).ask([asked(path)], NOON, 0)[asked(path)]
    assert answer == Failed(Failure.UNREACHABLE, f'"{path}" is not there; does its writer run, and write there?')


def test_what_is_no_file_is_a_failure(tmp_path: Path) -> None:
    answer = Log(str(tmp_path)).ask([asked(tmp_path)], NOON, 0)[asked(tmp_path)]
    assert answer == Failed(Failure.UNREACHABLE, f'"{tmp_path}" is a folder; a log is a regular file')


def test_nothing_is_known_of_a_file_that_nobody_writes_to(writer: Writer, log: Log) -> None:
    question = asked(writer.path, "count", max_age=60)
    writer.path.touch()
    assert look(log, writer, question) == NoData(f'"{writer.path}" is empty; does its writer run?')
    writer.line()
    assert look(log, writer, question) == Value({(): 1.0})
    later(writer, 60)
    assert look(log, writer, question) == Value({(): 0.0})
    later(writer, 1)
    said = look(log, writer, question)
    assert said == NoData(f'the last line of "{writer.path}" is 1m1s old, must be no older than 1m; does its writer run?')
    writer.path.unlink()
    assert isinstance(gone := look(log, writer, question), NoData)
    assert gone.why.endswith("; it is not there any more")


def test_a_file_whose_lines_tell_no_time_is_not_called_empty(writer: Writer, log: Log) -> None:
    broken(writer, b'{"else": 1}\n')
    said = look(log, writer, asked(writer.path, max_age=60))
    assert said == NoData(f'no line of "{writer.path}" tells a time at /timestamp that is no older than 1m')


def test_lines_that_are_none_of_ours_tell_that_somebody_writes(writer: Writer, log: Log) -> None:
    writer.line()
    count, mean = (asked(writer.path, how, where={"/what": "else"}) for how in ("count", "mean"))
    assert look(log, writer, count) == Value({(): 0.0})
    assert look(log, writer, mean) == NoData(f'no line of the last 30s in "{writer.path}" that is as where says has /v')


def test_a_line_that_cannot_be_read_makes_nothing_clear_until_it_has_left_the_window(writer: Writer, log: Log) -> None:
    writer.line()
    broken(writer)
    writer.line()
    answer = look(log, writer)
    begun = writer.path.read_bytes().index(b"Traceback") + 1  # as `tail -c +BYTE` counts
    told = f'1 line of the last 30s cannot be read; the last one, at byte {begun} of "{writer.path}", is no JSON: expecting value'
    assert answer == Value({(): 3.0}, {MISSING: told}, (told,))
    later(writer, 31)
    writer.line()
    assert look(log, writer) == Value({(): 3.0})


def test_of_several_lines_that_cannot_be_read_the_last_one_in_the_file_is_named(writer: Writer, log: Log) -> None:
    for last in (b"[1,2]\n", b'{"timestamp": "2026-11-20T12:00:00Z", "v": "slow"}\n', b'{"timestamp": "2099-01-01T00:00:00Z", "v": 1}\n', b"Oops\n"):
        broken(writer, last)
        answer = look(log, writer)
        assert isinstance(answer, Value | Failed)
        told = answer.unknown[MISSING] if isinstance(answer, Value) else answer.why
        assert f"at byte {writer.path.read_bytes().index(last) + 1} of" in told


def test_where_no_line_can_be_read_it_is_a_failure_and_not_a_lack_of_data(writer: Writer, log: Log) -> None:
    broken(writer, b"[]\n")
    assert isinstance(answer := look(log, writer), Failed)
    assert "must be an object" in answer.why


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"timestamp": "2026-11-20T12:00:00Z", "v": "slow"}\n', "has no number at /v"),
        (b'{"timestamp": "at noon", "v": 1}\n', '"at noon" is no time'),
        (b'{"timestamp": "2026-11-20T12:05:01Z", "v": 1}\n', "2026-11-20T12:05:01Z at /timestamp has not come yet"),
        (b'{"timestamp": "9999-12-31T23:59:59-01:00", "v": 1}\n', '"9999-12-31T23:59:59-01:00" is no time'),
        (b'{"timestamp": "9999-12-31T23:59:59.999999Z", "v": 1}\n', "is no time in Unix seconds"),
        (b'{"timestamp": "2026-11-20T12:00:00Z", "v": 1e400}\n', "has a number at /v that is not finite"),
        (b'{"timestamp": "2026-11-20T12:00:00Z", "v": -Infinity}\n', "has a number at /v that is not finite"),
        (b'{"timestamp": "2026-11-20T12:00:00Z", "v": "\xff"}\n', "is not UTF-8"),
        (b'{"v": "' + b"x" * 2**20 + b'"}\n', "is longer than 1 MiB"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(text: bytes, said: str, writer: Writer, log: Log) -> None:
    broken(writer, text)
    writer.line()
    assert isinstance(answer := look(log, writer), Value)
    assert (answer.series, said in answer.unknown[MISSING]) == ({(): 1.0}, True)


def test_an_emptied_file_without_a_copy_makes_nothing_clear(writer: Writer, log: Log) -> None:
    writer.line()
    look(log, writer)
    os.truncate(writer.path, 0)
    writer.line()
    assert isinstance(answer := look(log, writer), Value)
    assert (answer.series, "was emptied, and no copy of it is beside it" in answer.unknown[MISSING]) == ({(): 3.0}, True)


def test_what_was_packed_since_it_was_written_is_read_at_the_first_look(writer: Writer, log: Log) -> None:
    writer.line()
    writer.rename(create=True)
    old, packed = Path(f"{writer.path}.1"), Path(f"{writer.path}.1.gz")
    packed.write_bytes(gzip.compress(old.read_bytes()))
    os.utime(packed, (NOON.timestamp(),) * 2)
    old.unlink()
    writer.reopen()
    writer.line()
    assert look(log, writer) == Value({(): 3.0})
    packed.write_bytes(packed.read_bytes()[:-20])
    os.utime(packed, (NOON.timestamp(),) * 2)
    log.close()
    again = Log(str(writer.path))
    assert isinstance(answer := look(again, writer), Value)
    again.close()
    assert (answer.series, f'"{packed}" cannot be read' in answer.unknown[MISSING]) == ({(): 2.0}, True)


def test_who_is_behind_says_so_and_gets_on_at_each_look(writer: Writer, log: Log) -> None:
    for _ in range(6000):
        writer.line()
    assert isinstance(first := look(log, writer, seconds=0.001), Failed)
    assert (first.reason, "MB are not read yet" in first.why) == (Failure.TIMEOUT, True)
    assert look(log, writer) == Value({(): float(sum(range(6001)))})


def test_an_evaluation_that_lies_before_the_last_one_sees_what_it_would_have_seen(writer: Writer, log: Log) -> None:
    begun = writer.now
    for _ in range(10):
        writer.line()
        later(writer, 20)
    look(log, writer)
    writer.now = begun + timedelta(seconds=5)
    assert look(log, writer, asked(writer.path, "min")) == Value({(): 1.0})


def test_more_samples_than_are_kept_are_no_answer_until_what_was_given_up_is_out_of_the_window() -> None:
    samples = Samples(most=100)
    for second in range(150):
        samples.add(second, 1)
    assert samples.lost > 0
    assert samples.count(samples.lost) == samples.aggregated(Aggregate.COUNT, samples.lost) == 149 - samples.lost


def test_where_the_window_begins_is_found_without_reading_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"".join(b"%015d\n" % second for second in range(2_000_000)))
    with path.open("rb", buffering=0) as file:
        for since in (-1, 0, 1_000_000, 1_234_567, 1_999_000, 1_999_999):
            offset, is_all = beginning(file, 32_000_000, since, float)
            assert offset // 16 <= since + 1 or not offset
            assert since - offset // 16 < 2**20 // 16 + 1
            assert is_all is (since >= 0)
        counted = _Counting(file)
        beginning(counted, 32_000_000, 1_000_000, float)
    assert counted.size < 2_000_000


class _Counting:
    """A file that counts what is read of it."""

    def __init__(self, file: Readable) -> None:
        self._file, self.size = file, 0

    def seek(self, offset: int, /) -> int:
        return self._file.seek(offset)

    def read(self, size: int, /) -> bytes:
        self.size += size
        return self._file.read(size)


def test_a_file_that_cannot_be_read_in_time_holds_up_nobody(writer: Writer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")  # is never opened
    writer.line()
    following = Following()
    slow, quick = asked(tmp_path / "fifo"), asked(writer.path)
    answers = following.ask([slow, quick], writer.now, timedelta(seconds=2))
    assert isinstance(answers[slow], Failed)
    assert answers[quick] == Value({(): 1.0})
    following.close()
    assert isinstance(following.ask([quick], writer.now, timedelta(seconds=2))[quick], Failed)


def test_several_at_once_see_the_same(writer: Writer) -> None:
    following, seen = Following(), list[Observation]()
    for _ in range(100):
        writer.line()

    def ask() -> None:
        seen.extend(following.ask([asked(writer.path), asked(writer.path, "count")], writer.now, timedelta(seconds=8)).values())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    following.close()
    assert seen.count(Value({(): 5050.0})) == seen.count(Value({(): 100.0})) == 8


def test_a_file_that_could_not_be_read_for_a_while_is_counted_once(writer: Writer, log: Log) -> None:
    writer.line()
    look(log, writer)
    writer.rename(create=False)
    writer.path.mkdir()
    writer.line()
    assert isinstance(look(log, writer), Failed)
    writer.path.rmdir()
    writer.reopen()
    writer.line()
    assert look(log, writer) == Value({(): 6.0})


def test_another_file_beside_it_is_not_taken_for_a_copy(writer: Writer, log: Log) -> None:
    writer.line()
    look(log, writer)
    Path(f"{writer.path}.old").write_text('{"timestamp": "2026-11-20T11:00:00Z", "v": 7}\n', encoding="utf-8")
    writer.line()
    assert look(log, writer) == Value({(): 3.0})


def test_a_hole_of_gigabytes_is_not_read(writer: Writer, log: Log) -> None:
    writer.line()
    look(log, writer)
    with writer.path.open("r+b") as file:
        file.truncate(2**32)
    assert look(log, writer) == Value({(): 1.0})  # reserved, and not written yet
    writer.line()
    assert look(log, writer) == Value({(): 3.0})
    log.close()
    again = Log(str(writer.path))
    assert look(again, writer) == Value({(): 3.0})
    again.close()


def test_a_line_with_a_hole_in_it_is_none(writer: Writer, log: Log) -> None:
    broken(writer, b'{"timestamp": "2026-11-20T12:00:00Z", "v": 1')
    look(log, writer)
    with writer.path.open("r+b") as file:
        file.truncate(2**32)
    broken(writer, b"2}\n")
    writer.line()
    assert isinstance(answer := look(log, writer), Value)
    assert (answer.series, "1 line of the last 30s cannot be read; the last one, at byte 1 of" in answer.unknown[MISSING]) == ({(): 1.0}, True)
