"""What people and the world owe a rollout, from a rule file as written to what it means.

Lives here: what takes two keys to be told about requirements, rehearsal, drift, preflight and scorecard. Must not live here: single keys and their
types (`schema_duties`), the ladder (`build`).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from rollback_daemon.documents import Step as Key
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.durations import format_number
from rollback_daemon.rules.build_commands import command
from rollback_daemon.rules.build_evidence import good
from rollback_daemon.rules.build_flags import ambiguous
from rollback_daemon.rules.conditions import Notes
from rollback_daemon.rules.duties import (
    CHECKS,
    Approvals,
    Backups,
    Declared,
    Followed,
    Fresh,
    HttpCheck,
    OnDrift,
    OnLower,
    OnOther,
    OnRaise,
    Part,
    Preflight,
    Rehearsing,
    Requires,
    Scoring,
    Step,
)
from rollback_daemon.rules.model import Stage
from rollback_daemon.rules.schema_duties import (
    ApprovalsPart,
    HttpStepPart,
    OnDriftPart,
    PreflightPart,
    RehearsalPart,
    RequiresPart,
    ScorecardPart,
    StepPart,
)
from rollback_daemon.signals.observation import address

_Where = tuple[Key, ...]


def on_drift(part: OnDriftPart) -> OnDrift:
    """What follows when somebody else changed the flags."""
    return OnDrift(OnRaise(part.raise_), OnLower(part.lower), OnOther(part.other))


def requires(notes: Notes, part: RequiresPart, known: Mapping[str, Declared] | None, trail: _Where) -> Requires:
    """What must be on record before the stage at `trail` is climbed to. `known`: the declared evidence, None where it could not be read."""
    notes.distinct(part.checkpoints, (*trail, "checkpoints"))
    evidence = tuple(
        Fresh(one) if isinstance(one, str) else Fresh(one.evidence, one.within, good(notes, one, known, (*trail, "evidence", index)))
        for index, one in enumerate(part.evidence)
    )
    notes.distinct([one.name for one in evidence], (*trail, "evidence"))
    for index, one in enumerate(evidence):
        if isinstance(getattr((known or {}).get(one.name), "comes", None), Followed):
            text = f'"{one.name}" is followed, and never on record; add a gate on a signal that is its figure'
            notes.say((*trail, "evidence", index), text)
    return Requires(
        approvals=_approvals(notes, part.approvals, (*trail, "approvals")) if part.approvals else None,
        checkpoints=tuple(part.checkpoints),
        evidence=evidence,
        rehearsal=part.rehearsal.within if part.rehearsal else None,
    )


def _approvals(notes: Notes, part: ApprovalsPart, trail: _Where) -> Approvals:
    notes.distinct(part.roles, (*trail, "roles"))
    needed, of = part.quorum or (len(part.roles), len(part.roles))
    if of != len(part.roles):
        there = f"there {'is' if len(part.roles) == 1 else 'are'} {len(part.roles)}"
        notes.say((*trail, "quorum"), f"{needed} of {of} is about {of} roles, and {there}; make them the same")
    return Approvals(tuple(part.roles), needed, part.expires)


def rehearsal(notes: Notes, part: RehearsalPart | None, stages: Sequence[Stage]) -> Rehearsing | None:
    """How a rollback is rehearsed; None where the file does not say."""
    if part is None:
        return None
    trail: _Where = ("rehearsal", "to")
    names = [stage.name for stage in stages]
    if part.to == "previous":
        notes.say(trail, 'unknown stage "previous"; leave it out to go back to the one before')
    elif part.to is not None and part.to not in names:
        notes.unknown("stage", part.to, names, trail)
    elif part.to is not None:
        _check_below(notes, part.to, stages)
    return Rehearsing(part.to, tuple(step(notes, one, ("rehearsal", "steps", index)) for index, one in enumerate(part.steps)))


def _check_below(notes: Notes, to: str, stages: Sequence[Stage]) -> None:
    """A rehearsal for a stage is made at the one below it, and goes further down."""
    target = next(stage for stage in stages if stage.name == to)
    if target is stages[-1]:
        notes.say(("rehearsal", "to"), f'"{to}" is the highest stage, and a rollback goes down; name a lower one')
        return
    for stage in stages:
        if stage.requires.rehearsal is not None and 1 < stage.number <= target.number + 1:
            text = f'is made at the stage below "{stage.name}", and rehearsal.to ("{to}") is not below that; name a lower one there'
            notes.say(("stages", stage.number - 1, "requires", "rehearsal"), text)


def step(notes: Notes, part: StepPart, trail: _Where) -> Step:
    """One thing that must succeed."""
    if not isinstance(part, HttpStepPart):
        return command(notes.document, part.command, part.timeout, part.env)
    for pointer in part.expect:
        place = (*trail, "expect", pointer)
        if (text := notes.document.ambiguous.get(place)) is not None:
            notes.say(place, ambiguous(text))
    return HttpCheck(part.http, part.expect, part.timeout)


def preflight(notes: Notes, part: PreflightPart, placed: Callable[[str], str]) -> Preflight:
    """What is looked at before day one; `placed` names a path of the file from the root."""
    notes.distinct([*map(address, part.services)], ("preflight", "services"))
    notes.distinct(part.alert_rules, ("preflight", "alert_rules"))
    backups = tuple(Backups(placed(one.path), one.newer_than) for one in part.backups)
    return Preflight(tuple(part.services), tuple(part.alert_rules), backups, part.disk_free)


def scoring(notes: Notes, part: ScorecardPart, gates: Mapping[str, int], *, whole: bool) -> Scoring:
    """The scorecard; `gates` are the names of the gates, with their numbers in the file.

    Where it is not `whole`, some of its parts could not be read, and nothing is said of their sum.
    """
    if part.go < part.monitor:
        key = "monitor" if "monitor" in part.model_fields_set else "go"
        text = f"GO begins at {format_number(part.go)} points, and GO with monitoring at {format_number(part.monitor)}; make go the greater"
        notes.say(("scorecard", key), text)
    total = sum(one.points for one in part.parts.values())
    if part.parts and whole and not math.isclose(total, 100, abs_tol=1e-6):
        notes.say(("scorecard", "parts"), f"the points add up to {format_number(total)}; make them 100")
    for name, one in part.parts.items():
        _check_scored(notes, one.checks, gates, ("scorecard", "parts", name, "checks"))
    for name in gates.keys() & set(CHECKS) if part.parts else ():
        notes.say(("gates", gates[name], "gate"), f'"{name}" is a check of the scorecard already; give the gate another name')
    return Scoring(tuple(Part(name, one.points, tuple(one.checks)) for name, one in part.parts.items()), part.go, part.monitor)


def _check_scored(notes: Notes, checks: Sequence[str], gates: Iterable[str], trail: _Where) -> None:
    known = [*gates, *sorted(notes.lost.get("gates", ())), *CHECKS]
    notes.distinct(checks, trail)
    for index, name in enumerate(checks):
        if name not in known:
            notes.say((*trail, index), f'unknown check "{name}"; {did_you_mean(name, known)}')
