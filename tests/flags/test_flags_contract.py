"""The laws that every flag store of the registry keeps: what is read and written, and when nothing is."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.errors import Refused, Transient
from rollback_daemon.flags.file_store import FileStore
from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.flags.stores import STORES, open_store
from tests.flags.contract import Subject


def test_the_registry_opens_a_store_that_says_where_it_is(flags: Subject) -> None:
    """A path is all that people are shown."""
    store = open_store(flags.kind, flags.path, 3)
    assert store.describe() == str(flags.path)
    assert store.read(flags.sample.keys).values == flags.sample.on


def test_values_are_read_with_their_types(flags: Subject) -> None:
    """True is not "true"."""
    values = flags.values()
    assert all(same(values[key], value) for key, value in flags.sample.on.items())


def test_a_key_that_is_not_there_is_missing_from_the_answer(flags: Subject) -> None:
    """It is not None, and no error."""
    assert flags.store.read(frozenset({flags.sample.missing})).values == {}


def test_all_changes_are_set_at_once_with_their_types(flags: Subject) -> None:
    """What was written is what is read."""
    flags.set(flags.sample.off)
    values = flags.values()
    assert all(same(values[key], value) for key, value in flags.sample.off.items())


def test_setting_them_back_gives_the_same_bytes(flags: Subject) -> None:
    """An edit leaves no trace in the rest of the file."""
    flags.set(flags.sample.off)
    assert flags.text() != flags.sample.text
    flags.set(flags.sample.on)
    assert flags.text() == flags.sample.text


def test_a_missing_key_is_added(flags: Subject) -> None:
    """And the others stay."""
    flags.set({flags.sample.missing: "new"})
    assert flags.store.read(frozenset({flags.sample.missing})).values == {flags.sample.missing: "new"}
    assert flags.values() == flags.sample.on


def test_one_bad_change_among_good_ones_changes_nothing(flags: Subject) -> None:
    """All or none."""
    with pytest.raises(Refused) as refusal:
        flags.set({**flags.sample.off, flags.sample.missing: "half of a pair: \ud800"})
    assert str(flags.path) in str(refusal.value)
    assert flags.text() == flags.sample.text


def test_a_write_against_an_old_version_is_transient_and_changes_nothing(flags: Subject) -> None:
    """Somebody else was faster."""
    before = flags.store.read(flags.sample.keys)
    flags.set(flags.sample.off)
    now = flags.text()
    with pytest.raises(Transient, match="read it again"):
        flags.store.write(flags.sample.on, if_version=before.version)
    assert flags.text() == now


def test_the_version_changes_with_any_byte(flags: Subject) -> None:
    """Also with one that is no flag."""
    before = flags.store.read(flags.sample.keys)
    with flags.path.open("a") as file:
        file.write("\n")
    after = flags.store.read(flags.sample.keys)
    assert before.values == after.values
    assert before.version != after.version


def test_writing_what_is_there_already_does_not_touch_the_file(flags: Subject) -> None:
    """Not even its times."""
    before = flags.path.stat()
    flags.set(flags.sample.on)
    after = flags.path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_broken_file_is_refused_with_its_line_and_none_of_its_content(flags: Subject) -> None:
    """Flag files hold secrets."""
    flags.path.write_text(flags.sample.broken, encoding="utf-8", newline="")
    with pytest.raises(Refused) as refusal:
        flags.values()
    assert str(refusal.value).startswith(f"{flags.path}:{flags.sample.broken_line}: ")
    assert "hunter2" in flags.sample.broken
    assert "hunter2" not in str(refusal.value)


def test_bytes_that_are_no_utf_8_survive(flags: Subject) -> None:
    """They were in a comment, or in another key."""
    foreign = flags.sample.text.replace("grüße", "gr\udcfc\udcdfe").encode("utf-8", "surrogateescape")
    assert b"gr\xfc\xdfe" in foreign
    flags.path.write_bytes(foreign)
    flags.set(flags.sample.off)
    assert b"gr\xfc\xdfe" in flags.path.read_bytes()
    flags.set(flags.sample.on)
    assert flags.path.read_bytes() == foreign


def test_a_byte_order_mark_and_dos_line_ends_survive(flags: Subject) -> None:
    """As an editor on Windows leaves them."""
    foreign = b"\xef\xbb\xbf" + flags.sample.text.replace("\n", "\r\n").encode()
    flags.path.write_bytes(foreign)
    assert flags.values() == flags.sample.on
    flags.set({**flags.sample.off, flags.sample.missing: "new"})
    written = flags.path.read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")
    assert written.count(b"\n") == written.count(b"\r\n")
    assert flags.values() == flags.sample.off


def test_every_format_says_what_is_wrong_with_a_key_or_value(flags: Subject) -> None:
    """None is the answer for what it can hold."""
    assert all(flags.format.check(key, value) is None for key, value in flags.sample.off.items())
    assert flags.format.check("", "x")
    assert flags.format.check(flags.sample.missing, float("nan"))


@pytest.mark.parametrize("value", [(), ("planner",), ("planner", "on", "", "ü"), (1, True, "1", None, 0.5)], ids=repr)
def test_a_list_is_set_and_read_or_refused_with_a_sentence(flags: Subject, value: FlagValue) -> None:
    """Never something between the two, whether it comes as a tuple or, as from a journal, as a list."""
    complaint = flags.format.check(flags.sample.missing, value)
    for written in (value, list(value) if isinstance(value, tuple) else value):
        changes: dict[str, Any] = {flags.sample.missing: written}
        if complaint:
            with pytest.raises(Refused, match="no lists"):
                flags.set(changes)
            assert flags.text() == flags.sample.text
        else:
            flags.set(changes)
            assert same(flags.store.read(frozenset(changes)).values[flags.sample.missing], value)
            flags.set({flags.sample.missing: "no list"})
    assert flags.values() == flags.sample.on


def test_a_list_of_lists_is_refused(flags: Subject) -> None:
    """In every format."""
    value: Any = ("a", ("b",))
    with pytest.raises(Refused, match="list"):
        flags.set({flags.sample.missing: value})
    assert flags.text() == flags.sample.text


def test_a_file_tells_whose_it_is_and_when_it_was_written(flags: Subject) -> None:
    """For people who look for whoever changed it; nothing in it is a flag or a secret."""
    flags.path.chmod(0o640)
    before = datetime.now(UTC) - timedelta(seconds=1)
    flags.set(flags.sample.off)
    trace = flags.store.read(flags.sample.keys).trace
    assert (trace["owner"], trace["mode"]) == (flags.path.owner(), "0640")
    assert before <= datetime.fromisoformat(trace["modified"]) <= datetime.now(UTC)
    assert "hunter2" not in repr(trace)


def test_writers_that_ask_again_never_lose_a_change(flags: Subject) -> None:
    """Each of eight threads sets a key of its own, through a store of its own, in one file."""
    keys = [f"{flags.sample.missing}{number}" for number in range(8)]
    refusals: list[str] = []

    def insist(key: str) -> None:
        store = FileStore(flags.path, STORES[flags.kind], patience=30)
        for _ in range(200):
            try:
                return store.write({key: key}, if_version=store.read(frozenset({key})).version)
            except Transient as error:
                refusals.append(str(error))
        raise AssertionError(refusals[-1])

    threads = [threading.Thread(target=insist, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert flags.store.read(frozenset(keys)).values == {key: key for key in keys}


def test_a_reader_never_sees_a_part(flags: Subject) -> None:
    """While one thread writes on and off in turn, another always reads the one or the other."""
    done = threading.Event()
    seen: list[bool] = []

    def look() -> None:
        while not done.is_set():
            seen.append(flags.values() in (flags.sample.on, flags.sample.off))

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(20):
        flags.set(flags.sample.off)
        flags.set(flags.sample.on)
    done.set()
    reader.join()
    assert seen
    assert all(seen)


def test_nothing_is_left_beside_the_file(flags: Subject, tmp_path: Path) -> None:
    """No temporary file, no lock file."""
    flags.set(flags.sample.off)
    assert [path.name for path in tmp_path.iterdir()] == ["flags"]
