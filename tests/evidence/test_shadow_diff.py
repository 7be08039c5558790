"""Two engines on the same cases: what got better, what got worse, what cannot be told."""

import json
from typing import Any

import pytest

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.evidence.scoring.raw_results import RawFile
from rollback_daemon.evidence.scoring.release_gate import Decision
from rollback_daemon.evidence.scoring.shadow_diff import Pair, ShadowDiff, compare, document
from tests.evidence.raw import READER, both, case, raw

SMOKE = [*both("FIN-01", critical=True), *both("SAL-01", critical=True), *both("GEN-07")]


def v2(*cases: dict[str, Any]) -> RawFile:
    return raw(*cases, engine="v2", name="v2.json")


def v3(*cases: dict[str, Any]) -> RawFile:
    return raw(*cases, engine="v3_shadow", name="v3.json", began=120)


def otherwise(name: str, **other: Any) -> list[dict[str, Any]]:
    """The cases, one of them otherwise for the reader."""
    return [{**one, **other} if (one["id"], one["role"]) == (name, READER) else one for one in SMOKE]


def names(pairs: tuple[Pair, ...]) -> list[str]:
    return [one.run.name for one in pairs]


def refusals(old: RawFile, new: RawFile) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        compare(old, new)
    return [str(one) for one in error.value.problems]


@pytest.mark.parametrize("worse", [{"passed": False}, {"output_shape_ok": False}, {"write_safety_incident": True}])
def test_one_critical_case_that_got_worse_forbids_the_canary(worse: dict[str, bool]) -> None:
    diff = compare(v2(*SMOKE), v3(*otherwise("FIN-01", **worse)))
    assert (diff.decision, names(diff.regressed), names(diff.regressed_critical)) == (
        Decision.NO_GO,
        ["FIN-01 as ai.reader"],
        ["FIN-01 as ai.reader"],
    )
    back = compare(v2(*otherwise("FIN-01", **worse)), v3(*SMOKE))
    assert (back.decision, names(back.improved), back.regressed) == (Decision.GO, ["FIN-01 as ai.reader"], ())


def test_another_case_that_got_worse_is_told() -> None:
    diff = compare(v2(*SMOKE), v3(*otherwise("GEN-07", passed=False)))
    assert (diff.decision, names(diff.regressed), len(diff.unchanged)) == (Decision.GO, ["GEN-07 as ai.reader"], 5)


def test_what_got_worse_in_one_way_and_better_in_another_got_worse() -> None:
    diff = compare(v2(*otherwise("FIN-01", passed=False)), v3(*otherwise("FIN-01", write_safety_incident=True)))
    assert diff.decision is Decision.NO_GO
    assert (diff.regressed[0].worse, diff.regressed[0].better, diff.improved) == (("no_write_safety_incident",), ("passed",), ())


def test_new_and_missing_cases_are_told_and_a_critical_one_that_is_missing_cannot_be_told() -> None:
    diff = compare(v2(*SMOKE), v3(*SMOKE[:4], case("NEW-01", role=None)))
    assert (names(diff.added), names(diff.missing)) == (["NEW-01"], ["GEN-07 as ai.operator", "GEN-07 as ai.reader"])
    assert diff.decision is Decision.GO
    assert compare(v2(*SMOKE), v3(*SMOKE[2:])).decision is Decision.CANNOT_TELL
    nothing = compare(v2(case("A")), v3(case("B")))
    assert (nothing.decision, document(nothing)["next"]) == (
        Decision.CANNOT_TELL,
        "no canary yet: run the same cases on both engines, and compare again",
    )


def test_only_first_runs_are_compared() -> None:
    rescued = [
        *otherwise("FIN-01", passed=False),
        case("FIN-01", run=2, critical=True),
        case("SAL-01", run=2, critical=True, passed=False, diagnostic=True),
    ]
    diff = compare(v2(*SMOKE), v3(*rescued))
    assert names(diff.regressed) == ["FIN-01 as ai.reader"]


def test_the_order_in_the_files_changes_nothing_but_where_cases_stand() -> None:
    def told(diff: ShadowDiff) -> Any:
        said = document(diff)
        return said["decision"], said["counts"], [(one["case"], one["role"]) for one in said["regressed"]]

    worse = otherwise("FIN-01", passed=False)
    assert told(compare(v2(*SMOKE), v3(*worse))) == told(compare(v2(*reversed(SMOKE)), v3(*reversed(worse))))
    assert json.dumps(document(compare(v2(*SMOKE), v3(*worse)))) == json.dumps(document(compare(v2(*SMOKE), v3(*worse))))


def test_files_that_do_not_belong_together_are_refused() -> None:
    assert refusals(v3(*SMOKE), v2(*SMOKE)) == ['v2.json: engine: is "v2", and that of v3.json is "v3_shadow"; the two are given the wrong way round']
    assert refusals(v2(*SMOKE), v2(*SMOKE)) == ['v2.json: engine: is "v2", the same as that of v2.json; give one file of each engine']


def test_a_case_that_is_critical_for_one_engine_only_is_refused() -> None:
    (problem,) = refusals(v2(case("FIN-01")), v3(case("FIN-01", critical=True)))
    assert problem == "v3.json: cases[0] (FIN-01).critical: is true, but false in v2.json: cases[0]; a case is critical or not"
