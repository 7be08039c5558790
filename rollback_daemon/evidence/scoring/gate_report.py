"""A release gate as one JSON document: the same for the same files, whenever and in whatever order it is made.

Lives here: the document, its warnings, what is to be done next. Must not live here: scoring (`release_gate`), Markdown, tables.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rollback_daemon.durations import format_number
from rollback_daemon.evidence.scoring.first_runs import FirstRuns
from rollback_daemon.evidence.scoring.raw_results import Run
from rollback_daemon.evidence.scoring.release_gate import P95, Blamed, Check, Decision, Outcome, Verdict

FORMAT = "rollbackd release gate 1"
"""What the document says that it is."""

_AT_LEAST = {"cases_judged", "output_shape", "pass_rate"}  # of the others, the value must be at most the limit
_FEW = 20  # of so few, the nearest rank is the slowest one


def document(label: str, runs: FirstRuns, verdict: Verdict) -> dict[str, Any]:
    """The whole gate as JSON values."""
    order, counted = verdict.order, runs.counted
    times = [run.started_at for run in counted]
    passed = sum(run.passed for run in counted)
    return {
        "format": FORMAT,
        "label": label,
        "stage": order.stage,
        "engine": runs.files[0].engine if runs.files else None,
        "decision": verdict.decision.value,
        "overall_go": verdict.overall_go,
        "next_stage": verdict.next_stage or None,
        "next": _next(verdict),
        "checks": [_check(one) for one in verdict.checks],
        "asked": {
            "latency_p95_sla_ms": order.latency_p95_sla_ms,
            "baseline_correction_rate": order.baseline_correction_rate,
            "min_pass_rate": order.min_pass_rate,
        },
        "counted": {
            "cases": len({run.id for run in counted}),
            "first_runs": len(counted),
            "passed": passed,
            "pass_rate": passed / len(counted) if counted else None,
            "by_role": dict(sorted(Counter(run.role or "no role" for run in counted).items())),
            "first_began": min(times).isoformat() if times else None,
            "last_began": max(times).isoformat() if times else None,
        },
        "not_counted": {"reruns": len(runs.reruns), "diagnostic_runs": len(runs.diagnostics), "copies": runs.copies},
        "not_passed": [_told(Blamed(run, "did not pass")) for run in counted if not run.passed],
        "warnings": _warnings(runs, verdict),
        "method": {"first_run": "the run that began first, of those with the same beginning the one with the lowest number", "latency_p95": P95},
        "files": [
            {"file": one.file, "sha256": one.digest, "engine": one.engine, "started_at": one.started_at.isoformat(), "runs": len(one.runs)}
            for one in runs.files
        ],
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "check": check.name,
        "outcome": check.outcome.value,
        "value": check.value,
        "relation": None if check.limit is None else "at least" if check.name in _AT_LEAST else "at most",
        "limit": check.limit,
        "unit": check.unit,
        "sentence": check.sentence,
        "cases": [_told(one) for one in check.blamed],
    }


def _told(blamed: Blamed) -> dict[str, Any]:
    run = blamed.run
    return {"case": run.id, "role": run.role, "run": run.run, "started_at": run.started_at.isoformat(), "why": blamed.why, "place": run.place}


def value_text(check: Mapping[str, Any]) -> str:
    """The value of a check in the document, for people."""
    return _figure(check["value"], check["unit"])


def limit_text(check: Mapping[str, Any]) -> str:
    """The limit of a check in the document, for people."""
    return "-" if check["limit"] is None else f"{check['relation']} {_figure(check['limit'], check['unit'])}"


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{format_number(value * 100)} %" if unit == "ratio" else f"{format_number(value)} ms" if unit == "ms" else format_number(value)


def _next(verdict: Verdict) -> str:
    """What somebody is to do who reads nothing else."""
    stage = verdict.order.stage
    if verdict.decision is Decision.NO_GO:
        failed = [one.name for one in verdict.checks if one.outcome is Outcome.FAIL]
        return f"roll back now, and open a defect for each failed check: {', '.join(failed)}"
    if verdict.decision is Decision.CANNOT_TELL:
        unknown = [one.name for one in verdict.checks if one.outcome is Outcome.UNKNOWN]
        return f"stay at {stage} %, get results for what cannot be told ({', '.join(unknown)}), and gate again"
    return "hold at 100 % and monitor" if stage == 100 else f"promote to {verdict.next_stage} %"


def _warnings(runs: FirstRuns, verdict: Verdict) -> list[str]:
    """What changes nothing, and should be looked at."""
    said = [hint for file in runs.files for hint in file.hints]
    said += [f"{one.file} has no case" for one in runs.files if not one.runs]
    said += [
        f"write-safety incident in {_which(run)}, which does not count" for run in (*runs.reruns, *runs.diagnostics) if run.write_safety_incident
    ]
    if runs.counted and not any(run.critical for run in runs.counted):
        said.append("no case is marked as critical, so that nothing was asked of critical cases")
    plain = sum(not run.passed and not run.critical for run in runs.counted)
    if plain and verdict.order.min_pass_rate is None:
        what = "1 first run" if plain == 1 else f"{plain} first runs"
        said.append(f"{what} of cases that are not critical did not pass; no check counts that unless --min-pass-rate is given")
    if 0 < len(runs.counted) < _FEW:
        said.append(f"of {len(runs.counted)} runs the p95 is the slowest one")
    return said


def _which(run: Run) -> str:
    return f"{'diagnostic run' if run.diagnostic else 'run'} {run.run} of {run.name} ({run.place})"
