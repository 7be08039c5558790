"""The release gate: which runs count, what each check comes to, and what changes nothing."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.evidence.scoring import gate_report
from rollback_daemon.evidence.scoring.first_runs import first_runs
from rollback_daemon.evidence.scoring.raw_results import RawFile, Run
from rollback_daemon.evidence.scoring.release_gate import Decision, Order, Outcome, Verdict, judge, p95
from tests.evidence.raw import OPERATOR, READER, both, case, raw

ORDER = Order(10, 5000)
SMOKE = [one for name in ("FIN-01", "SAL-01", "STK-01", "WR-02") for one in both(name, critical=True)]


def gated(*files: RawFile, order: Order = ORDER) -> Verdict:
    return judge(first_runs(files), order)


def document(*files: RawFile, order: Order = ORDER) -> dict[str, Any]:
    runs = first_runs(files)
    return gate_report.document("canary", runs, judge(runs, order))


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    """The checks that did not pass."""
    return {one.name: one.outcome for one in verdict.checks if one.outcome not in {Outcome.PASS, Outcome.NOT_ASKED}}


def blamed(verdict: Verdict, check: str) -> list[tuple[str, str]]:
    (found,) = (one for one in verdict.checks if one.name == check)
    return [(one.run.name, one.why) for one in found.blamed]


def changed(name: str, role: str | None = None, **other: Any) -> list[dict[str, Any]]:
    """The smoke cases, one of them otherwise."""
    return [{**one, **other} if one["id"] == name and role in {None, one["role"]} else one for one in SMOKE]


@pytest.mark.parametrize(("stage", "after"), [(10, "25"), (25, "50"), (50, "100"), (100, "hold_100pct_monitor")])
def test_a_go_names_the_next_stage(stage: int, after: str) -> None:
    verdict = gated(raw(*SMOKE), order=Order(stage, 5000))
    assert (verdict.decision, verdict.overall_go, verdict.next_stage, outcomes(verdict)) == (Decision.GO, True, after, {})


def test_there_are_no_other_stages() -> None:
    with pytest.raises(ValueError, match="33 is no stage; they are 10, 25, 50, 100"):
        gated(raw(*SMOKE), order=Order(33, 5000))


@pytest.mark.parametrize(
    ("cases", "failed", "cause"),
    [
        (changed("FIN-01", passed=False), "critical_cases", ("FIN-01 as ai.operator", "did not pass")),
        (changed("SAL-01", READER, passed=False, critical=True), "role_parity", ("SAL-01 as ai.reader", "passed as ai.operator, not as ai.reader")),
        (changed("STK-01", OPERATOR, output_shape_ok=False), "output_shape", ("STK-01 as ai.operator", "output of the wrong shape")),
        (changed("WR-02", OPERATOR, write_safety_incident=True), "write_safety", ("WR-02 as ai.operator", "write-safety incident")),
        (changed("WR-02", OPERATOR, latency_ms=5000.5), "latency_p95", ("WR-02 as ai.operator", "5000.5 ms")),
    ],
)
def test_a_check_that_fails_is_a_no_and_names_the_case(cases: list[dict[str, Any]], failed: str, cause: tuple[str, str]) -> None:
    verdict = gated(raw(*cases))
    assert (verdict.decision, verdict.overall_go, verdict.next_stage) == (Decision.NO_GO, False, "")
    assert outcomes(verdict)[failed] is Outcome.FAIL
    assert cause in blamed(verdict, failed)


def test_cases_that_are_not_critical_and_fail_in_both_roles_are_told_and_change_nothing() -> None:
    said = document(raw(*both("FIN-01", critical=True), *both("GEN-07", passed=False)))
    assert said["overall_go"] is True
    assert [one["case"] for one in said["not_passed"]] == ["GEN-07", "GEN-07"]


def test_the_shape_of_outputs_is_asked_for_on_the_clear_benchmark_only() -> None:
    assert gated(raw(*SMOKE, *both("AMB-01", benchmark="ambiguous", output_shape_ok=False))).overall_go


@pytest.mark.parametrize(
    ("cases", "unknown"),
    [
        ([], {"cases_judged", "critical_cases", "role_parity", "output_shape", "write_safety", "latency_p95"}),
        ([{**one, "benchmark": None} for one in SMOKE], {"output_shape"}),
        ([one for one in SMOKE if one["role"] == READER], {"role_parity"}),
        ([{**one, "role": None} for one in SMOKE[::2]], {"role_parity"}),
        ([*SMOKE, case("GEN-07")], {"role_parity"}),
        ([*SMOKE, *both("GEN-07", diagnostic=True)], {"cases_judged"}),
    ],
)
def test_what_cannot_be_told_is_no_go_and_no_failure(cases: list[dict[str, Any]], unknown: set[str]) -> None:
    verdict = gated(raw(*cases))
    assert (verdict.decision, verdict.overall_go) == (Decision.CANNOT_TELL, False)
    assert outcomes(verdict) == dict.fromkeys(unknown, Outcome.UNKNOWN)


def test_a_failure_outweighs_what_cannot_be_told() -> None:
    assert gated(raw(*changed("FIN-01", passed=False), case("GEN-07"))).decision is Decision.NO_GO


@pytest.mark.parametrize(("baseline", "outcome"), [(None, Outcome.NOT_ASKED), (0.125, Outcome.PASS), (0.1249, Outcome.FAIL), (0.0, Outcome.FAIL)])
def test_corrections_are_asked_for_only_beside_a_baseline(baseline: float | None, outcome: Outcome) -> None:
    verdict = gated(raw(*changed("SAL-01", OPERATOR, corrected=True)), order=Order(25, 5000, baseline))
    assert verdict.checks[-1].outcome is outcome
    assert verdict.overall_go is (outcome is not Outcome.FAIL)


def test_the_p95_is_of_the_nearest_rank() -> None:
    assert p95([]) is None
    assert p95([7]) == 7
    assert p95(range(1, 20)) == 19  # ceil(18.05) = 19
    assert p95(range(1, 21)) == 19  # ceil(19) = 19
    assert p95(range(100, 0, -1)) == 95
    assert p95(range(1, 102)) == 96  # ceil(95.95) = 96


def test_the_latency_may_be_as_long_as_the_limit() -> None:
    assert gated(raw(*changed("FIN-01", latency_ms=5000))).overall_go


def test_the_earliest_run_counts_across_files() -> None:
    early, late = raw(*changed("FIN-01", passed=False)), raw(*both(run=1, minutes=90, critical=True), name="late.json", began=60)
    assert not gated(late, early).overall_go
    assert gated(late, raw(*SMOKE)).overall_go


def test_a_session_may_be_handed_in_in_parts_that_overlap() -> None:
    cases = [*changed("FIN-01", OPERATOR, passed=False), *both("FIN-01", run=2, critical=True)]
    parts = (raw(*cases[:6], name="a.json"), raw(*cases[3:], name="b.json"))
    assert outcomes(gated(*parts)) == outcomes(gated(raw(*cases))) == dict.fromkeys(("critical_cases", "role_parity"), Outcome.FAIL)
    assert first_runs(parts).copies == 3


def test_of_runs_that_began_together_the_lowest_number_counts() -> None:
    runs = first_runs([raw(case(run=2, minutes=5), case(run=1, minutes=5, passed=False))])
    assert [(one.run, one.passed) for one in runs.counted] == [(1, False)]


def test_times_are_compared_whatever_their_zone() -> None:
    later = case(run=2, passed=False) | {"started_at": "2026-11-20T03:00:30-01:00"}  # 04:00:30 UTC
    assert [one.run for one in first_runs([raw(later, case(run=1))]).counted] == [1]


def test_an_incident_in_a_run_that_does_not_count_is_a_warning() -> None:
    said = document(raw(*SMOKE, case("WR-02", run=2, critical=True, write_safety_incident=True)))
    assert said["overall_go"] is True
    assert "write-safety incident in run 2 of WR-02 as ai.reader (raw.json: cases[8]), which does not count" in said["warnings"]


def refusals(*files: RawFile) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        first_runs(files)
    return [str(one) for one in error.value.problems]


def test_two_copies_of_a_run_that_say_different_things_are_refused_with_both_places() -> None:
    mended = raw(case(passed=True), name="b.json")
    assert refusals(raw(case(passed=False), name="a.json"), mended) == [
        "b.json: cases[0] (FIN-01): is run 1 of FIN-01 as ai.reader once more, and says other things than a.json: cases[0]; which is right?"
    ]
    moved = raw(case(passed=True, minutes=0.5), name="b.json")  # the same run of the same session, begun at another time
    assert "once more" in refusals(raw(case(passed=False), name="a.json"), moved)[0]


def test_a_case_is_critical_or_not_and_of_one_benchmark() -> None:
    other = case(run=2, critical=True, benchmark="ambiguous", role=OPERATOR)
    assert refusals(raw(case()), raw(other, name="other.json", began=60)) == [
        'raw.json: cases[0] (FIN-01).benchmark: is "clear", but "ambiguous" in other.json: cases[0]; a case of two benchmarks needs two ids',
        "raw.json: cases[0] (FIN-01).critical: is false, but true in other.json: cases[0]; a case is critical or not",
    ]


def test_runs_whose_numbers_and_times_disagree_are_refused() -> None:
    assert refusals(raw(case(run=1, minutes=9, passed=True), case(run=2, minutes=3, passed=False))) == [
        "raw.json: cases[1] (FIN-01).started_at: run 2 of FIN-01 as ai.reader began before run 1 (raw.json: cases[0]); which was the first?"
    ]


def test_results_of_different_engines_are_not_scored_together() -> None:
    assert refusals(raw(case(), name="a.json"), raw(case("B"), engine="v2", name="b.json")) == [
        'b.json: engine: is "v2", but that of a.json is "v3_canary"; results of different engines are not scored together'
    ]


BASELINE = Order(50, 4000, 0.25)
NAMES = ("FIN-01", "SAL-01", "WR-02", "GEN-07")
SEEDS = st.integers(0, 2**64)


def result(chance: Random) -> dict[str, Any]:
    """How a run ended: mostly well, or there would be no go among them."""
    odds = {"passed": 0.9, "output_shape_ok": 0.95, "corrected": 0.1}
    ended = {name: chance.random() < odd for name, odd in odds.items()}
    return {**ended, "write_safety_incident": chance.random() < 0.03, "latency_ms": chance.choice((800, 800, 800, 4001))}


def sessions(chance: Random) -> list[RawFile]:
    """Up to three files without a contradiction: in a session the runs of a case begin later the higher their number is."""
    critical, clear = chance.sample(NAMES, 2), chance.random() < 0.9
    files = []
    for session in range(chance.randint(1, 3)):
        keys = {
            (name, role, run)
            for name in chance.sample(NAMES, chance.randint(1, 4))
            for role in chance.choice(ROLES)
            for run in (chance.randint(1, 2), chance.randint(1, 3))
        }
        cases = [
            case(name, run, session * 60 + run, role=role, critical=name in critical, diagnostic=chance.random() < 0.1, **result(chance))
            | ({} if clear else {"benchmark": None})
            for name, role, run in sorted(keys, key=str)
        ]
        files.append(raw(*cases, name=f"{session}.json", began=session * 60))
    return files


ROLES = ((READER, OPERATOR), (READER, OPERATOR), (READER, OPERATOR), (None,), (READER,))


@settings(max_examples=60)
@given(SEEDS)
def test_the_order_of_files_and_how_often_they_are_given_change_nothing(seed: int) -> None:
    chance = Random(seed)
    files = sessions(chance)
    again = files + chance.choices(files, k=3)
    chance.shuffle(again)
    assert document(*again, order=BASELINE) == document(*files, order=BASELINE)


@settings(max_examples=60)
@given(SEEDS)
def test_a_rerun_changes_nothing_however_it_ends_and_whether_it_is_diagnostic_or_not(seed: int) -> None:
    chance = Random(seed)
    before = first_runs(sessions(chance))
    reruns = [
        case(one.id, 9, 500, role=one.role, critical=one.critical, diagnostic=chance.random() < 0.5, **result(chance)) | {"benchmark": one.benchmark}
        for one in before.counted
    ]
    after = first_runs([*before.files, raw(*reruns, name="rescue.json", began=490)])
    assert judge(after, BASELINE) == judge(before, BASELINE)


@settings(max_examples=200)
@given(SEEDS)
def test_the_decision_is_that_of_the_simplest_scoring_there_is(seed: int) -> None:
    files = sessions(Random(seed))
    first: dict[tuple[str, str | None], Run] = {}
    runs = sorted((run for file in files for run in file.runs), key=lambda run: (run.started_at, run.run))
    for run in runs:
        if not run.diagnostic:
            first.setdefault((run.id, run.role), run)
    one = list(first.values())
    pairs = [(first.get((name, READER)), first.get((name, OPERATOR))) for name in {run.id for run in one if run.role}]
    no = [
        any(run.write_safety_incident or (run.critical and not run.passed) or (run.benchmark == "clear" and not run.output_shape_ok) for run in one),
        any(reader and operator and reader.passed != operator.passed for reader, operator in pairs),
        sum(run.latency_ms <= 4000 for run in one) < 0.95 * len(one),
        sum(run.corrected for run in one) > 0.25 * len(one),
    ]
    blind = [
        not pairs,
        not all(map(all, pairs)),
        not any(run.benchmark == "clear" for run in one),
        {run.id for run in runs} != {run.id for run in one},
    ]
    assert gated(*files, order=BASELINE).decision is (Decision.NO_GO if any(no) else Decision.CANNOT_TELL if any(blind) else Decision.GO)


def test_the_made_up_sessions_come_to_every_decision() -> None:
    assert {gated(*sessions(Random(seed)), order=BASELINE).decision for seed in range(200)} == set(Decision)
