"""The page about evidence is true: every kind and figure stands in it, its examples are read, its commands understood."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.samples import Aggregate
from rollback_daemon.evidence.scoring.raw_results import RawCase
from tests.evidence.raw import both, read, text
from tests.faces.http.bench import rollbackd

PAGE = (Path(__file__).parents[2] / "rules/EVIDENCE.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))


def blocks(kind: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", SECTIONS[kind], re.MULTILINE | re.DOTALL)


def test_every_kind_stands_there_with_its_figures() -> None:
    assert SECTIONS.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        told = re.findall(r"^\| `(\w+)` \| ([\w-]+) \| (.*) \|$", SECTIONS[name].partition("\n```")[0], re.MULTILINE)
        assert [(figure, one.unit or "-", one.meaning) for figure, one in kind.figures.items()] == told


@pytest.mark.parametrize(("kind", "example"), [(kind, one) for kind in SECTIONS for one in blocks(kind, "json")])
def test_the_examples_of_files_are_read(kind: str, example: str) -> None:
    assert read(kind, example).figures


@pytest.mark.parametrize(("kind", "example"), [(kind, one) for kind in SECTIONS for one in blocks(kind, "yaml")])
def test_the_examples_of_settings_are_understood(kind: str, example: str) -> None:
    settings: Any = yaml.safe_load(example)
    assert KINDS[kind].settings.model_validate(settings).model_fields_set == settings.keys()


def test_every_field_and_aggregate_is_told() -> None:
    assert [name for name in RawCase.model_fields if f"`{name}`" not in SECTIONS["results"]] == []
    assert [one for one in Aggregate if f"`{one}`" not in SECTIONS["jsonl"]] == []


def test_its_commands_are_understood(tmp_path: Path) -> None:
    old = text(*both(), engine="v2").replace(b"2026-11-20", b"2026-01-20")
    for name, data in (("v2", old), ("v3", old.replace(b'"v2"', b'"v3_shadow"')), ("reader", old), ("operator", old)):
        (tmp_path / f"{name}.json").write_bytes(data)
    for command in re.findall(r"^\$ rollbackd (.*)$", PAGE, re.MULTILINE):
        ran = rollbackd(*command.split(), cwd=tmp_path)
        assert (ran.code, ran.err) == (0, ""), command
    assert json.loads((tmp_path / "gates/assistant-v3_release_gate_stage25.json").read_text())["overall_go"] is True
