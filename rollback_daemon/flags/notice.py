"""Telling at once that a watched file has changed, so that nobody has to wait for the next look at it.

Lives here: the thread that watches. Must not live here: where a change shows (`file_places`), reading a file, or what its change means.
What is told is a hint: one may be missed, so that whoever is told must look now and then anyway.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator

from rollback_daemon.flags.file_places import Places, places_of

Tell = Callable[[frozenset[str]], None]
"""Is told the paths that have changed, as they were given. Runs in the thread of the notice; must not raise, nor take long."""

_STEP = 50  # milliseconds without a change after which those before it are told
_LONGEST = 100  # milliseconds that changes are collected
_IDLE = 200  # milliseconds until the library comes back without a change
_LIMITS = "see fs.inotify.max_user_watches and max_user_instances, and the open files that this service may have"


def _say_nothing(sentence: str) -> None:
    """The `complain` of those who do not ask."""


class FileNotice:
    """Tells when watched files are written, replaced, removed or created, or a link on the way to them points elsewhere.

    Thread-safe. What cannot be watched is said to `complain`, once, and tried again; nothing raises.
    """

    def __init__(self, tell: Tell, complain: Callable[[str], None] = _say_nothing, *, recheck: float = 5.0) -> None:
        """Every `recheck` seconds it looks for folders that came or went, and tries again what could not be watched."""
        self._tell, self._complain, self._recheck = tell, complain, recheck
        self._lock = threading.Lock()
        self._watcher: _Watcher | None = None

    def watch(self, paths: Collection[str]) -> None:
        """Watch these files and no others, from some milliseconds later on. They need not exist; with none, nothing runs."""
        wanted = frozenset(paths)
        with self._lock:
            if self._watcher is not None:
                if self._watcher.paths == wanted:
                    return
                self._watcher.stop()
            self._watcher = _Watcher(wanted, self._tell, self._complain, self._recheck) if wanted else None

    def stop(self) -> None:
        """Watch nothing any more. Nothing is told once this has returned, unless it was called from within `tell`."""
        with self._lock:
            watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.join()


class _Lost(Exception):
    """The library does not watch (any more); says why."""


class _Watcher:
    """One set of files and the thread that watches it until it is stopped."""

    def __init__(self, paths: frozenset[str], tell: Tell, complain: Callable[[str], None], recheck: float) -> None:
        self.paths = paths
        self._tell, self._complain, self._recheck = tell, complain, recheck
        self._said: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="file-notice", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def join(self) -> None:
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        owed: frozenset[str] = frozenset()
        while not self._stopped.is_set():
            places = places_of(self.paths)
            for folder, why in places.unwatchable.items():
                self._say(f"{folder}: changes of flag files in it are seen at the next look only: {why}")
            try:
                owed = self._follow(places, owed)
            except _Lost as lost:
                self._say(f"changes of flag files are seen at the next look only: {lost}")
                owed = self.paths  # whatever happens until they are watched again
                self._stopped.wait(self._recheck)

    def _follow(self, places: Places, owed: frozenset[str]) -> frozenset[str]:
        """Tell `owed` as soon as the folders are watched, and then every change, until the folders or links are others.

        Returns what has changed and is to be told when the new ones are watched, for what is read before that may be outdated unseen.
        """
        looked = time.monotonic()
        for changed in self._changes(places):
            told = owed.union(*(places.files.get(place, ()) for place in changed))
            owed = frozenset()
            if changed or time.monotonic() - looked > self._recheck:
                looked = time.monotonic()
                if places_of(self.paths) != places:
                    return told
            if told and not self._stopped.is_set():
                self._tell(told)
        return owed

    def _changes(self, places: Places) -> Iterator[frozenset[str]]:
        """The places that have changed; none when the watch has just been set, and now and then. Raises _Lost."""
        if not places.folders:
            while not self._stopped.wait(_IDLE / 1000):
                yield frozenset()
            return
        try:
            # it takes its time, and not everybody watches files
            from watchfiles import watch  # noqa: PLC0415

            logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would log every change
            for changes in watch(
                *places.folders,
                watch_filter=lambda _, place: place in places.files or place in places.folders,
                debounce=_LONGEST,
                step=_STEP,
                rust_timeout=_IDLE,
                yield_on_timeout=True,
                stop_event=self._stopped,
                raise_interrupt=False,
                recursive=False,
            ):
                yield frozenset(place for _, place in changes)
        # RuntimeError: the library's own, also for a name in the folder that is no UTF-8
        except (OSError, RuntimeError, ImportError, ValueError) as error:
            raise _Lost(f"{str(error)[:200] or type(error).__name__}: {_LIMITS}") from error

    def _say(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._complain(sentence)
