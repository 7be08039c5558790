"""Every way in which a real Prometheus answers ends as a value for each series, no data, or a failure with a reason."""

import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from rollback_daemon.lab.faults import Fault, Proxy
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.rules.load import load
from rollback_daemon.rules.measures import Signal
from rollback_daemon.rules.reading import look
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from tests.signals.conftest import NOON, Connect

pytestmark = pytest.mark.every_prometheus
INFINITE = float("inf")


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("one", Value({(): 1.5})),
        ("vector(2)", Value({(): 2.0})),
        ("3", Value({(): 3.0})),
        ("time()", Value({(): NOON.timestamp()})),
        ("plus", Value({(): INFINITE})),
        ("minus", Value({(): -INFINITE})),
        ("tiny", Value({(): 1e-9})),
        ("less", Value({(): 0.0})),
        ("errors", Value({(("code", "500"),): 3.0, (("code", "503"),): 4.0})),
        ("half", Value({(("side", "left"),): 1.0}, {(("side", "right"),): "the value is NaN"})),
        ("not_a_number", NoData("the value is NaN")),
        ("0/0", NoData("the value is NaN")),
        ("nothing_of_that_name", NoData("the query returned nothing")),
        ("one > 2", NoData("the query returned nothing")),
        ("gone", NoData("the query returned nothing")),
        ('{__name__=~"one|old"}', NoData("several series have the same labels; aggregate them")),
        ("native", NoData("is a native histogram; use histogram_quantile or histogram_avg")),
        ('"text"', Failed(Failure.MALFORMED, "the answer is not what the API promises (ValueError)")),
        ("one[5m]", Failed(Failure.MALFORMED, "the answer is not what the API promises (TypeError)")),
        ("native[5m]", Failed(Failure.MALFORMED, "the answer is not what the API promises (KeyError)")),
    ],
)
def test_each_kind_of_result_is_told_apart(filled: PrometheusServer, connect: Connect, query: str, seen: Observation) -> None:
    assert connect(filled.url).ask([query], NOON) == {query: seen}


def test_a_query_that_does_not_parse_is_refused_in_the_words_of_the_server(filled: PrometheusServer, connect: Connect) -> None:
    answer = connect(filled.url).ask(["sum("], NOON)["sum("]
    assert isinstance(answer, Failed)
    assert answer.reason is Failure.REFUSED
    assert answer.why.startswith("HTTP 400: bad_data: ")


def test_a_query_that_loads_too_much_is_refused(filled: PrometheusServer, connect: Connect) -> None:
    answer = connect(filled.url).ask(["count_over_time(many[1h])"], NOON)["count_over_time(many[1h])"]
    assert isinstance(answer, Failed)
    assert answer.reason is Failure.REFUSED
    assert answer.why.startswith("HTTP 422: execution: ")
    assert "too many samples" in answer.why


def test_series_that_cannot_be_matched_are_refused(filled: PrometheusServer, connect: Connect) -> None:
    answer = connect(filled.url).ask(["errors / on() errors"], NOON)["errors / on() errors"]
    assert isinstance(answer, Failed)
    assert answer.why.startswith("HTTP 422: execution: ")


def test_words_beside_a_good_answer_are_kept(filled: PrometheusServer, connect: Connect, toolset: Toolset) -> None:
    """Since 2.46 or so Prometheus warns of a quantile outside of 0 to 1, and says it beside the value."""
    answer = connect(filled.url).ask(["quantile(7, errors)"], NOON)["quantile(7, errors)"]
    assert isinstance(answer, Value)
    assert answer.series == {(): INFINITE}
    warned = any("quantile value should be between 0 and 1" in words for words in answer.warnings)
    assert warned is (not toolset.version.startswith("2.42"))


def test_the_answer_is_that_of_the_time_asked_for(filled: PrometheusServer, connect: Connect) -> None:
    prometheus = connect(filled.url)
    assert prometheus.ask(["old"], NOON - timedelta(minutes=2))["old"] == Value({(): 7.0})
    assert prometheus.ask(["old"], NOON - timedelta(minutes=2, milliseconds=1))["old"] == NoData("the query returned nothing")


def test_every_question_of_a_cycle_is_asked_once_at_one_time_and_uncompressed(filled: PrometheusServer, connect: Connect) -> None:
    with Proxy(filled.url) as proxy:
        connect(proxy.url).ask(["one", "errors", "one", "time()", "errors"], NOON)
    asked = [parse_qs(urlsplit(request.path).query) for request in proxy.requests]
    assert sorted(one["query"][0] for one in asked) == ["errors", "one", "time()"]
    assert {one["time"][0] for one in asked} == {"1772366400.000"}
    assert {request.headers["Accept-Encoding"] for request in proxy.requests} == {"identity"}


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Fault.HTTP_500, Failed(Failure.SERVER, "HTTP 500: no reason given")),
        (Fault.HANG, Failed(Failure.TIMEOUT, "no complete answer within 1s")),
        (Fault.CUT_OFF, Failed(Failure.UNREACHABLE, "no answer from URL: the answer was cut off")),
        (Fault.BROKEN_BODY, Failed(Failure.MALFORMED, "the answer is not JSON (cut off, or not from Prometheus)")),
    ],
)
def test_each_fault_is_a_failure_and_passes(filled: PrometheusServer, connect: Connect, fault: Fault, seen: Failed) -> None:
    with Proxy(filled.url) as proxy:
        prometheus = connect(proxy.url, timedelta(seconds=1))
        proxy.fault = fault
        during = prometheus.ask(["one"], NOON)["one"]
        proxy.fault = Fault.NONE
        after = prometheus.ask(["one"], NOON)["one"]
        url = proxy.url
    assert isinstance(during, Failed)
    assert Failed(during.reason, during.why.replace(url, "URL")) == seen
    assert after == Value({(): 1.5})


def test_a_server_that_went_away_is_unreachable_and_seen_again_when_it_is_back(filled: PrometheusServer, connect: Connect) -> None:
    prometheus = connect(filled.url)
    assert prometheus.ask(["one"], NOON)["one"] == Value({(): 1.5})
    filled.stop()
    away = prometheus.ask(["one"], NOON)["one"]
    filled.start()
    back = prometheus.ask(["one"], NOON)["one"]
    assert isinstance(away, Failed)
    assert away.reason is Failure.UNREACHABLE
    assert back == Value({(): 1.5})


def test_a_server_that_stands_still_costs_no_more_than_the_deadline(filled: PrometheusServer, connect: Connect) -> None:
    prometheus = connect(filled.url, timedelta(seconds=1))
    filled.pause()
    started = time.monotonic()
    answers = prometheus.ask([f"one * {number}" for number in range(50)], NOON)
    took = time.monotonic() - started
    filled.resume()
    assert all(answer == Failed(Failure.TIMEOUT, "no complete answer within 1s") for answer in answers.values())
    assert took < 8


def _signal(folder: Path, **settings: object) -> Signal:
    """A signal as it is read from a rule file."""
    written = ", ".join(f"{key}: {value}" for key, value in settings.items())
    file = folder / "rules.yml"
    file.write_text(
        "rollout: r\nowner: me\nflags: {store: json, path: flags.json}\nbaseline: {a: false}\n"
        "stages: [{stage: s, exposure: 1%, set: {a: true}, soak: 1h}]\n"
        f"signals: {{x: {{{written}}}}}\n"
        "triggers: [{alert: A, signal: x, above: 1}]\n",
        encoding="utf-8",
    )
    return load(file).signals[0]


def _look(connect: Connect, url: str, signal: Signal) -> Observation:
    return look(signal, connect(url).ask(signal.questions(), NOON), NOON)


def test_too_little_traffic_is_no_data(filled: PrometheusServer, connect: Connect, tmp_path: Path) -> None:
    enough = _signal(tmp_path, expr="one", needs="{expr: 'sum(increase(requests_total[2m1s]))', at_least: 1}")
    little = _signal(tmp_path, expr="one", needs="{expr: requests_total, at_least: 100}")
    absent = _signal(tmp_path, expr="one", needs="{expr: nothing_of_that_name, at_least: 1}")
    assert _look(connect, filled.url, enough) == Value({(): 1.5})
    assert _look(connect, filled.url, little) == NoData("too little traffic: 12 < 100")
    assert _look(connect, filled.url, absent) == NoData("traffic unknown: the query returned nothing")


def test_too_little_traffic_of_one_series_makes_that_one_unknown(filled: PrometheusServer, connect: Connect, tmp_path: Path) -> None:
    signal = _signal(tmp_path, expr="errors", needs="{expr: errors * 10, at_least: 35}")
    assert _look(connect, filled.url, signal) == Value({(("code", "503"),): 4.0}, {(("code", "500"),): "too little traffic: 30 < 35"})


def test_a_failure_to_learn_the_traffic_is_a_failure(filled: PrometheusServer, connect: Connect, tmp_path: Path) -> None:
    signal = _signal(tmp_path, expr="one", needs="{expr: 'count_over_time(many[1h])', at_least: 1}")
    assert isinstance(_look(connect, filled.url, signal), Failed)


def test_a_sample_older_than_allowed_is_no_data(filled: PrometheusServer, connect: Connect, tmp_path: Path) -> None:
    assert _look(connect, filled.url, _signal(tmp_path, expr="old")) == Value({(): 7.0})
    assert _look(connect, filled.url, _signal(tmp_path, expr="old", max_age="2m")) == Value({(): 7.0})
    assert _look(connect, filled.url, _signal(tmp_path, expr="old", max_age="1m59s")) == NoData("the sample is older than 1m59s")
