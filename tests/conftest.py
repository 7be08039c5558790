"""Fixtures that every test may ask for: an exporter whose figures are set by hand, and real servers around it.

A test that asks for `prometheus`, `exporter`, `alertmanager` or `toolset` runs on the first Prometheus found; marked
`every_prometheus` it runs on each of them. Where none is found it is skipped, and the reason printed; with CI=true in
the environment it fails.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from rollback_daemon.lab.exporter import MetricsExporter
from rollback_daemon.lab.faults import Proxy
from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer
from rollback_daemon.lab.toolset import MISSING, Toolset, toolsets

SCRAPE_INTERVAL = "200ms"  # of `prometheus`
SPARES = 3

Scraped = tuple[PrometheusServer, MetricsExporter]


settings.register_profile("busy", deadline=None)  # a machine that is busy makes no property untrue
settings.load_profile("busy")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_prometheus: run on every Prometheus found, not only on the first")
    config.addinivalue_line("markers", "oldest_and_newest: run on the first and on the last Prometheus found: what differs, differs between these")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "toolset" not in metafunc.fixturenames:
        return
    found: list[Toolset | None] = [*toolsets()] or [None]
    wanted = found[:1]
    if metafunc.definition.get_closest_marker("every_prometheus"):
        wanted = found
    elif metafunc.definition.get_closest_marker("oldest_and_newest"):
        wanted = list(dict.fromkeys([found[0], found[-1]]))
    names = [f"prometheus-{tools.version}" if tools else "no-prometheus" for tools in wanted]
    metafunc.parametrize("toolset", wanted, ids=names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def toolset(request: pytest.FixtureRequest) -> Toolset:
    """The programs to run this test on."""
    if isinstance(request.param, Toolset):
        return request.param
    if os.environ.get("CI") == "true":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@pytest.fixture(scope="session")
def take_scraped(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Scraped]]:
    """Gives a fresh Prometheus with an exporter of its own, started ahead: the first scrape takes 5 s to come."""
    with ExitStack() as running:
        spares: deque[Scraped] = deque()

        def start() -> None:
            exporter = running.enter_context(MetricsExporter())
            folder = tmp_path_factory.mktemp("prometheus")
            server = PrometheusServer(toolset.prometheus, folder, {"app": exporter.address}, scrape_interval=SCRAPE_INTERVAL)
            spares.append((running.enter_context(server), exporter))

        def take() -> Scraped:
            while len(spares) <= SPARES:
                start()
            return spares.popleft()

        yield take


@pytest.fixture
def scraped(take_scraped: Callable[[], Scraped]) -> Iterator[Scraped]:
    server, exporter = take_scraped()
    server.wait_for("up == 1", seconds=20)
    with exporter, server:
        yield server, exporter


@pytest.fixture
def prometheus(scraped: Scraped) -> PrometheusServer:
    """A running Prometheus of this test's own, which scrapes `exporter` five times a second as the job "app"."""
    return scraped[0]


@pytest.fixture
def exporter(scraped: Scraped) -> MetricsExporter:
    """Serves the figures that the test sets, to `prometheus`."""
    return scraped[1]


@pytest.fixture
def proxy(prometheus: PrometheusServer) -> Iterator[Proxy]:
    """Stands before `prometheus`, counts what is asked and can be told to misbehave."""
    with Proxy(prometheus.url) as server:
        yield server


@pytest.fixture
def alertmanager(toolset: Toolset, tmp_path: Path) -> Iterator[AlertmanagerServer]:
    """A running Alertmanager of this test's own, which tells nobody."""
    with AlertmanagerServer(toolset.alertmanager, tmp_path / "alertmanager") as server:
        yield server
