"""The reference of test files, rules/TESTING.md, says what is so: its example passes, and it knows every key, act and decision."""

import re
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from rollback_daemon.faces.cli import app
from rollback_daemon.lab.testing.act_forms import DEEDS
from rollback_daemon.lab.testing.decisions import words
from rollback_daemon.lab.testing.schema import TestFile
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.rules.load import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "rules" / "TESTING.md").read_text(encoding="utf-8")


def test_the_example_passes(toolset: Toolset, tmp_path: Path) -> None:
    for name, text in re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["test", str(tmp_path / "checkout-test.yml"), "--prometheus-binary", str(toolset.prometheus)])
    assert done.exit_code == 0, done.output


def test_every_key_is_there() -> None:
    assert {key for key in _properties(TestFile.model_json_schema()) if not re.search(rf"\b{key}\b", TEXT)} == set()


def test_every_act_and_every_decision_is_there() -> None:
    assert {name for name in DEEDS if f"`{name}`" not in TEXT} == set()
    shapes = {re.sub(r"(?<=to )\S+", lambda found: "LEVEL" if found[0] in {"ticket", "tech-lead"} else "STAGE", one) for one in _decisions()}
    assert {one for one in shapes if f"`{one}`" not in TEXT} == set()


def _decisions() -> list[str]:
    return [one for one in words(load(ROOT / "rules" / "victor-coordinators.yml")) if not one.startswith("would")]


def _properties(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {key for part in schema for key in _properties(part)}
    if not isinstance(schema, dict):
        return set()
    here = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return here | {key for part in schema.values() for key in _properties(part)}
