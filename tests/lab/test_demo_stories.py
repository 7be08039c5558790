"""`make demo STORY=bypass` goes as told, and its service serves what the rules ask for."""

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from rollback_daemon.lab.servers import LabError, Server
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.rules.load import load

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "deploy" / "demo"
FLAGS = '{"features": {"memory_store": {"progressive_config": {"initial_percentage": 10}}}, "enabled_agents": ["seo"]}'


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the demonstration as make does, from the root."""
    command = [sys.executable, "-m", "deploy.demo.run", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_bypass_is_undone_explained_and_done_properly(toolset: Toolset) -> None:
    told = demo("bypass")
    assert told.returncode == 0, told.stdout + told.stderr
    scenes = [line[3:5] for line in told.stdout.splitlines() if line.startswith("== ")]
    assert scenes == ["1.", "2.", "3.", "4.", "5.", "6."]
    for said in (
        "The guard has taken them back ",
        "RolloutDrift  severity=critical owner=deployment-lead",
        "A promotion there would have lacked:",
        "  - it was rolled back (",
        "NO-GO by ben (metrics-validation)",
        "the NO-GO of ben is resolved on record",
        "**soaking at twenty-five, 25 % exposed**",
        "Done; everything is stopped and cleaned up.",
    ):
        assert said in told.stdout
    assert "\x1b" not in told.stdout  # no colours where it is not a terminal


def test_a_story_that_is_not_there_is_refused_by_name() -> None:
    told = demo("tragedy")
    assert (told.returncode, told.stdout.strip()) == (2, 'there is no story "tragedy"; there are: failing, bypass')


def test_the_service_of_the_bypass_has_the_metrics_and_health_of_the_rollout(tmp_path: Path) -> None:
    flags = tmp_path / "feature_flags.json"
    flags.write_text(FLAGS, encoding="utf-8")

    def command(port: int) -> list[str | Path]:
        return [sys.executable, DEMO / "memory_app.py", "--flags", flags, "--port", str(port)]

    with Server("app", tmp_path, command, ready="/health") as app:
        text = requests.get(f"{app.url}/metrics", timeout=5).text
        told = requests.get(f"{app.url}/1/health", timeout=5).json()
        assert [requests.get(f"{app.url}/{number}/health", timeout=5).status_code for number in range(2, 7)] == [200, 200, 200, 200, 404]
    served = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line[0] != "#" and "_created" not in line}
    asked = " ".join(signal.expr for signal in load(ROOT / "rules" / "genesis-memory.yml").signals)
    assert {name for name in served if name in asked} == served - {
        "genesis_request_duration_seconds_count",
        "genesis_request_duration_seconds_sum",
    }
    assert len([name for name in served if name in asked]) == 9
    assert told == {"memory_percentage": 10, "agents": 1}
    flags.unlink()
    with pytest.raises(LabError, match=r"(?s)ended with exit code 1 .*FileNotFoundError"):
        Server("app", tmp_path, command, ready="/health").start()
