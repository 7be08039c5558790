"""What an alert about the rollout itself is: a kind, which looks for a finding in what is known of it.

Lives here: the two values. Must not live here: which alerts there are (`alerts`, `aftercare_alerts`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rollback_daemon.judge.state import Judgement, State
from rollback_daemon.rules.model import Rollout


@dataclass(frozen=True, slots=True)
class Finding:
    """That a rollout alert is active: since when, the figure or words it rests on, and two texts for people.

    `severity`: if not the usual one. `labels`: its own, where a rollout may have several findings of one kind.
    """

    since: datetime
    value: str
    summary: str
    description: str
    severity: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RolloutAlert:
    """A kind of alert about the rollout itself; `meaning` is for the documentation. Several findings differ in their labels."""

    severity: str
    meaning: str
    find: Callable[[Rollout, State, Judgement], Finding | Iterable[Finding] | None]

    def findings(self, rollout: Rollout, state: State, judgement: Judgement) -> tuple[Finding, ...]:
        """Every finding of this kind."""
        found = self.find(rollout, state, judgement)
        return () if found is None else (found,) if isinstance(found, Finding) else tuple(found)
