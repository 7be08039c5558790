"""What needs a person: of one rollout, in a few words each, the most pressing first.

It is what people are paged for (`alerts`), and what only somebody who looks is told: a vote that is open, a report that is owed. Lives here: that
list and its order. Pure. Must not live here: when an alert is active, how it looks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from rollback_daemon.faces.alerts import ROLLOUT_ALERTS
from rollback_daemon.judge import postmortem
from rollback_daemon.judge.approvals import standing_no_gos
from rollback_daemon.judge.state import Judgement, State
from rollback_daemon.judge.transitions import Kind
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.model import Rollout


class Urgency(IntEnum):
    """How pressing it is; the least comes first."""

    CRITICAL = 0
    WARNING = 1
    ASKED = 2  # the way up waits for somebody
    WATCH = 3  # it may become more
    NONE = 4


@dataclass(frozen=True, slots=True)
class Need:
    """One thing: in a word or two, in a sentence, and since when (None: that is not known)."""

    urgency: Urgency
    word: str
    text: str
    since: datetime | None = None


WORDS = {
    "RolloutRolledBack": "rolled back",
    "RolloutRollbackFailed": "rollback failed",
    "RolloutBlind": "not guarded",
    "RolloutBudgetSpent": "cannot tell",
    "RolloutDrift": "drift",
    "RolloutMisconfigured": "misconfigured",
    "RolloutBreakGlass": "break-glass",
    "RolloutRehearsalFailed": "rehearsal failed",
    "RolloutDegraded": "degraded",
    "RolloutHeld": "held",
    "RolloutUnverified": "unverified",
    "RolloutFrozen": "frozen",
    "RolloutEscalated": "escalated",
    "RolloutEvidenceFailed": "evidence does not come",
    "RolloutRollbackScheduled": "rollback announced",
    "RolloutFollowUpFailed": "follow-up failed",
    "RolloutDecisionDue": "decision due",
    "RolloutReady": "ready",
}
"""What each alert about a rollout is called where there is room for two words."""
_URGENCIES = {"critical": Urgency.CRITICAL, "warning": Urgency.WARNING}


def needs(rollout: Rollout, state: State, judgement: Judgement | None) -> tuple[Need, ...]:
    """All of it."""
    found = [*_of_record(rollout, state), *_of_sight(rollout, state, judgement)]
    return tuple(sorted(found, key=lambda one: one.urgency))


def _of_record(rollout: Rollout, state: State) -> Iterator[Need]:
    opened, proposal = state.position.open if state.position else None, state.dossier.proposal
    if opened is not None and opened.kind is Kind.ROLLBACK and not opened.failure:
        yield Need(Urgency.WARNING, "rolling back", f"from {opened.origin} to {opened.target}: {'; '.join(opened.why)}", opened.at)
    if proposal is not None:
        given = sum(vote.go for vote in proposal.votes)
        against = f", {len(no)} against" if (no := [*standing_no_gos(proposal)]) else ""
        text = (
            f"{proposal.by} put {proposal.target} to the vote: {given} of {proposal.needed} GO{against}, open until {proposal.expires:%d %b %H:%M}Z"
        )
        yield Need(Urgency.ASKED, "votes asked", text, proposal.at)
    if owed := postmortem.owed(rollout, state):
        yield Need(Urgency.WARNING, "report owed", owed.sentence, state.aftermath.began)


def _of_sight(rollout: Rollout, state: State, judgement: Judgement | None) -> Iterator[Need]:
    if judgement is None:
        yield Need(Urgency.WARNING, "not evaluated", "nothing has been evaluated yet")
        return
    for name, kind in ROLLOUT_ALERTS.items():
        for one in kind.findings(rollout, state, judgement):
            text = f"{rollout.name} is not guarded: {one.value}" if name == "RolloutBlind" else one.summary  # without for how long: `since` tells
            yield Need(_URGENCIES.get(one.severity or kind.severity, Urgency.ASKED), WORDS[name], text, one.since)
    for judged in judgement.triggers:
        trigger, phase = judged.trigger, judged.state.phase
        if trigger.dry_run or not judged.armed or phase is TriggerPhase.INACTIVE:
            continue
        since = min(one.firing_since or one.active_since for one in judged.state.active)
        text = f"{trigger.name} is {phase}: {trigger.test.subject} {trigger.test.limit}".rstrip()
        firing = phase is TriggerPhase.FIRING
        yield Need(_URGENCIES.get(trigger.severity, Urgency.WATCH) if firing else Urgency.WATCH, str(phase), text, since)
