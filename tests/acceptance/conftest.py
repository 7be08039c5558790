"""What acceptance tests stand on: a Prometheus that scrapes one service, and a daemon of each test's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer
from rollback_daemon.lab.toolset import Toolset
from tests.acceptance.genesis import Genesis
from tests.acceptance.stand import CANARY, Stand

HEALTHY = "genesis_test_pass_rate > 0.99 and on() genesis_error_rate < 0.001 and on() (histogram_quantile(0.95, sum by (le) (rate({}[1s]))) < 0.2)"
Scraped = tuple[PrometheusServer, Genesis]


@pytest.fixture(scope="session")
def running(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """A Prometheus and the service that it scrapes five times a second; its first scrape takes 5 s to come, so they share it."""
    with Genesis() as genesis:
        server = PrometheusServer(toolset.prometheus, tmp_path_factory.mktemp("prometheus"), {"genesis": genesis.address}, scrape_interval="200ms")
        with server:
            yield server, genesis


@pytest.fixture(scope="session")
def alertmanager(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerServer]:
    """A running Alertmanager, which tells nobody; the alerts of each stand have a label of their own."""
    with AlertmanagerServer(toolset.alertmanager, tmp_path_factory.mktemp("alertmanager")) as server:
        yield server


@pytest.fixture
def prometheus(running: Scraped) -> PrometheusServer:
    """A running Prometheus whose latest figures are those of a service that is well."""
    server, genesis = running
    genesis.be_well()
    server.wait_for(HEALTHY.format("genesis_request_duration_seconds_bucket"), 30)
    return server


@pytest.fixture
def genesis(running: Scraped) -> Genesis:
    """The service under guard."""
    return running[1]


@pytest.fixture
def start(prometheus: PrometheusServer, alertmanager: AlertmanagerServer, tmp_path: Path) -> Iterator[Callable[..., Stand]]:
    """Starts a daemon with everything around it; takes what `Stand` takes, and ends it after the test."""
    with ExitStack() as stands:

        def make(url: str = "", name: str = "genesis", **how: Any) -> Stand:
            folder = tmp_path / name
            folder.mkdir()
            stand = stands.enter_context(Stand(folder, url or prometheus.url, alertmanager, **how))
            stand.wait(lambda: stand.daemon.running and not stand.explain()["blind"], "the first evaluation")
            return stand

        yield make


@pytest.fixture
def stand(start: Callable[..., Stand]) -> Stand:
    """A daemon that guards the shipped rollout, one minute of which takes one second; it is at its baseline."""
    return start()


@pytest.fixture
def canary(start: Callable[..., Stand]) -> Stand:
    """The same, found at its canary stage."""
    stand = start(flags=CANARY)
    assert (stand.get()["phase"], stand.get()["stage"]) == ("soaking", "canary")
    return stand
