"""A parity report: two implementations given the same cases, and where they differ.

The format is the summary of RingRift's parity health check. Fields that are not named here are kept. Must not live here: how a check is run.
"""

from collections.abc import Iterator

from pydantic import Field

from rollback_daemon.errors import Problem
from rollback_daemon.evidence.exclusions import Exclusion, Exclusions
from rollback_daemon.evidence.kind import NOT_YET, Figure, Kind, Result, Source, known
from rollback_daemon.evidence.mistaken import refuse_mistaken
from rollback_daemon.evidence.reading import Instant, Written, bounded, formed, json_of
from rollback_daemon.schema import Part, Text

FIGURES = {
    "mismatches": Figure("count", "cases in which the two differ; not there where no case was compared"),
    "new_mismatches": Figure("count", "mismatches without those that the rules know by name; one that the report does not name is new"),
    "cases": Figure("count", "cases that were compared"),
    "suites": Figure("count", "suites that were run"),
    "suites_missing": Figure("count", "suites that the rules ask for and that were not run"),
}


class Settings(Part):
    """What the rules may say of a parity report: the suites that must have been run, and mismatches that are known, each with its reason."""

    suites: list[Text] = []
    exclude: list[Exclusion] = []


class Sample(Written):
    """One mismatch by name."""

    suite: str
    case_id: str
    mismatch_type: str | None = None
    details: str | None = None


class ParityReport(Written):
    """A parity report. `samples` names mismatches, not always all of them."""

    suites: list[str]
    total_cases: int = Field(ge=0)
    mismatches_total: int = Field(ge=0)
    mismatches_by_suite: dict[str, int] = {}
    samples: list[Sample] = []
    profile: str | None = None
    timestamp: Instant | None = None


def read(source: Source, settings: Settings) -> Result:
    """The figures of a parity report; its parts must agree with its sum."""
    value = json_of(bounded(source))
    refuse_mistaken(source, value, "parity")
    report = formed(source, value, ParityReport, '{"suites": [...], "total_cases": 19, "mismatches_total": 0}')
    source.reject_if(_contradictions(source, report))
    exclusions = Exclusions(settings.exclude)
    for one in report.samples:
        exclusions.take(one.case_id, one.mismatch_type or "mismatch")
    missing = [one for one in settings.suites if one not in report.suites]
    compared = report.total_cases > 0
    figures = known(
        mismatches=report.mismatches_total if compared else None,
        new_mismatches=report.mismatches_total - len(exclusions.excluded) if compared else None,
        cases=report.total_cases,
        suites=len(set(report.suites)),
        suites_missing=len(missing),
    )
    facts = {
        "profile": report.profile,
        "suites": report.suites,
        "suites_missing": missing,
        "mismatches": [f"{one.suite}: {one.case_id}: {one.mismatch_type}: {one.details or ''}".rstrip(": ") for one in report.samples],
    }
    notes = exclusions.notes() if compared else (*exclusions.notes(), "no case was compared: nothing is known about mismatches")
    return Result(figures, source.digest, report.timestamp, facts, tuple(exclusions.excluded), notes)


def _contradictions(source: Source, report: ParityReport) -> Iterator[Problem]:
    if report.timestamp and source.in_future(report.timestamp):
        yield source.problem(f"{report.timestamp.isoformat()} {NOT_YET}", "timestamp")
    if report.mismatches_total > report.total_cases:
        yield source.problem(f"is {report.mismatches_total}, but only {report.total_cases} cases were compared", "mismatches_total")
    parts = sum(report.mismatches_by_suite.values())
    if report.mismatches_by_suite and parts != report.mismatches_total:
        yield source.problem(
            f"is {report.mismatches_total}, but the suites come to {parts}; hand in the report as it was written", "mismatches_total"
        )
    if len(report.samples) > report.mismatches_total:
        yield source.problem(f"is {report.mismatches_total}, but {len(report.samples)} mismatches are listed", "mismatches_total")
    named = [(one.suite, one.case_id) for one in report.samples]
    if len(set(named)) < len(named):
        yield source.problem("names a case twice; an excluded one would be taken off twice", "samples")


KIND = Kind("a parity report", FIGURES, read, Settings, ParityReport, alike=True)
