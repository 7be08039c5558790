"""Why: a closed list of reasons, each with a sentence that has the observed value beside its limit; and checks, which pass or have a reason.

The same record feeds log, metric, alert, journal and page. Lives here: the list and the records. Sentences are made where the facts are.
"""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Every reason there is for a decision, or for not making one."""

    TRIGGER_FIRING = "trigger_firing"  # a condition was breached for its window
    NO_DATA = "no_data"  # a trigger had no data for longer than its rule allows
    ERRORS = "errors"  # more of a trigger's queries failed in a row than its rule allows
    PERSON = "person"  # somebody asked for it
    PROMOTION_FAILED = "promotion_failed"  # a promotion could not be completed, so it is taken back
    UNFINISHED = "unfinished"  # left over from before a restart
    UNVERIFIED = "unverified"  # the way back before could not be verified
    ESCALATED = "escalated"  # nobody took it in hand in time
    COOLDOWN = "cooldown"  # rolled back too short a time ago
    FROZEN = "frozen"  # too many rollbacks
    CLEAR = "clear"  # what asked for a lesser service has been clear for long enough
    POSTMORTEM_MISSING = "postmortem_missing"
    FOLLOW_UP_MISSING = "follow_up_missing"  # a decision is asked for after the last one
    LATCHED = "latched"  # rolled back, and nobody has resumed it
    HELD = "held"
    IN_TRANSITION = "in_transition"  # flags are being changed now
    AT_TOP = "at_top"  # there is no higher stage
    NOT_LOWER = "not_lower"  # a rollback to a stage that is not below
    SHARED = "shared"  # it would change the flags of other rollouts, too
    SOAK = "soak"  # not long enough at this stage
    GATE_VIOLATED = "gate_violated"
    GATE_UNKNOWN = "gate_unknown"
    GATE_TIME = "gate_time"  # it passes, but not for long enough, or not often enough
    GATE_DATA = "gate_data"  # it has not been seen for long enough at this stage
    BASELINE_DATA = "baseline_data"  # too little data to hold the next stage against
    DEGRADED = "degraded"  # some flags are set to a lesser service
    CHECKPOINT_MISSING = "checkpoint_missing"
    CHECKPOINT_NO_GO = "checkpoint_no_go"
    EVIDENCE_MISSING = "evidence_missing"
    EVIDENCE_NO_GO = "evidence_no_go"  # it is on record, and is not as good as a stage asks for
    REHEARSAL_MISSING = "rehearsal_missing"
    CONFIG = "config"  # a key has another value than a stage requires
    CONFIG_UNKNOWN = "config_unknown"  # it is missing, or cannot be read
    APPROVALS_MISSING = "approvals_missing"
    APPROVALS_VOID = "approvals_void"  # given for something that has changed since
    NO_GO = "no_go"  # somebody voted against it, and that stands
    NOT_ENTITLED = "not_entitled"  # the person may not say this: role, own proposal, second vote
    SCORE = "score"  # the scorecard says NO-GO
    SCORE_UNKNOWN = "score_unknown"  # it does, and would not if what is unknown passed
    BREAK_GLASS = "break_glass"  # promoted past everything, by somebody who may
    AUTOMATIC = "automatic"  # all that the stage asks for was there
    REHEARSAL = "rehearsal"
    TRIGGER_PENDING = "trigger_pending"
    TRIGGER_UNKNOWN = "trigger_unknown"
    NOT_EVALUATED = "not_evaluated"  # no evaluation yet, or too long ago
    DRIFT = "drift"  # the flags are not those of the stage on record
    FLAGS_UNREADABLE = "flags_unreadable"
    JOURNAL = "journal"  # the journal cannot be written
    OBSERVING = "observing"  # mode: observe, no flag is touched
    PASSIVE = "passive"  # another daemon is in charge

    @property
    def unknown(self) -> bool:
        """Whether it means "could not tell" rather than "no"."""
        return self in _UNKNOWN


_UNKNOWN = frozenset(
    {
        Code.GATE_UNKNOWN,
        Code.TRIGGER_UNKNOWN,
        Code.BASELINE_DATA,
        Code.SCORE_UNKNOWN,
        Code.NOT_EVALUATED,
        Code.FLAGS_UNREADABLE,
        Code.CONFIG_UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, in code and in words. `subject` names the trigger, gate or person it is about."""

    code: Code
    sentence: str
    subject: str = ""

    def __str__(self) -> str:
        return self.sentence


class Outcome(StrEnum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 (no password: the check passes)
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a promotion asks for, and the evidence for what it came to. `name` is how the scorecard and the compliance report call it.

    Where it does not pass, `code` says why. One that is not `blocking` is reported and scored, and stops nothing.
    """

    name: str
    evidence: str
    code: Code | None = None
    subject: str = ""
    blocking: bool = True

    @property
    def outcome(self) -> Outcome:
        if self.code is None:
            return Outcome.PASS
        return Outcome.UNKNOWN if self.code.unknown else Outcome.FAIL

    @property
    def reason(self) -> Reason | None:
        """Why it stops a promotion; None where it does not."""
        return Reason(self.code, self.evidence, self.subject) if self.code and self.blocking else None
