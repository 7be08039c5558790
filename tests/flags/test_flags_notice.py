"""Watched files tell at once; everything else in their folders does not."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from rollback_daemon.flags.file_places import places_of
from rollback_daemon.flags.notice import FileNotice
from rollback_daemon.flags.stores import open_store
from rollback_daemon.lab.servers import wait_until


class Heard:
    """A notice, what it told, in order, and what it complained of."""

    def __init__(self) -> None:
        self.told: list[frozenset[str]] = []
        self.complaints: list[str] = []
        self.notice = FileNotice(self.told.append, self.complaints.append, recheck=0.3)

    def paths(self) -> set[str]:
        """All that was told since it was last forgotten, but for the signs of this test itself."""
        return {path for told in self.told for path in told if not path.endswith(".sign")}

    def watch(self, *paths: Path) -> None:
        """Returns when they are watched, which takes a moment."""
        signs = {path.with_name(f"{path.name}.sign") for path in paths if path.parent.is_dir()}
        self.notice.watch([str(path) for path in (*paths, *signs)])
        self.settle(*signs)

    def settle(self, *signs: Path) -> set[str]:
        """Returns when all that has happened in the folders of `signs` is told: what that was, now forgotten."""
        for sign in signs:
            known = len(self.told)
            wait_until(partial(self._seen, sign, known), f"{sign} to be told")
        seen = self.paths()
        self.told.clear()
        return seen

    def _seen(self, sign: Path, known: int) -> bool:
        sign.write_text("see?")  # again and again: at first it may not be watched yet
        return any(str(sign) in told for told in self.told[known:])

    def expect(self, path: Path) -> None:
        wait_until(lambda: str(path) in self.paths(), f"{path} to be told")


@pytest.fixture
def heard() -> Iterator[Heard]:
    opened = Heard()
    yield opened
    opened.notice.stop()


def replaced(path: Path) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text("replaced")
    new.rename(path)


def written_in_place(path: Path) -> None:
    path.write_text("written")


def appended(path: Path) -> None:
    with path.open("a") as file:
        file.write("more")


def removed(path: Path) -> None:
    path.unlink()


def removed_and_made_again(path: Path) -> None:
    path.unlink()
    path.write_text("new")


def moved_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


CHANGES = [replaced, written_in_place, appended, removed, removed_and_made_again, moved_away]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_told_with_the_path_as_it_was_given(heard: Heard, tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "flags.json"
    path.write_text("{}")
    heard.watch(path)
    change(path)
    heard.expect(path)
    assert heard.paths() == {str(path)}
    assert heard.complaints == []


def test_a_change_is_told_within_a_moment(heard: Heard, tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    heard.watch(path)
    started = time.monotonic()
    replaced(path)
    heard.expect(path)
    assert time.monotonic() - started < 2


def test_a_file_that_comes_later_is_told(heard: Heard, tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    heard.watch(path)
    path.write_text("{}")
    heard.expect(path)


def test_reading_and_locking_are_no_changes(heard: Heard, tmp_path: Path) -> None:
    """As a flag store does all day."""
    path = tmp_path / "flags.env"
    path.write_text("A=1\n")
    heard.watch(path)
    store = open_store("dotenv", path)
    for _ in range(20):
        store.write({"A": "1"}, if_version=store.read(frozenset({"A"})).version)
    assert heard.settle(tmp_path / "flags.env.sign") == set()
    store.write({"A": "2"}, if_version=store.read(frozenset({"A"})).version)
    heard.expect(path)


def test_a_thousand_other_files_are_none_of_its_business(heard: Heard, tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    last = tmp_path / "last.json"
    heard.watch(path, last)
    for number in range(1000):
        replaced(tmp_path / f"other{number}")
    written_in_place(last)
    heard.expect(last)
    assert heard.paths() == {str(last)}


def test_each_of_several_files_in_several_folders_is_told(heard: Heard, tmp_path: Path) -> None:
    paths = [tmp_path / folder / name for folder in "ab" for name in ("x", "y")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
    heard.watch(*paths)
    for path in paths:
        replaced(path)
    for path in paths:
        heard.expect(path)


def test_a_change_behind_a_link_is_told(heard: Heard, tmp_path: Path) -> None:
    """The link stays, what it leads to is replaced."""
    target, link = tmp_path / "real" / "flags.json", tmp_path / "flags.json"
    target.parent.mkdir()
    target.write_text("{}")
    link.symlink_to(target)
    heard.watch(link)
    replaced(target)
    heard.expect(link)
    assert heard.paths() == {str(link)}


def test_a_link_that_is_pointed_elsewhere_is_told_and_followed(heard: Heard, tmp_path: Path) -> None:
    """To a folder that nobody watched until then."""
    link = tmp_path / "flags.json"
    for version in "12":
        (tmp_path / version).mkdir()
        (tmp_path / version / "flags.json").write_text(version)
    link.symlink_to("1/flags.json")
    heard.watch(link)
    new = tmp_path / "new"
    new.symlink_to("2/flags.json")
    new.rename(link)
    heard.expect(link)
    heard.settle(tmp_path / "flags.json.sign")
    replaced(tmp_path / "2" / "flags.json")
    heard.expect(link)
    heard.settle(tmp_path / "flags.json.sign")
    replaced(tmp_path / "1" / "flags.json")
    assert heard.settle(tmp_path / "flags.json.sign") == set()


def test_a_folder_that_is_swapped_by_a_link_is_told(heard: Heard, tmp_path: Path) -> None:
    """As a cluster does it with the files it mounts: `..data` points to a folder of another time."""
    for version in "12":
        (tmp_path / version).mkdir()
        (tmp_path / version / "flags.json").write_text(version)
    (tmp_path / "..data").symlink_to("1")
    path = tmp_path / "flags.json"
    path.symlink_to("..data/flags.json")
    heard.watch(path)
    for version in "2121":
        (tmp_path / "..data_tmp").symlink_to(version)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        heard.expect(path)
        # whoever reads now sees the new one, and what comes after it is told
        heard.settle(tmp_path / "flags.json.sign")
        replaced(tmp_path / version / "flags.json")
        heard.expect(path)
        heard.settle(tmp_path / "flags.json.sign")


def test_other_files_may_be_watched_later_and_the_old_ones_are_let_go(heard: Heard, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    heard.watch(old)
    heard.watch(new)
    replaced(old)
    replaced(new)
    heard.expect(new)
    assert heard.paths() == {str(new)}


def test_the_same_files_again_change_nothing(heard: Heard, tmp_path: Path) -> None:
    """A reload that names the same files must miss nothing."""
    path = tmp_path / "flags.json"
    heard.notice.watch([str(path)])
    (thread,) = notices()
    heard.notice.watch((str(path), str(path)))
    assert notices() == [thread]


def notices() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "file-notice"]


def test_after_stop_nothing_is_told_and_nothing_runs(tmp_path: Path) -> None:
    heard = Heard()
    path = tmp_path / "flags.json"
    heard.watch(path)
    heard.notice.stop()
    assert notices() == []
    replaced(path)
    assert heard.told == []
    heard.notice.stop()
    heard.watch(path)  # it can begin anew
    replaced(path)
    heard.expect(path)
    heard.notice.watch([])
    wait_until(lambda: notices() == [], "the thread to end")


def test_whoever_is_told_may_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    stopped = threading.Event()

    def tell(_: frozenset[str]) -> None:
        notice.stop()
        stopped.set()

    notice = FileNotice(tell)
    notice.watch([str(path)])
    wait_until(lambda: (path.write_text("x"), stopped.is_set())[1], "the notice to stop itself")
    wait_until(lambda: notices() == [], "the thread to end")


def test_a_folder_that_is_not_there_is_complained_of_once_and_costs_the_others_nothing(heard: Heard, tmp_path: Path) -> None:
    path, missing = tmp_path / "flags.json", tmp_path / "missing" / "flags.json"
    heard.watch(path, missing)
    replaced(path)
    heard.expect(path)
    sentence = "changes of flag files in it are seen at the next look only: no such file or directory: create it, or correct the path"
    assert heard.complaints == [f"{missing.parent}: {sentence}"]


def test_a_folder_that_comes_later_or_again_is_watched_after_some_seconds(heard: Heard, tmp_path: Path) -> None:
    path = tmp_path / "later" / "flags.json"
    heard.notice.watch([str(path)])
    wait_until(lambda: heard.complaints, "the complaint")
    for _ in range(2):
        path.parent.mkdir()
        wait_until(lambda: (path.write_text("x"), str(path) in heard.paths())[1], f"{path} to be told")
        path.unlink()
        path.parent.rmdir()
        heard.told.clear()
    assert len(heard.complaints) == 1


def test_a_name_that_is_no_text_ends_nothing(heard: Heard, tmp_path: Path) -> None:
    """The library gives up at it, and begins anew."""
    path = tmp_path / "flags.json"
    heard.watch(path)
    (tmp_path / os.fsdecode(b"\xff\xfe")).touch()
    wait_until(lambda: heard.complaints, "the complaint")
    wait_until(lambda: (path.write_text("x"), str(path) in heard.paths())[1], f"{path} to be told")


LIMITED = """
import ctypes, resource, sys, threading
from pathlib import Path
from rollback_daemon.flags.notice import FileNotice
from rollback_daemon.lab.servers import wait_until
said = []
notice = FileNotice(lambda paths: None, said.append)
assert "watchfiles" not in sys.modules
import watchfiles, platform
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
taken = []
while True:
    try:
        taken.append(open("/dev/null"))
    except OSError:
        break
notice.watch([sys.argv[1]])
wait_until(lambda: said, "the complaint", 20)
notice.stop()
del taken
print(said)
"""


def test_a_limit_of_the_system_is_complained_of_and_raises_nothing(tmp_path: Path) -> None:
    """In a process of its own that may open no more files."""
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path / "flags")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Too many open files" in done.stdout
    assert "fs.inotify.max_user_watches" in done.stdout
    assert "Exception" not in done.stderr


def test_the_library_is_loaded_only_when_a_file_is_watched() -> None:
    script = "import sys; from rollback_daemon.flags.notice import FileNotice; FileNotice(print).watch([]); print('watchfiles' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout == "False\n"


def test_every_link_on_the_way_is_a_place_and_a_ring_of_links_comes_to_an_end(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    (root / "a").mkdir()
    (root / "b").symlink_to("a")
    (root / "ring").symlink_to("ring")
    (root / "a" / "f").symlink_to("../a/./g")
    found = places_of([str(root / "b" / "f")])
    assert set(found.files) == {str(root / "b"), str(root / "a" / "f"), str(root / "a" / "g")}
    assert set(found.folders) == {str(root), str(root / "a")}
    assert found == places_of([str(root / "b" / "f")])
    assert str(root / "ring") in places_of([str(root / "ring" / "x")]).files
