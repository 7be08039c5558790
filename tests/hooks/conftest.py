"""One Prometheus that is told its samples, for the daemons of this folder."""

from collections.abc import Iterator

import pytest

from rollback_daemon.lab.remote_write import RECEIVER
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.lab.toolset import Toolset


@pytest.fixture(scope="module")
def told(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Scrapes nothing; takes samples as remote writes."""
    with PrometheusServer(toolset.prometheus, tmp_path_factory.mktemp("told"), {}, flags=[RECEIVER]) as server:
        yield server
