"""Which signals are kept of an incident, from when to when, and how they are put on record."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.governance.around import Series, plotted, together, wanted, windows
from rollback_daemon.governance.incidents import Incident
from rollback_daemon.rules.measures import Relative
from rollback_daemon.signals.observation import Failed, Failure
from tests.governance.tale_incident import START, Affair
from tests.judge.world import condition, counting, gate, relative, rollout, trigger

AWAY = Failed(Failure.TIMEOUT, "no complete answer within 5s")


def incident(*fired: str, for_: float = 0) -> Incident:
    affair = Affair().adopted().at(3600 - for_)
    for name in fired:
        affair.trigger("firing", 2.0, alert=name)
    [one] = affair.at(3600).intended(triggers=list(fired), breached_at=None).done().incidents()
    return one


def test_the_signals_of_what_fired_come_before_those_of_the_gates_and_each_comes_once() -> None:
    rules = rollout(gate("Load", "load", below=5), gate("Errors", below=1), trigger("Slow", "slow", above=3), trigger("Errors", above=2))
    found = wanted(rules, incident("Errors"))
    assert [(one.signal.name, one.limit, one.alerts) for one in found] == [("errors", "> 2", ("Errors",)), ("load", "must be < 5", ())]


def test_six_signals_are_kept_at_most() -> None:
    rules = rollout(*(gate(f"G{number}", f"g{number}", below=1) for number in range(9)), trigger("Errors", above=1))
    assert len(wanted(rules, incident("Errors"))) == 6


def test_what_is_counted_is_drawn_by_the_values_that_were_counted() -> None:
    rules = rollout(counting("Often", condition(at_least=3), condition(above=2)))
    [one] = wanted(rules, incident("Often"))
    assert (one.limit, one.alerts) == ("> 2", ("Often",))


def test_a_long_incident_is_asked_for_once_and_a_short_one_closer_once_more() -> None:
    rules, one = rollout(trigger("Errors", above=1)), incident("Errors")
    [whole] = windows(rules, one, START + timedelta(hours=2))
    assert timedelta(minutes=30) <= whole.start - START < timedelta(minutes=31)
    whole, near = windows(rules, one, START + timedelta(seconds=3610))
    assert whole.end - whole.start > timedelta(minutes=29)
    assert near.step < timedelta(seconds=0.3)


def test_a_long_for_is_looked_back_ten_times_and_never_more_than_six_hours() -> None:
    one = incident("Errors")
    now = START + timedelta(seconds=3610)
    for for_, hours in (("10m", 100 / 60), ("2h", 6.0)):
        found = windows(rollout(trigger("Errors", above=1, for_=for_)), one, now)
        assert abs((now - found[0].start) / timedelta(hours=1) - hours) < 0.1


@given(st.timedeltas(timedelta(milliseconds=1), timedelta(days=60)))
def test_there_are_never_more_than_240_points_and_the_last_is_the_present(passed: timedelta) -> None:
    now = START + timedelta(seconds=3600) + passed
    found = windows(rollout(trigger("Errors", above=1)), incident("Errors"), now)
    assert sum((one.end - one.start) // one.step + 1 for one in found) <= 240
    assert all(one.end == now for one in found)


def test_points_of_two_windows_are_one_series_in_order() -> None:
    far: Series = {(): [(1.0, 1.0), (9.0, 2.0)], (("code", "1"),): [(1.0, 5.0)]}
    near: Series = {(): [(8.0, 3.0), (9.0, 2.0)]}
    assert together([far, near]) == {(): [(1.0, 1.0), (8.0, 3.0), (9.0, 2.0)], (("code", "1"),): [(1.0, 5.0)]}
    assert together([AWAY, near]) == {(): [(8.0, 3.0), (9.0, 2.0)]}
    assert together([AWAY, AWAY]) is AWAY


def test_of_many_series_those_that_fired_are_kept_then_those_furthest_past_the_limit() -> None:
    rules = rollout(trigger("Errors", above=1))
    [one] = Affair().adopted().trigger("firing", 2.0, alert="Errors", code="7").intended(triggers=["Errors"]).incidents()
    answer: Series = {(("code", str(number)),): [(1.0, float(number))] for number in range(10)}
    body = plotted(one, wanted(rules, one), {"errors": answer}, {}, windows(rules, one, START + timedelta(seconds=5)))
    assert [made["labels"]["code"] for made in body["signals"]] == ["7", "9", "8"]


def test_what_is_held_against_a_baseline_is_kept_as_it_was_held() -> None:
    one = incident("Errors")
    points: Series = {(): [(1.0, 6.0), (2.0, float("inf"))]}
    for how, value in ((Relative.SHARE, 3.0), (Relative.AMOUNT, 4.0)):
        signal = relative("load", how)
        rules = rollout(gate("Load", signal, below=2))
        over = windows(rules, one, START + timedelta(seconds=3605))
        [made] = plotted(one, wanted(rules, one), {signal.expr: points}, {"load": {(): 2.0}}, over)["signals"]
        assert (made["points"], made["lines"]) == ([[1.0, value]], [2.0])
        [raw] = plotted(one, wanted(rules, one), {signal.expr: points}, {}, over)["signals"]
        assert (raw["points"], raw["lines"], raw["name"]) == ([[1.0, 6.0]], [], "load (its baseline is not known)")


def test_what_is_held_against_a_control_is_asked_as_it_is_held() -> None:
    signal = replace(relative("load", Relative.SHARE), control="old_load")
    rules, one = rollout(gate("Load", signal, below=2)), incident("Errors")
    [made] = wanted(rules, one)
    [kept] = plotted(one, [made], {made.signal.expr: {(): [(1.0, 3.0)]}}, {"load": {(): 2.0}}, windows(rules, one, START))["signals"]
    assert (kept["name"], kept["expr"], kept["points"]) == ("load / its control", "(load) / ((old_load) > 0)", [[1.0, 3.0]])


def test_what_could_not_be_had_says_why() -> None:
    rules, one = rollout(gate("Load", "load", below=5), trigger("Errors", above=1)), incident("Errors")
    body = plotted(one, wanted(rules, one), {"errors": AWAY, "load": {}}, {}, windows(rules, one, START + timedelta(hours=2)))
    assert (body["signals"], body["why"]) == ([], ["errors: no complete answer within 5s", "load: no data"])
