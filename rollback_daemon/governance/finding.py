"""What one check of the preflight came to, and what all of them come to together.

Lives here: the values. Must not live here: a check.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rollback_daemon.judge.reasons import Outcome


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, what came of it, and what was seen."""

    check: str
    outcome: Outcome
    evidence: str


def overall(findings: Iterable[Finding]) -> Outcome:
    """One fail is a fail; without any, one unknown is unknown."""
    found = {one.outcome for one in findings}
    return next((outcome for outcome in (Outcome.FAIL, Outcome.UNKNOWN) if outcome in found), Outcome.PASS)
