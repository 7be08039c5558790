"""Why: a closed list of reasons, each with a sentence that has the observed value beside its limit.

The same record feeds log, metric, alert, journal and page. Lives here: the list and the record. Sentences are made where the facts are.
"""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Every reason there is for a decision, or for not making one."""

    TRIGGER_FIRING = "trigger_firing"  # a condition was breached for its window
    PERSON = "person"  # somebody asked for it
    PROMOTION_FAILED = "promotion_failed"  # a promotion could not be completed, so it is taken back
    UNFINISHED = "unfinished"  # left over from before a restart
    LATCHED = "latched"  # rolled back, and nobody has resumed it
    HELD = "held"
    IN_TRANSITION = "in_transition"  # flags are being changed now
    AT_TOP = "at_top"  # there is no higher stage
    NOT_LOWER = "not_lower"  # a rollback to a stage that is not below
    SOAK = "soak"  # not long enough at this stage
    GATE_VIOLATED = "gate_violated"
    GATE_UNKNOWN = "gate_unknown"
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
        return self in {Code.GATE_UNKNOWN, Code.TRIGGER_UNKNOWN, Code.NOT_EVALUATED, Code.FLAGS_UNREADABLE}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, in code and in words. `subject` names the trigger, gate or person it is about."""

    code: Code
    sentence: str
    subject: str = ""

    def __str__(self) -> str:
        return self.sentence
