"""A log that is rotated after the mark: what was written is found wherever rotation has put it."""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rollback_daemon.transitions.log_scan import Scanned
from tests.transitions.logs import FINE, NEW, OLD, Log


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
