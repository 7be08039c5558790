"""The table of phases: which event leads from which phase to which. Everything that changes a phase is in this file.

Lives here: the table as data, and the one function that reads it. Must not live here: when an event happens, or what it does to flags.
The diagram in the documentation is drawn from this table by `diagram()`.
"""

from enum import StrEnum
from itertools import product

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
    BUDGET = "budget"  # a trigger's budget for failed queries or lack of data is spent, or no longer
    SIGHT = "sight"  # the judge lost or regained sight
    DRIFT = "drift"  # the flags differ from the record, or no longer do
    MISCONFIGURED = "misconfigured"  # the configuration is not what the stage requires, or is again
    OBSERVED = "observed"  # what would have been done, were it enforced
    CONFIGURED = "configured"  # another version of its rule file holds from now on
    REFUSED = "refused"  # somebody asked for what may not be done now
    PROPOSED = "proposed"  # a promotion was put to the vote
    VOTED = "voted"
    WITHDRAWN = "withdrawn"  # somebody took a vote back
    RESOLVED = "resolved"  # a NO-GO was resolved on record; the dissent stays there
    VOIDED = "voided"  # what was voted on has changed
    CHECKPOINT = "checkpoint"
    EVIDENCE = "evidence"
    STEP = "step"  # one step of a rehearsal has ended
    REHEARSED = "rehearsed"  # a rehearsal has ended
    HANDOFF = "handoff"  # somebody handed the watch over
    VERIFYING = "verifying"  # somebody has a rollback verified again
    CHECKED = "checked"  # one step of a verification has ended
    VERIFIED = "verified"  # every step of it passed
    UNVERIFIED = "unverified"  # a step of it did not pass
    FROZEN = "frozen"  # there were too many rollbacks
    POSTMORTEM = "postmortem"  # somebody wrote what only a person knows of an incident
    GATE = "gate"  # a gate passes, or does not any more
    ESCALATED = "escalated"  # a trigger has reached another level
    ACKNOWLEDGED = "acknowledged"  # somebody has it in hand: it climbs no further
    SCHEDULED = "scheduled"  # a rollback is announced
    CANCELLED = "cancelled"  # an announced rollback will not be
    EASED = "eased"  # an escalated trigger does not fire any more
    FOLLOWED_UP = "followed_up"  # a check after completion has ended
    DECIDED = "decided"  # somebody said what follows after the last of them
    PLOTTED = "plotted"  # the signals around an incident, as they were
    TOLD = "told"  # an Alertmanager has taken an alert
    HOOKED = "hooked"  # a hook was told of an event, or could not be
    BACKED_UP = "backed_up"  # somebody had the flags copied


class Kind(StrEnum):
    """What a transition is, seen from outside."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    DEGRADE = "degrade"
    RESTORE = "restore"


_SETTLED = {Phase.BASELINE, Phase.SOAKING, Phase.READY, Phase.HELD, Phase.COMPLETE, Phase.ROLLED_BACK, Phase.FROZEN}
_OF_A_DETOUR = ("intended", "attempted", "done")
BREAK_GLASS, RETURN = "break-glass", "return"
"""What a promotion is called in the table that goes past everything, and one that ends a rehearsal where it began."""

TABLE: dict[tuple[Phase, str], Phase] = {
    (Phase.BASELINE, "promote intended"): Phase.PROMOTING,
    (Phase.READY, "promote intended"): Phase.PROMOTING,
    (Phase.PROMOTING, "promote done"): Phase.SOAKING,
    (Phase.PROMOTING, "promote abandoned"): Phase.HELD,
    **{(phase, f"{BREAK_GLASS} intended"): Phase.PROMOTING for phase in sorted(_SETTLED - {Phase.COMPLETE})},
    (Phase.ROLLED_BACK, f"{RETURN} intended"): Phase.PROMOTING,
    **{(phase, "rollback intended"): Phase.ROLLING_BACK for phase in Phase},
    (Phase.ROLLING_BACK, "rollback attempted"): Phase.FAILED,
    (Phase.FAILED, "rollback attempted"): Phase.FAILED,
    (Phase.PROMOTING, "promote attempted"): Phase.PROMOTING,
    (Phase.ROLLING_BACK, "rollback done"): Phase.ROLLED_BACK,
    (Phase.FAILED, "rollback done"): Phase.ROLLED_BACK,
    **{(phase, "rollback abandoned"): Phase.ROLLED_BACK for phase in (Phase.ROLLING_BACK, Phase.FAILED)},
    (Phase.ROLLED_BACK, "frozen"): Phase.FROZEN,
    **{(phase, f"{kind} {event}"): phase for phase in sorted(_SETTLED) for kind, event in product(("degrade", "restore"), _OF_A_DETOUR)},
    (Phase.SOAKING, "ready"): Phase.READY,
    (Phase.READY, "unready"): Phase.SOAKING,
    (Phase.COMPLETE, "unready"): Phase.SOAKING,
    (Phase.SOAKING, "completed"): Phase.COMPLETE,
    (Phase.READY, "completed"): Phase.COMPLETE,
    **{(phase, "held"): Phase.HELD for phase in sorted(_SETTLED - {Phase.ROLLED_BACK, Phase.FROZEN})},
    **{(phase, "resumed"): Phase.SOAKING for phase in (Phase.HELD, Phase.ROLLED_BACK, Phase.FROZEN)},
}
"""(phase, event) -> phase. Intended, attempted, done and abandoned are told apart by the kind of their transition. SOAKING at stage 0 is BASELINE."""

_SAID = {Event.PROPOSED, Event.VOTED, Event.WITHDRAWN, Event.RESOLVED, Event.VOIDED, Event.CHECKPOINT, Event.EVIDENCE, Event.HANDOFF}
_SEEN = {Event.TRIGGER, Event.BUDGET, Event.SIGHT, Event.DRIFT, Event.MISCONFIGURED, Event.OBSERVED, Event.ESCALATED, Event.SCHEDULED, Event.EASED}
_ON_THE_WAY = {Event.APPLIED, Event.RAN, Event.STEP, Event.REHEARSED}
_AFTERWARDS = {Event.VERIFYING, Event.CHECKED, Event.VERIFIED, Event.UNVERIFIED, Event.POSTMORTEM, Event.FOLLOWED_UP, Event.DECIDED}
_STOPPED = {Event.ACKNOWLEDGED, Event.CANCELLED}
APART = frozenset({Event.CONFIGURED, Event.REFUSED, Event.GATE, Event.PLOTTED, Event.TOLD, Event.HOOKED, Event.BACKED_UP})
"""Events from which nothing follows; they may even stand before the rollout was first seen."""
STAYS = frozenset({*_SAID, *_SEEN, *_ON_THE_WAY, *_AFTERWARDS, *_STOPPED, *APART})
"""Events that are on record and change no phase."""


def after(phase: Phase, event: Event, kind: str | None = None) -> Phase:
    """The phase that follows; `kind` is that of the transition, or `BREAK_GLASS` or `RETURN`. Raises IllegalTransition without such a row."""
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
        if event.startswith(("degrade", "restore")):
            continue  # possible in every phase in which nothing else is under way, and they lead nowhere else
        grouped.setdefault((phase, target), []).append(event)
    lines += [f"    {phase} --> {target}: {', '.join(events)}" for (phase, target), events in grouped.items()]
    return "\n".join(lines)
