"""The web configuration in force: taken up at the start and at each reload, and by itself when one of its files has changed.

A password that was withdrawn, or a certificate that was renewed, counts from the next request on. A version with a mistake in it is logged and
leaves the one before in force. Must not live here: what stands in the file (`web_config`), who is let in by it (`login`).
"""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.faces.http import tls, web_config
from rollback_daemon.faces.http.web_config import WebConfig

_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A web configuration with everything that it names, ready for use; `stamps` are the files as they were before they were read."""

    web: WebConfig = field(default_factory=WebConfig)
    context: ssl.SSLContext | None = None
    stamps: dict[str, _Stamp] = field(default_factory=dict)


class Access:
    """Who is let in, as `--web.config.file` says now; without a file nobody is asked."""

    def __init__(self, file: Path | None) -> None:
        """Reads nothing yet: `read` and `take` do."""
        self._file = None if file is None else str(file)
        self._entry = Entry()
        self._stamps: dict[str, _Stamp] = {}  # of the files when they were last looked at
        self._named: tuple[str, ...] = ()  # by the newest version, good or bad
        self._said: list[str] = []
        self._taken = False
        self.open_reading = False

    @property
    def web(self) -> WebConfig:
        """The settings in force."""
        return self._entry.web

    @property
    def scheme(self) -> str:
        """`https` or `http`."""
        return "http" if self._entry.context is None else "https"

    def context(self) -> ssl.SSLContext:
        """The certificates for a new connection. Only where TLS is spoken."""
        self.look()
        made = self._entry.context
        assert made is not None  # noqa: S101 (the server asks only where TLS is spoken, and that does not change while it runs)
        return made

    def read(self) -> Entry:
        """The file and what it names, as they are now. Raises ConfigurationError with every mistake, and puts nothing in force."""
        if self._file is None:
            return Entry()
        stamps = {self._file: _stamp(self._file)}
        web = web_config.read(self._file)
        self._named = web.files
        stamps.update({name: _stamp(name) for name in web.files})
        if self._taken and web.ways != self._entry.web.ways:
            text = "switches TLS, passwords or client_auth_type on or off; restart rollbackd for that"
            raise ConfigurationError([Problem(self._file, 0, 0, "", text)])
        return Entry(web, tls.context(web), stamps)

    def take(self, entry: Entry) -> None:
        """Let this one be in force."""
        self._entry, self._stamps, self._said, self._taken = entry, entry.stamps, [], True

    def look(self) -> None:
        """Take up files that have changed since the last look; cheap when none has. To be called from one thread."""
        now = {name: _stamp(name) for name in self._stamps}
        if now == self._stamps:
            return
        try:
            self.take(self.read())
        except ConfigurationError as error:
            self._stamps = {**dict.fromkeys(self._named), **now}  # a file that only the bad version names may come later
            problems = [str(problem) for problem in error.problems]
            if problems != self._said:
                structlog.get_logger().error("the web configuration was not loaded again; the one before stays", problems=problems)
            self._said = problems
        else:
            structlog.get_logger().info("the web configuration has changed and was loaded again", users=sorted(self.web.users))


def _stamp(file: str) -> _Stamp:
    """What changes when a file does; None when it is not there."""
    try:
        found = os.stat(file)  # noqa: PTH116 (at every request: a Path would cost more than the call)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
