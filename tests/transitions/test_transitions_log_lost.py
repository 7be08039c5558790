"""A log of which a part is gone or cannot be read: never held for clear."""

import gzip
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from rollback_daemon.transitions.log_scan import Mark, Scanned, mark, scan
from tests.transitions.logs import FINE, GO_ON, NEW, Log


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
