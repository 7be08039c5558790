"""One daemon acts on a journal; another says so, waits, and takes over at the moment when the first one dies."""

import json
import os
import signal
from datetime import datetime
from pathlib import Path

import pytest

from rollback_daemon.errors import JournalUnavailable
from rollback_daemon.journal.lease import FileLease, lease_for
from tests.journal.helpers import NOON, Start, line

HOLD = """
import signal
from rollback_daemon.journal.lease import lease_for
lease = lease_for("sqlite:///{path}")
print(lease.try_acquire(), flush=True)
signal.pause()
"""

HOLD_AND_START_A_HOOK = """
import subprocess, sys
from rollback_daemon.journal.lease import lease_for
lease = lease_for("sqlite:///{path}")
print(lease.try_acquire(), flush=True)
hook = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
subprocess.run([sys.executable, "-c", hook], close_fds=False)
"""


class Noon:
    def now(self) -> datetime:
        return NOON


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "journal.db.lock"


def test_the_second_of_two_leases_in_one_process_is_refused(place: Path) -> None:
    first, second = FileLease(place), FileLease(place)
    assert first.try_acquire()
    assert not second.try_acquire()
    assert first.try_acquire(), "asking again keeps it"
    first.release()
    assert second.try_acquire()
    assert not first.try_acquire()
    second.release()


def test_the_holder_is_named_to_everybody(place: Path) -> None:
    first, second = FileLease(place, Noon()), FileLease(place)
    assert second.holder() is None
    assert not place.exists(), "a question leaves no file behind"
    assert first.try_acquire()
    assert first.holder() == second.holder()
    assert str(second.holder()).endswith(f"pid {os.getpid()}, since 2026-03-01T12:00:00+00:00")
    assert set(json.loads(place.read_text())) == {"host", "pid", "since"}
    first.release()
    assert first.holder() is None
    assert second.holder() is None


def test_a_holder_that_left_no_signature_is_still_a_holder(place: Path) -> None:
    first, second = FileLease(place), FileLease(place)
    assert first.try_acquire()
    for content in ("", "[]", "not json", '{"pid": 3}'):
        place.write_text(content)
        assert str(second.holder()).startswith("an unknown process")
    first.release()


def test_another_process_takes_over_after_a_kill(tmp_path: Path, start: Start) -> None:
    lease = lease_for(f"sqlite:///{tmp_path}/journal.db")
    child = start(HOLD.format(path=tmp_path / "journal.db"))
    assert line(child) == "True"
    assert not lease.try_acquire()
    assert f"pid {child.pid}, since" in str(lease.holder())
    child.kill()
    child.wait()
    assert lease.holder() is None
    assert lease.try_acquire()
    lease.release()


def test_a_hook_that_outlives_its_daemon_does_not_keep_the_lease(tmp_path: Path, start: Start) -> None:
    lease = lease_for(f"sqlite:///{tmp_path}/journal.db")
    daemon = start(HOLD_AND_START_A_HOOK.format(path=tmp_path / "journal.db"))
    assert line(daemon) == "True"
    hook = int(line(daemon))
    daemon.kill()
    daemon.wait()
    try:
        assert lease.try_acquire()
        lease.release()
    finally:
        os.kill(hook, signal.SIGKILL)


def test_a_lock_file_deleted_underneath_is_taken_anew_where_nobody_else_did(place: Path) -> None:
    first, second = FileLease(place), FileLease(place)
    assert first.try_acquire()
    place.unlink()
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()


def test_a_holder_whose_lock_file_was_replaced_learns_that_it_lost(place: Path) -> None:
    first, second = FileLease(place), FileLease(place)
    assert first.try_acquire()
    place.unlink()
    assert second.try_acquire()
    assert not first.try_acquire()
    assert not first.try_acquire()
    second.release()


def test_different_urls_of_one_journal_share_one_lease(tmp_path: Path) -> None:
    (tmp_path / "journal.db").touch()
    (tmp_path / "link.db").symlink_to("journal.db")
    first, second = lease_for(f"sqlite:///{tmp_path}/journal.db"), lease_for(f"sqlite:///{tmp_path}/./link.db")
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()


def test_a_place_where_no_lock_file_can_be_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match=r"cannot be opened \(No such file or directory\); let the daemon's user"):
        FileLease(tmp_path / "nowhere" / "lock").try_acquire()


def test_releasing_what_is_not_held_does_nothing(place: Path) -> None:
    FileLease(place).release()
    assert not place.exists()
