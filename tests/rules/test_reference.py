"""The reference (README, TRIGGERS, AFTERCARE and EVIDENCE in rules/) says what is so: its examples load, it knows every key and every name."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from rollback_daemon.flags.stores import STORES
from rollback_daemon.rules import templates
from rollback_daemon.rules.aftercare import HOOK_EVENTS, WayKind
from rollback_daemon.rules.conditions import OPS
from rollback_daemon.rules.load import load
from rollback_daemon.rules.measures import OnNoData
from rollback_daemon.rules.model import ActionKind
from rollback_daemon.rules.schema import RuleFile, TriggerPart
from rollback_daemon.rules.triggers import KINDS

PAGES = [(Path(__file__).parents[2] / "rules" / name).read_text(encoding="utf-8") for name in ("README.md", "TRIGGERS.md", "AFTERCARE.md")]
DECLARED = (
    (Path(__file__).parents[2] / "rules/EVIDENCE.md").read_text(encoding="utf-8").partition("## In a rule file\n")[2].partition("## Kinds\n")[0]
)
TEXT = "".join([*PAGES, DECLARED])
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", TEXT, re.MULTILINE))
BASE = """\
rollout: reference
owner: docs
flags: {store: dotenv, path: reference.env}
baseline: {USE_X: "false"}
stages:
  - {stage: canary, exposure: 10%, set: {USE_X: "true"}, soak: 1h}
  - {stage: half, exposure: 50%, set: {USE_X: "true"}, soak: 1h}
signals:
  errors: {expr: error_ratio}
  latency: {expr: latency_seconds, unit: s}
gates:
  - {gate: Errors, signal: errors, below: 1%}
triggers:
  - {alert: ErrorsHigh, signal: errors, above: 1%}
"""


def spliced(fragment: str) -> str:
    """The base file with the fragment's top-level keys in place of its own."""
    given = set(yaml.safe_load(fragment))
    if "rollout" in given:
        return fragment
    if "signals" in given:
        given |= {"gates", "triggers"}  # they are about the signals of the base
        fragment += "" if "triggers:" in fragment else "triggers:\n  - {alert: Any, expr: up == 0}\n"
    kept = [part for part in re.split(r"^(?=\w)", BASE, flags=re.MULTILINE) if part.split(":")[0] not in given]
    return "".join(kept) + fragment


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[0])
def test_every_example_loads(example: str, tmp_path: Path) -> None:
    (tmp_path / "example.yml").write_text(spliced(example), encoding="utf-8")
    assert load(tmp_path / "example.yml").triggers


def test_there_are_examples_of_every_part() -> None:
    assert {key for example in EXAMPLES for key in yaml.safe_load(example)} >= set(RuleFile.model_json_schema()["required"]) | {"signals", "gates"}


def _properties(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {key for part in schema for key in _properties(part)}
    if not isinstance(schema, dict):
        return set()
    here = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return here | {key for part in schema.values() for key in _properties(part)}


def _defaults(schema: Any) -> set[tuple[str, Any]]:
    parts = [schema, *schema["$defs"].values()]
    return {(key, value["default"]) for part in parts for key, value in part.get("properties", {}).items() if _is_plain(value.get("default"))}


def _is_plain(default: Any) -> bool:
    return isinstance(default, (bool, int, str)) and not re.fullmatch("|P[0-9DTHMS]+", str(default))


def test_every_key_has_a_row() -> None:
    assert _properties(RuleFile.model_json_schema()) - set(ROWS) == set()


def test_every_row_is_about_a_key_a_policy_or_an_action() -> None:
    assert set(ROWS) - _properties(RuleFile.model_json_schema()) - {*OnNoData, *ActionKind, *WayKind} == set()


@pytest.mark.parametrize(("key", "default"), sorted(_defaults(RuleFile.model_json_schema()), key=str))
def test_a_row_says_the_default(key: str, default: Any) -> None:
    rows = re.findall(rf"^\| `{key}` \|.*$", TEXT, re.MULTILINE)
    assert any(f"`{str(default).lower() if isinstance(default, bool) else default}`" in row.split(" | ")[2] for row in rows)


@pytest.mark.parametrize("name", [*STORES, *KINDS, *ActionKind, *OnNoData, *OPS, *WayKind])
def test_every_name_is_there(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("name", [*STORES])
def test_the_stores_are_listed_where_they_are_chosen(name: str) -> None:
    assert f"`{name}`" in ROWS["store"]


def test_the_events_of_hooks_are_listed_where_they_are_chosen() -> None:
    assert re.findall(r"`(\w+)`", ROWS["on"].split(" | ")[2]) == [*HOOK_EVENTS]


def test_the_kinds_of_trigger_are_those_of_the_schema() -> None:
    titles = {part["title"] for part in TypeAdapter(TriggerPart).json_schema()["$defs"].values()}
    assert {f"{kind} trigger" for kind in KINDS} <= titles
    assert all(f"kind `{kind}`" in TEXT for kind in KINDS)


def test_the_templates_that_it_promises_are_known() -> None:
    functions = re.findall(r"`(humanize\w*)`", TEXT)
    assert {"humanize", "humanize1024", "humanizePercentage", "humanizeDuration"} <= set(functions)
    assert not [name for name in functions if templates.unknown(f"{{{{ $value | {name} }}}}")]
    (verbs,) = re.findall(r"`printf` with `([^`]*)`", TEXT)
    assert not [verb for verb in verbs.split() if templates.unknown(f'{{{{ $value | printf "{verb}" }}}}')]


def test_it_is_short() -> None:
    assert all(len(page.splitlines()) < 560 for page in PAGES)
