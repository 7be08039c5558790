"""The dashboards as files: they are what the generator makes, Grafana's own models read them, and no panel makes nothing look like well."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from typer.testing import CliRunner

from rollback_daemon.judge.transitions import Phase
from rollback_daemon.lab.grafana.__main__ import main, texts
from rollback_daemon.lab.grafana.board import TAG, Places
from rollback_daemon.lab.grafana.states import GOOD, HEALTHS, PHASES, TRIGGERS, UNKNOWN
from tests.grafana.looking import DASHBOARDS, GRAFANA, panels

ROOT = GRAFANA.parent
ALL = pytest.mark.parametrize("name", DASHBOARDS)
OF_GRAFANA = {"__all", "__rate_interval", "__range", "__value", "__url_time_range", "__auto"}
OUTSIDE = {"titleFormat", "textFormat", "tagKeys"}
"""Keys of a mark that Grafana's Prometheus source reads, and that the general model of a mark does not know."""


def test_the_files_are_what_the_generator_makes() -> None:
    """`python -m rollback_daemon.lab.grafana` writes them."""
    kept = {one.name: one.read_text(encoding="utf-8") for one in (GRAFANA / "dashboards").iterdir()}
    made = texts(Places())
    assert sorted(kept) == sorted(made)
    assert [name for name in made if kept[name] != made[name]] == []


def test_links_lead_where_the_command_was_told(tmp_path: Path) -> None:
    text = texts(Places("https://guard.example.com", "https://wiki.example.com/guard"))
    assert all('"query": "https://guard.example.com"' in one for one in text.values())
    assert '"query": "https://wiki.example.com/guard"' in text["rollbackd-guard.json"]


@ALL
def test_grafanas_models_read_back_all_that_is_in_a_file(name: str) -> None:
    read = json.loads(json.dumps(Dashboard.from_json(DASHBOARDS[name]), cls=JSONEncoder))
    assert read == _without(DASHBOARDS[name], OUTSIDE)


def _without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(one, keys) for key, one in value.items() if key not in keys}
    return [_without(one, keys) for one in value] if isinstance(value, list) else value


@ALL
def test_every_panel_says_what_it_shows_in_which_unit_and_what_it_means_when_it_shows_nothing(name: str) -> None:
    for panel in panels(name):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"], panel
        assert panel["description"].endswith("."), panel["title"]
        assert defaults["noValue"].startswith("No data"), panel["title"]
        assert panel["type"] in {"table", "state-timeline"} or defaults["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


@ALL
def test_what_has_no_value_is_never_green(name: str) -> None:
    """Grafana gives it the colour of the lowest step, or that of the mapping of null."""
    for panel in panels(name):
        every = [panel["fieldConfig"]["defaults"], *({one["id"]: one["value"] for one in rule["properties"]} for rule in _overrides(panel))]
        for look in every:
            if "thresholds" in look:
                assert look["thresholds"]["steps"][0] == {"value": None, "color": UNKNOWN}, panel["title"]
            for mapping in look.get("mappings", ()):
                if mapping["type"] == "special":
                    assert (mapping["options"]["match"], mapping["options"]["result"]["color"]) == ("null+nan", UNKNOWN)
        if panel["type"] in {"stat", "state-timeline"}:
            assert [one["type"] for one in every[0]["mappings"]][-1] == "special", panel["title"]


def _overrides(panel: Any) -> list[Any]:
    return list(panel["fieldConfig"].get("overrides", ()))


@ALL
def test_panels_have_numbers_of_their_own_and_lie_side_by_side(name: str) -> None:
    everything = DASHBOARDS[name]["panels"]
    assert len({one["id"] for one in everything}) == len(everything)
    taken: dict[tuple[int, int], str] = {}
    for one in everything:
        place = one["gridPos"]
        assert place["x"] + place["w"] <= 24, one["title"]
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            assert taken.setdefault(cell, one["title"]) == one["title"]
    lines = sorted({y for _, y in taken})
    assert all(after == before + 1 for before, after in pairwise(lines))


@ALL
def test_every_variable_that_is_named_is_there(name: str) -> None:
    text = json.dumps(DASHBOARDS[name])
    named = {one or other for one, other in re.findall(r"\$(?:\{(\w+)[^}]*\}|(\w+))", text)}
    variables = {one["name"] for one in DASHBOARDS[name]["templating"]["list"]}
    assert named - OF_GRAFANA <= variables
    assert {"datasource", "job", "page"} <= variables


@ALL
def test_every_dashboard_leads_to_the_page_and_to_the_others_and_what_may_be_acted_on_to_a_runbook(name: str) -> None:
    links = DASHBOARDS[name]["links"]
    assert [link["tags"] for link in links if link["type"] == "dashboards"] == [[TAG]]
    urls = [link["url"] for link in links if link["type"] == "link"]
    assert any(url.startswith("${page}") for url in urls)
    runbooks = [url for url in urls if url == "${runbook:raw}"] or [
        one for one in _overrides(next(_tables(name))) if one["matcher"]["options"] == "Runbook"
    ]
    assert len(runbooks) == 1
    assert {other["uid"] for other in DASHBOARDS.values()} == set(DASHBOARDS)


def _tables(name: str) -> Any:
    return (panel for panel in panels(name) if panel["type"] == "table")


def test_states_have_words_and_the_worse_has_the_larger_number() -> None:
    for states in (PHASES, TRIGGERS, HEALTHS):
        assert [state.number for state in states] == list(range(len(states)))
        assert len({state.word for state in states}) == len(states)
    order = [state.member for state in PHASES]
    assert order.index(Phase.SOAKING) < order.index(Phase.HELD) < order.index(Phase.ROLLED_BACK) < order.index(Phase.FAILED)
    assert {state.member for state in PHASES if state.colour == GOOD} == {Phase.COMPLETE, Phase.SOAKING}


def test_what_grafana_is_given_at_its_start_fits_the_container_stack() -> None:
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/rollbackd.yml").read_text(encoding="utf-8"))["providers"]
    service = yaml.safe_load((ROOT / "deploy/container/compose.yml").read_text(encoding="utf-8"))["services"]["grafana"]
    mounted = dict(one.split(":")[:2] for one in service["volumes"])
    assert source["url"].removeprefix("$") in service["environment"]
    assert mounted["../../grafana/dashboards"] == provider["options"]["path"]
    assert mounted["../../grafana/provisioning"] == "/etc/grafana/provisioning"


def test_the_guide_names_every_dashboard_and_every_row_of_it() -> None:
    guide = (GRAFANA / "README.md").read_text(encoding="utf-8")
    for name, dashboard in DASHBOARDS.items():
        rows = [f"| {panel['title']} |" for panel in dashboard["panels"] if panel["type"] == "row"]
        assert [text for text in (f"**{dashboard['title']}** (`/d/{name}`)", *rows) if text not in guide] == []


def test_the_command_writes_them_into_a_folder_that_it_makes(tmp_path: Path) -> None:
    command = typer.Typer()
    command.command()(main)
    ran = CliRunner().invoke(command, [str(tmp_path / "new"), "--page", "https://guard.example.com/"])
    assert ran.exit_code == 0, ran.output
    assert '"query": "https://guard.example.com"' in (tmp_path / "new" / "rollbackd-rollout.json").read_text(encoding="utf-8")
