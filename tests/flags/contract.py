"""What the contract suite needs to know of each store in the registry, and the tools that it works with.

A text format joins by its test file: `test_flags_<name>.py` with a `SAMPLE` in it.
"""

import importlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rollback_daemon.flags.file_store import FileStore
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.flags.stores import STORES
from rollback_daemon.flags.text_format import Format

NOBODY = 65534


@dataclass(frozen=True)
class Sample:
    """A file of one format.

    `on` are the flags that `text` holds, `off` other values for the same keys, of the same types; `broken` cannot be
    parsed.
    """

    text: str
    on: Mapping[str, FlagValue]
    off: Mapping[str, FlagValue]
    missing: str
    broken: str
    broken_line: int

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self.on)


@dataclass(frozen=True)
class Subject:
    """One format with its sample in a file of its own."""

    kind: str
    path: Path
    sample: Sample

    @property
    def format(self) -> Format:
        return STORES[self.kind]

    @property
    def store(self) -> FileStore:
        return FileStore(self.path, self.format)

    def set(self, changes: Mapping[str, FlagValue]) -> None:
        self.store.write(changes, if_version=self.store.read(frozenset()).version)

    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def values(self) -> Mapping[str, FlagValue]:
        return self.store.read(self.sample.keys).values


def subject(kind: str, folder: Path) -> Subject:
    """The sample of `kind`, written into `folder`."""
    sample: Sample = importlib.import_module(f"tests.flags.test_flags_{kind}").SAMPLE
    path = folder / "flags"
    path.write_text(sample.text, encoding="utf-8", newline="")
    return Subject(kind, path, sample)


SCRIPT = """
import os, signal, sys
from pathlib import Path
from rollback_daemon.errors import FlagError
from rollback_daemon.flags.file_store import FileStore
from rollback_daemon.flags.stores import STORES
from tests.flags.contract import NOBODY, Sample, importlib
kind, path, user, stop = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
sample = importlib.import_module("tests.flags.test_flags_" + kind).SAMPLE
if user >= 0:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
def steps(step):
    if step == stop:
        os.kill(os.getpid(), signal.SIGKILL)
store = FileStore(path, STORES[kind], steps=steps)
try:
"""


def run(subject: Subject, action: str, *, user: int = -1, stop: str = "") -> subprocess.CompletedProcess[str]:
    """Do `action` on `store` in a process of its own, as `user`, killed when it has done the step `stop`.

    Prints the error's outcome and sentence.
    """
    script = SCRIPT + f"    {action}\nexcept FlagError as error:\n    print(error.outcome, error)\n"
    arguments = [sys.executable, "-W", "error", "-c", script, subject.kind, str(subject.path), str(user), stop]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def is_root() -> bool:
    """Whether modes mean nothing to this process."""
    return os.geteuid() == 0
