"""The past of a signal, asked of a real Prometheus: points between two moments, or the reason why there are none."""

from datetime import timedelta

from rollback_daemon.lab.faults import Fault, Proxy
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.signals.observation import Failed, Failure
from rollback_daemon.signals.prometheus import read_range
from tests.signals.conftest import NOON, Connect

STEP = timedelta(seconds=30)
START = NOON - timedelta(minutes=2)


def test_there_is_a_point_for_every_step_at_its_very_time(filled: PrometheusServer, connect: Connect) -> None:
    start = START + timedelta(milliseconds=250)
    assert connect(filled.url).over_time("requests_total * 1", start, NOON, STEP) == {
        (): [((start + number * STEP).timestamp(), value) for number, value in enumerate((10.0, 10.0, 11.0, 11.0))]
    }


def test_every_series_has_its_own_points_and_those_that_are_no_number_are_left_out(filled: PrometheusServer, connect: Connect) -> None:
    found = connect(filled.url).over_time("errors or half or vector(0/0)", NOON, NOON, STEP)
    assert found == {
        (("code", "500"),): [(NOON.timestamp(), 3.0)],
        (("code", "503"),): [(NOON.timestamp(), 4.0)],
        (("side", "left"),): [(NOON.timestamp(), 1.0)],
    }


def test_what_has_no_past_and_a_native_histogram_are_nothing(filled: PrometheusServer, connect: Connect) -> None:
    assert connect(filled.url).over_time("nothing_of_that_name", START, NOON, STEP) == {}
    assert connect(filled.url).over_time("native", START, NOON, STEP) == {}


def test_a_query_that_does_not_parse_is_refused_in_the_words_of_the_server(filled: PrometheusServer, connect: Connect) -> None:
    answer = connect(filled.url).over_time("sum(", START, NOON, STEP)
    assert isinstance(answer, Failed)
    assert answer.why.startswith("HTTP 400: bad_data: ")


def test_a_server_that_hangs_or_breaks_off_is_not_waited_for(filled: PrometheusServer, connect: Connect) -> None:
    with Proxy(filled.url) as front:
        for fault, reason in ((Fault.HANG, Failure.TIMEOUT), (Fault.BROKEN_BODY, Failure.MALFORMED), (Fault.HTTP_500, Failure.SERVER)):
            front.fault = fault
            answer = connect(front.url, timedelta(seconds=0.5)).over_time("one", START, NOON, STEP)
            assert isinstance(answer, Failed)
            assert answer.reason is reason


def test_points_are_read_as_the_api_writes_them() -> None:
    assert read_range([{"metric": {"__name__": "x"}, "values": [[1, "1"], [2.5, "+Inf"], [3, "NaN"]]}]) == {(): [(1.0, 1.0), (2.5, float("inf"))]}
