"""Backups: what they keep, how many, and which paths are none."""

import os
from pathlib import Path

import pytest

from rollback_daemon.errors import Conflict, Refused
from rollback_daemon.flags.file_store import FileStore
from rollback_daemon.flags.store import same
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


def test_backups_are_listed_with_the_newest_first(flags: Subject) -> None:
    """By the time of the copy, whatever they are called; what is no copy is not among them."""
    assert flags.store.backups() == []
    made = [flags.store.backup(name) for name in ("b", "a", "c")]
    for age, place in enumerate(made):
        os.utime(place, (10**9 + age, 10**9 + age))
    flags.path.with_name("flags.rollbackd-link.bak").symlink_to(made[0])
    flags.path.with_name("flags.rollbackd-d.bak~").touch()
    assert flags.store.backups() == made[::-1]
    assert FileStore(flags.path, flags.format).backups() == made[::-1]


def test_the_flags_in_a_backup_are_those_of_its_time(flags: Subject) -> None:
    """With their types, and only those that were asked for."""
    place = flags.store.backup("one")
    flags.set({**flags.sample.off, flags.sample.missing: "new"})
    found = flags.store.read_backup(place, flags.sample.keys | {flags.sample.missing})
    assert found.values == flags.sample.on
    assert all(same(found.values[key], value) for key, value in flags.sample.on.items())
    assert flags.store.read_backup(place, frozenset()).values == {}


def test_a_backup_has_the_version_of_what_it_is_a_copy_of_and_a_trace_of_its_own(flags: Subject) -> None:
    """So that it can be told whether a copy would change anything, and when it was made."""
    version = flags.store.read(frozenset()).version
    place = flags.store.backup("one")
    os.utime(place, (10**9, 10**9))
    flags.set(flags.sample.off)
    found = flags.store.read_backup(place, flags.sample.keys)
    assert (found.version, found.trace["modified"]) == (version, "2001-09-09T01:46:40.000Z")


def test_a_backup_that_cannot_be_parsed_is_refused_with_its_own_place(flags: Subject) -> None:
    """Not with that of the flags; and nothing of what stands in it."""
    place = flags.store.backup("one")
    Path(place).write_text(flags.sample.broken, encoding="utf-8")
    with pytest.raises(Refused) as refusal:
        flags.store.read_backup(place, flags.sample.keys)
    assert str(refusal.value).startswith(f"{place}:{flags.sample.broken_line}: ")
    assert "hunter2" not in str(refusal.value)


def test_flags_that_cannot_be_parsed_do_not_hide_their_backups(flags: Subject) -> None:
    """That is when they are needed."""
    place = flags.store.backup("one")
    flags.path.write_text(flags.sample.broken, encoding="utf-8")
    assert flags.store.backups() == [place]
    assert flags.store.read_backup(place, flags.sample.keys).values == flags.sample.on
    flags.store.restore(place)
    assert flags.text() == flags.sample.text


def test_only_a_backup_is_read_as_one(dotenv: Subject) -> None:
    """No other file, and no link."""
    other = dotenv.path.with_name("secret")
    other.write_text("SECRET=hunter2\n")
    link = Path(f"{dotenv.path}.rollbackd-one.bak")
    link.symlink_to(other)
    for place in (other, link, dotenv.path, Path("/etc/passwd")):
        with pytest.raises(Refused, match="is no backup of it"):
            dotenv.store.read_backup(str(place), frozenset({"SECRET"}))


def test_backups_are_found_behind_a_link_to_the_flags(dotenv: Subject) -> None:
    """They stand beside the file, not beside the link."""
    link = dotenv.path.with_name("elsewhere") / "flags"
    link.parent.mkdir()
    link.symlink_to(dotenv.path)
    store = FileStore(link, STORES["dotenv"])
    place = store.backup("one")
    assert (store.backups(), Path(place).parent) == ([place], dotenv.path.parent)
    assert store.read_backup(place, dotenv.sample.keys).values == dotenv.sample.on


def test_no_file_has_no_backups_to_list(tmp_path: Path) -> None:
    """It says what is wrong instead."""
    store = FileStore(tmp_path / "flags", STORES["dotenv"])
    with pytest.raises(Refused, match="create it, or correct the path"):
        store.backups()


def test_a_restore_of_flags_that_somebody_has_changed_is_a_conflict(flags: Subject) -> None:
    """Where the version is named that it is to be held against."""
    place = flags.store.backup("one")
    flags.set(flags.sample.off)
    version = flags.store.read(frozenset()).version
    flags.set({flags.sample.missing: "by hand"})
    changed = flags.text()
    with pytest.raises(Conflict, match="it was changed since it was read"):
        flags.store.restore(place, if_version=version)
    assert flags.text() == changed
    flags.store.restore(place, if_version=flags.store.read(frozenset()).version)
    assert flags.text() == flags.sample.text


def test_the_copy_that_is_about_to_be_put_back_makes_no_room_for_another(dotenv: Subject) -> None:
    """However old it is."""
    store = FileStore(dotenv.path, STORES["dotenv"], 2)
    places = [store.backup(name) for name in ("a", "b")]
    for age, place in enumerate(places):
        os.utime(place, (10**9 + age, 10**9 + age))
    last = store.backup("c", sparing=places[0])
    assert store.backups() == [last, places[1], places[0]]
    assert store.backup("d") not in {last, *places}
    assert places[0] not in store.backups()
