"""`check --expand`: what each trigger asks, and the same as an alerting rule of Prometheus."""

from pathlib import Path

import promql_parser
import pytest

from tests.faces.http.bench import rollbackd

GOOD = Path(__file__).parents[2] / "rules" / "good"


@pytest.fixture(scope="module")
def kinds() -> str:
    ran = rollbackd("check", GOOD / "kinds.yml", GOOD / "everything.yml", "--expand")
    assert ran.code == 0
    return ran.out


def test_the_queries_and_the_rule_are_printed_as_they_are(kinds: str) -> None:
    shown = kinds.partition("  CacheGone (absent)\n")[2].partition("  CostUp (increase)\n")
    expr = 'cache_up{instance="a", zone=~"eu.*"}'
    assert shown[0].splitlines() == [
        f"    asks: {expr}",
        "    asks: sum(requests)",
        "    as an alerting rule of Prometheus:",
        f"      absent({expr})",
        "    which does not ask for at least 1 of sum(requests)",
    ]
    assert shown[2].splitlines()[3] == "    no alerting rule of Prometheus says the same"


def test_an_address_is_shown_without_its_password(kinds: str) -> None:
    assert "asks: http://127.0.0.1:8002/health" in kinds
    assert "probe:secret" not in kinds


def test_in_json_every_expression_can_be_pasted() -> None:
    ran = rollbackd("check", GOOD / "kinds.yml", "--expand", "--format", "json")
    (rollout,) = ran.json["rollouts"]
    assert [one["kind"] for one in rollout["expanded"]][:4] == ["burn_rate", "burn_rate", "burn_rate", "absent"]
    for one in rollout["expanded"]:
        for query in [*one["asks"], one["alert_expr"]]:
            assert not query or promql_parser.parse(query)
    plain = rollbackd("check", GOOD / "kinds.yml", "--format", "json")
    assert "expanded" not in plain.json["rollouts"][0]
