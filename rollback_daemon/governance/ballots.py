"""Every promotion that was put to the vote, with each vote, what its voter saw, and what became of it.

Lives here: votes as they stand on record, those included that count no more. Must not live here: what a vote is worth (the judge).
"""

from collections.abc import Collection
from typing import Any

from rollback_daemon.governance.entries import Entry, entry, word
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.transitions import Event, Kind

_FIXED = ("id", "by", "why", "stage", "to", "expires", "roles", "needed", "rules", "evidence")


class Ballots:
    """`proposals` in time order. `outcome`: open, carried out, void, replaced by another one; `ended` says by which record, and why."""

    def __init__(self) -> None:
        self.proposals: list[Entry] = []

    def take(self, record: Record) -> None:
        """One more record. Raises KeyError for a body that lacks what its kind has."""
        body = record.body
        match record.kind:
            case Event.PROPOSED:
                self._end(record, "replaced", "another proposal took its place")
                fixed = {name: body[name] for name in _FIXED}
                against = self._still_against({one["by"] for one in body.get("against", ())})
                self.proposals.append(entry(record, **fixed, seen=body.get("seen", {}), votes=against, outcome="open", ended=None))
            case Event.VOTED:
                said = {name: body[name] for name in ("by", "role", "why", "conditions")}
                vote = entry(record, **said, decision=word(body["go"]), seen=body.get("seen", {}), resolved=None, withdrawn=None)
                self._votes(body["id"]).append(vote)
            case Event.WITHDRAWN:
                self._mark(body["id"], body["by"], "withdrawn", entry(record, why=body["why"]))
            case Event.RESOLVED:
                self._mark(body["id"], body["of"], "resolved", entry(record, by=body["by"], why=body["why"]))
            case Event.VOIDED:
                self._end(record, "void", body["why"], body["id"])
            case Event.INTENDED if "rehearsal" in body:
                self._end(record, "void", "a rollback was rehearsed")
            case Event.INTENDED if body["kind"] == Kind.PROMOTE and "bases" in body:
                carried = self.proposals and body.get("proposal") == self.proposals[-1]["id"]
                self._end(record, "carried out" if carried else "void", "the promotion began" if carried else "a promotion began without it")

    def of(self, proposal: str) -> Entry | None:
        """The proposal of that id."""
        return next((one for one in self.proposals if one["id"] == proposal), None)

    def votes_on(self, proposal: str) -> list[Entry]:
        """The votes on it that were not withdrawn."""
        return [vote for vote in self._votes(proposal) if vote["withdrawn"] is None]

    def _still_against(self, names: Collection[str]) -> list[Entry]:
        """Each NO-GO that stands on from the proposal before, with the record that it was said in."""
        before = self.proposals[-1]["votes"] if self.proposals else []
        return [dict(vote) for vote in before if vote["by"] in names and vote["withdrawn"] is None]

    def _votes(self, proposal: str) -> list[Entry]:
        found = self.of(proposal)
        return found["votes"] if found else []

    def _mark(self, proposal: str, by: str, name: str, what: dict[str, Any]) -> None:
        for vote in self._votes(proposal):
            if vote["by"] == by and vote["withdrawn"] is None:
                vote[name] = what

    def _end(self, record: Record, outcome: str, why: str, proposal: str | None = None) -> None:
        """What stands on the table ends; at most one does."""
        last = self.proposals[-1] if self.proposals else None
        if last and last["ended"] is None and proposal in {None, last["id"]}:
            last.update(outcome=outcome, ended=entry(record, why=why))
