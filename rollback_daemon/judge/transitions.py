"""The table of phases: which event leads from which phase to which. Everything that changes a phase is in this file.

Lives here: the table as data, and the one function that reads it. Must not live here: when an event happens, or what it does to flags.
The diagram in the documentation is drawn from this table by `diagram()`.
"""

from enum import StrEnum

from rollback_daemon.errors import IllegalTransition


class Phase(StrEnum):
    """Where a rollout is in its life."""

    BASELINE = "baseline"  # at the bottom, nothing exposed
    SOAKING = "soaking"  # at a stage, earning the next one
    READY = "ready"  # soaked and every gate passes: may be promoted
    HELD = "held"  # somebody or something stopped the way up
    PROMOTING = "promoting"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"  # latched until a person resumes it
    FROZEN = "frozen"  # too many rollbacks
    COMPLETE = "complete"  # soaked at the top; still watched
    FAILED = "failed"  # the flags could not be set; still trying, and paging


class Event(StrEnum):
    """What can happen to a rollout. The value is the kind of the record in the journal."""

    ADOPTED = "adopted"  # first sight of a rollout: its stage follows from its flags
    INTENDED = "intended"  # a transition is decided and on record, before any flag is touched
    ATTEMPTED = "attempted"  # one try ended without success; says why and when the next is
    APPLIED = "applied"  # flags written
    RAN = "ran"  # the command after the change has ended
    DONE = "done"  # flags read back; the transition is complete
    ABANDONED = "abandoned"  # a transition will not be finished; says what was done instead
    HELD = "held"
    RESUMED = "resumed"
    READY = "ready"
    UNREADY = "unready"
    COMPLETED = "completed"
    TRIGGER = "trigger"  # a series of a trigger changed its phase
    SIGHT = "sight"  # the judge lost or regained sight
    DRIFT = "drift"  # the flags differ from the record, or no longer do
    OBSERVED = "observed"  # what would have been done, were it enforced
    CONFIGURED = "configured"  # another version of its rule file holds from now on
    REFUSED = "refused"  # somebody asked for what may not be done now


class Kind(StrEnum):
    """What a transition is, seen from outside."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


_SETTLED = {Phase.BASELINE, Phase.SOAKING, Phase.READY, Phase.HELD, Phase.COMPLETE, Phase.ROLLED_BACK, Phase.FROZEN}

TABLE: dict[tuple[Phase, str], Phase] = {
    (Phase.BASELINE, "promote intended"): Phase.PROMOTING,
    (Phase.READY, "promote intended"): Phase.PROMOTING,
    (Phase.PROMOTING, "promote done"): Phase.SOAKING,
    (Phase.PROMOTING, "promote abandoned"): Phase.HELD,
    **{(phase, "rollback intended"): Phase.ROLLING_BACK for phase in Phase},
    (Phase.ROLLING_BACK, "rollback attempted"): Phase.FAILED,
    (Phase.FAILED, "rollback attempted"): Phase.FAILED,
    (Phase.PROMOTING, "promote attempted"): Phase.PROMOTING,
    (Phase.ROLLING_BACK, "rollback done"): Phase.ROLLED_BACK,
    (Phase.FAILED, "rollback done"): Phase.ROLLED_BACK,
    (Phase.SOAKING, "ready"): Phase.READY,
    (Phase.READY, "unready"): Phase.SOAKING,
    (Phase.COMPLETE, "unready"): Phase.SOAKING,
    (Phase.SOAKING, "completed"): Phase.COMPLETE,
    (Phase.READY, "completed"): Phase.COMPLETE,
    **{(phase, "held"): Phase.HELD for phase in sorted(_SETTLED - {Phase.ROLLED_BACK, Phase.FROZEN})},
    **{(phase, "resumed"): Phase.SOAKING for phase in (Phase.HELD, Phase.ROLLED_BACK, Phase.FROZEN)},
}
"""(phase, event) -> phase. Intended, attempted, done and abandoned are told apart by the kind of their transition. SOAKING at stage 0 is BASELINE."""

STAYS = frozenset({Event.APPLIED, Event.RAN, Event.TRIGGER, Event.SIGHT, Event.DRIFT, Event.OBSERVED, Event.CONFIGURED, Event.REFUSED})
"""Events that are on record and change no phase."""


APART = frozenset({Event.CONFIGURED, Event.REFUSED})
"""Those of them that may even stand before the rollout was first seen."""


def after(phase: Phase, event: Event, kind: Kind | None = None) -> Phase:
    """The phase that follows. Raises IllegalTransition when the table has no such row."""
    if event in STAYS:
        return phase
    name = f"{kind} {event}" if kind else str(event)
    try:
        return TABLE[phase, name]
    except KeyError:
        raise IllegalTransition(f'"{name}" cannot happen in phase "{phase}"') from None


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.BASELINE}: adopted"]
    grouped: dict[tuple[Phase, Phase], list[str]] = {}
    for (phase, event), target in TABLE.items():
        grouped.setdefault((phase, target), []).append(event)
    lines += [f"    {phase} --> {target}: {', '.join(events)}" for (phase, target), events in grouped.items()]
    return "\n".join(lines)
