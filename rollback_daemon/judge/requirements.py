"""What the next stage asks of people and of the world outside Prometheus: checkpoints, evidence, a rehearsal, approvals. Pure.

Lives here: one check for each of these. Must not live here: what a vote is worth (`approvals`), what was measured (`gates`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from rollback_daemon.durations import format_coarse, format_duration, format_number
from rollback_daemon.judge import approvals, figures
from rollback_daemon.judge.dossier import Dossier, Evidence
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Check, Code
from rollback_daemon.rules.duties import Fresh
from rollback_daemon.rules.model import Rollout

CODES = frozenset(
    {
        Code.CHECKPOINT_MISSING,
        Code.CHECKPOINT_NO_GO,
        Code.EVIDENCE_MISSING,
        Code.EVIDENCE_NO_GO,
        Code.REHEARSAL_MISSING,
        Code.APPROVALS_MISSING,
        Code.APPROVALS_VOID,
        Code.NO_GO,
    }
)
"""The codes of these checks: what the record alone tells, without an evaluation."""


def checks(rollout: Rollout, dossier: Dossier, position: Position, now: datetime) -> Iterator[Check]:
    """What a promotion to the next stage asks for; nothing at the top."""
    stage = rollout.stage(position.stage)
    target = rollout.above(stage) if stage else None
    if target is None:
        return
    for name in target.requires.checkpoints:
        yield _checkpoint(name, dossier, position, now + rollout.max_gap)
    for fresh in target.requires.evidence:
        yield _evidence(rollout, fresh, dossier, position, now)
    if target.requires.rehearsal is not None:
        yield _rehearsal(target.requires.rehearsal, dossier, now, now + rollout.max_gap)
    if target.requires.approvals is not None:
        yield approvals.check(rollout, dossier, position, target, now)
        yield _decision(dossier)


def _decision(dossier: Dossier) -> Check:
    """Whether somebody has put the promotion to the vote. The scorecard counts it; what stops the promotion are the approvals."""
    proposal = dossier.proposal
    if proposal is None:
        return Check("decision", "nobody has proposed the promotion", Code.APPROVALS_MISSING, blocking=False)
    return Check("decision", f"proposed by {proposal.by} at {proposal.at:%Y-%m-%d %H:%M} UTC: {proposal.why}")


def _checkpoint(name: str, dossier: Dossier, position: Position, latest: datetime) -> Check:
    """One made before this stage was about another climb; of one made after the `latest` possible time nobody knows when it was."""
    called, made = f"checkpoint {name}", dossier.checkpoints.get(name)
    if made and made.at > latest:
        return Check(called, f'checkpoint "{name}" {_ahead(made.at)}', Code.CHECKPOINT_MISSING, name)
    if made is None or made.at < position.tenure:
        old = f"; the one of {made.at:%Y-%m-%d %H:%M} UTC was made before this stage began" if made else ""
        return Check(called, f'checkpoint "{name}" is not on record{old}', Code.CHECKPOINT_MISSING, name)
    said = f'checkpoint "{name}": {"GO" if made.go else "NO-GO"} by {made.by}: {made.why}'
    return Check(called, said, None if made.go else Code.CHECKPOINT_NO_GO, name)


def _evidence(rollout: Rollout, fresh: Fresh, dossier: Dossier, position: Position, now: datetime) -> Check:
    """What is read into figures is as old as the file says, and counts only as long as its figures do."""
    called, made = f"evidence {fresh.name}", dossier.evidence.get(fresh.name)
    if made is None:
        said = f'evidence "{fresh.name}" is not on record; {figures.missing(rollout, fresh.name)}'
        return Check(called, said, Code.EVIDENCE_MISSING, fresh.name)
    if made.at > now + rollout.max_gap:
        return Check(called, f'evidence "{fresh.name}" {_ahead(made.at)}', Code.EVIDENCE_MISSING, fresh.name)
    declared = rollout.declared(fresh.name)
    if declared is not None and (why := figures.why_untold(declared, made, now, rollout.max_gap)):
        return Check(called, why, Code.EVIDENCE_MISSING, fresh.name)
    age, of_stage = now - (made.made if declared else made.at), fresh.within is None or (declared is not None and declared.per_stage)
    began = min(now - age, made.of)  # a run began before what it made says that it was made
    if of_stage and began < position.tenure:
        old = format_coarse(now - began)
        return Check(called, f'evidence "{fresh.name}" is {old} old, before this stage began', Code.EVIDENCE_MISSING, fresh.name)
    if fresh.within is not None and age > fresh.within:
        limit = f"must be no older than {format_duration(fresh.within)}"
        return Check(called, f'evidence "{fresh.name}" is {format_coarse(age)} old, {limit}', Code.EVIDENCE_MISSING, fresh.name)
    of = f"by {made.by}, {format_coarse(age)} old, sha256 {made.digest[:12]}"
    return _good(fresh, made, called, of)


def _good(fresh: Fresh, made: Evidence, called: str, of: str) -> Check:
    """Whether its figures are as they must be."""
    untold = [name for name in fresh.good if name not in made.figures]
    if untold:
        said = f'evidence "{fresh.name}" does not tell its {", ".join(untold)}, which must be known ({of})'
        return Check(called, said, Code.EVIDENCE_MISSING, fresh.name)
    figures_ = [(f"{name} {format_number(made.figures[name])}", must, must.holds(made.figures[name])) for name, must in fresh.good.items()]
    if wrong := [f"{said}, must be {must}" for said, must, holds in figures_ if not holds]:
        return Check(called, f'evidence "{fresh.name}": {"; ".join(wrong)} ({of}){_why(made.notes)}', Code.EVIDENCE_NO_GO, fresh.name)
    what = f": {', '.join(said for said, _, _ in figures_)}" if figures_ else ""
    return Check(called, f'evidence "{fresh.name}" {of}{what}')


def _why(notes: tuple[str, ...]) -> str:
    """What the file says of itself, so much of it as fits into a sentence."""
    more = f" (and {len(notes) - 1} more, see explain)" if len(notes) > 1 else ""
    return f": {notes[0]}{more}" if notes else ""


def _ahead(at: datetime) -> str:
    return f"is of {at:%Y-%m-%d %H:%M} UTC, which has not come yet: the clock was set back; it is needed again"


def _rehearsal(within: timedelta, dossier: Dossier, now: datetime, latest: datetime) -> Check:
    made, limit = dossier.rehearsed, f"must be no older than {format_duration(within)}"
    if made is None:
        return Check("rehearsal", f"no rollback has been rehearsed; one {limit}", Code.REHEARSAL_MISSING)
    if made.at > latest:
        return Check("rehearsal", f"the last rehearsal {_ahead(made.at)}", Code.REHEARSAL_MISSING)
    age = format_coarse(now - made.at)
    if not made.passed:
        return Check("rehearsal", f"the rehearsal {age} ago failed: {made.why}", Code.REHEARSAL_MISSING)
    if now - made.at > within:
        return Check("rehearsal", f"the last rehearsal was {age} ago, {limit}", Code.REHEARSAL_MISSING)
    return Check("rehearsal", f'rehearsed {age} ago at "{made.stage}", {made.seconds:.1f} s, by {made.by}')
