"""What is new in a watched folder, on real folders; the seconds between two looks are told."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollback_daemon.intake.files import Stamp
from rollback_daemon.intake.inbox import Away, Seen
from rollback_daemon.rules.duties import Inbox


class Folder:
    """A watched folder, its memory, and a clock that moves on by a second with each look."""

    def __init__(self, path: Path, files: str = "*") -> None:
        self.path, self.seconds = path, 0.0
        self.path.mkdir(parents=True, exist_ok=True)
        self.seen = Seen(Inbox(str(path), files))
        self.written = 0

    def write(self, name: str, text: str = "x") -> Path:
        """Each file a second younger than the one before."""
        self.written += 1
        file = self.path / name
        file.write_text(text, encoding="utf-8")
        os.utime(file, (self.written, self.written))
        return file

    def look(self, passes: float = 1.0) -> list[str]:
        """The names of what is due, which is dealt with."""
        self.seconds += passes
        folder = self.seen.open()
        try:
            due = self.seen.due(folder, self.seconds)
        finally:
            os.close(folder)
        for name, stamp in due:
            self.seen.deal(name, stamp)
        return [name for name, _ in due]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "inbox")


def test_at_the_first_look_only_the_newest_file_is_new(folder: Folder) -> None:
    for name in ("c.xml", "a.xml", "b.xml"):
        folder.write(name)
    assert [folder.look(), folder.look(), folder.look()] == [[], ["b.xml"], []]


def test_afterwards_every_file_that_is_new_or_changed_is_the_oldest_first(folder: Folder) -> None:
    folder.write("old.xml")
    folder.look()
    folder.look()
    folder.write("z.xml")
    folder.write("a.xml")
    assert [folder.look(), folder.look()] == [[], ["z.xml", "a.xml"]]
    folder.write("old.xml", "another")
    assert [folder.look(), folder.look(), folder.look()] == [[], ["old.xml"], []]


def test_a_file_that_is_being_written_is_left_until_it_has_stood_still(folder: Folder) -> None:
    folder.look()
    for text in ("<", "<testsuite", "<testsuite/>"):
        folder.write("run.xml", text)
        assert folder.look() == []
    assert folder.look(0.2) == []
    assert folder.look(0.3) == ["run.xml"]


def test_a_file_that_is_renamed_in_is_new_and_its_name_before_was_not_looked_at(folder: Folder) -> None:
    folder.look()
    for name in ("run.xml.part", ".run.xml", "run.xml.tmp", "run.xml~", ".run.xml.swp", "run.swp"):
        folder.write(name)
    assert [folder.look(), folder.look()] == [[], []]
    (folder.path / "run.xml.part").rename(folder.path / "run.xml")
    assert [folder.look(), folder.look()] == [[], ["run.xml"]]


def test_only_names_that_match_are_looked_at_and_brackets_are_parts_of_names(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "run[1]-?.x*")
    for name in ("run1-a.xml", "run[1]-ab.xml", "run[1]-a.txt", "run[1]-a.xml"):
        folder.write(name)
    assert [folder.look(), folder.look()] == [[], ["run[1]-a.xml"]]


def test_what_is_no_file_is_due_once_however_much_is_done_in_it(folder: Folder) -> None:
    folder.write("run.xml")
    (folder.path / "archive").mkdir()
    (folder.path / "latest.xml").symlink_to("run.xml")
    assert [folder.look(), folder.look()] == [[], ["archive", "latest.xml", "run.xml"]]
    (folder.path / "archive" / "old.xml").touch()
    assert [folder.look(), folder.look()] == [[], []]


def test_a_file_that_was_refused_is_due_again_when_its_rights_were_mended(folder: Folder) -> None:
    file = folder.write("run.xml")
    file.chmod(0)
    folder.look()
    assert [folder.look(), folder.look()] == [["run.xml"], []]
    file.chmod(0o644)
    assert [folder.look(), folder.look()] == [[], ["run.xml"]]


def test_a_folder_that_was_away_goes_on_where_it_was_and_another_in_its_place_begins_anew(folder: Folder, tmp_path: Path) -> None:
    folder.write("a.xml")
    folder.look()
    assert folder.look() == ["a.xml"]
    aside = tmp_path / "aside"
    folder.path.rename(aside)
    with pytest.raises(Away, match=r'the folder ".*/inbox" is not there; make it, or mend folder in the rule file'):
        folder.look()
    aside.rename(folder.path)
    assert [folder.look(), folder.look()] == [[], []]
    folder.path.rename(aside)
    folder.path.mkdir()
    for name in ("b.xml", "c.xml"):
        folder.write(name)
    assert [folder.look(), folder.look(), folder.look()] == [[], ["c.xml"], []]


def test_a_folder_that_is_none_or_holds_too_much_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Away, match=r'the folder ".*/file" cannot be read: not a directory'):
        Seen(Inbox(str(tmp_path / "file"), "*")).open()
    folder = Folder(tmp_path / "full", "*.xml")
    one = folder.write("0.xml")
    for number in range(1, 10_001):
        os.link(one, folder.path / f"{number}.xml")
    with pytest.raises(Away, match="has more than 10000 files that match"):
        folder.look()
    (folder.path / "10000.xml").unlink()
    assert folder.look() == []


def test_a_flood_is_dealt_with_a_few_at_a_time_the_newest_first_and_what_is_as_old_at_once(folder: Folder) -> None:
    folder.look()
    names = [f"{number:02}.xml" for number in range(25)]
    for name in names:
        folder.write(name)
    assert [folder.look(), folder.look(), folder.look(), folder.look(), folder.look()] == [[], names[15:], names[5:15], names[:5], []]
    for name in names:
        os.utime(folder.write(name), (100, 100))
    assert [folder.look(), sorted(folder.look()), folder.look()] == [[], names, []]


NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(st.one_of(st.tuples(st.just("write"), NAMES), st.tuples(st.just("remove"), NAMES), st.tuples(st.just("look"), st.just(""))))


@given(before=st.lists(NAMES, unique=True), steps=STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_each_file_as_it_stands_at_the_end_is_due_once(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], steps: list[tuple[str, str]]
) -> None:
    folder = Folder(tmp_path_factory.mktemp("inbox"))
    for name in before:
        folder.write(name)
    dealt: list[tuple[str, Stamp]] = []

    def look() -> None:
        dealt.extend((name, Stamp.of((folder.path / name).stat())) for name in folder.look())

    look()
    for what, name in steps:
        if what == "write":
            folder.write(name, "x" * (folder.written + 1))
        elif what == "remove":
            (folder.path / name).unlink(missing_ok=True)
        else:
            look()
    look()
    look()
    assert len(dealt) == len(set(dealt))
    wanted = {*[name for what, name in steps if what == "write"], *before[-1:]}
    assert {name for name, stamp in dealt if (folder.path / name).exists() and stamp == Stamp.of((folder.path / name).stat())} == {
        name for name in wanted if (folder.path / name).exists()
    }
