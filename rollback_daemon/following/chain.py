"""The files that a followed path has been, one after the other: what was written is read to its end, wherever rotation has put it.

A file that was renamed is read on by its descriptor; what was copied and emptied is known by its content, as in `transitions.log_mark`.
Must not live here: blocks and lines (`growing`), what a line says.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from rollback_daemon.following.beginning import When, beginning, newer_before
from rollback_daemon.following.budget import Budget
from rollback_daemon.following.growing import GrowingFile, exists
from rollback_daemon.following.track import SLACK
from rollback_daemon.transitions.log_files import PACKED, UNREADABLE, Candidate, NotALog, candidates
from rollback_daemon.transitions.log_mark import WINDOW, Limit, Place, TooLong, recognised, why

_MOST = 16  # rotated files that are looked at
_LINGER = 60.0  # seconds without growth after which a renamed file is let go of, once somebody writes to the next: its writer may not know yet
_SLACK = 120.0  # by so much the times of files and those of lines may differ
_NANOSECONDS = 1e9

Where = tuple[str, int, bytes | None]
"""The file, where in it a line begins, and the line; None for one that is too long."""


class Chain:
    """One followed path. `gap`: when it was found last that lines may be missing, in the seconds of whoever looks, and why."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_there = False
        self.gap: tuple[float, str] | None = None
        self._open: list[GrowingFile] = []
        self._finished: deque[Place] = deque(maxlen=4 * _MOST)
        self._looked = 0.0
        self._lost = ""  # why lines may be missing that the present look should have found

    @property
    def behind(self) -> int:
        """Bytes that are there and were not read yet."""
        return sum(one.behind for one in self._open if not one.drained)

    @property
    def is_empty(self) -> bool:
        """Whether it is there with nothing in it, and nothing is known that it was rotated from."""
        return self.is_there and all(not one.size for one in self._open)

    @property
    def was_there(self) -> bool:
        """Whether it was ever found."""
        return bool(self._open)

    def look(self, now: float, since: float, when: When, deadline: float) -> None:
        """Find what became of the path. At the first look, go back to the lines later than `since`. Raises OSError where it cannot be read."""
        found = exists(self.path)
        self.is_there = found is not None
        if not self._open:
            if found is not None:
                self._first(since, when)
        else:
            limit = Limit(threading.Event(), deadline)
            if self._was_emptied(limit):
                self._emptied(limit)
            if found is not None and found != self._open[-1].key:
                self._renamed(limit)
        if self._lost:
            self.gap, self._lost = (now, self._lost), ""
        self._looked = now

    def lines(self, budget: Budget, now: float) -> Iterator[Where]:
        """Every line that is whole by now and was not read yet, the older files first; to be taken to the end. Raises OSError."""
        for one in list(self._open):
            try:
                for begun, line in one.lines(budget, now):
                    yield one.path, begun, line
            except UNREADABLE as error:
                if one is self._open[-1]:
                    raise
                self.gap = now, f'"{one.path}" cannot be read: {why(error)}'
                self._finish(one)
                continue
            if not one.drained:
                return
            after = self._after(one)
            if after is None:
                continue
            if one.whole and not one.packed and after.is_untouched:  # a copy: the half line at its end is continued in what was emptied
                after.begin(0, one.rest()[1])
            if one.whole or (after.size and now - one.grew_at > _LINGER) or len(self._open) > 2 * _MOST:
                begun, rest = one.rest()
                self._finish(one)
                if rest:
                    yield one.path, begun, rest

    def close(self) -> None:
        """Let go of every file."""
        for one in self._open:
            one.close()
        self._open = []

    def _after(self, one: GrowingFile) -> GrowingFile | None:
        """The file that follows; None for the last one."""
        index = self._open.index(one) + 1
        return self._open[index] if index < len(self._open) else None

    def _finish(self, one: GrowingFile) -> None:
        self._finished.append(one.place())
        self._open.remove(one)
        one.close()

    def _first(self, since: float, when: When) -> None:
        """The file, and of those that it was rotated into as many as the window reaches back to."""
        newest = GrowingFile(self.path)
        self._open = [newest]
        if self._begin(newest, since, when):
            return
        for one in self._rotated(since, packed=True):
            try:
                older = GrowingFile(one.path)
                enough = self._begin(older, since, when)
            except UNREADABLE as error:
                self._lost = f'"{one.path}" cannot be read: {why(error)}'
                continue
            self._open.insert(0, older)
            if enough:
                return

    def _begin(self, file: GrowingFile, since: float, when: When) -> bool:
        """Go to the lines that are later than that; whether there are older ones before them, so that no other file is needed."""
        if file.packed:
            return False
        offset, is_all = beginning(file.content, file.size, since, when)
        if newer_before(file.content, offset, since + SLACK, when):
            self._lost = f'lines of "{file.path}" stand far out of order: some of the window, before byte {offset + 1}, are missing'
        file.begin(offset, within_line=offset > 0)
        return is_all

    def _renamed(self, limit: Limit) -> None:
        """Another file has the path now."""
        with suppress(FileNotFoundError):  # it is gone again: the next look will see
            anew, last = GrowingFile(self.path), self._open[-1]
            if recognised(anew.content, [last.place()], limit) and _is_copy(last, anew):  # written anew by an editor, with all that was there
                anew.begin(last.offset, last.rest()[1])
                self._finish(last)
            self._open += [*(one for one, _ in self._unseen(limit, packed=True)), anew]

    def _emptied(self, limit: Limit) -> None:
        """It was emptied, perhaps after it had been copied: read on in the copy, then from its beginning."""
        last = self._open.pop()
        known, rest = last.place(), last.rest()[1]
        unseen = self._unseen(limit, last, packed=True)
        anew = GrowingFile(last.path) if exists(last.path) == last.key else None
        copies = [one for one, place in unseen if place == known or not known.size]  # what was empty is continued in the first that was not
        copy = copies[0] if copies else None
        for one in copies[1:]:
            one.begin(0)  # of little that was read, another beginning may look like it
        if copy is not None:
            copy.begin(copy.offset, rest)
        elif anew is not None:
            anew.begin(0, rest)
        if copy is None and known.size:
            self._lost = f'"{self.path}" was emptied, and no copy of it is beside it: what was written last before that may be missing'
        self._finished.append(known)
        last.close()
        self._open += [one for one, _ in unseen]
        if anew is not None:
            self._open.append(anew)

    def _was_emptied(self, limit: Limit) -> bool:
        """Whether the last file holds something else than what was read of it.

        Of little one cannot tell by its content: a beginning of a line may stand there again. Then a copy of it tells that goes on otherwise.
        """
        last = self._open[-1]
        if not last.is_same():
            return True
        if last.offset >= WINDOW:
            return False
        before = self._lost
        copies, known = self._unseen(limit, last), last.place()
        self._lost = before  # if it was, it is looked for again
        found = any(one.size and (place == known or not known.size) and not _is_copy(one, last) for one, place in copies)
        for one, _ in copies:
            one.close()
        return found

    def _unseen(self, limit: Limit, emptied: GrowingFile | None = None, *, packed: bool = False) -> list[tuple[GrowingFile, Place | None]]:
        """What was rotated away since the last look and not read: each from where it was read to, with the place that it is known by.

        `packed`: also where it was packed at once, if it is not the packing of a file that is open.
        """
        found: list[tuple[GrowingFile, Place | None]] = []
        places = [*self._finished, *([emptied.place()] if emptied else [])]
        heads = [head for one in self._open if (head := one.head())] if packed else []
        foreign = 0
        for one in self._rotated(self._looked, packed=packed):
            with suppress(FileNotFoundError):
                try:
                    file = GrowingFile(one.path, whole=emptied is not None and one.key != emptied.key)
                except NotALog:  # packed in a way that cannot be read: one such file is that which was read last
                    foreign += one.changed >= self._looked * _NANOSECONDS
                    if foreign > (emptied is None):
                        self._lost = f'"{one.path}" was packed before it was read, in a way that cannot be read: its lines may be missing'
                    continue
                try:
                    if file.packed and file.head().startswith(tuple(heads)):
                        file.close()
                        continue
                    known = recognised(file.content, places, limit)
                except (TooLong, *UNREADABLE) as error:
                    if file.packed:
                        told = "there was no time to unpack it" if isinstance(error, TooLong) else why(error)
                        self._lost = f'"{one.path}" was packed before it was read, and {told}: its lines may be missing'
                        file.close()
                        continue
                    known = None
                if known is not None and known[0].size >= file.size and (emptied is None or known[0] != emptied.place()):
                    file.close()
                    continue
                file.begin(known[0].size if known else 0)
                found.insert(0, (file, known[0] if known else None))
        return found

    def _rotated(self, since: float, *, packed: bool) -> Iterator[Candidate]:
        """The files that the path was rotated into and that are not open, the one that was changed last first."""
        ours = {one.key for one in self._open}
        present = exists(self.path)
        listed = [one for one in candidates([self.path]).values() if one.key not in ours and one.key != present]
        paths = {one.path for one in listed} | {one.path for one in self._open}
        oldest, left = (since - _SLACK) * _NANOSECONDS, _MOST
        finished = {(one.key, one.size) for one in self._finished}
        for one in sorted(listed, key=lambda one: (-one.changed, len(one.path), one.path)):
            suffix = one.path[one.path.rfind(".") :]
            twice = suffix in PACKED and (not packed or one.path.removesuffix(suffix) in paths)
            if one.changed < oldest or twice:
                continue
            left -= (one.key, one.size) not in finished
            if left < 0:
                self._lost = f'"{self.path}" was rotated into more than {_MOST} files of the window: the lines of the older ones are missing'
                return
            yield one


def _is_copy(one: GrowingFile, of: GrowingFile) -> bool:
    """Whether all of the one is the beginning of the other."""
    head = of.head()
    return one.size <= of.size and one.head() == head[: one.size]
