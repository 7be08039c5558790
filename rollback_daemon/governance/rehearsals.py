"""Every rehearsal of a rollback: its steps, how long each took, and whether it passed.

Lives here: rehearsals as entries. Must not live here: the two transitions that each of them has (`moves`).
"""

from rollback_daemon.governance.entries import Entry, entry
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.transitions import Event


class Rehearsals:
    """`held` in time order. `passed` is None, and `ended` too, as long as one is under way."""

    def __init__(self) -> None:
        self.held: list[Entry] = []

    def take(self, record: Record) -> None:
        """One more record. Raises KeyError for a body that lacks what its kind has."""
        body = record.body
        match record.kind:
            case Event.INTENDED if "rehearsal" in body:
                facts = {name: body[name] for name in ("id", "from", "to", "by", "why")}
                self.held.append(entry(record, **facts, steps=[], passed=None, seconds=None, ended=None))
            case Event.STEP:
                step = entry(record, **{name: body[name] for name in ("step", "error", "output", "seconds")})
                self._of(body["id"])["steps"].append(step)
            case Event.REHEARSED:
                self._of(body["id"]).update(passed=body["passed"], seconds=body["seconds"], ended=entry(record, why=body["why"]))

    def _of(self, identity: str) -> Entry:
        found = next((one for one in self.held if one["id"] == identity), None)
        if found is None:
            raise KeyError(identity)
        return found
