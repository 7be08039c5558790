"""What is owed after a rollback, and after completion: verification, ways back, limits, escalation, hooks, follow-ups.

Lives here: nouns. Must not live here: the ladder (`model`), when any of it is due (the judge), how it is done (`transitions`, `hooks`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from rollback_daemon.rules.duties import Command, HttpCheck


@dataclass(frozen=True, slots=True)
class LogScan:
    """A regular expression that must appear in no line that was written to the file since the transition."""

    path: str
    without: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """These gates (none: every blocking one) must pass for `for_` without a break, before `within` is over."""

    for_: timedelta
    within: timedelta
    gates: frozenset[str] = frozenset()


Proof = Command | HttpCheck | LogScan | Recovery
"""One step of a verification."""


class WayKind(StrEnum):
    """How flags come down. The value is how it is written in a rule file."""

    FLAGS = "flags"  # set them
    BACKUP = "backup"  # put the file back that was kept when the flags were last so
    COMMAND = "command"  # run a program
    THEN = "then"  # step down further


@dataclass(frozen=True, slots=True)
class Way:
    """One way back. `to` is the stage that THEN leads to (None: the previous one), `after` how long a person has before that."""

    kind: WayKind = WayKind.FLAGS
    command: Command | None = None
    to: str | None = None
    after: timedelta = timedelta()

    def __str__(self) -> str:
        if self.kind is WayKind.THEN:
            return f"rollback to {self.to or 'previous'}"
        return f"command {self.command.argv[0]}" if self.command else str(self.kind)


@dataclass(frozen=True, slots=True)
class AtMost:
    """So many rollbacks by triggers within that time, and the rollout is frozen."""

    count: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Escalation:
    """The levels that a trigger climbs which has `escalate_after`, one after each such time. `rollback`: the last one is a scheduled rollback
    to `to` (None: the previous stage), announced for `in_` ahead.
    """

    levels: tuple[str, ...] = ("ticket", "lead")
    rollback: bool = False
    to: str | None = None
    in_: timedelta = timedelta()


HOOK_EVENTS = {
    "rolled_back": "a rollback is done: its flags are read back",
    "rollback_failed": "a try of a rollback failed; it is tried again",
    "verified": "every step of a verification passed",
    "unverified": "a step of a verification did not pass",
    "frozen": "there were too many rollbacks",
    "gate_failed": "a blocking gate does not pass any more",
    "gate_passed": "a gate that failed passes again",
    "check_failed": "evidence was handed in that has a check that failed; told once for each such check",
    "drift": "somebody else changed the flags",
    "misconfigured": "a key has not the value that the present stage requires",
    "ready": "soaked, and every gate passes",
    "promoted": "a promotion is done",
    "completed": "soaked at the highest stage",
    "held": "somebody or something stopped the way up",
    "resumed": "the way up was opened again",
    "degraded": "flags were set to a lesser service",
    "restored": "a degradation ended",
    "escalated": "a trigger reached the next level",
    "rollback_scheduled": "a rollback was announced",
    "rollback_cancelled": "an announced rollback was cancelled",
    "rehearsal_failed": "a rehearsed rollback did not pass",
    "follow_up_failed": "a check after completion did not pass",
    "decision_due": "the last check after completion is done, and a person is asked what follows",
}
"""What a hook can be called on, with the meaning of each."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A command, which gets the event as JSON on its standard input, or an HTTP call with the same as its body, signed with what is in
    `secret_file` where there is one.
    """

    name: str
    on: frozenset[str]
    command: Command | None = None
    http: str = ""
    secret_file: str = ""
    timeout: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class FollowUps:
    """Checks so long after completion. At each, every gate must pass, no trigger may fire, and the `checks` must succeed."""

    after: tuple[timedelta, ...]
    checks: tuple[Proof, ...] = ()


@dataclass(frozen=True, slots=True)
class Aftercare:
    """All of it. `only_at`: by their number, the steps of `verify` that are asked for at some stages only, and those stages. `postmortem`: whoever
    resumes after a rollback must have completed its report.
    """

    verify: tuple[Proof, ...] = ()
    only_at: Mapping[int, frozenset[str]] = field(default_factory=dict)
    ways: tuple[Way, ...] = (Way(),)
    cooldown: timedelta = timedelta()
    max_rollbacks: AtMost | None = None
    postmortem: bool = False
    escalation: Escalation = field(default_factory=Escalation)
    hooks: tuple[Hook, ...] = ()
    follow_ups: FollowUps | None = None

    def proofs(self, stage: str) -> tuple[Proof, ...]:
        """The steps that verify a rollback which ends at that stage."""
        return tuple(step for number, step in enumerate(self.verify) if number not in self.only_at or stage in self.only_at[number])

    @property
    def verified(self) -> bool:
        """Whether a rollback is verified beyond reading its flags back."""
        return bool(self.verify) or len(self.ways) > 1
