"""The exporter serves exactly what a test set; told to misbehave it does, and a real Prometheus sees it."""

import math
import threading

import pytest
import requests

from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.faults import Fault, Proxy
from rollback_daemon.lab.servers import PrometheusServer, wait_until


def page(exporter: MetricsExporter) -> list[str]:
    lines = requests.get(f"{exporter.url}/metrics", timeout=5).text.splitlines()
    return [line for line in lines if not line.startswith("#") and "_created" not in line]


def test_it_serves_what_was_set_and_nothing_else() -> None:
    with MetricsExporter() as exporter:
        assert page(exporter) == []
        exporter.set("genesis_error_rate", 0.031)
        exporter.increase("spice_tasks_generated_total", by=0)
        exporter.set("genesis_test_pass_rate", 0.5, shard="a")
        assert page(exporter) == [
            "genesis_error_rate 0.031",
            "spice_tasks_generated_total 0.0",
            'genesis_test_pass_rate{shard="a"} 0.5',
        ]


def test_a_counter_grows_and_a_histogram_fills() -> None:
    with MetricsExporter() as exporter:
        exporter.increase("requests_total", by=2, code="500")
        exporter.increase("requests_total", by=3, code="500")
        exporter.observe("latency_seconds", [0.02] * 95 + [0.7] * 5)
        served = page(exporter)
    assert 'requests_total{code="500"} 5.0' in served
    assert 'latency_seconds_bucket{le="0.5"} 95.0' in served
    assert 'latency_seconds_bucket{le="0.75"} 100.0' in served


def test_one_series_or_a_whole_metric_can_be_dropped_and_come_back() -> None:
    with MetricsExporter() as exporter:
        exporter.set("m", 1, shard="a", zone="x")
        exporter.set("m", 2, zone="y", shard="b")
        exporter.drop("m", zone="x", shard="a")
        assert page(exporter) == ['m{shard="b",zone="y"} 2.0']
        exporter.drop("m")
        assert page(exporter) == []
        exporter.set("m", 3)
        assert page(exporter) == ["m 3.0"]


def test_a_metric_cannot_change_its_kind_unnoticed() -> None:
    with MetricsExporter() as exporter:
        exporter.set("m", 1)
        with pytest.raises(TypeError, match='"m" is already a gauge; drop it before it becomes something else'):
            exporter.increase("m")


def test_each_fault_looks_to_a_client_as_it_is_named() -> None:
    with MetricsExporter() as exporter:
        exporter.set("m", 1)
        exporter.fault = Fault.HTTP_500
        assert requests.get(exporter.url, timeout=5).status_code == 500
        exporter.fault = Fault.BROKEN_BODY
        with pytest.raises(requests.JSONDecodeError):
            requests.get(exporter.url, timeout=5).json()
        exporter.fault = Fault.CUT_OFF
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(exporter.url, timeout=5)
        exporter.fault = Fault.HANG
        with pytest.raises(requests.Timeout):
            requests.get(exporter.url, timeout=0.1)
        exporter.fault = Fault.NONE
        assert page(exporter) == ["m 1.0"]


def test_closing_lets_hanging_requests_go_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with MetricsExporter() as exporter:
        exporter.fault = Fault.HANG
        with pytest.raises(requests.Timeout):
            requests.get(exporter.url, timeout=0.1)
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("fault", [Fault.HTTP_500, Fault.HANG, Fault.BROKEN_BODY, Fault.CUT_OFF])
def test_prometheus_finds_a_misbehaving_exporter_down_and_then_up_again(
    prometheus: PrometheusServer, exporter: MetricsExporter, fault: Fault
) -> None:
    exporter.set("m", 1)
    prometheus.wait_for("m")
    exporter.fault = fault
    prometheus.wait_for("up == 0")
    wait_until(lambda: not prometheus.query("m"), "the series to be gone")
    exporter.fault = Fault.NONE
    prometheus.wait_for("m and on (job) up == 1")


def test_prometheus_sees_not_a_number_and_dropped_series(prometheus: PrometheusServer, exporter: MetricsExporter) -> None:
    exporter.set("m", math.nan)
    exporter.set("gone", 1)
    prometheus.wait_for("gone")
    assert math.isnan(prometheus.query("m")[0][1])
    exporter.drop("gone")
    wait_until(lambda: not prometheus.query("gone"), "the series to be gone")


def test_a_proxy_passes_on_questions_and_answers_and_counts_them(prometheus: PrometheusServer, proxy: Proxy) -> None:
    url = f"{proxy.url}/api/v1/query"
    direct = requests.post(f"{prometheus.url}/api/v1/query", data={"query": "6 * 7", "time": "1"}, timeout=5)
    assert requests.post(url, data={"query": "6 * 7", "time": "1"}, timeout=5).json() == direct.json()
    assert requests.get(url, params={"query": "6 *"}, timeout=5).status_code == 400
    assert [(asked.method, asked.path) for asked in proxy.requests] == [
        ("POST", "/api/v1/query"),
        ("GET", "/api/v1/query?query=6+%2A"),
    ]
    assert proxy.requests[0].body == b"query=6+%2A+7&time=1"


def test_a_proxy_before_a_server_that_is_away_answers_502(prometheus: PrometheusServer, proxy: Proxy) -> None:
    prometheus.stop()
    assert requests.get(f"{proxy.url}/-/ready", timeout=5).status_code == 502
