"""The raw result file of a case runner: what may be left out, what may not, and where it is said that something is wrong."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.scoring.raw_results import RawResults
from tests.evidence.raw import BEGIN, READER, both, case, raw, read, text

LEAST = {name: value for name, value in case().items() if name not in {"role", "benchmark"}}


def refused(data: bytes | str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        read("results", data)
    return [str(one) for one in error.value.problems]


def test_what_may_be_left_out_means_nothing_special() -> None:
    (run,) = raw(LEAST).runs
    assert (run.role, run.critical, run.diagnostic, run.benchmark, run.corrected) == (None, False, False, None, False)
    assert (run.id, run.run, run.latency_ms, run.session) == ("FIN-01", 1, 812, BEGIN)


@pytest.mark.parametrize("field", LEAST)
def test_what_is_needed_is_missed_with_file_case_and_field(field: str) -> None:
    known = "" if field == "id" else " (FIN-01)"
    data = text(case("OK-1"), {name: value for name, value in LEAST.items() if name != field})
    assert refused(data) == [f'evidence: cases[1]{known}.{field}: "{field}" is missing; it must be given']


@pytest.mark.parametrize("field", ["engine", "started_at", "cases"])
def test_what_a_file_needs_is_missed(field: str) -> None:
    said = {name: value for name, value in json.loads(text(case())).items() if name != field}
    assert refused(json.dumps(said)) == [f'evidence: {field}: "{field}" is missing; it must be given']


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("passed", "yes", 'must be true or false, not "yes"'),
        ("passed", 1, "must be true or false, not 1"),
        ("run", 1.5, "must be a whole number, not 1.5"),
        ("run", 0, "must be at least 1, not 0"),
        ("latency_ms", "812", 'must be a number, not "812"'),
        ("latency_ms", -0.5, "must be at least 0, not -0.5"),
        ("critical", None, "must be true or false, not nothing"),
        ("role", 7, "must be text, not 7; quote it"),
        ("id", "", "must not be empty"),
        ("id", "FIN\n01", '"FIN\\n01" has characters that cannot be seen; leave them out'),
        (
            "started_at",
            "2026-11-20 03:00",
            '"2026-11-20 03:00" is no time; write it as RFC 3339 has it, with its zone, for instance 2026-11-20T03:12:00Z',
        ),
        ("started_at", "2062-01-01T00:00:00Z", "2062-01-01T00:00:00+00:00 has not come yet; look at the clock of the runner and at this one"),
    ],
)
def test_what_is_of_the_wrong_kind_is_told_where_it_stands(field: str, value: Any, said: str) -> None:
    (problem,) = refused(text(case(**{field: value}) if field != "id" else {**case(), "id": value}))
    assert problem.endswith(f".{field}: {said}")
    assert problem.startswith("evidence: cases[0]")


def test_all_mistakes_are_told_at_once() -> None:
    assert len(refused(text(case(passed=2), case(latency_ms="a") | {"run": "b"}, engine=""))) == 4


def test_what_is_not_known_is_kept_and_what_looks_like_a_slip_is_told() -> None:
    file = raw(case(critcal=True, tokens=120, answer={"text": "ok"}), case(run=2, critcal=True))
    assert file.hints == ('raw.json: cases[0] (FIN-01): "critcal" is not known, and is not looked at; was "critical" meant?',)
    assert RawResults.model_validate_json(text(case(tokens=120), build="42")).model_dump()["cases"][0]["tokens"] == 120


def test_the_schema_says_the_same_as_the_reader() -> None:
    form = KINDS["results"].form
    assert form is not None
    schema = Draft202012Validator(form.model_json_schema())
    assert schema.is_valid(json.loads(text(*both(), LEAST, case(tokens=1), build="42")))
    for wrong in (case(passed="yes"), case(latency_ms=-1), {name: value for name, value in LEAST.items() if name != "run"}):
        assert not schema.is_valid(json.loads(text(wrong)))


def test_the_figures_are_of_first_runs() -> None:
    result = read("results", text(*both(passed=False, critical=True), case(run=2, critical=True), case("SAL-01", corrected=True, benchmark=None)))
    assert result.figures == {
        "cases": 2,
        "first_runs": 3,
        "pass_rate": 1 / 3,
        "critical_failures": 2,
        "output_shape_rate": 1,
        "write_safety_incidents": 0,
        "latency_p95": 812,
        "correction_rate": 1 / 3,
    }
    assert read("results", text(*both())).figures["role_mismatches"] == 0
    assert read("results", text(case(role=READER), case(role="ai.operator", passed=False))).figures["role_mismatches"] == 1


def test_of_no_case_nothing_is_known() -> None:
    assert read("results", text()).figures == {"cases": 0, "first_runs": 0}
