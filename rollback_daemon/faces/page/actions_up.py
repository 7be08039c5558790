"""What people may ask for on the page that leads up: the promotion, its proposal, votes on it, and checkpoints.

Must not live here: whether it may be done (the judge: `promotion`, `consent`), the other actions (`actions`).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.errors import OperationRefused
from rollback_daemon.faces.http.changes import BallotRequest, Case, CheckpointRequest, Reasoned, ResolutionRequest
from rollback_daemon.faces.page.confirm import Action, Field, Instead, Told
from rollback_daemon.judge import consent, promotion
from rollback_daemon.judge.dossier import Proposal
from rollback_daemon.judge.state import Happened
from rollback_daemon.rules.model import Stage

_CONDITIONS = Field("conditions", "Conditions", "lines", help="One in each line. They go on record with your vote, and stop nothing by themselves.")
_REPORT = Field("sha256", "SHA-256 of the report", help="64 hexadecimal digits, if your decision rests on a document. May be left out.")


class DecisionRequest(CheckpointRequest):
    """A decision at a checkpoint, which is named, as a form's address has no place for it."""

    checkpoint: str = ""
    decision: Literal["GO", "NO-GO"] = "GO"


class Resolving(ResolutionRequest):
    """Whose NO-GO; nobody's where the address does not say."""

    of: str = ""


# promote


def _promote(case: Case, body: Reasoned) -> Happened:
    return promotion.promote(case.rollout, case.state, case.judgement, case.person.name, body.reason, case.now)


def _of_promote(case: Case, _body: Reasoned, _happened: Happened | None) -> Told:
    target = _target(case)
    to = target.name if target else "the next stage"
    effects = list(_at_stage(case, target)) if target else []
    return Told(f"Promote {case.rollout.name} to {to}", f"Promote to {to}", tuple(effects), _stands_on(case))


def _at_stage(case: Case, target: Stage) -> Iterator[str]:
    armed = [one.name for one in case.rollout.triggers if target.name in one.stages and not one.dry_run]
    yield f"{target.exposure * 100:g} % of the traffic is exposed."
    if target.soak:
        yield f"It has to soak there for {format_duration(target.soak)} before the stage after it."
    if armed:
        yield f"These take it back, or act otherwise, when they fire: {', '.join(armed)}."
    if case.rollout.flags.after_change:
        yield f"Afterwards {' '.join(case.rollout.flags.after_change.argv)} is run."
    yield "All of it is looked at once more before a flag is touched."


# propose and vote


def _propose(case: Case, body: Reasoned) -> Happened:
    return consent.propose(case.rollout, case.state, case.judgement, case.person, body.reason, case.now)


def _of_propose(case: Case, _body: Reasoned, happened: Happened | None) -> Told:
    target, proposal = _target(case), case.state.dossier.proposal
    to = target.name if target else "the next stage"
    effects = ["No flag is changed: people vote on it, and you have no vote on your own proposal."]
    if target and target.requires.approvals:
        asked = target.requires.approvals
        effects.append(f"It needs: {asked}; within {format_duration(asked.expires)}.")
    if proposal:
        effects.append(f"The proposal of {proposal.by} ends by it, and every GO on it: {_voters(proposal) or 'there is none'}.")
    if happened and happened.body["against"]:
        effects.append(f"The NO-GO of {', '.join(one['by'] for one in happened.body['against'])} stays.")
    return Told(f"Propose {case.rollout.name} for {to}", "Put it to the vote", tuple(effects), (*_stands_on(case), proposal and proposal.id))


def _vote(case: Case, body: BallotRequest, *, go: bool) -> Happened:
    ballot = consent.Ballot(go, body.reason, body.role, tuple(body.conditions))
    return consent.vote(case.rollout, case.state, case.judgement, case.person, ballot, case.now)


def _of_vote(case: Case, body: BallotRequest, *, go: bool) -> Told:
    proposal, word = case.state.dossier.proposal, "GO" if go else "NO-GO"
    mine = [one for one in proposal.roles if one in case.person.roles] if proposal else []
    role = () if len(mine) < 2 else (Field("role", "In which role", "choice", tuple((one, one) for one in mine)),)
    effects = list(_proposed(proposal, case.now)) if proposal else []
    effects.append("Your vote goes on record under your name. It can be withdrawn, not changed.")
    if not go:
        effects.append("A NO-GO stops the promotion until you withdraw it, or somebody resolves it on record.")
    fields = (*role, _CONDITIONS) if go else role
    title = f"Vote {word} on promoting {case.rollout.name} to {proposal.target if proposal else 'the next stage'}"
    asks = {"role": body.role} if body.role and not role else {}
    return Told(title, f"Vote {word}", tuple(effects), _votes(proposal), fields, asks=asks)


def _proposed(proposal: Proposal, now: datetime) -> Iterator[str]:
    given = sorted({vote.role for vote in proposal.votes if vote.go})
    left = f"{format_coarse(proposal.expires - now)} are left" if proposal.expires > now else "it has expired"
    yield f"Proposed by {proposal.by}: {proposal.why}"
    yield f"{len(given)} of {proposal.needed} approvals are given, by the roles {', '.join(proposal.roles)}; {left}."
    for vote in proposal.votes:
        yield f"{vote.by} ({vote.role}) has voted {'GO' if vote.go else 'NO-GO'}{', resolved' if vote.resolved else ''}: {vote.why}"


def _withdraw(case: Case, body: Reasoned) -> Happened:
    return consent.withdraw(case.rollout, case.state, case.person, body.reason, case.now)


def _of_withdraw(case: Case, _body: Reasoned, happened: Happened | None) -> Told:
    proposal = case.state.dossier.proposal
    word = ("GO" if happened.body["go"] else "NO-GO") if happened else "vote"
    effects = (*(_proposed(proposal, case.now) if proposal else ()), f"Your {word} counts no more; that you gave it stays on record.")
    return Told(f"Withdraw your {word} on {case.rollout.name}", f"Withdraw the {word}", effects, _votes(proposal))


def _resolve(case: Case, body: Resolving) -> Happened:
    if not body.of:
        raise OperationRefused("nobody is named whose NO-GO is to be resolved")
    return consent.resolve(case.rollout, case.state, case.person, body.of, body.reason, case.now)


def _of_resolve(case: Case, body: Resolving, _happened: Happened | None) -> Told:
    proposal = case.state.dossier.proposal
    against = [vote for vote in proposal.votes if not vote.go and not vote.resolved] if proposal else []
    effects = [f"{vote.by} ({vote.role}) said: {vote.why}" for vote in against if vote.by == body.of]
    effects.append("It does not stop the promotion any more; the dissent and how you resolved it stay on record, under your name.")
    instead = tuple(Instead(vote.by, {"of": vote.by}, chosen=vote.by == body.of) for vote in against)
    title = f"Resolve the NO-GO of {body.of or 'somebody'} on {case.rollout.name}"
    return Told(title, "Resolve it", tuple(effects), _votes(proposal), instead=instead, asks={"of": body.of} if body.of else {})


# checkpoints


def _checkpoint(case: Case, body: DecisionRequest) -> Happened:
    if not body.checkpoint:
        raise OperationRefused("no checkpoint is named")
    go, sha256 = body.decision == "GO", body.sha256 or ""
    return consent.checkpoint(case.rollout, case.state, case.person, body.checkpoint, body.reason, sha256, go=go)


def _of_checkpoint(case: Case, body: DecisionRequest, _happened: Happened | None) -> Told:
    target = _target(case)
    names = target.requires.checkpoints if target else ()
    known = case.state.dossier.checkpoints.get(body.checkpoint)
    effects = [f"On record so far: {'GO' if known.go else 'NO-GO'} by {known.by}, {known.why}. Yours takes its place."] if known else []
    effects.append(f"The promotion to {target.name if target else 'the next stage'} needs a GO here; a NO-GO stops it.")
    if case.state.dossier.proposal:
        effects.append("The proposal that is open becomes void by it, and every vote on it: they were given on another record.")
    fields = (Field("decision", "Decision", "choice", (("GO", "GO"), ("NO-GO", "NO-GO"))), _REPORT)
    instead = tuple(Instead(name, {"checkpoint": name}, chosen=name == body.checkpoint) for name in names)
    rests_on = (body.checkpoint, *_stands_on(case), [known.go, known.by, known.at.isoformat()] if known else None)
    asks = {"checkpoint": body.checkpoint} if body.checkpoint else {}
    title = f"Decide at checkpoint {body.checkpoint or '(none named)'} of {case.rollout.name}"
    return Told(title, "Put it on record", tuple(effects), rests_on, fields, instead, asks)


# what they have in common


def _target(case: Case) -> Stage | None:
    position = case.state.position
    stage = case.rollout.stage(position.stage) if position else None
    return case.rollout.above(stage) if stage else None


def _stands_on(case: Case) -> tuple[object, ...]:
    """Where the rollout is, and by which rules."""
    position, target = case.state.position, _target(case)
    if position is None:
        return (case.rollout.digest,)
    return position.stage, position.tenure.isoformat(), position.phase, target and target.name, case.rollout.digest


def _votes(proposal: Proposal | None) -> tuple[object, ...]:
    """Whoever votes has seen what others said."""
    return (proposal.id, [[vote.by, vote.go, vote.resolved] for vote in proposal.votes]) if proposal else ()


def _voters(proposal: Proposal) -> str:
    return ", ".join(vote.by for vote in proposal.votes if vote.go)


def _promoted(body: Mapping[str, Any]) -> str:
    return f"The promotion to {body['to']} has begun: transition {body['id']}."


ACTIONS_UP = (
    Action("promote", Reasoned, _promote, _of_promote, _promoted, tone="up"),
    Action("propose", Reasoned, _propose, _of_propose, lambda body: f"The promotion is put to the vote: proposal {body['id']}.", tone="up"),
    Action(
        "approve",
        BallotRequest,
        lambda case, body: _vote(case, body, go=True),
        lambda case, body, _: _of_vote(case, body, go=True),
        lambda _: "Your GO is on record.",
        tone="up",
    ),
    Action(
        "reject",
        BallotRequest,
        lambda case, body: _vote(case, body, go=False),
        lambda case, body, _: _of_vote(case, body, go=False),
        lambda _: "Your NO-GO is on record; it stops the promotion.",
    ),
    Action("withdraw", Reasoned, _withdraw, _of_withdraw, lambda _: "Your vote is withdrawn."),
    Action("resolve", Resolving, _resolve, _of_resolve, lambda _: "The NO-GO is resolved; the dissent stays on record."),
    Action("checkpoint", DecisionRequest, _checkpoint, _of_checkpoint, lambda _: "Your decision is on record."),
)
"""In the order of the way up."""
