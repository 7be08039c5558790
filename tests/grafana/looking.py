"""The dashboards as Grafana reads them: their panels, and their queries with the variables filled in.

Lives here: reading the files. Must not live here: what should be true of them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRAFANA = Path(__file__).parents[2] / "grafana"
DASHBOARDS: dict[str, Any] = {one.stem: json.loads(one.read_text(encoding="utf-8")) for one in sorted((GRAFANA / "dashboards").glob("*.json"))}
RATE, RANGE = "1m", "15m"
"""What stands for $__rate_interval and $__range."""
_LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)")


@dataclass(frozen=True, slots=True)
class Query:
    """One query, and the panel, mark or variable that it belongs to. `label` is whose values a variable takes."""

    place: str
    expr: str
    instant: bool
    label: str = ""

    def filled(self, job: str, **values: str) -> str:
        """As Prometheus is asked: with these values, and where several may be chosen and none is given with all of them."""
        spans = self.expr.replace("$__rate_interval", RATE).replace("$__range", RANGE)
        chosen = {"job": job, **values}
        several = re.sub(r'=~"\$(\w+)"', lambda found: f'=~"{chosen.get(found[1], ".*")}"', spans)
        return re.sub(r'="\$(\w+)"', lambda found: f'="{chosen[found[1]]}"', several)


def panels(name: str) -> Iterator[Mapping[str, Any]]:
    """Every panel of a dashboard that is not a heading."""
    yield from (panel for panel in DASHBOARDS[name]["panels"] if panel["type"] != "row")


def of_panels(name: str) -> list[Query]:
    return [
        Query(f"{panel['title']}: {target['refId']}", target["expr"], bool(target.get("instant")))
        for panel in panels(name)
        for target in panel["targets"]
    ]


def of_marks(name: str) -> list[Query]:
    return [Query(one["name"], one["expr"], instant=False) for one in DASHBOARDS[name].get("annotations", {}).get("list", ())]


def of_variables(name: str) -> list[Query]:
    found = []
    for one in DASHBOARDS[name]["templating"]["list"]:
        if one["type"] == "query":
            parts = _LABEL_VALUES.fullmatch(one["query"])
            assert parts, one["query"]
            found.append(Query(one["name"], parts[1], instant=True, label=parts[2]))
    return found
