"""Lines that come and go between two looks, or before the first: what can be read is read, and what may be missing is said, never passed over."""

import gzip
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.following.log import MISSING, Log
from rollback_daemon.signals.observation import Value
from tests.following.writer import Writer, asked

ZSTD = b"\x28\xb5\x2f\xfd" + b"?" * 20


class Followed:
    """A writer whose file is rotated in every way, and who follows it: `seen` and `missing` after each look."""

    def __init__(self, folder: Path) -> None:
        self.writer = Writer(folder)
        self.log = Log(str(self.writer.path))

    def lines(self, number: int = 1) -> None:
        for _ in range(number):
            self.writer.line()

    def rotate(self, suffix: str = "") -> None:
        """Renamed, and packed at once where a suffix says how."""
        if suffix:
            self.pack(suffix)
        self.writer.rename(create=True)
        if suffix:
            Path(f"{self.writer.path}.1").rename(f"{self.writer.path}.1{suffix}")
        self.writer.reopen()
        self._further(suffix)

    def pack(self, suffix: str) -> None:
        """What stands there, in another file than that which is open."""
        data, path = self.writer.path.read_bytes(), self.writer.path
        path.unlink()
        path.write_bytes(gzip.compress(data) if suffix == ".gz" else ZSTD)
        os.utime(path, (self.writer.now.timestamp(),) * 2)

    def look(self) -> tuple[float, str]:
        """How many lines are seen, and what is said to be missing."""
        question = asked(self.writer.path, "count")
        answer = self.log.ask([question], self.writer.now, time.monotonic() + 10)[question]
        assert isinstance(answer, Value), answer
        return answer.series[()], answer.unknown.get(MISSING, "")

    def restart(self) -> None:
        self.log.close()
        self.log = Log(str(self.writer.path))

    def _further(self, suffix: str) -> None:
        """The next rotation must find the names free."""
        if suffix:
            Path(f"{self.writer.path}.1{suffix}").rename(f"{self.writer.path}.{len(self.writer.written) + 100}{suffix}")


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    one = Followed(tmp_path)
    yield one
    one.writer.close()
    one.log.close()


def test_what_was_rotated_and_packed_several_times_between_two_looks_is_read_once(followed: Followed) -> None:
    followed.lines()
    assert followed.look() == (1, "")
    for count in (2, 3, 4):
        followed.rotate(".gz")
        followed.lines(count)
    assert followed.look() == (10, "")
    followed.rotate(".gz")
    followed.lines()
    followed.rotate()
    followed.lines()
    assert followed.look() == (12, "")
    followed.restart()
    assert followed.look() == (12, "")


def test_what_was_copied_and_packed_before_it_was_emptied_is_read_on(followed: Followed) -> None:
    followed.lines(2)
    assert followed.look() == (2, "")
    followed.lines()
    copy = Path(f"{followed.writer.path}.1.gz")
    copy.write_bytes(gzip.compress(followed.writer.path.read_bytes()))
    os.utime(copy, (followed.writer.now.timestamp(),) * 2)
    os.truncate(followed.writer.path, 0)
    followed.lines()
    assert followed.look() == (4, "")
    followed.rotate()
    followed.lines()
    assert followed.look() == (5, "")


def test_what_was_packed_in_a_way_that_cannot_be_read_is_missing_unless_it_was_read_before(followed: Followed) -> None:
    followed.lines()
    followed.look()
    followed.rotate(".zst")
    followed.lines()
    assert followed.look() == (2, "")
    followed.writer.now += timedelta(seconds=1)
    for _ in range(2):
        followed.lines()
        followed.rotate(".zst")
    seen, missing = followed.look()
    assert (seen, "was packed before it was read, in a way that cannot be read" in missing) == (3, True)


def test_more_rotated_files_than_are_looked_at_make_nothing_clear_for_one_window(followed: Followed) -> None:
    followed.lines()
    followed.look()
    for _ in range(20):
        followed.rotate()
        followed.lines()
    seen, missing = followed.look()
    assert 17 <= seen < 21
    assert "was rotated into more than 16 files of the window" in missing
    followed.restart()
    assert "was rotated into more than 16 files of the window" in followed.look()[1]
    followed.writer.now += timedelta(seconds=200)
    followed.lines()
    assert followed.look() == (1, "")


def test_however_often_it_is_rotated_nothing_is_missing_as_long_as_it_is_looked_at(followed: Followed) -> None:
    for count in range(1, 25):
        followed.lines()
        followed.rotate()
        assert followed.look() == (count, "")


def test_lines_far_out_of_order_are_missing_after_a_restart_and_that_is_said(followed: Followed) -> None:
    path, now = followed.writer.path, followed.writer.now.timestamp()
    old = b'{"timestamp": %d, "v": 1, "pad": "%s"}\n'
    with path.open("wb") as file:
        for at, many in ((now - 10, 10_000), (now - 7200, 30_000), (now, 5)):
            file.write(old % (at, b"x" * 60) * many)
    seen, missing = followed.look()
    assert (seen, "stand far out of order: some of the window, before byte" in missing) == (5, True)
