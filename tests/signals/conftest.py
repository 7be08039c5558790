"""Real Prometheus servers for this folder: one with known samples at a known time, one behind TLS and a password."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from rollback_daemon.http_client import HTTPClient
from rollback_daemon.lab.remote_write import RECEIVER, Series, write
from rollback_daemon.lab.servers import PrometheusServer, free_port, wait_until
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.signals.prometheus import Prometheus

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""The time at which `filled` has its samples."""
USER, PASSWORD = "guard", "open sesame"
_HASHED = "$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy"

Connect = Callable[..., Prometheus]


@pytest.fixture(scope="module")
def filled(toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A Prometheus that scrapes nothing and may load 5,000 samples for one query."""
    flags = [RECEIVER, "--query.max-samples=5000", "--enable-feature=native-histograms"]
    with PrometheusServer(toolset.prometheus, tmp_path_factory.mktemp("filled"), {}, flags=flags) as server:
        at = NOON.timestamp()
        gauges = {"one": 1.5, "not_a_number": float("nan"), "plus": float("inf"), "minus": float("-inf"), "tiny": 1e-9, "less": -0.0}
        series = [Series({"__name__": name}, [(at, value)]) for name, value in gauges.items()]
        series += [Series({"__name__": "errors", "code": code}, [(at, value)]) for code, value in (("500", 3.0), ("503", 4.0))]
        series += [Series({"__name__": "half", "side": "left"}, [(at, 1.0)]), Series({"__name__": "half", "side": "right"}, [(at, float("nan"))])]
        series += [Series({"__name__": "old"}, [(at - 120, 7.0)]), Series({"__name__": "gone"}, [(at - 60, 1.0), (at, "stale")])]
        series += [Series({"__name__": "many"}, [(at - 3000 + second / 2, 1.0) for second in range(6000)])]
        series += [Series({"__name__": "requests_total"}, [(at - 120, 10.0), (at - 60, 11.0), (at, 12.0)])]
        series += [Series({"__name__": "native"}, histograms=[at])]
        write(server.url, series)
        yield server


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens clients with settings as in the configuration file, and closes them after the test."""
    with ExitStack() as opened:

        def connect(url: str, timeout: timedelta = timedelta(seconds=20), **settings: object) -> Prometheus:
            client = HTTPClient.model_validate({"url": url, **settings})
            prometheus = Prometheus(client.url, client.session(), timeout)
            opened.callback(prometheus.close)
            return prometheus

        yield connect


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority of our own, `ca.pem`, and a certificate for 127.0.0.1, `server.pem` and `server.key`."""
    folder = tmp_path_factory.mktemp("certificates")
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"]
    authority = ["-addext", "keyUsage=critical,keyCertSign", "-days", "2", "-subj", "/CN=authority of a test"]
    sign = ["openssl", "x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n", encoding="ascii")
    for command in (
        [*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", *authority],
        [*new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=prometheus"],
        [*sign, "-in", "server.csr", "-out", "server.pem"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def guarded(toolset: Toolset, certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus behind TLS that lets in USER with PASSWORD."""
    folder = tmp_path_factory.mktemp("guarded")
    web = f'tls_server_config: {{cert_file: "{certificates}/server.pem", key_file: "{certificates}/server.key"}}\n'
    (folder / "web.yml").write_text(web + f"basic_auth_users: {{{USER}: {_HASHED!r}}}\n", encoding="utf-8")
    (folder / "prometheus.yml").write_text("{}\n", encoding="utf-8")
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    command: list[str | Path] = [
        toolset.prometheus,
        "--config.file=prometheus.yml",
        "--web.config.file=web.yml",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: _is_ready(url, certificates / "ca.pem"), url, 30)
            yield url
        finally:
            process.terminate()


def _is_ready(url: str, authority: Path) -> bool:
    try:
        return requests.get(f"{url}/-/ready", auth=(USER, PASSWORD), verify=str(authority), timeout=5).ok
    except requests.RequestException:
        return False
