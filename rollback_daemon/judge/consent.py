"""What people say for and against the way up: proposals, votes, checkpoints, evidence. Each gives the event, or raises Refusal. Pure.

Who asks is told by the caller's login, and their roles by the daemon's configuration; nothing a request says about itself counts. Lives here: who
may say what. Must not live here: what it is worth (`approvals`, `requirements`).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import readiness
from rollback_daemon.judge.approvals import seen_evidence, standing_no_gos, why_void
from rollback_daemon.judge.dossier import Dossier, Proposal
from rollback_daemon.judge.figures import Reading
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.precedence import Outside, place
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.refusal import Person, Refusal, known
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.duties import Followed
from rollback_daemon.rules.model import Rollout


def propose(rollout: Rollout, state: State, judgement: Judgement | None, person: Person, reason: str, now: datetime) -> Happened:
    """Put the promotion to the next stage to the vote. What is asked for is fixed here. A proposal before this one ends, and every GO on it."""
    position = known(rollout, state)
    stage = rollout.stage(position.stage)
    target = rollout.above(stage) if stage else None
    what = f"nothing is put to the vote for {rollout.name}"
    if target is None:
        raise Refusal(what, [Reason(Code.AT_TOP, f'"{position.stage}" is its highest stage')])
    if position.open or position.rehearsing:
        raise Refusal(what, [Reason(Code.IN_TRANSITION, "its flags are being changed now; ask again")])
    if target.requires.approvals is None:
        raise OperationRefused(f'"{target.name}" asks for no approvals; promote it')
    return proposed(rollout, state, judgement, person, reason, now)


def proposed(rollout: Rollout, state: State, judgement: Judgement | None, person: Person, reason: str, now: datetime) -> Happened:
    """The record of a proposal for the next stage, which asks for approvals."""
    position = known(rollout, state)
    stage = rollout.stage(position.stage) or rollout.stages[0]
    target = rollout.stages[stage.number + 1]
    asked = target.requires.approvals
    assert asked is not None  # noqa: S101 (the caller has looked)
    cause = "|".join([rollout.name, target.name, person.name, now.isoformat()])
    body = {
        "id": f"{now:%Y%m%dT%H%M%SZ}-{hashlib.sha256(cause.encode()).hexdigest()[:8]}",
        "by": person.name,
        "why": reason,
        "stage": position.stage,
        "to": target.name,
        "entered": position.tenure.isoformat(),
        "rules": rollout.digest,
        "evidence": seen_evidence(target, state.dossier),
        "roles": list(asked.roles),
        "needed": asked.needed,
        "expires": (now + asked.expires).isoformat(),
        "against": list(_still_against(state.dossier, position)),
        "seen": seen(rollout, judgement),
    }
    return Happened(Event.PROPOSED, body)


def _still_against(dossier: Dossier, position: Position) -> Iterator[dict[str, Any]]:
    """Every NO-GO on the proposal before, for the same climb, that nobody has withdrawn or resolved: proposing anew must not be a way around it."""
    last = dossier.proposal or dossier.ended
    if last is None or (last.stage, last.entered) != (position.stage, position.tenure):
        return
    for vote in standing_no_gos(last):
        yield {"by": vote.by, "role": vote.role, "why": vote.why, "at": vote.at.isoformat(), "conditions": list(vote.conditions)}


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a voter says. Without a `role` it is the one role of the person that is asked for."""

    go: bool
    why: str
    role: str | None = None
    conditions: tuple[str, ...] = ()


def vote(rollout: Rollout, state: State, judgement: Judgement | None, person: Person, ballot: Ballot, now: datetime) -> Happened:
    """A GO or a NO-GO on the proposal that stands."""
    word = "GO" if ballot.go else "NO-GO"
    what = f"the {word} of {person.name} for {rollout.name} does not count"
    position = known(rollout, state)
    proposal = _standing(rollout, state, position, what, now)
    role = _role(proposal, person, ballot.role, what)
    if person.name == proposal.by:
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, "who proposes a promotion has no vote on it")])
    if any(one.by == person.name for one in proposal.votes):
        said = "one person has one vote, whatever their roles; withdraw it first to vote anew"
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, f"{person.name} has voted already: {said}")])
    body = {"id": proposal.id, "by": person.name, "role": role, "go": ballot.go, "why": ballot.why, "conditions": list(ballot.conditions)}
    return Happened(Event.VOTED, {**body, "to": proposal.target, "seen": seen(rollout, judgement)})


def withdraw(rollout: Rollout, state: State, person: Person, reason: str, now: datetime) -> Happened:
    """Take one's own vote back, be it GO or NO-GO."""
    what = f"{person.name} has nothing to withdraw for {rollout.name}"
    proposal = _standing(rollout, state, known(rollout, state), what, now)
    mine = next((one for one in proposal.votes if one.by == person.name), None)
    if mine is None:
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, f"there is no vote of {person.name} on proposal {proposal.id}")])
    return Happened(Event.WITHDRAWN, {"id": proposal.id, "by": person.name, "role": mine.role, "go": mine.go, "why": reason})


def lapsed(dossier: Dossier, roles: Callable[[str], AbstractSet[str]]) -> Iterator[Happened]:
    """The GOs of people who do not have the role any more that they were given in. A NO-GO stands all the same."""
    proposal = dossier.proposal
    for vote in proposal.votes if proposal else ():
        if proposal and vote.go and vote.role not in roles(vote.by):
            why = f'{vote.by} does not have the role "{vote.role}" any more'
            yield Happened(Event.WITHDRAWN, {"id": proposal.id, "by": vote.by, "role": vote.role, "go": True, "why": why})


def resolve(rollout: Rollout, state: State, person: Person, of: str, reason: str, now: datetime) -> Happened:
    """Resolve somebody's NO-GO on record, with how; the dissent stays there. For people with a role in the vote, not for the proposer."""
    what = f"no NO-GO of {of} for {rollout.name} is resolved"
    proposal = _standing(rollout, state, known(rollout, state), what, now)
    if person.name == proposal.by:
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, "who proposes a promotion cannot resolve what speaks against it")])
    if not person.roles & set(proposal.roles):
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, f"{person.name} has none of the roles {', '.join(proposal.roles)}")])
    if person.name == of:
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, "whose NO-GO it is withdraws it")])
    if not any(one.by == of and not one.go and not one.resolved for one in proposal.votes):
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, f"there is no standing NO-GO of {of} on proposal {proposal.id}")])
    return Happened(Event.RESOLVED, {"id": proposal.id, "by": person.name, "of": of, "why": reason})


def checkpoint(rollout: Rollout, state: State, person: Person, name: str, reason: str, sha256: str, *, go: bool) -> Happened:
    """Put a checkpoint on record: a name that a stage asks for, a decision, a text. A later one of the same name takes its place."""
    position = known(rollout, state)
    _refuse_unknown(rollout, "checkpoint", name, [one for stage in rollout.stages for one in stage.requires.checkpoints])
    here = rollout.stage(position.stage)
    following = rollout.above(here) if here else None
    if following is None or name not in following.requires.checkpoints:
        ways = [(rollout.stages[stage.number - 1].name, stage.name) for stage in rollout.stages if name in stage.requires.checkpoints]
        why = " or ".join(f'on the way from "{below}" to "{above}"' for below, above in ways)
        what = f'checkpoint "{name}" is asked for {why}, and counts only when it is made there'
        raise Refusal(f"{rollout.name} is at {position.stage}", [Reason(Code.NOT_ENTITLED, what)])
    body = {"checkpoint": name, "go": go, "by": person.name, "why": reason, "stage": position.stage}
    return Happened(Event.CHECKPOINT, {**body, "sha256": sha256} if sha256 else body)


@dataclass(frozen=True, slots=True)
class File:
    """A file that somebody handed in, by what it was called, the digest of its text, its size in bytes, and what is known from `outside`."""

    name: str
    sha256: str
    size: int
    outside: Outside = field(default_factory=Outside)


def evidence(
    rollout: Rollout, state: State, person: Person, name: str, reason: str, file: File, reading: Reading | None = None, now: datetime | None = None
) -> Happened:
    """Put a result on record by the digest of its text, so that nobody can exchange it afterwards.

    What the rules declare comes with what it was read into, and with the time. The one that was made last counts: in whatever order several are
    handed in, it comes to the same. A run's result is of the stage at which the run began.
    """
    position = known(rollout, state)
    required = [one.name for stage in rollout.stages for one in stage.requires.evidence]
    _refuse_unknown(rollout, "evidence", name, [*(one.name for one in rollout.evidence), *required])
    declared = rollout.declared(name)
    body: dict[str, Any] = {"evidence": name, "by": person.name, "why": reason, "stage": position.stage}
    body |= {"file": file.name, "sha256": file.sha256, "bytes": file.size}
    if declared is None:
        return Happened(Event.EVIDENCE, body)
    if isinstance(declared.comes, Followed):
        raise OperationRefused(f'evidence "{name}" of {rollout.name} is read from {declared.comes.path} as it grows; it is not handed in')
    if reading is None or now is None:
        raise OperationRefused(f'evidence "{name}" of {rollout.name} is read as {declared.kind}; hand in the file itself, not only its digest')
    if reading.read_as != declared.read_as:
        raise OperationRefused(f'the rules for evidence "{declared.name}" of {rollout.name} have just changed; hand it in again')
    outside = replace(file.outside, file=file.name, sha256=file.sha256)
    placed = place(rollout, state, declared, reading, outside, now)
    made_at = placed.made_at.isoformat() if placed.made_at else None
    body |= {"stage": outside.stage or position.stage} | ({"came": placed.came.isoformat()} if placed.came else {})
    body |= {"again": True} if placed.again else {}
    body |= {"kind": declared.kind, "read_as": reading.read_as, "made_at": made_at, "figures": dict(reading.figures), **reading.told}
    return Happened(Event.EVIDENCE, {**body, "failed": dict(reading.failed)} if reading.failed else body)


def handoff(rollout: Rollout, state: State, person: Person, to: str, reason: str) -> Happened:
    """Put on record that somebody else watches from now on."""
    position = known(rollout, state)
    return Happened(Event.HANDOFF, {"by": person.name, "to": to, "why": reason, "stage": position.stage})


def seen(rollout: Rollout, judgement: Judgement | None) -> dict[str, Any]:
    """What whoever decides has before them: the score, and what every check came to."""
    if judgement is None:
        return {}
    card = readiness.score(rollout, judgement.checks)
    checks = {check.name: [check.outcome, check.evidence] for check in judgement.checks}
    return {"at": judgement.at.isoformat(), "score": card.points, "verdict": card.verdict, "checks": checks}


def _standing(rollout: Rollout, state: State, position: Position, what: str, now: datetime) -> Proposal:
    proposal = state.dossier.proposal
    if proposal is None:
        last = f"; the last one is void: {state.dossier.void}" if state.dossier.void else ""
        raise Refusal(what, [Reason(Code.APPROVALS_MISSING, f"no promotion has been proposed{last}")])
    if why := why_void(rollout, state.dossier, position, now):
        raise Refusal(what, [Reason(Code.APPROVALS_VOID, f"the proposal is void: {why}; propose it again")])
    return proposal


def _role(proposal: Proposal, person: Person, role: str | None, what: str) -> str:
    """The role that the vote is given in."""
    asked = ", ".join(proposal.roles)
    mine = [one for one in proposal.roles if one in person.roles]
    if role is None and len(mine) == 1:
        return mine[0]
    if role is None:
        why = (
            f"more than one role of {person.name} is asked for ({', '.join(mine)}); say which"
            if mine
            else f"{person.name} has none of the roles {asked}"
        )
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, why)])
    if role not in person.roles:
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, f'{person.name} does not have the role "{role}"')])
    if role not in proposal.roles:
        raise Refusal(what, [Reason(Code.NOT_ENTITLED, f'the role "{role}" is not asked for; those are {asked}')])
    return role


def _refuse_unknown(rollout: Rollout, what: str, name: str, names: Iterable[str]) -> None:
    asked = list(dict.fromkeys(names))
    if name not in asked:
        raise OperationRefused(f'there is no {what} "{name}" in the rules of {rollout.name}; {did_you_mean(name, asked, "they ask for none")}')
