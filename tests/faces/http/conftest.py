"""One Prometheus that is told its samples, for this folder, and daemons before it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollback_daemon.lab.remote_write import RECEIVER
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.lab.toolset import Toolset
from tests.faces.http.bench import Bench


@pytest.fixture(scope="module")
def told(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Scrapes nothing; takes samples as remote writes."""
    with PrometheusServer(toolset.prometheus, tmp_path_factory.mktemp("told"), {}, flags=[RECEIVER]) as server:
        yield server


@pytest.fixture(scope="module")
def reading(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A daemon that tests only read from."""
    with Bench(tmp_path_factory.mktemp("reading"), told.url) as bench:
        yield bench


@pytest.fixture
def bench(told: PrometheusServer, tmp_path: Path) -> Iterator[Bench]:
    """A daemon of the test's own, at the baseline."""
    with Bench(tmp_path, told.url) as bench:
        bench.set_error_rate(0)
        yield bench
