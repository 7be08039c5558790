"""A real Prometheus that takes histories as remote writes."""

import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollback_daemon.http_client import HTTPClient
from rollback_daemon.lab.remote_write import RECEIVER, Series, write
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.signals.prometheus import Prometheus
from tests.oracle.histories import History
from tests.oracle.referee import Slots, Tally


@pytest.fixture(scope="module")
def history_server(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with PrometheusServer(toolset.prometheus, tmp_path_factory.mktemp("histories"), {}, flags=[RECEIVER]) as server:
        first = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=1)
        write(server.url, [Series({"__name__": "anchor"}, [(first.timestamp(), 1.0)])])  # else the first sample is the oldest that it takes
        yield server


@pytest.fixture(scope="module")
def slots(history_server: PrometheusServer) -> Slots:
    def put(history: History, start: datetime) -> None:
        write(history_server.url, history.written(start.timestamp()))

    return Slots(put)


@pytest.fixture(scope="module")
def client(history_server: PrometheusServer) -> Iterator[Prometheus]:
    session = HTTPClient(url=history_server.url).session()
    with closing(Prometheus(history_server.url, session, timedelta(seconds=60))) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def promtool(toolset: Toolset) -> Path:
    if toolset.promtool is None:
        pytest.skip("no promtool beside this Prometheus")
    return toolset.promtool


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("oracle")


@pytest.fixture(scope="module")
def tally(toolset: Toolset, request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Counts what is compared, and says so at the end."""
    counted = Tally(toolset.version)
    yield counted
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        sys.stderr.write(f"\n{counted}\n")
