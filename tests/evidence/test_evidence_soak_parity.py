"""Soak and parity reports as RingRift's harnesses write them, a plain number, and the JSON of gates and comparisons."""

import json
from typing import Any

import pytest

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.evidence.scoring.release_gate import ALWAYS
from tests.evidence.raw import BEGIN, read
from tests.evidence.samples import BOARDS, PARITY, SOAK, compared, gated


def refused(kind: str, said: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        read(kind, said if isinstance(said, str) else json.dumps(said))
    return [str(one) for one in error.value.problems]


def soak(**overall: int) -> dict[str, Any]:
    """A soak in which the last board has all that is new."""
    *boards, last = SOAK["buckets"]
    changed = {name: last[name] + value - SOAK["overall"][name] for name, value in overall.items()}
    return {**SOAK, "overall": {**SOAK["overall"], **overall}, "buckets": [*boards, {**last, **changed}]}


def test_a_soak_of_fifteen_games_on_three_boards() -> None:
    result = read("soak", json.dumps(SOAK))
    assert result.figures == {
        "games_planned": 15,
        "games": 15,
        "games_completed": 15,
        "completed_ratio": 1,
        "invariant_violations": 0,
        "max_turns_reached": 0,
        "boards": 3,
    }
    assert (result.made_at, result.facts["profile"]) == (BEGIN, "ci-short")
    assert result.facts["boards"] == dict.fromkeys(BOARDS, "5 of 5 completed")


def test_a_soak_that_found_something_says_where() -> None:
    said = soak(completedGames=13, maxTurnsGames=1, invariantViolations=1)
    violation = {"id": "S_INVARIANT_DECREASED", "boardType": "hexagonal", "gameId": "soak-3", "message": "from 7 to 5", "movesTail": []}
    result = read("soak", json.dumps({**said, "violations": [violation]}))
    assert (result.figures["invariant_violations"], result.figures["max_turns_reached"], result.figures["games_completed"]) == (1, 1, 13)
    assert result.facts["violations"] == ["S_INVARIANT_DECREASED on hexagonal, game soak-3: from 7 to 5"]


def test_a_soak_that_did_not_play_what_was_planned_is_not_complete() -> None:
    assert read("soak", json.dumps(soak(totalGames=12, completedGames=12))).figures["completed_ratio"] == 12 / 15


def test_a_soak_of_no_games_knows_nothing_of_invariants() -> None:
    result = read("soak", json.dumps({**SOAK, "buckets": [], "overall": dict.fromkeys(SOAK["overall"], 0)}))
    assert result.figures.keys().isdisjoint({"invariant_violations", "max_turns_reached"})
    assert result.figures["completed_ratio"] == 0


def test_a_soak_whose_parts_do_not_come_to_its_sum_is_refused() -> None:
    said = {**SOAK, "overall": {**SOAK["overall"], "completedGames": 16}, "violations": [{"id": "X"}]}
    assert refused("soak", said) == [
        "evidence: overall.completedGames: 16 games were completed of 15; one of the two is wrong",
        "evidence: overall.completedGames: is 16, but the boards come to 15; hand in the report as the harness wrote it",
        "evidence: overall.invariantViolations: is 0, but 1 are listed",
    ]


def test_a_mismatch_is_new_until_it_is_known_by_name() -> None:
    result = read("parity", json.dumps(PARITY), suites=["plateau_snapshots", "replay"])
    assert result.figures == {"mismatches": 1, "new_mismatches": 1, "cases": 19, "suites": 2, "suites_missing": 1}
    assert result.facts["suites_missing"] == ["replay"]
    known = read("parity", json.dumps(PARITY), exclude=[{"name": "chain_capture.*", "reason": "fixture is of the old phase"}])
    assert (known.figures["mismatches"], known.figures["new_mismatches"]) == (1, 0)


def test_a_mismatch_that_the_report_does_not_name_is_new() -> None:
    said = {**PARITY, "mismatches_total": 3, "mismatches_by_suite": {"contract_vectors_v2": 3}}
    assert read("parity", json.dumps(said), exclude=[{"name": "*", "reason": "all are known"}]).figures["new_mismatches"] == 2


def test_where_nothing_was_compared_nothing_is_known() -> None:
    result = read("parity", json.dumps({"suites": [], "total_cases": 0, "mismatches_total": 0}))
    assert result.figures == {"cases": 0, "suites": 0, "suites_missing": 0}
    assert result.made_at is None


def test_a_parity_report_that_contradicts_itself_is_refused() -> None:
    assert refused("parity", {**PARITY, "mismatches_total": 0}) == [
        "evidence: mismatches_total: is 0, but 1 mismatches are listed",
        "evidence: mismatches_total: is 0, but the suites come to 1; hand in the report as it was written",
    ]
    assert refused("parity", {**PARITY, "samples": PARITY["samples"] * 2, "mismatches_total": 2, "mismatches_by_suite": {}}) == [
        "evidence: samples: names a case twice; an excluded one would be taken off twice"
    ]


@pytest.mark.parametrize(("text", "value"), [("0.987", 0.987), ("98.7%\n", 0.987), (" 812ms ", 0.812), ("-3", -3), ("1e3", 1000)])
def test_a_number_is_read_as_limits_are(text: str, value: float) -> None:
    assert read("number", text).figures == {"value": pytest.approx(value)}


@pytest.mark.parametrize("text", ["NaN", "inf", "1 2", "1\n2", "lots", "0x10", "1e999", "1" * 101])
def test_what_is_no_number_is_refused(text: str) -> None:
    assert len(refused("number", text)) == 1


def test_the_json_of_a_gate_is_evidence_for_a_stage() -> None:
    result = read("release_gate", json.dumps(gated()))
    assert result.figures == {
        "overall_go": 1,
        "stage": 10,
        "checks_failed": 0,
        "checks_unknown": 0,
        "first_runs": 2,
        "pass_rate": 1,
        "latency_limit": 5000,
    }


def test_a_gate_that_was_made_a_go_by_hand_is_refused() -> None:
    said = gated()
    said["checks"][2]["outcome"] = "fail"
    assert refused("release_gate", said) == ['evidence: decision: is "go" with overall_go true, but its checks come to "no-go"; gate again']


def test_a_gate_names_each_check_that_did_not_pass_once() -> None:
    said: dict[str, Any] = {**gated(), "decision": "no-go", "overall_go": False}
    said["checks"][3] |= {"outcome": "fail", "sentence": "1 of 2 outputs"}
    said["checks"][2] |= {"outcome": "unknown", "sentence": "no case was run as ai.operator"}
    result = read("release_gate", json.dumps(said))
    assert [(one.check, one.sentence) for one in result.failed] == [("output_shape", "1 of 2 outputs")]
    assert result.notes == ("output_shape failed: 1 of 2 outputs", "role_parity cannot be told: no case was run as ai.operator")
    said["checks"][0]["check"] = "output_shape"
    assert refused("release_gate", said) == ['evidence: checks[3].check: "output_shape" stands here twice; gate again']


@pytest.mark.parametrize("check", ALWAYS)
def test_a_gate_without_a_check_that_every_gate_makes_is_none(check: str) -> None:
    said: dict[str, Any] = gated()
    why = [f"evidence: checks: does not have what every gate checks: {check}; gate again"]
    for one in said["checks"]:
        if one["check"] == check:
            one["outcome"] = "not asked"
    assert refused("release_gate", said) == why
    said["checks"] = [one for one in said["checks"] if one["check"] != check]
    assert refused("release_gate", said) == why
    enough = gated() | {"checks": [one for one in gated()["checks"] if one["check"] in ALWAYS]}
    assert read("release_gate", json.dumps(enough)).figures["overall_go"] == 1


def test_the_json_of_a_comparison_is_evidence_for_the_first_stage() -> None:
    result = read("shadow_diff", json.dumps(compared()))
    assert result.figures == {"canary_allowed": 1, "regressed_critical": 0, "regressed": 0, "improved": 0, "new": 0, "missing": 0}
    assert refused("shadow_diff", {**compared(), "regressed_critical": [{"case": "FIN-01"}]}) == [
        'evidence: decision: is "go", which the rest of the file contradicts; compare again'
    ]
