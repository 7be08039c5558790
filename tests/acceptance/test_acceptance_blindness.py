"""Not seeing is no reason to act, and none to go up: whatever takes sight away, nothing is rolled back and nothing is promoted for it.

Times in comments are those of the rules. One minute of them takes one second here.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from math import nan

import pytest

from rollback_daemon.lab.faults import Fault, Proxy
from rollback_daemon.lab.servers import PrometheusServer
from tests.acceptance.genesis import Genesis
from tests.acceptance.stand import BASELINE, CANARY, ROLLOUT, Stand

MINUTE = timedelta(seconds=1)
ALONE = {"more_than: 3": "more_than: 30"}  # the gates are violated as well, and this is the story of one trigger
BAD_ANSWERS = (Fault.HTTP_500, Fault.HANG, Fault.BROKEN_BODY, Fault.CUT_OFF)


@contextmanager
def prometheus_stopped(prometheus: PrometheusServer, genesis: Genesis) -> Iterator[None]:
    prometheus.stop()
    try:
        yield
    finally:
        prometheus.start()


@contextmanager
def prometheus_frozen(prometheus: PrometheusServer, genesis: Genesis) -> Iterator[None]:
    prometheus.pause()
    try:
        yield
    finally:
        prometheus.resume()


@contextmanager
def not_a_number(prometheus: PrometheusServer, genesis: Genesis) -> Iterator[None]:
    before = genesis.failing
    genesis.fails(nan)
    try:
        yield
    finally:
        genesis.fails(before)


@contextmanager
def series_gone(prometheus: PrometheusServer, genesis: Genesis) -> Iterator[None]:
    genesis.drop("genesis_error_rate")
    try:
        yield
    finally:
        genesis.fails(genesis.failing)


Blindfold = Callable[[PrometheusServer, Genesis], AbstractContextManager[None]]


@pytest.mark.parametrize("blindfold", [prometheus_stopped, prometheus_frozen, not_a_number, series_gone])
def test_five_minutes_without_sight_change_nothing(
    blindfold: Blindfold, start: Callable[..., Stand], prometheus: PrometheusServer, genesis: Genesis
) -> None:
    stand = start(query_timeout="500ms", changes=ALONE)
    with ExitStack() as blind:
        play([stand], genesis, lambda: blind.enter_context(blindfold(prometheus, genesis)), blind.close)


def test_five_minutes_of_bad_answers_change_nothing(start: Callable[..., Stand], prometheus: PrometheusServer, genesis: Genesis) -> None:
    """All kinds at once, each in front of a daemon of its own."""
    with ExitStack() as proxies:
        at = {fault: proxies.enter_context(Proxy(prometheus.url)) for fault in BAD_ANSWERS}
        stands = [start(at[fault].url, name=fault.value, query_timeout="500ms", changes=ALONE) for fault in BAD_ANSWERS]

        def blind() -> None:
            for fault, proxy in at.items():
                proxy.fault = fault

        def see() -> None:
            for proxy in at.values():
                proxy.fault = Fault.NONE

        play(stands, genesis, blind, see)


def play(stands: Collection[Stand], genesis: Genesis, blind: Callable[[], object], see: Callable[[], object]) -> None:
    """A promotion into the dark is refused; then the errors rise, and for five minutes in the middle of that nothing can be seen."""
    each_refuses_a_promotion_into_the_dark(stands, blind, see)
    processes = [stand.daemon.pid for stand in stands]
    genesis.fails(0.031)  # 0:00, and for ever
    for stand in stands:
        stand.wait_for_pending("ErrorRateHigh", seconds=1)
    blind()
    dark_since = datetime.now(UTC)  # 1:00 or a little later
    each_is_blind(stands)
    for stand in stands:
        stand.wait(lambda: datetime.now(UTC) >= dark_since + 5 * MINUTE, "five minutes to go by")
    assert [(stand.get()["phase"], stand.flags_now) for stand in stands] == [("soaking", CANARY)] * len(stands)
    light_since = datetime.now(UTC)
    see()  # 6:00
    for stand in stands:
        stand.wait_for_sight()
        stand.wait_for_resolved("RolloutBlind")
    for stand in stands:
        stand.wait_for_phase("rolled_back")  # 11:00
        [fired] = stand.history("trigger", alert="ErrorRateHigh", phase="firing")
        assert datetime.fromisoformat(fired["active_since"]) >= light_since - timedelta(milliseconds=250)  # pending started over
        assert stand.history("intended", kind="rollback")[0]["triggers"] == ["ErrorRateHigh"]
        assert stand.flags_now == BASELINE
    assert [stand.daemon.pid for stand in stands] == processes


def each_refuses_a_promotion_into_the_dark(stands: Collection[Stand], blind: Callable[[], object], see: Callable[[], object]) -> None:
    for stand in stands:
        stand.wait_for_nothing_to_block()
    blind()
    for stand in stands:
        wait_for_the_dark(stand)
        refused = stand.promote()
        assert (refused.code, stand.flags_now) == (3, BASELINE), refused
        assert "  ? " in refused.err
        assert "  - " not in refused.err
    see()
    for stand in stands:
        stand.go_to_canary()


def wait_for_the_dark(stand: Stand) -> None:
    stand.wait(lambda: stand.explain()["blockers"], "the dark")


def is_blind(stand: Stand) -> bool:
    return stand.trigger("ErrorRateHigh")["health"] in {"error", "no_data"}


def each_is_blind(stands: Collection[Stand]) -> None:
    for stand in stands:
        told = stand.wait_for_alert("RolloutBlind")
        assert {"rollout": ROLLOUT, "owner": "deployment-lead", "severity": "critical", "stage": "canary"}.items() <= told["labels"].items()
        assert "triggers cannot see" in told["annotations"]["value"]
        stand.wait(partial(is_blind, stand), "ErrorRateHigh to be blind, too")
        trigger = stand.trigger("ErrorRateHigh")
        assert trigger["phase"] == "pending"
        assert trigger["health"] in {"error", "no_data"}
        assert "cannot tell" in trigger["change"]


def test_what_prometheus_saw_before_it_was_stopped_is_not_taken_for_now(
    start: Callable[..., Stand], prometheus: PrometheusServer, genesis: Genesis
) -> None:
    """A stopped Prometheus marks nothing stale: once back, it answers with its last samples until it has scraped again."""
    with Proxy(prometheus.url) as proxy:
        stand = start(proxy.url)
        stand.go_to_canary()
        proxy.fault = Fault.HTTP_500  # the breach is only ever seen by Prometheus
        genesis.passes(0.9)
        prometheus.wait_for("genesis_test_pass_rate < 0.95")
        prometheus.stop()
        stopped = datetime.now(UTC)  # 0:00
        genesis.be_well()
        stand.wait_for_alert("RolloutBlind")
        stand.wait(lambda: datetime.now(UTC) > stopped + 2 * MINUTE, "the samples to be older than their max_age")
        prometheus.start()  # 2:00; the first scrape takes 5 s
        assert prometheus.query("genesis_test_pass_rate")[0][1] == 0.9
        proxy.fault = Fault.NONE
        stand.wait(lambda: stand.trigger("TestPassRateLow")["why"].startswith("the sample is older than"), "the old sample to be known as old")
        stand.wait_for_sight()
        assert stand.metric("signal_value", signal="pass_rate") == 0.993
        assert (stand.get()["phase"], stand.flags_now) == ("soaking", CANARY)
        assert stand.history("intended", kind="rollback") == []


def test_a_rule_may_say_what_follows_when_sight_does_not_come_back(
    start: Callable[..., Stand], prometheus: PrometheusServer, genesis: Genesis
) -> None:
    """More than four failed evaluations in a row hold it; two minutes without data take it back."""
    budgets = "errors: {at_most: 4, then: hold}, no_data: {for: 2s, then: rollback}"
    with Proxy(prometheus.url) as proxy:
        stand = start(proxy.url, flags=CANARY, changes={"alert: ErrorRateHigh,": f"alert: ErrorRateHigh, {budgets},"})
        proxy.fault = Fault.HTTP_500
        stand.wait_for_phase("held")
        assert stand.get()["why"].startswith("ErrorRateHigh: 5 failed evaluations in a row (at most 4): ")
        told = stand.wait_for_alert("RolloutBudgetSpent")
        assert {"trigger": "ErrorRateHigh", "budget": "errors", "stage": "canary"}.items() <= told["labels"].items()
        proxy.fault = Fault.NONE
        stand.wait_for_sight()
        assert stand.flags_now == CANARY
        with series_gone(prometheus, genesis):
            stand.wait_for_phase("rolled_back")
        [intent] = stand.history("intended", kind="rollback")
        assert (intent["code"], intent["to"], intent["triggers"]) == ("no_data", "baseline", ["ErrorRateHigh"])
        assert intent["why"][0].startswith("ErrorRateHigh: no data for 2s (at most 2s): ")
        assert stand.flags_now == BASELINE
