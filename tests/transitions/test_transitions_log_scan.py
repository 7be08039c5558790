"""What was written to a log since a mark: found wherever rotation has put it, and never held for clear where a part of it is gone."""

import json
import os
import stat
import threading
import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from rollback_daemon.transitions.log_files import is_rotated
from rollback_daemon.transitions.log_scan import Scanned, mark, scan
from tests.transitions.logs import FINE, NEW, Log

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
