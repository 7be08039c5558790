"""Files that are not what somebody took them for: of another engine, of another kind, or with a field that is misspelt."""

import json
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.evidence.scoring import gate_report, shadow_diff
from rollback_daemon.evidence.scoring.first_runs import first_runs
from rollback_daemon.evidence.scoring.release_gate import Decision, Order, Outcome, judge
from rollback_daemon.governance.gate_markdown import gate as markdown
from rollback_daemon.rules.load import load
from tests.evidence.raw import OPERATOR, READER, both, case, raw, read, text
from tests.evidence.samples import GOOD, gated

SMOKE = [one for name in ("FIN-01", "SAL-01", "STK-01", "WR-02") for one in both(name, critical=True)]
ROLES: tuple[dict[str, Any], ...] = ({"role": READER}, {"role": OPERATOR})


def refused(kind: str, data: bytes, **settings: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        read(kind, data, **settings)
    return [str(one) for one in error.value.problems]


@pytest.mark.parametrize(("kind", "place"), [("release_gate", "engine"), ("results", "engine"), ("shadow_diff", "files.v3.engine")])
def test_results_of_an_engine_that_the_rules_do_not_name_are_refused_however_good_they_are(kind: str, place: str) -> None:
    data = GOOD[kind][0]
    engine = "v3_shadow" if kind == "shadow_diff" else "v3_canary"
    assert read(kind, data, engines=["v4", engine]).figures == read(kind, data).figures
    said = f'evidence: {place}: is "{engine}", and the rules take results of "v4" or "v2" only; run the cases with that engine'
    assert refused(kind, data, engines=["v4", "v2"]) == [said]


def test_the_rules_of_the_assistant_take_no_gate_on_results_of_v2() -> None:
    declared = load(Path(__file__).parents[2] / "rules" / "assistant-v3.yml").declared("release-gate")
    assert declared is not None
    (said,) = refused("release_gate", json.dumps({**gated(), "engine": "v2"}).encode(), **declared.settings.model_dump(include={"engines"}))
    assert 'is "v2", and the rules take results of "v3_canary" only' in said


def test_a_gate_that_names_no_engine_is_refused_where_one_is_asked_for() -> None:
    data = json.dumps({**gated(), "engine": None}).encode()
    assert read("release_gate", data).figures["overall_go"] == 1
    assert "is not said" in refused("release_gate", data, engines=["v3_canary"])[0]


GATE_FIRST = "not what `rollbackd gate` writes; run `rollbackd gate` first, and hand in the JSON that it writes"


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("release_gate", "results", f"is a raw result file of a case runner, {GATE_FIRST}"),
        ("release_gate", "shadow_diff", f"is what `rollbackd shadow-diff` writes, {GATE_FIRST}"),
        (
            "results",
            "release_gate",
            "is what `rollbackd gate` writes, not a raw result file of a case runner; give the file that the case runner wrote",
        ),
        ("soak", "parity", "is a parity report, not a soak report; give the report that the harness wrote"),
    ],
)
def test_a_good_file_of_another_kind_is_one_mistake_with_its_remedy(kind: str, given: str, said: str) -> None:
    assert refused(kind, GOOD[given][0]) == [f"evidence: {said}"]


def test_the_markdown_of_a_gate_is_told_from_its_json() -> None:
    (said,) = refused("release_gate", markdown(gated(), "0" * 64).encode())
    assert said == "evidence: is the Markdown of a release gate, for people; hand in the JSON that stands beside it"


def test_a_needed_field_that_is_misspelt_is_named() -> None:
    slip = {("pased" if name == "passed" else name): value for name, value in case().items()}
    cases = [slip if number in {2, 10} else case(f"C-{number}") for number in range(11)]
    assert refused("results", text(*cases)) == [  # in the order of a reader, not of the alphabet
        f'evidence: cases[{number}] (FIN-01).passed: "passed" is missing; it must be given; is it "pased", misspelt?' for number in (2, 10)
    ]


@pytest.mark.parametrize(
    ("field", "slip", "value", "check"),
    [
        ("critical", "critcal", True, "critical_cases"),
        ("benchmark", "benchmrk", "clear", "output_shape"),
        ("corrected", "Corrected", True, "correction_trend"),
        ("diagnostic", "diagnostics", True, "cases_judged"),
    ],
)
def test_a_check_that_would_pass_for_want_of_a_misspelt_field_cannot_be_told(field: str, slip: str, value: Any, check: str) -> None:
    bare = {name: one for name, one in case("GEN-07").items() if name != field}
    runs = first_runs([raw(*SMOKE, *({**bare, **role, slip: value} for role in ROLES))])
    verdict = judge(runs, Order(10, 5000, 0.5))
    found = {one.name: one for one in verdict.checks}
    assert [name for name, one in found.items() if one.outcome is Outcome.UNKNOWN] == [check]
    assert verdict.decision is Decision.CANNOT_TELL
    assert found[check].sentence.endswith(
        f'; but raw.json: cases[8] (GEN-07): "{slip}" is not known, and is not looked at; was "{field}" meant? Correct it, or give it another name'
    )


@pytest.mark.parametrize("extra", [{"critcal": False}, {"roles": [READER]}, {"diagnostics": {"tokens": 120}}, {"tokens": 120}])
def test_a_field_that_could_not_have_counted_decides_nothing(extra: dict[str, Any]) -> None:
    bare = {name: one for name, one in case("GEN-07").items() if name != "role"}
    assert judge(first_runs([raw(*SMOKE, {**bare, **extra})]), Order(10, 5000)).overall_go


def test_a_misspelt_field_rescues_no_check_that_fails() -> None:
    failing = [{**one, "passed": False} for one in SMOKE[:2]]
    runs = first_runs([raw(*failing, *SMOKE[2:], *both("GEN-07", critcal=True))])
    assert judge(runs, Order(10, 5000)).decision is Decision.NO_GO


def test_a_figure_that_a_misspelt_field_is_about_is_not_there_while_it_looks_good() -> None:
    assert "critical_failures" not in read("results", text(*both("GEN-07", critcal=True))).figures
    failing = both("FIN-01", critical=True, passed=False)
    assert read("results", text(*failing, *both("GEN-07", critcal=True))).figures["critical_failures"] == 2


def test_a_comparison_with_a_misspelt_critical_cannot_be_told() -> None:
    old = raw(*both("FIN-01", critcal=True), engine="v2", name="v2.json")
    diff = shadow_diff.compare(old, raw(*both("FIN-01", critcal=True, passed=False), engine="v3_shadow", name="v3.json"))
    assert diff.decision is Decision.CANNOT_TELL
    assert 'was "critical" meant?' in str(shadow_diff.document(diff)["next"])


@pytest.mark.parametrize(
    ("least", "outcome", "decision"),
    [(None, Outcome.NOT_ASKED, Decision.GO), (0.5, Outcome.PASS, Decision.GO), (0.51, Outcome.FAIL, Decision.NO_GO)],
)
def test_plain_failures_are_warned_of_and_count_where_a_least_pass_rate_is_given(least: float | None, outcome: Outcome, decision: Decision) -> None:
    plain = [one for name in ("GEN-01", "GEN-02", "GEN-03", "GEN-04") for one in both(name, passed=False)]
    runs = first_runs([raw(*SMOKE, *plain)])
    verdict = judge(runs, Order(10, 5000, min_pass_rate=least))
    found = next(one for one in verdict.checks if one.name == "pass_rate")
    assert (found.outcome, found.value, verdict.decision) == (outcome, 0.5, decision)
    warned = "8 first runs of cases that are not critical did not pass; no check counts that unless --min-pass-rate is given"
    document = gate_report.document("canary", runs, verdict)
    assert (warned in document["warnings"]) is (least is None)
    assert read("release_gate", json.dumps(document).encode()).figures["pass_rate"] == 0.5


def test_warnings_stand_right_below_the_decision() -> None:
    runs = first_runs([raw(*both())])
    head = markdown(gate_report.document("canary", runs, judge(runs, Order(10, 5000))), "0" * 64).split("\n## ")[0]
    assert head.index("no case is marked as critical") < head.index("overall")


def test_of_no_case_at_least_one_is_wanted() -> None:
    counted = judge(first_runs([raw()]), Order(10, 5000)).checks[0]
    assert (counted.outcome, counted.value, counted.limit) == (Outcome.UNKNOWN, 0, 1)
