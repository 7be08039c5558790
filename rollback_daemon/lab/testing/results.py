"""What became of a case: values only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from rollback_daemon.durations import format_duration
from rollback_daemon.judge.state import Happened, TriggerJudgement
from rollback_daemon.lab.testing.load import Case

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Where the time of every test begins, as promtool's does."""

Log = Sequence[tuple[datetime, Happened]]
"""What happened, in order."""


class Outcome(StrEnum):
    """What a case came to."""

    PASSED = "passed"
    FAILED = "failed"
    UNTOLD = "could not tell"  # no server, or it stopped answering
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is not as expected: where it stands in the file, when it was looked at (time since the start), and both sides.

    `trigger`: the one that it is about, as judged `at` that evaluation.
    """

    line: int
    time: timedelta
    what: str
    expected: str
    actual: str
    trigger: TriggerJudgement | None = None
    at: datetime = EPOCH

    def __str__(self) -> str:
        return f"at {format_duration(self.time)}: {self.what}: expected {self.expected}, but it is {self.actual}"


@dataclass(frozen=True, slots=True)
class Result:
    """One case that was run, or not. `why`: what kept it from being run to its end."""

    case: Case
    outcome: Outcome
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()
    log: Log = field(default=())
    why: str = ""
