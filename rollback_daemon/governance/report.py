"""The record of one rollout, as an auditor wants it: who raised it, on whose word, what spoke against it, what took it back. Pure.

Lives here: the report as one JSON-ready value, from the journal's records and what the API says of the present. Must not live here: reading the
journal, how it looks (`markdown`).
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from rollback_daemon.governance.ballots import Ballots
from rollback_daemon.governance.entries import Entry, entry, moment, sentences, word
from rollback_daemon.governance.moves import Moves
from rollback_daemon.journal.journal import Head, Record
from rollback_daemon.judge.figures import in_order
from rollback_daemon.judge.transitions import Event

_SEEN = {Event.TRIGGER, Event.SIGHT, Event.BUDGET, Event.OBSERVED, Event.READY, Event.UNREADY, Event.COMPLETED}
KINDS = tuple(event for event in Event if event not in _SEEN)
"""The kinds of records that a report is made from; the others are what was seen, and there are many of them."""

_PRESENT = ("rollout", "owner", "mode", "stage", "phase", "exposure", "since", "why", "next", "degraded", "drift", "broken_glass", "proposal")
_READ = ("kind", "made_at", "figures", "excluded", "notes")
_RUNG = ("stage", "exposure", "soak", "requires", "promote")


def report(records: Iterable[Record], explained: Mapping[str, Any], scorecard: Mapping[str, Any], head: Head, at: datetime) -> dict[str, Any]:
    """The report at `at`, of the records of the kinds `KINDS` of one rollout, oldest first.

    `explained` and `scorecard` are what `views.explanation` and `views.scorecard` say of it; `head` is where the journal ended when the records
    were read. Exposures are those that the stages have in the rule file in force. A record that cannot be understood stands under `unread`.
    """
    ballots, said = Ballots(), _Said()
    moves = Moves({stage["stage"]: stage["exposure"] for stage in explained["stages"]}, ballots)
    unread: list[Entry] = []
    for record in records:
        try:
            moves.take(record)  # before the ballots: a promotion ends the vote that it rests on
            ballots.take(record)
            said.take(record)
        except (KeyError, ValueError, TypeError, AttributeError):
            unread.append(entry(record, event=record.kind))
    present = {name: explained[name] for name in _PRESENT}
    return {
        **present,
        "at": moment(at),
        "journal": {"seq": head.seq, "count": head.count, "digest": head.digest},
        "file": explained["file"],
        "rules_sha256": explained["rules_sha256"],
        "ladder": [{name: stage[name] for name in _RUNG} for stage in explained["stages"]],
        "arrived": moves.arrived["seq"] if moves.arrived else None,
        "standing": [one["seq"] for one in moves.standing],
        "conditions": list(_conditions(moves.standing)),
        "climbs": moves.climbs,
        "descents": moves.descents,
        "given_up": moves.given_up,
        "votes": ballots.proposals,
        "checkpoints": said.checkpoints,
        "evidence": said.evidence,
        "evidence_now": list(explained["evidence"]),
        "rehearsals": moves.rehearsals.held,
        "handoffs": said.handoffs,
        "follow_ups": said.follow_ups,
        "decisions": said.decisions,
        "refused": said.refused,
        "holds": said.holds,
        "drift": said.drift,
        "rules": said.rules,
        "unread": unread,
        "scorecard": dict(scorecard),
    }


def _conditions(standing: Iterable[Entry]) -> Iterable[Entry]:
    """What the votes depended on that the present stage rests on: it has to be watched as long as that is so."""
    for climb in standing:
        for vote in climb["votes"]:
            yield from ({"seq": vote["seq"], "by": vote["by"], "to": climb["to"], "condition": one} for one in vote["conditions"])


class _Said:
    """What people and checks have put on record, beside votes and transitions."""

    def __init__(self) -> None:
        self.checkpoints: list[Entry] = []
        self.evidence: list[Entry] = []
        self.handoffs: list[Entry] = []
        self.follow_ups: list[Entry] = []
        self.decisions: list[Entry] = []
        self.refused: list[Entry] = []
        self.holds: list[Entry] = []
        self.drift: list[Entry] = []
        self.rules: list[Entry] = []

    def take(self, record: Record) -> None:
        """One more record. Raises KeyError for a body that lacks what its kind has."""
        if found := _SAID.get(record.kind):
            found(self, record, record.body)

    def checkpoint(self, record: Record, body: Mapping[str, Any]) -> None:
        facts = {name: body[name] for name in ("checkpoint", "by", "why", "stage")}
        self.checkpoints.append(entry(record, **facts, decision=word(body["go"]), sha256=body.get("sha256", "")))

    def result(self, record: Record, body: Mapping[str, Any]) -> None:
        facts = {name: body[name] for name in ("evidence", "by", "why", "stage", "file", "sha256", "bytes")}
        read = {name: body[name] for name in _READ if name in body}
        if "figures" in read:
            read["figures"] = in_order(body.get("kind", ""), read["figures"])
        self.evidence.append(entry(record, **facts, **read))

    def handoff(self, record: Record, body: Mapping[str, Any]) -> None:
        self.handoffs.append(entry(record, **{name: body[name] for name in ("by", "to", "why", "stage")}))

    def followed_up(self, record: Record, body: Mapping[str, Any]) -> None:
        facts = {name: body[name] for name in ("number", "of", "after", "try", "outcome", "why", "checks")}
        self.follow_ups.append(entry(record, **facts, missed=body.get("missed", [])))

    def decided(self, record: Record, body: Mapping[str, Any]) -> None:
        self.decisions.append(entry(record, **{name: body[name] for name in ("decision", "by", "why", "stage")}))

    def refusal(self, record: Record, body: Mapping[str, Any]) -> None:
        facts = {name: body[name] for name in ("request", "by", "reason")}
        self.refused.append(entry(record, **facts, why=sentences(body["why"])))

    def hold(self, record: Record, body: Mapping[str, Any]) -> None:
        self.holds.append(entry(record, what=record.kind, by=body.get("by", ""), why=sentences(body["why"]), code=body.get("code", "")))

    def drifted(self, record: Record, body: Mapping[str, Any]) -> None:
        facts = {
            "keys": body["keys"],
            "stage": body.get("stage", ""),
            "why": body["why"],
            "known": body.get("known", {}),
            "missing": body.get("missing", []),
        }
        self.drift.append(entry(record, drift=body["drift"], **facts))

    def configured(self, record: Record, body: Mapping[str, Any]) -> None:
        self.rules.append(entry(record, file=body["file"], sha256=body["sha256"], version=body.get("version", ""), rules=body["rules"]))


_SAID: dict[str, Callable[[_Said, Record, Mapping[str, Any]], None]] = {
    Event.CHECKPOINT: _Said.checkpoint,
    Event.EVIDENCE: _Said.result,
    Event.HANDOFF: _Said.handoff,
    Event.FOLLOWED_UP: _Said.followed_up,
    Event.DECIDED: _Said.decided,
    Event.REFUSED: _Said.refusal,
    Event.HELD: _Said.hold,
    Event.RESUMED: _Said.hold,
    Event.DRIFT: _Said.drifted,
    Event.CONFIGURED: _Said.configured,
}
