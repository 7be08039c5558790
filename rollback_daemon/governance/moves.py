"""Every time more or less was exposed: who or what did it, on what, and how it ended.

Lives here: transitions, adoptions and raises from outside, as entries. Must not live here: what people said (`ballots`, `report`).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rollback_daemon.governance.ballots import Ballots
from rollback_daemon.governance.entries import Entry, entry, seconds_between, sentences
from rollback_daemon.governance.rehearsals import Rehearsals
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.transitions import Event, Kind

_WAYS = {Code.AUTOMATIC: "automatic", Code.BREAK_GLASS: "break-glass", Code.REHEARSAL: "rehearsal return"}
OUTSIDE = "from outside"
"""How a raise is called that the daemon had no part in."""


class Moves:
    """`climbs` and `descents` in time order; `given_up` are promotions that ended before a flag was changed.

    `standing` are the climbs that the present stage rests on, the last one last. `arrived` is the move that ended at it.
    """

    def __init__(self, exposures: Mapping[str, float], ballots: Ballots) -> None:
        """`exposures` by stage, as the rule file in force has them: records name stages only."""
        self._exposures, self._ballots = exposures, ballots
        self._exposed: float | None = None
        self._stage: str | None = None
        self._open: Entry | None = None
        self._begun: datetime | None = None
        self._set_aside: list[Entry] = []  # what a rehearsal comes back to
        self.climbs: list[Entry] = []
        self.descents: list[Entry] = []
        self.given_up: list[Entry] = []
        self.standing: list[Entry] = []
        self.arrived: Entry | None = None
        self.rehearsals = Rehearsals()

    def take(self, record: Record) -> None:
        """One more record. Raises KeyError for a body that lacks what its kind has."""
        if found := _TAKES.get(record.kind):
            found(self, record)
        self.rehearsals.take(record)

    def adopted(self, record: Record) -> None:
        """The record was made to follow the flags."""
        body, before = record.body, self._exposed
        after = self._exposures.get(body["stage"])
        facts = {"from": self._stage, "to": body["stage"], "exposure_before": before, "exposure_after": after}
        more = {"by": body.get("by", ""), "why": sentences(body["why"]), "code": body.get("code", "")}
        if after is not None and (after, self._rank(body["stage"])) > (before or 0, self._rank(self._stage)):
            made = entry(record, **facts, how=OUTSIDE, **more, keys={}, known={}, missing=[], votes=[], outcome="found so", ended=None)
            self.climbs.append(made)
            self.standing.append(made)
        else:
            made = entry(record, **facts, kind="adopted", **more, outcome="done", ended=entry(record))
            self.descents.append(made)
            self._fall_to(body["stage"])
        self._stage, self._exposed, self.arrived, self._open = body["stage"], after, made, None

    def drifted(self, record: Record) -> None:
        """Flags that somebody else raised expose more, until they are put back."""
        body, last = record.body, self.climbs[-1] if self.climbs else None
        if body["drift"] == Drift.HIGHER:
            to = body.get("stage") or None
            after = self._exposures.get(to or "")
            facts = {"from": self._stage, "to": to, "exposure_before": self._exposed, "exposure_after": after}
            more = {"by": "", "why": [], "known": body.get("known", {}), "missing": body.get("missing", []), "keys": body["keys"]}
            self.climbs.append(entry(record, **facts, how=OUTSIDE, code=Code.DRIFT, **more, votes=[], outcome="found", ended=None))
            self._exposed = after
        elif body["drift"] == Drift.NONE and last and last["how"] == OUTSIDE and last["outcome"] == "found":
            last.update(outcome="put back from outside", ended=entry(record))
            self._exposed = self._exposures.get(self._stage or "")

    def intended(self, record: Record) -> None:
        """A transition begins; whatever was under way ends."""
        body, overtaken = record.body, self._open
        if overtaken is not None:
            overtaken.update(outcome="taken back" if overtaken in self.climbs else "overtaken", ended=entry(record))
            self._sort_out(overtaken)
        made = entry(record, **self._facts(body), flags={}, backup="", failures=[], commands=[], outcome="under way", ended=None, seconds=None)
        if body["kind"] == Kind.PROMOTE:
            made.update(self._consent(body))
            self.climbs.append(made)
        else:
            made.update({name: body[name] for name in ("triggers", "breached_at") if name in body})
            self.descents.append(made)
            if "rehearsal" in body:
                self._set_aside = list(self.standing)
        self._open, self._begun = made, record.at

    def applied(self, record: Record) -> None:
        """Flags were written."""
        body, opened = record.body, self._opened(record)
        flags = {key: {"before": body["before"].get(key), "after": value} for key, value in body["after"].items()}
        opened.update(flags={**opened["flags"], **flags}, backup=body.get("backup", ""))
        if opened in self.climbs:
            self._exposed = opened["exposure_after"]

    def attempted(self, record: Record) -> None:
        """A try that failed."""
        self._opened(record)["failures"].append(entry(record, error=record.body["error"], outcome=record.body["outcome"]))

    def ran(self, record: Record) -> None:
        """The command after the change."""
        self._opened(record)["commands"].append(entry(record, **{name: record.body[name] for name in ("command", "error", "seconds")}))

    def done(self, record: Record) -> None:
        """Flags read back."""
        body, opened = record.body, self._opened(record)
        opened.update(outcome="done", ended=entry(record), seconds=seconds_between(self._begun or record.at, record.at))
        if opened.get("breached_at"):
            opened["seconds_from_breach"] = seconds_between(datetime.fromisoformat(opened["breached_at"]), record.at)
        if opened["kind"] in {Kind.PROMOTE, Kind.ROLLBACK}:
            self._exposed, self._stage, self.arrived = self._exposures.get(body["to"]), body["to"], opened
        if opened["kind"] == Kind.PROMOTE:
            self.standing = self._set_aside if opened["code"] == Code.REHEARSAL else [*self.standing, opened]
            self._end_raises(record, "a promotion followed")
        elif opened["kind"] == Kind.ROLLBACK:
            self._fall_to(body["to"])
            self._end_raises(record, "reverted")
        self._open = None

    def abandoned(self, record: Record) -> None:
        """It will not be finished."""
        opened = self._opened(record)
        opened.update(outcome="given up", ended=entry(record, why=record.body["why"]))
        self._sort_out(opened)
        self._open = None

    def _rank(self, stage: str | None) -> int:
        """How high on the ladder a stage is; two of them may expose as much as one another."""
        return {name: number for number, name in enumerate(self._exposures)}.get(stage or "", 0)

    def _facts(self, body: Mapping[str, Any]) -> Entry:
        after = self._exposures.get(body["to"]) if body["kind"] in {Kind.PROMOTE, Kind.ROLLBACK} else self._exposed
        facts = {name: body[name] for name in ("id", "kind", "from", "to", "by")}
        return {**facts, "exposure_before": self._exposed, "exposure_after": after, "why": sentences(body["why"]), "code": body.get("code", "")}

    def _consent(self, body: Mapping[str, Any]) -> Entry:
        """Whose word a promotion rests on, and what it went past."""
        proposal = body.get("proposal")
        way = _WAYS.get(body.get("code", ""), "approved" if proposal else "by a person")
        votes = self._ballots.votes_on(proposal) if proposal else []
        conditions = [condition for vote in votes for condition in vote["conditions"]]
        return {"how": way, "proposal": proposal, "votes": votes, "conditions": conditions, "past": list(body.get("past", []))}

    def _opened(self, record: Record) -> Entry:
        """The transition that a record is about. Raises KeyError for another one's."""
        if self._open is None or record.body["id"] != self._open["id"]:
            raise KeyError(record.body["id"])
        return self._open

    def _sort_out(self, ended: Entry) -> None:
        """A promotion that ended before a flag was changed, for certain, has exposed nothing."""
        unsure = any(one["outcome"] == "unknown" for one in ended["failures"])
        if ended in self.climbs and not ended["flags"] and not unsure:
            self.climbs.remove(ended)
            self.given_up.append(ended)

    def _fall_to(self, stage: str) -> None:
        """The climbs above a stage carry nothing any more."""
        while self.standing and self.standing[-1]["to"] != stage:
            self.standing.pop()

    def _end_raises(self, record: Record, how: str) -> None:
        for climb in self.climbs:
            if climb["how"] == OUTSIDE and climb["outcome"] == "found":
                climb.update(outcome=how, ended=entry(record), seconds=seconds_between(datetime.fromisoformat(climb["at"]), record.at))


_TAKES: dict[str, Callable[[Moves, Record], None]] = {
    Event.ADOPTED: Moves.adopted,
    Event.DRIFT: Moves.drifted,
    Event.INTENDED: Moves.intended,
    Event.APPLIED: Moves.applied,
    Event.ATTEMPTED: Moves.attempted,
    Event.RAN: Moves.ran,
    Event.DONE: Moves.done,
    Event.ABANDONED: Moves.abandoned,
}
