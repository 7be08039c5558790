"""Backups: what they keep, how many, and which paths are none."""

import os
from pathlib import Path

import pytest

from rollback_daemon.errors import Refused
from rollback_daemon.flags.file_store import FileStore
from rollback_daemon.flags.stores import STORES
from tests.flags.contract import Subject


def test_a_restored_backup_is_the_same_bytes(flags: Subject) -> None:
    """Comments and all."""
    backup = flags.store.backup("before-1")
    flags.set({**flags.sample.off, flags.sample.missing: "new"})
    flags.store.restore(backup)
    assert flags.text() == flags.sample.text


def test_restoring_twice_does_not_touch_the_file_again(flags: Subject) -> None:
    """The second time there is nothing to do."""
    backup = flags.store.backup("one")
    flags.set(flags.sample.off)
    flags.store.restore(backup)
    before = flags.path.stat()
    flags.store.restore(backup)
    assert (before.st_ino, before.st_mtime_ns) == (flags.path.stat().st_ino, flags.path.stat().st_mtime_ns)


def test_the_same_name_twice_keeps_the_first_copy(flags: Subject) -> None:
    """A backup that is asked for again after a crash must not be of the changed file."""
    backup = flags.store.backup("one")
    flags.set(flags.sample.off)
    assert flags.store.backup("one") == backup
    assert Path(backup).read_text(encoding="utf-8") == flags.sample.text


def test_a_backup_stands_beside_the_file_under_a_name_of_its_own(dotenv: Subject) -> None:
    """Its name says whose it is."""
    assert dotenv.store.backup("one") == f"{dotenv.path}.rollbackd-one.bak"


def test_only_the_newest_backups_are_kept(dotenv: Subject) -> None:
    """By the time of the copy; what belongs to others stays."""
    others = [dotenv.path.with_name(name) for name in ("flags.bak", "flags.rollbackd-.bak", "flags2.rollbackd-a.bak", "flags.rollbackd-a.bak~")]
    for other in others:
        other.touch()
        os.utime(other, (0, 0))
    store = FileStore(dotenv.path, STORES["dotenv"], 2)
    backups = [Path(store.backup(name)) for name in ("z", "y", "x")]
    for age, backup in enumerate(reversed(backups)):
        if backup.exists():
            os.utime(backup, (10**9 - age, 10**9 - age))
    assert [backup.exists() for backup in backups] == [False, True, True]
    last = Path(store.backup("w"))
    assert [backup.exists() for backup in [*backups, last]] == [False, False, True, True]
    assert all(other.exists() for other in others)


def test_the_backup_just_made_is_kept_even_if_none_are_wanted(dotenv: Subject) -> None:
    """It is about to be needed."""
    assert Path(FileStore(dotenv.path, STORES["dotenv"], 0).backup("one")).exists()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b", "x.rollbackd-y", "a" * 101, "a\n"])
def test_a_name_that_makes_no_file_name_is_refused(dotenv: Subject, name: str) -> None:
    """Before anything is written."""
    with pytest.raises(Refused, match="cannot name a backup"):
        dotenv.store.backup(name)
    assert [path.name for path in dotenv.path.parent.iterdir()] == ["flags"]


@pytest.mark.parametrize(
    "place",
    ["/etc/passwd", "flags.rollbackd-one.bak", "{folder}/flags", "{folder}/flags.rollbackd-one.bak~",
     "{folder}/sub/flags.rollbackd-one.bak", "{folder}/sub/../flags.rollbackd-one.bak", "{folder}/other.rollbackd-one.bak",
     "{folder}/link/../flags.rollbackd-a.bak"],
)  # fmt: skip
def test_a_path_that_backup_cannot_have_returned_is_refused(dotenv: Subject, place: str) -> None:
    """A journal that was tampered with must not make us copy other files."""
    dotenv.store.backup("one")
    with pytest.raises(Refused, match="is no backup of it"):
        dotenv.store.restore(place.format(folder=dotenv.path.parent))
    assert dotenv.text() == dotenv.sample.text


def test_a_link_in_the_place_of_a_backup_is_refused(dotenv: Subject) -> None:
    """By restore, and by backup."""
    secret = dotenv.path.with_name("secret")
    secret.write_text("SECRET=hunter2\n")
    link = Path(f"{dotenv.path}.rollbackd-one.bak")
    link.symlink_to(secret)
    with pytest.raises(Refused, match="is no backup of it"):
        dotenv.store.restore(str(link))
    with pytest.raises(Refused, match="is no backup of it"):
        dotenv.store.backup("one")
    assert dotenv.text() == dotenv.sample.text


def test_a_backup_that_is_gone_is_refused(dotenv: Subject) -> None:
    """With its own path in the sentence."""
    gone = f"{dotenv.path}.rollbackd-gone.bak"
    with pytest.raises(Refused, match="no such file") as refusal:
        dotenv.store.restore(gone)
    assert gone in str(refusal.value)
