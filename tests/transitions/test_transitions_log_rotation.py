"""Whatever is written and rotated in whatever order: what came after the mark is found, what came before is not, and what is lost is not clear."""

import gzip
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rollback_daemon.transitions.log_scan import Mark, mark, scan

GO_ON = threading.Event()


@dataclass
class World:
    """A log and its rotation, and where each word that was written ought to be: in which file, by what the file is, not by its name."""

    path: Path
    lost: set[int] = field(default_factory=set)
    before: set[int] = field(default_factory=set)
    traceless: set[int] = field(default_factory=set)  # written after the mark, and not to what was the log then: once gone, as if it had never been
    words: int = 0
    mark: Mark | None = None
    marked: bool = False  # the log is still what it was at the mark, and was not empty then

    def rotated(self) -> list[Path]:
        """The youngest first."""
        return sorted(self.path.parent.glob("app.log.*"), key=lambda path: int(path.name.split(".")[2]))

    def word(self) -> str:
        self.words += 1
        if not self.marked:
            self.traceless.add(self.words)
        return f"<{self.words}>"

    def known(self, path: Path) -> set[int]:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        return {int(word.rpartition("<")[2]) for word in text.split(">")[:-1]}

    def forget(self, path: Path) -> None:
        self.lost |= self.known(path)


def write(world: World) -> None:
    with world.path.open("a") as file:
        file.write(f"{world.word()} said\n")


def write_half(world: World) -> None:
    with world.path.open("a") as file:
        file.write(f"{world.word()} sa")


def write_much(world: World) -> None:
    with world.path.open("a") as file:
        file.write(f"{world.word()}\n" + f"{'x' * 99}\n" * 90 + f"{world.word()}\n")


def write_late(world: World) -> None:
    """The application goes on in the file that was renamed."""
    plain = [path for path in world.rotated() if path.suffix != ".gz"]
    if plain:
        with plain[0].open("a") as file:
            file.write(f"{world.word()} late\n")
        world.traceless.add(world.words)


def _shift(world: World) -> None:
    for path in reversed(world.rotated()):
        _, _, number, *packed = path.name.split(".")
        path.rename(path.with_name(".".join(["app.log", str(int(number) + 1), *packed])))


def rename(world: World) -> None:
    if world.path.exists():
        _shift(world)
        world.path.rename(world.path.with_name("app.log.1"))
        world.marked = False


def rename_and_create(world: World) -> None:
    rename(world)
    world.path.touch()


def copy_and_empty(world: World) -> None:
    if world.path.exists():
        _shift(world)
        shutil.copyfile(world.path, world.path.with_name("app.log.1"))
        os.truncate(world.path, 0)
        world.marked = False


def _pack(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def pack(world: World) -> None:
    for path in world.rotated():
        if path.suffix != ".gz":
            changed = path.stat().st_mtime_ns
            os.utime(_pack(path), ns=(changed, changed))
            path.unlink()


def pack_as_a_script_does(world: World) -> None:
    for path in world.rotated():
        if path.suffix != ".gz":
            _pack(path)
            path.unlink()


def drop(world: World) -> None:
    if old := world.rotated():
        world.forget(old[-1])
        old[-1].unlink()


def empty(world: World) -> None:
    if world.path.exists():
        world.forget(world.path)
        os.truncate(world.path, 0)
        world.marked = False


def set_mark(world: World) -> None:
    world.mark = Mark.of(mark(str(world.path)).body())
    world.before = set(range(1, world.words + 1))
    world.marked = world.path.exists() and world.path.stat().st_size > 0


WRITES: list[Callable[[World], None]] = [write, write_half, write_much, write_late]
ROTATIONS: list[Callable[[World], None]] = [rename, rename_and_create, copy_and_empty, pack, pack_as_a_script_does, drop, empty]
Steps = list[Callable[[World], None]]
steps = st.lists(st.sampled_from([*WRITES, *WRITES, *ROTATIONS]), max_size=12)


@given(before=steps, after=steps)
@example(before=[write, rename_and_create], after=[write, pack, rename, write])
@example(before=[write], after=[copy_and_empty, write, copy_and_empty, write, pack])
@example(before=[write_half], after=[write_half, rename, write])
@example(before=[write, rename, write], after=[rename, drop, write])
@settings(max_examples=150)
def test_what_came_after_the_mark_is_found_and_nothing_else(before: Steps, after: Steps) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "app.log")
        for step in [*before, set_mark, *after]:
            step(world)
        assert world.mark is not None
        for word in range(1, world.words + 1):
            scanned = scan(str(world.path), f"<{word}>", world.mark, GO_ON)
            if word in world.before:
                assert not scanned.found, f"{word} came before the mark"
            elif word not in world.lost:
                assert f"<{word}>" in scanned.found, f"{word} came after the mark"
            elif word not in world.traceless:
                assert scanned.unknown, f"{word} is lost"
        if not {*after} & {drop, empty}:
            scanned = scan(str(world.path), "<0>", world.mark, GO_ON)
            assert not scanned.unknown or not world.path.exists(), "nothing is lost"
