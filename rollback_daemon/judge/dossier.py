"""What people and checks have put on record for the way up, as a fold over the journal: proposals and votes, checkpoints, evidence, rehearsals,
captured baselines.

Lives here: the dossier and `fold`. Must not live here: where the rollout stands (`position`), whether what is there suffices (`requirements`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.signals.observation import Labels

_KNOWN = 200  # results of one name that are known by their bytes


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's GO or NO-GO in a role. `resolved` says who resolved a NO-GO, and how; the vote stays on record."""

    by: str
    role: str
    go: bool
    why: str
    at: datetime
    conditions: tuple[str, ...] = ()
    resolved: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A promotion put to the vote, with all that was fixed then: `needed` votes from different ones of `roles`, before `expires`.

    `entered`, `digest` and `evidence` say what was voted on: the stage's beginning, the rule file, and what was on record for the promotion.
    """

    id: str
    by: str
    why: str
    at: datetime
    expires: datetime
    stage: str
    target: str
    entered: datetime
    digest: str
    evidence: str
    roles: tuple[str, ...]
    needed: int
    votes: tuple[Vote, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A report with a decision. `report` identifies the text of the report, if one was handed in."""

    name: str
    go: bool
    by: str
    why: str
    at: datetime
    report: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A result from outside Prometheus, identified by the digest of its text.

    `made_at` is when it was made, None where the file does not say. Only what the rules declare has `figures`; `read_as` tells how they were read,
    `excluded` what was left out of them by name, and `notes` what a person should know of them. `file` is what it was called; `failed` are the checks
    that it says have failed, each with what it came to. `came`: from when on it tells of a stage, None: from when it was handed in.
    """

    name: str
    by: str
    at: datetime
    digest: str
    made_at: datetime | None = None
    read_as: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    excluded: tuple[Mapping[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    file: str = ""
    failed: Mapping[str, str] = field(default_factory=dict)
    came: datetime | None = None

    @property
    def made(self) -> datetime:
        """From when on its age is counted."""
        return self.made_at or self.at

    @property
    def of(self) -> datetime:
        """The time whose stage it tells of: when the run began that made it, when these bytes were handed in for the first time, or just now."""
        return self.came or self.at


@dataclass(frozen=True, slots=True)
class Known:
    """Bytes that were taken under a name: the time whose stage they tell of, when they were made, and how they were read last."""

    came: datetime
    made: datetime
    read_as: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The last rehearsal that ended. `seconds` is from its beginning to its end."""

    id: str
    stage: str
    at: datetime
    passed: bool
    seconds: float
    why: str
    by: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """All of it. `bases` are the baselines of the present stage by signal and series; `void` says why the last proposal counts no more, and
    `ended` is that proposal: a NO-GO on it has not been answered by its end. `known`: what was taken as evidence, by name and digest.
    """

    proposal: Proposal | None = None
    void: str = ""
    ended: Proposal | None = None
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    known: Mapping[str, Mapping[str, Known]] = field(default_factory=dict)
    rehearsed: Rehearsed | None = None
    bases: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)


def fold(dossier: Dossier, event: Event, body: Mapping[str, Any], at: datetime) -> Dossier:
    """The dossier after one record."""
    known = _FOLDS.get(event)
    return known(dossier, body, at) if known else dossier


def _proposed(dossier: Dossier, body: Mapping[str, Any], at: datetime) -> Dossier:
    proposal = Proposal(
        id=body["id"],
        by=body["by"],
        why=body["why"],
        at=at,
        expires=datetime.fromisoformat(body["expires"]),
        stage=body["stage"],
        target=body["to"],
        entered=datetime.fromisoformat(body["entered"]),
        digest=body["rules"],
        evidence=body["evidence"],
        roles=tuple(body["roles"]),
        needed=body["needed"],
        votes=tuple(_still_against(one) for one in body.get("against", ())),
    )
    return replace(dossier, proposal=proposal, void="", ended=None)


def _still_against(body: Mapping[str, Any]) -> Vote:
    """A NO-GO that was said on a proposal before this one, and stands."""
    return Vote(body["by"], body["role"], go=False, why=body["why"], at=datetime.fromisoformat(body["at"]), conditions=tuple(body["conditions"]))


def _voted(dossier: Dossier, body: Mapping[str, Any], at: datetime) -> Dossier:
    vote = Vote(body["by"], body["role"], body["go"], body["why"], at, tuple(body["conditions"]))
    return _with_votes(dossier, body["id"], lambda votes: (*votes, vote))


def _withdrawn(dossier: Dossier, body: Mapping[str, Any], _at: datetime) -> Dossier:
    return _with_votes(dossier, body["id"], lambda votes: tuple(vote for vote in votes if vote.by != body["by"]))


def _resolved(dossier: Dossier, body: Mapping[str, Any], _at: datetime) -> Dossier:
    said = f"{body['by']}: {body['why']}"
    return _with_votes(dossier, body["id"], lambda votes: tuple(replace(vote, resolved=said) if vote.by == body["of"] else vote for vote in votes))


def _with_votes(dossier: Dossier, proposal: str, change: Any) -> Dossier:
    if dossier.proposal is None or dossier.proposal.id != proposal:
        return dossier
    return replace(dossier, proposal=replace(dossier.proposal, votes=change(dossier.proposal.votes)))


def _voided(dossier: Dossier, body: Mapping[str, Any], _at: datetime) -> Dossier:
    return replace(dossier, proposal=None, void=body["why"], ended=dossier.proposal)


def _checkpoint(dossier: Dossier, body: Mapping[str, Any], at: datetime) -> Dossier:
    made = Checkpoint(body["checkpoint"], body["go"], body["by"], body["why"], at, body.get("sha256", ""))
    return replace(dossier, checkpoints={**dossier.checkpoints, made.name: made})


def _evidence(dossier: Dossier, body: Mapping[str, Any], at: datetime) -> Dossier:
    made_at = datetime.fromisoformat(body["made_at"]) if body.get("made_at") else None
    excluded = tuple(one for one in body.get("excluded", ()) if isinstance(one, Mapping))
    facts = (body.get("read_as", ""), body.get("figures", {}), excluded, tuple(body.get("notes", ())))
    came = datetime.fromisoformat(body["came"]) if body.get("came") else None
    made = Evidence(body["evidence"], body["by"], at, body["sha256"], made_at, *facts, body.get("file", ""), body.get("failed", {}), came)
    others = {digest: one for digest, one in dossier.known.get(made.name, {}).items() if digest != made.digest}
    kept = dict([*others.items(), (made.digest, Known(made.of, made.made, made.read_as))][-_KNOWN:])
    return replace(dossier, evidence={**dossier.evidence, made.name: made}, known={**dossier.known, made.name: kept})


def _rehearsed(dossier: Dossier, body: Mapping[str, Any], at: datetime) -> Dossier:
    return replace(dossier, rehearsed=Rehearsed(body["id"], body["stage"], at, body["passed"], body["seconds"], body["why"], body["by"]))


def _intended(dossier: Dossier, body: Mapping[str, Any], _at: datetime) -> Dossier:
    """A promotion carries the baselines that its stage is held against; what it was approved on is used up. A rehearsal is news to every voter."""
    if "rehearsal" in body and dossier.proposal:
        return replace(dossier, proposal=None, void="a rollback was rehearsed since it was made", ended=dossier.proposal)
    if body["kind"] != Kind.PROMOTE or "bases" not in body:
        return dossier
    return replace(dossier, bases=_bases(body), proposal=None, void="", ended=None)


def _adopted(dossier: Dossier, body: Mapping[str, Any], _at: datetime) -> Dossier:
    """First sight brings the baselines of the time before it; a later adoption keeps what is known."""
    return replace(dossier, bases=_bases(body)) if body.get("bases") else dossier


def _bases(body: Mapping[str, Any]) -> dict[str, dict[Labels, float]]:
    return {name: {_labels(one["labels"]): float(one["value"]) for one in series} for name, series in body["bases"].items()}


def _labels(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


_FOLDS = {
    Event.PROPOSED: _proposed,
    Event.VOTED: _voted,
    Event.WITHDRAWN: _withdrawn,
    Event.RESOLVED: _resolved,
    Event.VOIDED: _voided,
    Event.CHECKPOINT: _checkpoint,
    Event.EVIDENCE: _evidence,
    Event.REHEARSED: _rehearsed,
    Event.INTENDED: _intended,
    Event.ADOPTED: _adopted,
}
