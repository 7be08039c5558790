"""What a vote is worth: whether a proposal still stands, and whether it has what was fixed when it was made. Pure.

Lives here: counting. Must not live here: who may say what (`consent`), what else a stage asks for (`requirements`).
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime

from rollback_daemon.durations import format_coarse
from rollback_daemon.judge.dossier import Dossier, Proposal, Vote
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Check, Code
from rollback_daemon.rules.model import Rollout, Stage


def seen_evidence(target: Stage, dossier: Dossier) -> str:
    """Identifies what is on record for a promotion to `target`: its checkpoints, its evidence, the rehearsal. Whoever votes has seen that."""
    checkpoints = {name: dossier.checkpoints.get(name) for name in target.requires.checkpoints}
    evidence = {fresh.name: dossier.evidence.get(fresh.name) for fresh in target.requires.evidence}
    rehearsed = dossier.rehearsed if target.requires.rehearsal else None
    shown = [
        {name: [one.go, one.by, one.why, one.at.isoformat(), one.report] if one else None for name, one in checkpoints.items()},
        {name: [one.by, one.at.isoformat(), one.digest] if one else None for name, one in evidence.items()},
        [rehearsed.id, rehearsed.passed] if rehearsed else None,
    ]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def why_void(rollout: Rollout, dossier: Dossier, position: Position, now: datetime) -> str:
    """Why the proposal and every vote on it count no more; empty where they do, or where there is none."""
    proposal = dossier.proposal
    if proposal is None:
        return ""
    stage = rollout.stage(position.stage)
    target = rollout.above(stage) if stage else None
    if proposal.stage != position.stage or proposal.entered != position.tenure:
        return f'it was about the way up from "{proposal.stage}", and the rollout has been elsewhere since'
    if proposal.digest != rollout.digest:
        return "the rule file has changed since it was made"
    if target is None or target.name != proposal.target:
        return f'the next stage is no longer "{proposal.target}"'
    if proposal.evidence != seen_evidence(target, dossier):
        return "the checkpoints, the evidence or the rehearsal that it was made on have changed since"
    if proposal.at > now + rollout.max_gap:
        return f"it was made at {proposal.at:%Y-%m-%d %H:%M:%S} UTC, which has not come yet: the clock was set back"
    if now >= proposal.expires:
        return f"it expired at {proposal.expires:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def check(rollout: Rollout, dossier: Dossier, position: Position, target: Stage, now: datetime) -> Check:
    """The approvals of a promotion to `target`."""
    asked = target.requires.approvals
    if asked is None:
        return Check("approvals", "none asked for")
    proposal = dossier.proposal
    if proposal is None:
        why = f"; the last proposal is void: {dossier.void}" if dossier.void else ""
        nobody = f'no approvals: nobody has proposed the promotion to "{target.name}"'
        last = dossier.ended
        same = last is not None and (last.stage, last.entered) == (position.stage, position.tenure)
        dissent = "".join(f"; the NO-GO of {vote.by} stands on" for vote in standing_no_gos(last)) if last and same else ""
        return Check("approvals", f"{nobody}{why}; it needs {asked}{dissent}", Code.APPROVALS_MISSING)
    if why := why_void(rollout, dossier, position, now):
        return Check("approvals", f"the votes are void: {why}; propose it again", Code.APPROVALS_VOID)
    if against := list(standing_no_gos(proposal)):
        said = "; ".join(f"{vote.by} ({vote.role}): {vote.why}" for vote in against)
        return Check("approvals", f"NO-GO by {said}; it stands until it is withdrawn or resolved", Code.NO_GO)
    given = sorted({vote.role for vote in proposal.votes if vote.go})
    tally = f"{len(given)} of {proposal.needed} approvals"
    if len(given) < proposal.needed:
        missing = ", ".join(role for role in proposal.roles if role not in given)
        left = format_coarse(proposal.expires - now)
        return Check("approvals", f"{tally}; missing: {missing}; {left} left", Code.APPROVALS_MISSING)
    return Check("approvals", f"{tally}: {', '.join(_said(vote) for vote in proposal.votes)}")


def standing_no_gos(proposal: Proposal) -> Iterator[Vote]:
    """The votes against it that nobody has resolved."""
    return (vote for vote in proposal.votes if not vote.go and not vote.resolved)


def _said(vote: Vote) -> str:
    conditions = f" on condition: {', '.join(vote.conditions)}" if vote.conditions else ""
    dissent = "" if vote.go else f" NO-GO, resolved by {vote.resolved}"
    return f"{vote.by} as {vote.role}{conditions}{dissent}"
