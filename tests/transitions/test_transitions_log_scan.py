"""What was written to a log since a mark: found wherever rotation has put it, and never held for clear where a part of it is gone."""

import bz2
import gzip
import json
import lzma
import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from rollback_daemon.transitions.log_files import is_rotated
from rollback_daemon.transitions.log_scan import LONGEST, Mark, Scanned, mark, scan

GO_ON = threading.Event()
OLD = "ERROR old: before the mark\n" * 3
NEW = "ERROR new: after the mark\n"
FINE = "all is well\n"


class Log:
    """A log, as an application and a rotation treat it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = Mark()

    def beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def mark(self) -> None:
        """As it comes back from a journal."""
        self._mark = Mark.of(json.loads(json.dumps(mark(str(self.path)).body())))

    def renamed(self, suffix: str = ".1", *, create: bool = True) -> None:
        self.path.rename(self.beside(suffix))
        if create:
            self.path.touch()

    def copied(self, suffix: str = ".1") -> None:
        shutil.copyfile(self.path, self.beside(suffix))
        os.truncate(self.path, 0)

    def packed(self, suffix: str = ".1", *, kept: bool = True) -> None:
        """As gzip and logrotate do, with the time of the last change kept, or as a script does."""
        plain, result = self.beside(suffix), self.beside(f"{suffix}.gz")
        changed = plain.stat().st_mtime_ns
        result.write_bytes(gzip.compress(plain.read_bytes()))
        if kept:
            os.utime(result, ns=(changed, changed))
        plain.unlink()

    def scan(self, pattern: str = "ERROR", stop: threading.Event = GO_ON, longest: timedelta = LONGEST) -> Scanned:
        return scan(str(self.path), pattern, self._mark, stop, longest)

    def finds_only_what_is_new(self) -> bool:
        return self.scan().found == NEW.strip() and self.scan("before").found == ""


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log with lines that would be found."""
    log = Log(tmp_path / "app.log")
    log.write(OLD)
    return log


@pytest.fixture
def marked(log: Log) -> Log:
    log.mark()
    return log


# without rotation


def test_what_stood_there_before_is_not_looked_at(marked: Log) -> None:
    assert marked.scan() == Scanned()


def test_a_line_that_came_later_is_found(marked: Log) -> None:
    marked.write(FINE + NEW + "ERROR another\n")
    assert marked.scan().found == "ERROR new: after the mark"


def test_it_says_how_much_it_has_looked_at(marked: Log) -> None:
    marked.write(FINE)
    assert marked.scan() == Scanned(files=1, size=len(FINE))


def test_a_last_line_without_an_end_counts(marked: Log) -> None:
    marked.write(FINE + "ERROR half")
    assert marked.scan().found == "ERROR half"


def test_a_line_is_judged_as_a_whole_when_the_mark_is_in_the_middle_of_it(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    log.write(FINE + "12:00 ERR")
    log.mark()
    log.write("OR in SPICE\n")
    assert log.scan("^12:00 ERROR.*SPICE").found == "12:00 ERROR in SPICE"


def test_a_match_that_stood_there_whole_does_not_count_when_its_line_ends_later(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    log.write("ERROR é: before the mark")
    log.mark()
    log.write(", and all is well now\n")
    assert log.scan("ERROR é: before").found == ""
    assert log.scan("well").found == "ERROR é: before the mark, and all is well now"


def test_the_pattern_sees_single_lines(marked: Log) -> None:
    marked.write("ERROR\nin SPICE\n")
    assert marked.scan(r"(?s)ERROR.*SPICE").found == ""
    assert marked.scan("^in SPICE$").found == "in SPICE"


def test_lines_of_windows_end_where_they_end(marked: Log) -> None:
    marked.write("in SPICE\r\n")
    assert marked.scan("SPICE$").found == "in SPICE"


def test_bytes_that_are_no_text_hide_nothing(marked: Log) -> None:
    with marked.path.open("ab") as file:
        file.write(b"\xff\xfe\x00 ERR\x00OR \xc3\n")
    assert "ERROR" in marked.scan().found


def test_what_is_shown_does_not_obey_and_is_not_long(marked: Log) -> None:
    marked.write("x" * 5000 + "\x1b[2J ERROR\x07 " + "y" * 5000 + "\n")
    found = marked.scan().found
    assert "ERROR" in found
    assert found.isprintable()
    assert len(found) <= 306
    assert found.startswith("...x")
    assert found.endswith("y...")


# lines and files of any size


@pytest.mark.parametrize("before", [0, 30_000, 32_764, 32_768, 262_140, 1_000_000])
def test_a_match_is_found_anywhere_in_a_long_line(marked: Log, before: int) -> None:
    marked.write("x" * before + "ERROR" + "y" * 300_000)
    assert "ERROR" in marked.scan("ERROR").found


def test_a_piece_of_a_long_line_does_not_begin_a_line(marked: Log) -> None:
    marked.write("x" * 1_000_000 + "\n")
    assert marked.scan("^x").found
    marked.mark()
    marked.write("y" + "x" * 1_000_000 + "\n")
    assert marked.scan("^x") == Scanned(files=1, size=1_000_002)


def test_a_hole_before_what_is_new_does_not_hide_it(marked: Log) -> None:
    """The writer of an emptied file goes on where it was unless it appends."""
    with marked.path.open("r+b") as writer:
        writer.seek(0, os.SEEK_END)
        marked.copied()
        writer.seek(3_000_000)
        writer.write(NEW.encode())
    assert marked.scan("^ERROR").found == NEW.strip()


def test_a_huge_file_is_given_up_for_something_more_urgent(marked: Log) -> None:
    os.truncate(marked.path, 1024**4)  # a hole of 1 TiB
    stop = threading.Event()
    scanned: list[Scanned] = []
    scanning = threading.Thread(target=lambda: scanned.append(marked.scan(stop=stop)))
    scanning.start()
    stop.set()
    started = time.monotonic()
    scanning.join(30)
    assert time.monotonic() - started < 10
    assert scanned == [Scanned(unknown="the scan had to give way to something more urgent")]


# rotation


def test_what_was_renamed_is_read_to_its_end_and_what_followed_from_its_beginning(marked: Log) -> None:
    marked.write(FINE)
    marked.renamed()
    marked.write(FINE)
    assert marked.scan() == Scanned(files=2, size=2 * len(FINE))
    with marked.beside(".1").open("a") as file:  # the application goes on there until it is told
        file.write(NEW)
    assert marked.finds_only_what_is_new()


def test_what_was_renamed_is_all_that_there_is_until_something_is_logged(marked: Log) -> None:
    marked.renamed(create=False)
    assert marked.scan() == Scanned()
    marked.write(NEW)
    assert marked.finds_only_what_is_new()


def test_several_rotations_may_have_come_between(marked: Log) -> None:
    marked.renamed(".1")
    marked.write(NEW)
    marked.beside(".1").rename(marked.beside(".2"))
    marked.renamed(".1")
    marked.beside(".2").rename(marked.beside(".3"))
    marked.beside(".1").rename(marked.beside(".2"))
    marked.renamed(".1")
    marked.write(FINE)
    assert marked.finds_only_what_is_new()


def test_what_was_rotated_away_before_is_old(log: Log) -> None:
    log.renamed()
    log.packed()
    log.write(OLD)
    log.renamed(".2")
    log.write(FINE)
    log.mark()
    log.beside(".2").rename(log.beside(".3"))
    log.packed(".3", kept=False)
    log.renamed(".2")
    assert log.scan() == Scanned()


def test_a_rotated_file_that_is_written_to_at_the_mark_is_followed(log: Log) -> None:
    log.renamed()
    log.mark()
    with log.beside(".1").open("a") as file:
        file.write(NEW)
    assert log.finds_only_what_is_new()


def test_what_was_copied_and_emptied_is_read_in_the_copy(marked: Log) -> None:
    marked.write(NEW)
    marked.copied()
    assert marked.finds_only_what_is_new()


def test_what_was_emptied_is_read_from_its_beginning(marked: Log) -> None:
    marked.copied()
    marked.write(NEW)
    assert marked.finds_only_what_is_new()


def test_what_was_emptied_is_not_mistaken_when_it_has_grown_larger_than_it_was(marked: Log) -> None:
    marked.copied()
    marked.write(NEW + FINE * 1000)
    assert marked.finds_only_what_is_new()


def test_it_may_be_copied_and_emptied_several_times(marked: Log) -> None:
    marked.copied(".2")
    marked.write(NEW)
    marked.copied(".1")
    marked.write(FINE)
    assert marked.finds_only_what_is_new()


@pytest.mark.parametrize("half", [0, 10])
def test_a_copy_that_was_in_the_making_at_the_mark_holds_nothing_new(log: Log, half: int) -> None:
    log.beside(".1").write_text(OLD[:half])
    log.mark()
    with log.beside(".1").open("a") as copy:
        copy.write(OLD[half:])
    assert log.scan() == Scanned()
    os.truncate(log.path, 0)
    log.write(NEW)
    assert log.finds_only_what_is_new()


@pytest.mark.parametrize("kept", [True, False])
def test_what_was_packed_is_known_by_its_content(marked: Log, kept: bool) -> None:
    marked.write(FINE)
    marked.renamed()
    marked.packed(kept=kept)
    marked.write(FINE)
    assert marked.scan() == Scanned(files=2, size=2 * len(FINE))
    marked.write(NEW)
    assert marked.finds_only_what_is_new()


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_a_packed_file_is_read_through(marked: Log, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    marked.write(FINE + NEW)
    packed = marked.path.read_bytes()
    marked.renamed("-20240501", create=False)
    marked.beside("-20240501").unlink()
    marked.beside(f"-20240501{suffix}").write_bytes(pack(packed))
    marked.write(FINE)
    assert marked.finds_only_what_is_new()


def test_what_came_and_was_packed_after_the_mark_is_read_whole(marked: Log) -> None:
    marked.renamed(".2")
    marked.write(NEW)
    marked.renamed(".1")
    marked.packed()
    assert marked.finds_only_what_is_new()


def test_a_packed_copy_that_is_not_finished_is_passed_over(marked: Log) -> None:
    marked.renamed()
    whole = gzip.compress(os.urandom(100_000) + OLD.encode())
    marked.beside(".1.gz").write_bytes(whole[:50_000])
    assert marked.scan() == Scanned()


def test_a_log_may_lie_behind_a_symbolic_link(tmp_path: Path) -> None:
    folder = tmp_path / "pods"
    folder.mkdir()
    real = Log(folder / "0.log")
    real.write(OLD)
    link = Log(tmp_path / "app.log")
    link.path.symlink_to(real.path)
    link.mark()
    real.renamed(".20240501-120000")
    assert link.scan() == Scanned()
    real.write(NEW)
    assert link.finds_only_what_is_new()
    real.path.rename(folder / "0.log.20240501-130000")
    assert link.finds_only_what_is_new()


def test_a_link_may_lead_elsewhere_by_now(tmp_path: Path) -> None:
    link = Log(tmp_path / "current")
    for day, text in (("app-01", OLD), ("app-02", NEW)):
        link.path.unlink(missing_ok=True)
        link.path.symlink_to(tmp_path / day)
        link.write(text)
        if text == OLD:
            link.mark()
    assert link.finds_only_what_is_new()


# a log that was not there


def test_a_log_that_came_later_is_read_whole(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    log.mark()
    log.write(FINE)
    assert log.scan() == Scanned(files=1, size=len(FINE))
    log.renamed()
    log.write(NEW)
    assert log.finds_only_what_is_new()


def test_a_log_in_a_folder_that_came_later_is_read_whole(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs" / "app.log")
    log.mark()
    log.path.parent.mkdir()
    log.write(NEW)
    assert log.finds_only_what_is_new()


def test_an_empty_log_is_followed(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    log.write("")
    log.mark()
    assert log.scan() == Scanned()
    log.renamed()
    assert log.scan() == Scanned()
    log.write(FINE)
    log.beside(".1").rename(log.beside(".2"))
    log.renamed()
    log.packed()
    log.write(NEW)
    assert log.finds_only_what_is_new()


# what cannot be told


def test_a_log_that_never_was_is_not_clear(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    log.mark()
    assert log.scan().unknown == f'"{log.path}" is not there, and was not there at the transition'


def lost(log: Log) -> str:
    cause = "it was removed, emptied without a copy, or rotated away; keep more rotated files beside it"
    return f'what followed in "{log.path}" after the transition cannot be found any more: {cause}'


def removed(log: Log) -> None:
    log.path.unlink()


def removed_and_made_anew(log: Log) -> None:
    log.path.unlink()
    log.write(FINE)


def emptied(log: Log) -> None:
    os.truncate(log.path, 0)
    log.write(FINE * 50)


def rotated_away(log: Log) -> None:
    log.renamed()
    log.beside(".1").unlink()


@pytest.mark.parametrize("lose", [removed, removed_and_made_anew, emptied, rotated_away])
def test_what_is_lost_is_not_clear(marked: Log, lose: Callable[[Log], None]) -> None:
    lose(marked)
    assert (marked.scan().found, marked.scan().unknown) == ("", lost(marked))


def test_what_is_found_counts_although_a_part_is_lost(marked: Log) -> None:
    emptied(marked)
    marked.write(NEW)
    assert marked.finds_only_what_is_new()


def test_an_empty_log_that_was_removed_is_not_clear(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    log.write("")
    log.mark()
    log.path.rename(tmp_path / "elsewhere")
    shutil.move(tmp_path / "elsewhere", tmp_path.parent / f"{tmp_path.name}-elsewhere")
    assert log.scan().unknown == lost(log)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x28\xb5\x2f\xfd and so on", "is packed with zstd, which cannot be read; gzip, bzip2 and xz can"),
        (gzip.compress(os.urandom(100_000))[:50_000], "compressed file ended before the end-of-stream marker was reached"),
        (gzip.compress(b"x" * 100_000)[:-8] + b"12345678", "crc check failed"),
    ],
)
def test_a_packed_file_that_cannot_be_read_is_not_clear(marked: Log, content: bytes, reason: str) -> None:
    marked.renamed()
    marked.beside(".1").unlink()
    packed = marked.beside(".1.gz")
    packed.write_bytes(content)
    assert f'"{packed}" cannot be read: {reason}' in marked.scan().unknown


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_rotated_file_that_may_not_be_read_is_not_clear(marked: Log) -> None:
    marked.renamed()
    marked.beside(".1").chmod(0)
    assert marked.scan().unknown == f'"{marked.beside(".1")}" cannot be read: permission denied'


def sock(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(("make", "kind"), [(os.mkfifo, "a FIFO"), (Path.mkdir, "a folder"), (sock, "a socket")])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    log = Log(tmp_path / "a")
    log.write(FINE)
    log.mark()
    log.path.unlink()
    make(log.path)
    assert log.scan().unknown == f'"{log.path}" is {kind}; a log is a regular file'
    log.mark()
    assert log.scan().unknown == f'"{log.path}" is {kind}; a log is a regular file'


def test_a_device_is_refused_at_once() -> None:
    assert mark("/dev/zero").trouble == '"/dev/zero" is a device; a log is a regular file'
    assert scan("/dev/zero", "x", Mark(), GO_ON).unknown == '"/dev/zero" is a device; a log is a regular file'


def test_a_fifo_beside_the_log_is_no_part_of_it(marked: Log) -> None:
    os.mkfifo(marked.beside(".2"))
    marked.beside(".3").mkdir()
    marked.beside(".4").symlink_to("/dev/zero")
    marked.beside(".5").symlink_to("nowhere")
    assert marked.scan() == Scanned()
    marked.mark()
    assert marked.scan() == Scanned()


def test_a_mark_of_another_version_is_not_clear(marked: Log) -> None:
    for body in ({"offset": 5}, {"places": [{"offset": 5}]}, {"places": 5}):
        old = Mark.of(body)
        assert scan(str(marked.path), "ERROR", old, GO_ON).unknown == "the mark on record is of another version of this program"


def test_a_file_that_is_gone_is_not_known_by_its_inode_alone(marked: Log) -> None:
    """A file system gives the inode of a removed file to the next one."""
    inode = marked.path.stat().st_ino
    for _ in range(50):
        marked.path.unlink()
        marked.write(NEW + FINE * 100)
        if marked.path.stat().st_ino == inode:
            break
    assert marked.finds_only_what_is_new()


# names

ROTATED = """app.log.1 app.log.12.gz app.log-20240501 app.log-20240501.gz app.log_2024-05-01 app.log.2024-05-01T10 app.log.old app.log.bak app.log~
app.1.log app-20240501.log app-2024-05-01.0.log.gz app.2024-05-01_10-00-00_123456.log app__2024-05-01.log"""
OTHERS = "app.log app.log.wf app.log.lock app-errors.log app-2.log app2.log apps.log.1 app.logic other app app.oldest.log app.log2 app.log.oldest"


@pytest.mark.parametrize("name", ROTATED.split())
def test_a_rotated_file_is_known_by_its_name(name: str) -> None:
    assert is_rotated(name, "app.log")


@pytest.mark.parametrize("name", OTHERS.split())
def test_a_log_of_its_own_is_not_taken_for_a_rotated_one(name: str) -> None:
    assert not is_rotated(name, "app.log")


def test_a_name_without_a_suffix_may_be_rotated_too() -> None:
    assert is_rotated("messages-20240501.gz", "messages")
    assert not is_rotated("messages.d", "messages")


# marks


def test_a_mark_is_small_and_holds_nothing_of_the_log(tmp_path: Path) -> None:
    log = Log(tmp_path / "app.log")
    log.write("the password is s3cret\n")
    for number in range(40):
        log.beside(f".{number}").write_text(FINE)
    text = json.dumps(mark(str(log.path)).body())
    assert len(text) < 2048
    assert "s3cret" not in text


def test_a_mark_needs_no_time_for_a_huge_file(marked: Log) -> None:
    os.truncate(marked.path, 1024**4)
    started = time.monotonic()
    taken = mark(str(marked.path))
    assert time.monotonic() - started < 5
    assert taken.places[0].size == 1024**4


def test_a_clock_that_was_ahead_hides_nothing(log: Log) -> None:
    future = time.time_ns() + 10**15
    os.utime(log.path, ns=(future, future))
    log.mark()
    log.renamed(".2")
    log.write(NEW)
    log.renamed()
    assert log.finds_only_what_is_new()


def test_what_it_opens_it_closes(marked: Log) -> None:
    marked.renamed()
    marked.packed()
    marked.write(NEW)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        marked.mark()
        marked.scan()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert stat.S_ISREG(marked.path.stat().st_mode)


def test_a_pattern_that_comes_to_no_end_is_not_waited_for_by_anybody(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    since = mark(str(log))
    log.write_text("a" * 60 + "b\n")
    beats: list[float] = []
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.01):
            beats.append(time.monotonic())

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        found = scan(str(log), "(a|aa)+$", since, threading.Event())
    finally:
        over.set()
        heart.join()
    assert "comes to no end" in found.unknown
    assert max(later - earlier for earlier, later in pairwise(beats)) < 1


SLOW = r"(.*?,){11}P"  # some ten milliseconds for each of these lines
ROWS = ("1," * 22 + "\n") * 5000


def test_a_slow_pattern_is_cut_short_within_a_block(marked: Log) -> None:
    marked.write(ROWS)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    assert marked.scan(SLOW, stop).unknown == "the scan had to give way to something more urgent"
    assert 0.2 < time.monotonic() - started < 5


def test_a_scan_does_not_go_on_for_ever(marked: Log) -> None:
    marked.write(ROWS)
    started = time.monotonic()
    got = marked.scan(SLOW, longest=timedelta(milliseconds=300))
    cure = "write a pattern that is found out sooner, or have less logged"
    assert got == Scanned(unknown=f'"{marked.path}" could not be read to its end within 300ms; {cure}')
    assert time.monotonic() - started < 5
