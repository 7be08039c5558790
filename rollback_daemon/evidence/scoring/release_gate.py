"""The release gate of a stage: what the first runs of all cases say about going on.

A check is passed, failed, unknown (nothing to look at: never as good as passed) or not asked for. One that failed is a no; else one that is unknown
is "cannot tell". Pure. Must not live here: files, JSON, words for a whole document (`gate_report`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rollback_daemon.durations import format_number
from rollback_daemon.evidence.kind import ratio
from rollback_daemon.evidence.scoring.first_runs import FirstRuns
from rollback_daemon.evidence.scoring.raw_results import Run

STAGES = {10: "25", 25: "50", 50: "100", 100: "hold_100pct_monitor"}
"""The stages of the ladder, in percent of the sessions, and what comes after each."""

ROLES = ("ai.reader", "ai.operator")
"""The roles whose results must agree."""

CLEAR = "clear"
"""The benchmark on which every output must have the right shape."""

ALWAYS = ("cases_judged", "critical_cases", "role_parity", "output_shape", "write_safety", "latency_p95")
"""The checks that are made whatever is asked; the others are asked for by an option each."""

_RESTS_ON = {
    "cases_judged": "diagnostic",
    "critical_cases": "critical",
    "role_parity": "role",
    "output_shape": "benchmark",
    "correction_trend": "corrected",
}
"""The field without which nothing speaks against a check."""

P95 = "nearest rank: the smallest latency of the first runs that at least 95 % of them do not exceed; nothing is interpolated"


class Outcome(StrEnum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 (no password)
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_ASKED = "not asked"


class Decision(StrEnum):
    """What all of them came to."""

    GO = "go"
    NO_GO = "no-go"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked: the stage in percent, the limit of the p95 latency in milliseconds, the rate of corrections before and the least pass rate, 0-1.

    Without one of the latter two nothing is asked of it.
    """

    stage: int
    latency_p95_sla_ms: float
    baseline_correction_rate: float | None = None
    min_pass_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Blamed:
    """A run that a check failed for, or could not be told for, and why."""

    run: Run
    why: str


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its value beside its limit, in `unit`, a sentence, and the runs that it is about. `value` is None where it cannot be told."""

    name: str
    outcome: Outcome
    value: float | None
    limit: float | None
    unit: str
    sentence: str
    blamed: tuple[Blamed, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks, and what follows. `next_stage` is empty unless it is a go."""

    order: Order
    checks: tuple[Check, ...]
    decision: Decision
    next_stage: str

    @property
    def overall_go(self) -> bool:
        """Whether the next stage may be climbed to. What cannot be told is no yes."""
        return self.decision is Decision.GO


def judge(runs: FirstRuns, order: Order) -> Verdict:
    """Score the runs that count. Raises ValueError for a stage that is not in STAGES."""
    if order.stage not in STAGES:
        raise ValueError(f"{order.stage} is no stage; they are {', '.join(map(str, STAGES))}")
    found = (
        _counted(runs),
        _critical(runs.counted),
        parity(runs.counted),
        output_shape(runs.counted),
        _write_safety(runs.counted),
        _latency(runs.counted, order.latency_p95_sla_ms),
        _pass_rate(runs.counted, order.min_pass_rate),
        _corrections(runs.counted, order.baseline_correction_rate),
    )
    checks = tuple(_doubted(one, runs) for one in found)
    outcomes = {one.outcome for one in checks}
    decision = Decision.NO_GO if Outcome.FAIL in outcomes else Decision.CANNOT_TELL if Outcome.UNKNOWN in outcomes else Decision.GO
    return Verdict(order, checks, decision, STAGES[order.stage] if decision is Decision.GO else "")


def _doubted(check: Check, runs: FirstRuns) -> Check:
    """What passed for want of a field that is perhaps there, misspelt, cannot be told."""
    slips = [file.slips[_RESTS_ON[check.name]] for file in runs.files if _RESTS_ON.get(check.name) in file.slips]
    if check.outcome is not Outcome.PASS or not slips:
        return check
    return replace(check, outcome=Outcome.UNKNOWN, value=None, sentence=f"{check.sentence}; but {slips[0]} Correct it, or give it another name")


def _counted(runs: FirstRuns) -> Check:
    """Every case has a run that counts: one of which there are diagnostic runs only was never judged."""
    blamed = tuple(Blamed(run, "only diagnostic runs; run it once for the gate") for run in runs.only_diagnostic)
    cases = len({run.id for run in runs.counted})
    if not cases or blamed:
        sentence = f"{len(blamed)} {_cases(len(blamed))} with diagnostic runs only" if blamed else "no case was run"
        return Check("cases_judged", Outcome.UNKNOWN, float(cases), float(max(cases + len(blamed), 1)), "cases", sentence, blamed)
    return Check("cases_judged", Outcome.PASS, float(cases), float(cases), "cases", f"{cases} {_cases(cases)}, {len(runs.counted)} first runs")


def _critical(counted: Sequence[Run]) -> Check:
    """Every critical case passes on its first run."""
    critical = [run for run in counted if run.critical]
    failed = tuple(Blamed(run, "did not pass") for run in critical if not run.passed)
    told = f"{len(failed)} of {len(critical)} first runs of critical cases did not pass" if critical else "no case is marked as critical"
    return _none_of("critical_cases", counted, failed, told)


def parity(counted: Sequence[Run]) -> Check:
    """Each case that is run in one of the two roles is run in both, and passes in both or in neither."""
    by_case: dict[str, dict[str, Run]] = {}
    for run in counted:
        if run.role in ROLES:
            by_case.setdefault(run.id, {})[str(run.role)] = run
    missing = [role for role in ROLES if not any(role in found for found in by_case.values())]
    if missing:
        return Check("role_parity", Outcome.UNKNOWN, None, 0.0, "cases", f"no case was run as {' or as '.join(missing)}")
    pairs = [(found[ROLES[0]], found[ROLES[1]]) for found in by_case.values() if len(found) == len(ROLES)]
    apart = [Blamed(failed, f"passed as {other.role}, not as {failed.role}") for failed, other in _apart(pairs)]
    alone = [Blamed(run, f"not run as {_other(run)}") for found in by_case.values() if len(found) < len(ROLES) for run in found.values()]
    told = f"{len(apart)} of {len(pairs)} cases pass in one role only"
    if apart:
        return Check("role_parity", Outcome.FAIL, float(len(apart)), 0.0, "cases", told, tuple(apart + alone))
    if alone:
        told = f"{told}; {len(alone)} {_cases(len(alone))} run in one role only: run them in both, or leave the role out where there is none"
        return Check("role_parity", Outcome.UNKNOWN, None, 0.0, "cases", told, tuple(alone))
    return Check("role_parity", Outcome.PASS, 0.0, 0.0, "cases", told)


def _apart(pairs: Iterable[tuple[Run, Run]]) -> Iterable[tuple[Run, Run]]:
    """Of each pair that disagrees, the one that failed first."""
    return ((two, one) if one.passed else (one, two) for one, two in pairs if one.passed != two.passed)


def _other(run: Run) -> str:
    return ROLES[1] if run.role == ROLES[0] else ROLES[0]


def output_shape(counted: Sequence[Run]) -> Check:
    """On the clear benchmark every output has the right shape."""
    clear = [run for run in counted if run.benchmark == CLEAR]
    wrong = tuple(Blamed(run, "output of the wrong shape") for run in clear if not run.output_shape_ok)
    share = ratio(len(clear) - len(wrong), len(clear))
    if share is None:
        return Check("output_shape", Outcome.UNKNOWN, None, 1.0, "ratio", f'no case is of the benchmark "{CLEAR}"')
    told = f"{len(clear) - len(wrong)} of {len(clear)} outputs on the clear benchmark have the right shape"
    return Check("output_shape", Outcome.FAIL if wrong else Outcome.PASS, share, 1.0, "ratio", told, wrong)


def _write_safety(counted: Sequence[Run]) -> Check:
    """Nothing was written that must not have been."""
    wrong = tuple(Blamed(run, "write-safety incident") for run in counted if run.write_safety_incident)
    return _none_of("write_safety", counted, wrong, f"{len(wrong)} write-safety incidents in {len(counted)} first runs", "incidents")


def _none_of(name: str, counted: Sequence[Run], wrong: tuple[Blamed, ...], told: str, unit: str = "runs") -> Check:
    if not counted:
        return Check(name, Outcome.UNKNOWN, None, 0.0, unit, "no case was run")
    return Check(name, Outcome.FAIL if wrong else Outcome.PASS, float(len(wrong)), 0.0, unit, told, wrong)


def p95(values: Iterable[float]) -> float | None:
    """The 95th percentile by the nearest rank (the value at rank ceil(0.95 n) of n, counted from 1); None of nothing."""
    ordered = sorted(values)
    return ordered[-(-95 * len(ordered) // 100) - 1] if ordered else None


def _latency(counted: Sequence[Run], limit: float) -> Check:
    """The p95 of the latencies does not exceed the limit."""
    value = p95(run.latency_ms for run in counted)
    if value is None:
        return Check("latency_p95", Outcome.UNKNOWN, None, limit, "ms", "no case was run")
    slow = sorted((run for run in counted if run.latency_ms > limit), key=lambda run: (-run.latency_ms, run.id, run.role or ""))
    told = f"the p95 of {len(counted)} first runs is {format_number(value)} ms; {len(slow)} took longer than {format_number(limit)} ms"
    if value <= limit:
        return Check("latency_p95", Outcome.PASS, value, limit, "ms", told)
    return Check("latency_p95", Outcome.FAIL, value, limit, "ms", told, tuple(Blamed(run, f"{format_number(run.latency_ms)} ms") for run in slow))


def _pass_rate(counted: Sequence[Run], least: float | None) -> Check:
    """So many of the first runs passed, critical or not."""
    name, unit = "pass_rate", "ratio"
    failed = tuple(Blamed(run, "did not pass") for run in counted if not run.passed)
    value = ratio(len(counted) - len(failed), len(counted))
    if value is None:
        asked = Outcome.NOT_ASKED if least is None else Outcome.UNKNOWN
        return Check(name, asked, None, least, unit, "no case was run")
    told = f"{len(counted) - len(failed)} of {len(counted)} first runs passed, critical or not"
    if least is None:
        return Check(name, Outcome.NOT_ASKED, value, None, unit, f"{told}; no least rate was given (--min-pass-rate)")
    if value >= least:
        return Check(name, Outcome.PASS, value, least, unit, told)
    return Check(name, Outcome.FAIL, value, least, unit, told, failed)


def _corrections(counted: Sequence[Run], baseline: float | None) -> Check:
    """No larger part of the answers had to be corrected than before."""
    name, unit = "correction_trend", "ratio"
    corrected = [run for run in counted if run.corrected]
    value = ratio(len(corrected), len(counted))
    if baseline is None:
        return Check(name, Outcome.NOT_ASKED, value, None, unit, "no baseline was given (--baseline-correction-rate)")
    if value is None:
        return Check(name, Outcome.UNKNOWN, None, baseline, unit, "no case was run")
    told = f"{len(corrected)} of {len(counted)} answers were corrected, {format_number(value)}; before it were {format_number(baseline)}"
    if value <= baseline:
        return Check(name, Outcome.PASS, value, baseline, unit, told)
    return Check(name, Outcome.FAIL, value, baseline, unit, told, tuple(Blamed(run, "corrected") for run in corrected))


def _cases(number: int) -> str:
    return "case" if number == 1 else "cases"
