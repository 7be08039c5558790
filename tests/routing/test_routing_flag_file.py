"""Flag files as an application reads them: soon, never half, and the last good content when there is no other."""

import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rollback_daemon.flags.stores import STORES, open_store
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.routing.flag_file import FlagFile, Look, Missing

FORKING = """
import os, sys, threading
from pathlib import Path
from rollback_daemon.routing.flag_file import FlagFile
path = Path(sys.argv[1])
held, over = threading.Event(), threading.Event()
def hold(before, after):
    held.set()
    over.wait(30)
file = FlagFile(path, "dotenv", check_every=0, settle=0, changed=hold)
file.look()
path.with_name("new").write_text("A=2")
path.with_name("new").replace(path)
thread = threading.Thread(target=file.look)
thread.start()
held.wait(30)
child = os.fork()
if not child:
    path.with_name("new").write_text("A=3")
    path.with_name("new").replace(path)
    over.set()
    os._exit(file.look().content.get("A") != "3")
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
over.set()
thread.join()
sys.exit(code)
"""


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """A file of one flag with its reader, which looks each second."""

    def __init__(self, folder: Path) -> None:
        self.path, self.clock = folder / "flags.json", Clock()
        self.write("1")
        self.file = FlagFile(self.path, "json", check_every=1, settle=3, now=self.clock)

    def write(self, value: str) -> None:
        """In place, as editors do."""
        self.path.write_text(f'{{"a": {value}}}')

    def replace(self, text: str) -> None:
        """In one step, as the daemon does."""
        new = self.path.with_name("new")
        new.write_text(text)
        before = new.stat().st_mtime_ns - 10**9  # as if it had been written, and synced, a second ago
        os.utime(new, ns=(before, before))
        new.replace(self.path)

    def after(self, seconds: float) -> Look:
        """What is known when so much time has passed."""
        self.clock.now += seconds
        return self.file.look()

    def value(self, seconds: float = 1) -> object:
        content = self.after(seconds).content
        return None if content is None else content.get("a")


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    found = Reader(tmp_path)
    assert found.value(10) == 1
    assert found.value(10) == 1  # and it has stood for long
    return found


@pytest.mark.parametrize(
    ("store", "text"), [("dotenv", "\ufeffA=1\nB=x\n"), ("json", '\ufeff{"A": "1", "b": {"c": 2}}'), ("yaml", "\ufeffA: '1'\nb: {c: 2}\n")]
)
def test_every_kind_of_file_is_read_as_the_daemon_reads_it(tmp_path: Path, store: str, text: str) -> None:
    path = tmp_path / "flags"
    path.write_text(text, encoding="utf-8")
    content = FlagFile(path, store).look().content
    assert content
    assert (content.get("A"), content.get("Z")) == ("1", Missing.KEY)
    assert content.version == open_store(store, path).read(frozenset()).version
    assert store in STORES
    assert store == "dotenv" or content.get("/b/c") == 2


def test_a_replaced_file_is_believed_at_the_next_look(reader: Reader) -> None:
    reader.replace('{"a": 2}')
    assert reader.value(0.5) == 1  # no look yet
    assert reader.value(0.5) == 2


def test_a_file_written_in_place_is_believed_when_it_has_stood_still(reader: Reader) -> None:
    reader.write("2")
    assert [reader.value() for _ in range(5)] == [1, 1, 1, 2, 2]


def test_half_of_a_file_is_never_believed(reader: Reader) -> None:
    reader.path.write_text("")
    assert reader.after(1).problem is None
    reader.path.write_text('{"a"')
    assert reader.value(2) == 1
    reader.write("3")
    assert [reader.value() for _ in range(4)] == [1, 1, 1, 3]


def test_a_file_that_never_stands_still_is_read_all_the_same(reader: Reader) -> None:
    seen = []
    for number in range(2, 66):
        reader.write(str(number))
        seen.append(reader.value())
    assert seen == [1] * 60 + [62] * 4  # 20 times the 3 s


@pytest.mark.parametrize("broken", ["", "{", "[1", '{"a": 1'])
def test_a_broken_file_leaves_the_last_good_content_and_is_told_once(reader: Reader, broken: str) -> None:
    reader.replace(broken)
    first = reader.after(1)
    assert first.content is not None
    assert first.content.get("a") == 1
    assert str(reader.path) in (first.problem or "")
    assert "mend it" in (first.problem or "")
    assert all(reader.after(1) == first for _ in range(6))
    reader.replace('{"a": 1}')
    assert reader.after(1) == Look(first.content, None)


def test_a_file_that_is_away_leaves_the_last_good_content(reader: Reader) -> None:
    text = reader.path.read_text()
    reader.path.unlink()
    look = reader.after(1)
    assert look.content is not None
    assert look.content.get("a") == 1
    assert "create it, or correct the path" in (look.problem or "")
    reader.replace(text)
    assert reader.after(1) == Look(look.content, None)


def test_a_file_made_anew_beside_its_backup_is_believed_when_it_has_stood_still(reader: Reader) -> None:
    """As some editors save: the old one is renamed, the new one written in its place."""
    reader.path.rename(reader.path.with_name("backup"))
    reader.path.write_text('{"a"')
    assert reader.value() == 1
    reader.write("2")
    assert [reader.value() for _ in range(4)] == [1, 1, 1, 2]


def test_what_may_pass_is_told_when_it_lasts(reader: Reader) -> None:
    """A file that cannot be read just now: here, too many others are open."""
    reader.replace('{"a": 2}')
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        first, later = reader.after(1), reader.after(60)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (first.problem, first.content) == (None, later.content)
    assert "too many open files" in (later.problem or "")
    assert reader.value() == 2
    assert reader.after(1).problem is None


def test_a_file_that_comes_late_is_read_when_it_has_stood_still(tmp_path: Path) -> None:
    clock = Clock()
    file = FlagFile(tmp_path / "flags.env", "dotenv", check_every=1, now=clock)
    assert file.look().content is None
    (tmp_path / "flags.env").write_text("A=1")
    clock.now = 1
    assert file.look().content is None
    clock.now = 2
    content = file.look().content
    assert content is not None
    assert content.get("A") == "1"


def test_a_link_that_is_pointed_elsewhere_is_followed(tmp_path: Path) -> None:
    """As a mounted ConfigMap changes."""
    clock = Clock()
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"A={name}")
    link = tmp_path / "flags.env"
    link.symlink_to("one")
    file = FlagFile(link, "dotenv", check_every=1, now=clock)
    file.look()
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(link)
    for clock.now in (1, 2):
        content = file.look().content
    assert content is not None
    assert content.get("A") == "two"


@pytest.mark.parametrize("store", STORES)
def test_what_the_daemon_writes_is_never_seen_in_part(tmp_path: Path, store: str) -> None:
    """Two flags, always changed together by the daemon's own store, read by a thread as fast as it can."""
    path = tmp_path / "flags"
    path.write_text({"dotenv": "A=0\nB=0\n", "json": '{"A": "0", "B": "0"}', "yaml": "A: '0'\nB: '0'\n"}[store])
    ours, file, over = open_store(store, path), FlagFile(path, store, check_every=0, settle=0.01), threading.Event()
    seen: list[tuple[object, object]] = []

    def read() -> None:
        while not over.is_set():
            content = file.look().content
            if content:
                seen.append((content.get("A"), content.get("B")))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(1, 16):
            ours.write({"A": str(number), "B": str(number)}, if_version=ours.read(frozenset()).version)
        wait_until(lambda: seen[-1:] == [("15", "15")], "the last one is seen", 30)
    finally:
        over.set()
        thread.join()
    assert file.look().problem is None
    assert len(set(seen)) > 1
    assert all(first == second for first, second in seen)


def test_a_child_process_looks_for_itself_though_a_thread_was_looking_when_it_was_forked(tmp_path: Path) -> None:
    (tmp_path / "flags.env").write_text("A=1")
    done = subprocess.run([sys.executable, "-c", FORKING, tmp_path / "flags.env"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='"toml" is no kind of flag file: use one of dotenv, json, yaml'):
        FlagFile(tmp_path / "flags", "toml")


def test_a_key_that_holds_no_flag_is_an_error_of_that_key_only(tmp_path: Path) -> None:
    (tmp_path / "flags").write_text(json.dumps({"a": {"b": 1}, "c": None}))
    content = FlagFile(tmp_path / "flags", "json").look().content
    assert content is not None
    assert "name a value inside it" in str(content.get("a"))
    assert (content.get("/a/b"), content.get("c")) == (1, None)


def test_the_daemons_own_change_is_believed_at_the_next_look(reader: Reader) -> None:
    """It writes, syncs, and renames: with a moment between them the file system shows that nobody is writing any more."""
    store = open_store("json", reader.path)
    store.write({"a": 2}, if_version=store.read(frozenset()).version)
    status = reader.path.stat()
    assert reader.value() == (2 if status.st_ctime_ns > status.st_mtime_ns else 1)
    assert [reader.value() for _ in range(3)][-1] == 2
