"""What may be supposed of signals, how it is written, and where the value lands: where the judge looks."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.rules.measures import Needs, Signal
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import look
from rollback_daemon.rules.statistics.judging import Tolerance
from rollback_daemon.rules.triggers import Check, Violations
from rollback_daemon.rules.triggers.canary import Canary
from rollback_daemon.signals.observation import Failed, NoData, Observation, Value
from rollback_daemon.simulation.laying import lay
from rollback_daemon.simulation.settings import BadSettingError, Unseen, understand
from tests.judge.world import START, condition, counting, gate, relative, rollout, signal, trigger

A, B = (("pod", "a"),), (("pod", "b"),)
PASTED = Signal("Pasted", 'sum(rate(http_total{code=~"5.."}[5m]))')
LATENCY = replace(signal("latency"), unit="s")
RULES = replace(
    rollout(trigger("Errors", above=1), trigger("Pasted", PASTED, above=0.1), trigger("Both", LATENCY, above=1), gate("Low", "other", below=1)),
    signals=(signal("errors"), LATENCY, signal("other")),
)
SEEN: Mapping[str, Observation] = {"errors": Value({A: 0.1, B: 0.2}), "latency": NoData("the query returned nothing")}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("errors=2%", 0.02),
        ("errors = 0.02", 0.02),
        ("latency=700ms", 0.7),
        ("Pasted=-1", -1.0),
        ("errors=+Inf", float("inf")),
        ("errors=no data", Unseen.NO_DATA),
        ("errors='no data'", Unseen.NO_DATA),
        ("errors=no_data", Unseen.NO_DATA),
        ("errors=nan", Unseen.NAN),
        ("errors=failed", Unseen.FAILED),
    ],
)
def test_values_are_written_as_in_rule_files(text: str, value: float | Unseen) -> None:
    (found,) = understand([text], RULES)
    assert found.value == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("errors", '"errors" sets nothing; write NAME=VALUE'),
        ("=2", '"=2" sets nothing; write NAME=VALUE'),
        ("latncy=2", 'there is no signal or trigger "latncy"; did you mean "latency"?'),
        ("xyz=2", 'there is no signal or trigger "xyz"; known here: errors, latency, other, Pasted, Errors, Both'),
        ("errors=much", '"much" is no value; write a number, a ratio (1%), a duration (200ms) or a size (100MB)'),
        ("errors=", '"" is no value; write a number'),
        ("latency=5%", '"5%" is a ratio, but the signal is in "s"; write a plain number in that unit'),
        ("latency=1e999", "is not a finite number"),
        ("errors{pod}=2", "{pod} names no series"),
        ("errors{pod=2", "{pod names no series"),
        ('errors{pod=~"a.*"}=2', 'a series is named by label="value" alone'),
        ('errors{pod="a"}=failed', "a query fails as a whole, and not for one series; write errors=failed"),
    ],
)
def test_what_cannot_be_supposed_is_refused_with_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(BadSettingError) as refused:
        understand([text], RULES)
    assert says in str(refused.value)


def test_every_mistake_is_told_at_once_and_nothing_is_set_twice() -> None:
    with pytest.raises(BadSettingError) as refused:
        understand(["errors=2", "Errors=3", "nothing=1", "latency=x"], RULES)
    assert len(refused.value.problems) == 3
    assert refused.value.problems[0] == '"Errors=3" sets what "errors=2" sets already; keep one'


def test_a_trigger_that_reads_several_signals_asks_which() -> None:
    often = counting("Often", condition(at_least=2), condition(above=1))
    checks = tuple(Check(one, condition(above=1)) for one in (signal("errors"), LATENCY))
    both = replace(RULES, triggers=(replace(often, test=Violations("both", checks, condition(at_least=2))),))
    with pytest.raises(BadSettingError, match="Often reads several signals; set errors or latency"):
        understand(["Often=2"], both)


def test_the_two_groups_of_a_canary_are_set_apart() -> None:
    both = replace(RULES, triggers=(replace(RULES.triggers[0], name="Worse", test=Canary(signal("errors"), signal("Worse control"), Tolerance())),))
    with pytest.raises(BadSettingError, match="Worse reads several signals; set errors or Worse control"):
        understand(["Worse=2"], replace(both, signals=(signal("errors"),)))
    own = replace(both.triggers[0], test=Canary(signal("Worse"), signal("Worse control"), Tolerance()))
    rules = replace(both, triggers=(own,))
    found = lay(understand(["Worse=2"], rules), rules, {}, START)
    assert found.remarks == ("Worse reads Worse control as well, and that stays as it was seen last",)
    assert lay(understand(["Worse=2", "Worse control=1"], rules), rules, {}, START).remarks == ()


def laid(rules: Rollout, seen: Mapping[str, Observation], *texts: str) -> Mapping[str, Observation]:
    """The answers a minute after they were seen."""
    return lay(understand(texts, rules), rules, seen, START).at(START + timedelta(minutes=1))


def test_a_value_is_that_of_every_series_or_of_one_and_the_others_stay() -> None:
    assert laid(RULES, SEEN, "errors=2")["errors"] == Value({A: 2.0, B: 2.0})
    assert laid(RULES, SEEN, "errors=2")["latency"] == SEEN["latency"]
    assert laid(RULES, SEEN, 'errors{pod="a"}=2')["errors"] == Value({B: 0.2, A: 2.0})
    assert laid(RULES, SEEN, 'errors{pod="a"}=2', "errors=3")["errors"] == Value({B: 3.0, A: 2.0})
    assert laid(RULES, SEEN, "latency=2")["latency"] == Value({(): 2.0})
    assert laid(RULES, SEEN, 'errors{pod="a"}=no data')["errors"] == Value({B: 0.2})
    assert laid(RULES, SEEN, 'errors{pod="a"}=NaN')["errors"] == Value({B: 0.2}, {A: "the value is NaN"})
    assert laid(RULES, SEEN, "errors=no data")["errors"] == NoData("the query returned nothing")
    assert isinstance(laid(RULES, SEEN, "errors=failed")["errors"], Failed)
    assert laid(RULES, SEEN, f"{PASTED.expr}=3")[PASTED.expr] == Value({(): 3.0})


def test_a_value_counts_however_little_traffic_there_was_and_however_old_the_sample() -> None:
    needy = replace(signal("errors"), needs=Needs("traffic", 100), max_age=timedelta(seconds=30))
    rules = rollout(trigger("Errors", needy, above=1))
    for traffic in (NoData("the query returned nothing"), Value({(): 3.0}), Value({A: 3.0})):
        answers = laid(rules, {"errors": Value({A: 0.1}), "traffic": traffic, needy.age_query: Value({A: 0.0})}, "errors=2")
        assert look(needy, answers, START + timedelta(minutes=1)) == Value({A: 2.0})
    little = laid(rules, {"errors": Value({A: 0.1}), "traffic": Value({A: 3.0})}, "errors=2", "traffic=5")
    assert look(needy, little, START + timedelta(minutes=1)) == NoData("too little traffic: 5 < 100")


def test_what_is_not_set_does_not_grow_old_either() -> None:
    young = replace(signal("latency"), max_age=timedelta(seconds=30))
    rules = rollout(trigger("Errors", above=1), trigger("Slow", young, above=1))
    seen = {**SEEN, "latency": Value({A: 0.5}), young.age_query: Value({A: START.timestamp() - 20})}
    assert look(young, laid(rules, seen, "errors=2"), START + timedelta(minutes=1)) == Value({A: 0.5})


def test_an_endpoint_is_set_by_its_label() -> None:
    urls = ("http://a.example.com/", "http://b.example.com/")
    health = Signal("health", "", endpoints=urls)
    rules = rollout(trigger("Down", health, below=1))
    seen: Mapping[str, Observation] = dict.fromkeys(urls, Value({(): 1.0}))
    assert laid(rules, seen, f'health{{endpoint="{urls[0]}"}}=0') == {urls[0]: Value({(): 0.0}), urls[1]: Value({(): 1.0})}
    assert laid(rules, seen, "health=0") == dict.fromkeys(urls, Value({(): 0.0}))
    with pytest.raises(BadSettingError, match="no such endpoint"):
        understand(['health{endpoint="c"}=0'], rules)


def test_a_value_that_is_held_against_a_baseline_is_set_as_it_is() -> None:
    rules = rollout(trigger("Cost", relative("cost"), above=2))
    found = lay(understand(["cost=9"], rules), rules, {"cost": Value({(): 3.0})}, START)
    assert found.answers["cost"] == Value({(): 9.0})
    assert "held against its baseline" in found.remarks[0]


def test_signals_that_ask_the_same_are_set_together_and_that_is_said() -> None:
    rules = replace(rollout(trigger("Errors", Signal("twin", "errors"), above=1)), signals=(signal("errors"),))
    found = lay(understand(["errors=9"], rules), rules, SEEN, START)
    assert found.remarks == ("twin asks the same question as errors, and is set with it",)
