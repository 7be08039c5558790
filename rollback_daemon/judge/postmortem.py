"""What only a person knows of an incident: which fields its report has, when it is complete, and when it is owed. Pure.

Lives here: the fields, and the two decisions. Must not live here: the report itself (`governance.incidents`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.refusal import Person, Refusal, known
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.model import Rollout

FIELDS = {
    "root_cause": "root cause",
    "users_affected": "users affected",
    "fix_plan": "fix plan",
    "issues": "issues met",
    "follow_up": "owner of the follow-up",
}
"""What a person writes, with how it is called."""
NEEDED = ("root_cause", "users_affected", "fix_plan")
"""What a report must have before it is complete."""


def option(name: str) -> str:
    """How a field is given at the command line."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Paper:
    """The report of one incident as it is on record: which fields have been written, and whether somebody has completed it."""

    incident: str
    written: frozenset[str] = frozenset()
    complete: bool = False


def missing(written: Collection[str]) -> list[str]:
    """The needed fields that nobody has written yet, as they are called."""
    return [FIELDS[name] for name in NEEDED if name not in written]


def owed(rollout: Rollout, state: State) -> Reason | None:
    """Why it may not be resumed yet: the report of its incident is asked for, and nobody has completed it. None where nothing is owed."""
    incident = state.aftermath.incident
    if not rollout.aftercare.postmortem or not incident or state.aftermath.postmortem:
        return None
    verb = f"`rollbackd postmortem {rollout.name} --complete --reason ...`"
    lacking = [f"its {FIELDS[name]} ({option(name)})" for name in NEEDED if name not in state.aftermath.written]
    written = f"it lacks {', '.join(lacking)}; write that, and" if lacking else "everything is written;"
    sentence = f"the report of incident {incident} is not complete: {written} complete it with {verb}"
    return Reason(Code.POSTMORTEM_MISSING, sentence, incident)


def write(
    rollout: Rollout,
    state: State,
    person: Person,
    paper: Paper,
    fields: Mapping[str, str],
    reason: str,
    *,
    complete: bool,
) -> Happened:
    """A person writes fields of an incident's report, those given in the place of what stands there; what is complete stays so.

    Refused without anything to write, and to complete what lacks a needed field: all of them are named.
    """
    known(rollout, state)
    what = f"the report of {rollout.name} stays as it is"
    if unknown := sorted(set(fields) - FIELDS.keys()):
        raise OperationRefused(f'{what}: there is no field "{unknown[0]}"; known: {", ".join(FIELDS)}')
    if not fields and not complete:
        raise OperationRefused(f"{what}: nothing is written; give at least one of {', '.join(FIELDS.values())}")
    if complete and (lacking := [name for name in NEEDED if name not in {*paper.written, *fields}]):
        told = [f"it cannot be complete without its {FIELDS[name]} ({option(name)})" for name in lacking]
        raise Refusal(what, [Reason(Code.POSTMORTEM_MISSING, one, paper.incident) for one in told])
    body = {"incident": paper.incident, "fields": dict(fields), "complete": complete or paper.complete, "by": person.name, "why": reason}
    return Happened(Event.POSTMORTEM, body)
