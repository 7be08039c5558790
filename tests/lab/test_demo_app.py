"""The demo's service reads its flags, gets worse only through SPICE, and heals when the flags are taken back."""

import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from rollback_daemon.lab.servers import LabError, Server, wait_until

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
ON = "USE_SPICE=true\nUSE_PIPELEX=true\nPIPELEX_FALLBACK_MODE=false\nROLLOUT_PERCENTAGE=10\n"
OFF = "USE_SPICE=false\nUSE_PIPELEX=false\nPIPELEX_FALLBACK_MODE=true\nROLLOUT_PERCENTAGE=0\n"


@pytest.fixture
def flags(tmp_path: Path) -> Path:
    path = tmp_path / ".env.production"
    path.write_text(ON, encoding="utf-8")
    return path


@pytest.fixture
def app(flags: Path) -> Iterator[Server]:
    def command(port: int) -> list[str | Path]:
        pid_file = flags.with_name("pid")
        return [sys.executable, DEMO / "app.py", "--flags", flags, "--port", str(port), "--pid-file", pid_file]

    with Server("app", flags.parent, command, ready="/health") as server:
        yield server


def health(app: Server) -> dict[str, object]:
    return dict(requests.get(f"{app.url}/health", timeout=5).json())


def figures(app: Server) -> dict[str, float]:
    lines = requests.get(f"{app.url}/metrics", timeout=5).text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_it_serves_the_metrics_of_the_rollout_by_their_names(app: Server) -> None:
    names = {name.split("{")[0] for name in figures(app)}
    assert {name for name in names if not name.endswith("_created")} == {
        "genesis_test_pass_rate",
        "genesis_error_rate",
        "genesis_request_duration_seconds_bucket",
        "genesis_request_duration_seconds_count",
        "genesis_request_duration_seconds_sum",
        "spice_tasks_generated_total",
        "pipelex_workflows_success_total",
        "pipelex_fallback_triggered_total",
    }


def test_it_is_healthy_from_the_first_scrape_on(app: Server) -> None:
    assert figures(app)["genesis_test_pass_rate"] == 0.993
    wait_until(lambda: figures(app)["spice_tasks_generated_total"] > 0, "traffic")
    assert figures(app)["genesis_error_rate"] == 0


def test_it_gets_worse_through_spice_and_heals_without_it(app: Server, flags: Path) -> None:
    worse = requests.post(f"{app.url}/worse?error_rate=0.2&p95=0.7&pass_rate=0.93", timeout=5)
    assert worse.json() == {"error_rate": 0.2, "p95": 0.7, "pass_rate": 0.93}
    wait_until(lambda: figures(app)["genesis_error_rate"] > 0.05, "errors")
    assert figures(app)["genesis_test_pass_rate"] == 0.93
    flags.write_text(OFF, encoding="utf-8")
    subprocess.run([DEMO / "reload.sh", flags.with_name("pid"), app.url], check=True, capture_output=True)
    assert health(app) == {
        "spice_enabled": False,
        "pipelex_enabled": False,
        "fallback_mode": True,
        "rollout_percentage": 0,
        "reads": 2,
    }
    wait_until(lambda: figures(app)["genesis_error_rate"] == 0, "no more errors", seconds=15)
    assert figures(app)["genesis_test_pass_rate"] == 0.993


def test_flags_that_cannot_be_read_leave_the_old_ones_and_the_reload_says_so(app: Server, flags: Path) -> None:
    flags.unlink()
    app.send(signal.SIGHUP)
    wait_until(lambda: "flags not read again" in app.log_tail(), "the complaint")
    assert health(app)["rollout_percentage"] == 10


def test_figures_that_are_no_numbers_are_refused(app: Server) -> None:
    assert requests.post(f"{app.url}/worse?error_rate=much", timeout=5).status_code == 400
    assert requests.post(f"{app.url}/worse?colour=1", timeout=5).status_code == 400
    assert not math.isnan(figures(app)["genesis_error_rate"])


def test_it_does_not_start_without_its_flag_file(tmp_path: Path) -> None:
    def command(port: int) -> list[str | Path]:
        return [sys.executable, DEMO / "app.py", "--flags", tmp_path / "none", "--port", str(port)]

    with pytest.raises(LabError, match=r"(?s)ended with exit code 1 .*FileNotFoundError"):
        Server("app", tmp_path, command, ready="/health").start()
