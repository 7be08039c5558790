"""What the deployment guide shows of routing is run as it stands there."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from rollback_daemon.rules.load import load
from tests.house.test_docs import blocks

RULES = """\
rollout: assistant
owner: docs
flags: {store: json, path: runtime.json}
baseline: {assistant_engine: v2}
stages: [{stage: canary, exposure: 10%, set: {assistant_engine: v3_canary}}]
"""


def test_the_example_for_applications_answers_and_counts(tmp_path: Path) -> None:
    (tmp_path / "runtime.json").write_text(json.dumps({"assistant_engine": "v3_active", "ai_assistant_v3_canary_percent": 10}), encoding="utf-8")
    (example,) = blocks("deploy/README.md", "python")
    told = "\nfrom prometheus_client import generate_latest\nprint(found.value, generate_latest().decode())\n"
    done = subprocess.run([sys.executable, "-c", example + told], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("v3 ")
    assert 'assistant_requests_total{code="200",side="experiment",stage="v3_active"} 1.0' in done.stdout


def test_the_trigger_that_compares_the_sides_loads(tmp_path: Path) -> None:
    (trigger,) = [text for text in blocks("deploy/README.md", "yaml") if "side=" in text]
    (tmp_path / "rules.yml").write_text(RULES + trigger, encoding="utf-8")
    assert [one.name for one in load(tmp_path / "rules.yml").triggers] == [yaml.safe_load(trigger)["triggers"][0]["alert"]]
