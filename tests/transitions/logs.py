"""What the tests of log scans share: a log as an application and a rotation treat it."""

import gzip
import json
import os
import shutil
import threading
from datetime import timedelta
from pathlib import Path

from rollback_daemon.transitions.log_scan import LONGEST, Mark, Scanned, mark, scan

GO_ON = threading.Event()
OLD = "ERROR old: before the mark\n" * 3
NEW = "ERROR new: after the mark\n"
FINE = "all is well\n"


class Log:
    """A log, as an application and a rotation treat it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = Mark()

    def beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def mark(self) -> None:
        """As it comes back from a journal."""
        self._mark = Mark.of(json.loads(json.dumps(mark(str(self.path)).body())))

    def renamed(self, suffix: str = ".1", *, create: bool = True) -> None:
        self.path.rename(self.beside(suffix))
        if create:
            self.path.touch()

    def copied(self, suffix: str = ".1") -> None:
        shutil.copyfile(self.path, self.beside(suffix))
        os.truncate(self.path, 0)

    def packed(self, suffix: str = ".1", *, kept: bool = True) -> None:
        """As gzip and logrotate do, with the time of the last change kept, or as a script does."""
        plain, result = self.beside(suffix), self.beside(f"{suffix}.gz")
        changed = plain.stat().st_mtime_ns
        result.write_bytes(gzip.compress(plain.read_bytes()))
        if kept:
            os.utime(result, ns=(changed, changed))
        plain.unlink()

    def scan(self, pattern: str = "ERROR", stop: threading.Event = GO_ON, longest: timedelta = LONGEST) -> Scanned:
        return scan(str(self.path), pattern, self._mark, stop, longest)

    def finds_only_what_is_new(self) -> bool:
        return self.scan().found == NEW.strip() and self.scan("before").found == ""
