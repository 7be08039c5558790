"""What a run of tests comes to, in whatever format it was written down: how each test ended, and the figures of all of them.

Lives here: outcomes, exclusions, the pass rate. Must not live here: XML, JSON.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from rollback_daemon.evidence.exclusions import Exclusion, Exclusions
from rollback_daemon.evidence.kind import Figure, Result, Source, known, ratio
from rollback_daemon.schema import Part

_MOST_NAMES = 200  # of tests that did not pass, in the facts

FIGURES = {
    "pass_rate": Figure("ratio", "tests that passed, of those that ran; skipped and excluded ones are in neither number"),
    "tests": Figure("count", "tests in the file, with the skipped ones, without the excluded ones"),
    "passed": Figure("count", "tests that passed; an expected failure that passed is one of them unless it is strict"),
    "failures": Figure("count", "tests that failed"),
    "errors": Figure("count", "tests that could not be run or not be cleaned up after, and files that could not be collected"),
    "skipped": Figure("count", "tests that were skipped, expected failures with them"),
    "skipped_rate": Figure("ratio", "skipped tests, of all in the file"),
    "excluded": Figure("count", "tests that the rules leave out by name"),
    "flaky": Figure("count", "tests that passed only when they were run again"),
}


class How(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


class Settings(Part):
    """What the rules may say of a run of tests: names that are left out, each with its reason."""

    exclude: list[Exclusion] = []


@dataclass(slots=True)
class Tests:
    """The tests of a run in the order of the file, by the name that people know them by."""

    ended: list[tuple[str, How]] = field(default_factory=list)
    flaky: list[str] = field(default_factory=list)

    def result(self, source: Source, settings: Settings, made_at: datetime | None, facts: dict[str, Any], *notes: str) -> Result:
        """All of them as figures."""
        exclusions = Exclusions(settings.exclude)
        counted = [(name, how) for name, how in self.ended if not exclusions.take(name, how.value)]
        number = Counter(how for _, how in counted)
        ran = len(counted) - number[How.SKIPPED]
        ill = [f"{name} ({how.value})" for name, how in counted if how in {How.FAILED, How.ERROR}]
        figures = known(
            pass_rate=ratio(number[How.PASSED], ran),
            tests=len(counted),
            passed=number[How.PASSED],
            failures=number[How.FAILED],
            errors=number[How.ERROR],
            skipped=number[How.SKIPPED],
            skipped_rate=ratio(number[How.SKIPPED], len(counted)),
            excluded=len(exclusions.excluded),
            flaky=len(self.flaky),
        )
        said = [*notes, *exclusions.notes()]
        if not ran:
            said.append("no test ran: there is no pass rate")
        if len(ill) > _MOST_NAMES:
            said.append(f"{len(ill)} tests did not pass; the first {_MOST_NAMES} are named")
        named = {**facts, "not_passed": ill[:_MOST_NAMES], "flaky": self.flaky[:_MOST_NAMES]}
        return Result(figures, source.digest, made_at, named, tuple(exclusions.excluded), tuple(said))
