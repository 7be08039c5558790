"""The raw result file of a case runner as evidence: the figures that a release gate looks at, of the first runs in this one file.

Must not live here: the format (`scoring.raw_results`), what counts (`scoring.first_runs`), the gate itself (`scoring.release_gate`).
"""

from rollback_daemon.evidence.engines import EngineSettings, refuse_others
from rollback_daemon.evidence.kind import Figure, Kind, Result, Source, known, ratio
from rollback_daemon.evidence.scoring.first_runs import first_runs
from rollback_daemon.evidence.scoring.raw_results import RawResults, read_raw
from rollback_daemon.evidence.scoring.release_gate import output_shape, p95, parity

FIGURES = {
    "cases": Figure("count", "cases with a run that counts"),
    "first_runs": Figure("count", "runs that count: the first one of each case in each role"),
    "pass_rate": Figure("ratio", "first runs that passed"),
    "critical_failures": Figure("count", "first runs of critical cases that did not pass"),
    "role_mismatches": Figure("count", "cases that pass in one of the roles ai.reader and ai.operator only; not there where one role is missing"),
    "output_shape_rate": Figure("ratio", "outputs of the right shape on the clear benchmark"),
    "write_safety_incidents": Figure("count", "first runs with a write-safety incident"),
    "latency_p95": Figure("ms", "95th percentile of the latencies of first runs, by the nearest rank"),
    "correction_rate": Figure("ratio", "first runs whose answer had to be corrected"),
}

_ABOUT = {
    "critical": ("critical_failures", 0),
    "role": ("role_mismatches", 0),
    "benchmark": ("output_shape_rate", 1),
    "corrected": ("correction_rate", None),
}
"""Of a field: the figure that rests on it, and what that is while nothing is wrong; of None, any value may be too good."""


def read(source: Source, settings: EngineSettings) -> Result:
    """The figures of one raw result file; the time is when its runner's session began.

    One that a misspelt field would be about cannot be told as long as it looks good.
    """
    file = read_raw(source)
    refuse_others(source, file.engine, settings, "engine")
    runs = first_runs([file])
    counted = runs.counted
    some = len(counted) or None
    mismatches = parity(counted).value
    figures = known(
        cases=len({run.id for run in counted}),
        first_runs=len(counted),
        pass_rate=ratio(sum(run.passed for run in counted), len(counted)),
        critical_failures=some and sum(run.critical and not run.passed for run in counted),
        role_mismatches=mismatches,
        output_shape_rate=output_shape(counted).value,
        write_safety_incidents=some and sum(run.write_safety_incident for run in counted),
        latency_p95=p95(run.latency_ms for run in counted),
        correction_rate=ratio(sum(run.corrected for run in counted), len(counted)),
    )
    for field in file.slips.keys() & _ABOUT.keys():
        figure, best = _ABOUT[field]
        if best is None or figures.get(figure) == best:
            figures.pop(figure, None)
    facts = {
        "engine": file.engine,
        "not_passed": [run.name for run in counted if not run.passed],
        "reruns": len(runs.reruns),
        "diagnostic_runs": len(runs.diagnostics),
        "only_diagnostic": [run.id for run in runs.only_diagnostic],
    }
    return Result(figures, source.digest, file.started_at, facts, notes=file.hints)


KIND = Kind("a raw result file of a case runner", FIGURES, read, EngineSettings, RawResults)
