"""What acceptance tests stand on: a Prometheus that scrapes one service, and a daemon of each test's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer
from rollback_daemon.lab.toolset import Toolset
from tests.acceptance.genesis import Genesis
from tests.acceptance.memory_service import MemoryService
from tests.acceptance.memory_stand import MemoryStand
from tests.acceptance.stand import CANARY, Stand
from tests.acceptance.victor_service import VictorServices

HEALTHY = "genesis_test_pass_rate > 0.99 and on() genesis_error_rate < 0.001 and on() (histogram_quantile(0.95, sum by (le) (rate({}[1s]))) < 0.2)"
MEMORY_HEALTHY = (
    "genesis_test_pass_rate > 0.99 and on() genesis_error_rate < 0.001 and on() genesis_memory_cache_hit_rate > 0.8 and on() redis_up == 1"
    " and on() genesis_memory_retrieval_precision > 0.8 and on() genesis_memory_usage_ratio < 0.5"
    " and on() (sum(increase(mongodb_authentication_failures_total[2s])) == 0)"
    " and on() (histogram_quantile(0.95, sum by (le) (rate(genesis_request_duration_seconds_bucket[2s]))) < 0.2)"
    " and on() (abs(sum(rate(genesis_cost_usd_total[2s])) - 1) < 0.2)"
)
Scraped = tuple[PrometheusServer, Genesis]


@pytest.fixture(scope="session")
def victors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictorServices]:
    """The services of the Victor rollout, none of which is there before a test adds it."""
    with VictorServices(tmp_path_factory.mktemp("observability")) as services:
        yield services


@pytest.fixture(scope="session")
def running(toolset: Toolset, victors: VictorServices, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """A Prometheus and the services that it scrapes five times a second; its first scrape takes 5 s to come, so they share it."""
    with Genesis() as genesis:
        targets = {"genesis": genesis.address, "victor": victors.address}
        with PrometheusServer(toolset.prometheus, tmp_path_factory.mktemp("prometheus"), targets, scrape_interval="200ms") as server:
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


# the memory rollout


@pytest.fixture(scope="session")
def memory_running(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PrometheusServer, MemoryService]]:
    """A Prometheus of its own, as both rollouts have metrics of the same names."""
    with MemoryService() as service:
        folder = tmp_path_factory.mktemp("prometheus-memory")
        with PrometheusServer(toolset.prometheus, folder, {"memory": service.address}, scrape_interval="200ms") as server:
            yield server, service


@pytest.fixture
def memory_prometheus(memory_running: tuple[PrometheusServer, MemoryService]) -> PrometheusServer:
    """The Prometheus that scrapes the memory service."""
    return memory_running[0]


@pytest.fixture
def service(memory_running: tuple[PrometheusServer, MemoryService]) -> MemoryService:
    """The service under guard, which is well, as Prometheus knows."""
    server, service = memory_running
    service.be_well()
    server.wait_for(MEMORY_HEALTHY, 30)
    return service


@pytest.fixture
def begin(
    memory_running: tuple[PrometheusServer, MemoryService], service: MemoryService, alertmanager: AlertmanagerServer, tmp_path: Path
) -> Iterator[Callable[..., MemoryStand]]:
    """Starts a daemon that guards the memory rollout; takes what `MemoryStand` takes, and ends it after the test."""
    with ExitStack() as stands:

        def make(url: str = "", **how: Any) -> MemoryStand:
            stand = stands.enter_context(MemoryStand(tmp_path, url or memory_running[0].url, alertmanager, **how))
            stand.wait(lambda: stand.daemon.running and not stand.explain()["blind"], "the first evaluation")
            return stand

        yield make


@pytest.fixture
def ten(begin: Callable[..., MemoryStand]) -> MemoryStand:
    """The memory rollout, found at 10 %."""
    stand = begin()
    assert (stand.get()["phase"], stand.get()["stage"]) == ("soaking", "ten")
    return stand
