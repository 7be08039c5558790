"""The scorecard: points for what a promotion asks for, and what they come to. Pure.

Lives here: counting points. Must not live here: whether a check passes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from rollback_daemon.judge.reasons import Check, Outcome
from rollback_daemon.rules.duties import Part, Scoring
from rollback_daemon.rules.model import Rollout


class Decision(StrEnum):
    """What the points come to."""

    GO = "GO"
    MONITOR = "GO with monitoring"
    NO_GO = "NO-GO"


@dataclass(frozen=True, slots=True)
class Line:
    """One check of the card: its part, its points if it passes, and those that it has."""

    part: str
    check: str
    worth: float
    has: float
    outcome: Outcome
    evidence: str


@dataclass(frozen=True, slots=True)
class Scorecard:
    """`points` of 100. `verdict`: what they come to. `unsure`: it would be another one if what is unknown passed."""

    points: float
    verdict: Decision
    lines: tuple[Line, ...]
    unsure: bool = False

    @property
    def lost(self) -> str:
        """The checks that cost points."""
        return ", ".join(line.check for line in self.lines if line.outcome is not Outcome.PASS)


def score(rollout: Rollout, checks: Iterable[Check]) -> Scorecard:
    """The card over these checks. What is not asked for costs nothing: its points go to the rest of its part, or of the card."""
    known: dict[str, list[Check]] = {}
    for check in checks:
        known.setdefault(_called(check.name), []).append(check)
    parts = [(part, [name for name in part.checks if name in known]) for part in rollout.scoring.parts or usual(rollout)]
    asked = [(part, names) for part, names in parts if names]
    whole = sum(part.points for part, _ in asked)
    lines = tuple(_line(part, name, 100 / whole * part.points / len(names), known[name]) for part, names in asked for name in names)
    points = sum(line.has for line in lines) if lines else 100.0
    possible = points + sum(line.worth for line in lines if line.outcome is Outcome.UNKNOWN)
    verdict = _verdict(rollout.scoring, points)
    return Scorecard(round(points, 1), verdict, lines, unsure=_verdict(rollout.scoring, possible) is not verdict)


def _verdict(scoring: Scoring, points: float) -> Decision:
    rounded = round(points, 6)  # thirds of points add up to whole ones
    return Decision.GO if rounded >= scoring.go else Decision.MONITOR if rounded >= scoring.monitor else Decision.NO_GO


def usual(rollout: Rollout) -> Iterator[Part]:
    """40 points for what is measured, 30 for what people have said, 30 for what has been proven."""
    yield Part("technical", 40, tuple(gate.name for gate in rollout.gates))
    yield Part("process", 30, ("checkpoints", "approvals", "decision"))
    yield Part("validation", 30, ("soak", "config", "rehearsal", "evidence"))


def _called(name: str) -> str:
    """How the card calls a check: all checkpoints are one line, and so are all evidence and all keys of the configuration."""
    kind = name.partition(" ")[0]
    return {"checkpoint": "checkpoints", "evidence": "evidence", "config": "config"}.get(kind, name)


def _line(part: Part, name: str, worth: float, checks: list[Check]) -> Line:
    worst = max(checks, key=lambda check: [Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL].index(check.outcome))
    return Line(part.name, name, worth, worth if worst.outcome is Outcome.PASS else 0.0, worst.outcome, worst.evidence)
