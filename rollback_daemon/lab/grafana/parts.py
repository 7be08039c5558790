"""The kinds of panel that the dashboards are made of, all of which say what they show, and what it means when they show nothing.

Lives here: one figure, lines, bands of states, tables. Must not live here: what is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    MatcherConfig,
    Threshold,
    ThresholdsMode,
)

from rollback_daemon.lab.grafana.asking import SOURCE, ask
from rollback_daemon.lab.grafana.states import ANY, States, mappings

Panel = stat.Panel | timeseries.Panel | statetimeline.Panel | table.Panel
NOTHING = "No data. That is not the same as well: nothing is known here. Is the daemon up, and scraped?"


def _thresholds(steps: Sequence[Threshold]) -> ThresholdsConfig:
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(steps))


def _by(mode: FieldColorModeId) -> FieldColor:
    return FieldColor().mode(mode)


def figure(
    title: str, text: str, expr: str, *, unit: str = "short", steps: Sequence[Threshold] = ANY, states: States = (), legend: str = "", width: int = 4
) -> stat.Panel:
    """The newest value, large. With `legend` it is the legend that is read, and the value only says that it is there."""
    made = stat.Panel().title(title).description(text).datasource(SOURCE).with_target(ask(expr, legend, instant=True)).span(width).height(4)
    made = made.unit(unit).thresholds(_thresholds(steps)).color_scheme(_by(FieldColorModeId.THRESHOLDS)).mappings(mappings(states))
    made = made.color_mode(BigValueColorMode.BACKGROUND if states or steps is not ANY else BigValueColorMode.VALUE)
    made = made.graph_mode(BigValueGraphMode.NONE).text_mode(BigValueTextMode.NAME if legend else BigValueTextMode.VALUE)
    made = made.decimals(0) if unit == "short" else made  # Prometheus counts in fractions
    return made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).no_value("No data")


def lines(
    title: str, text: str, asked: Sequence[Dataquery], *, unit: str = "short", width: int = 12, nothing: str = NOTHING, stepped: bool = False
) -> timeseries.Panel:
    """Values over time. A gap stays a gap."""
    made = timeseries.Panel().title(title).description(text).datasource(SOURCE).targets(list(asked)).span(width).height(8)
    made = (
        made.unit(unit)
        .color_scheme(_by(FieldColorModeId.PALETTE_CLASSIC))
        .no_value(nothing)
        .span_nulls(span_nulls=False)
        .line_width(1)
        .fill_opacity(5)
    )
    made = made.line_interpolation(LineInterpolation.STEP_AFTER if stepped else LineInterpolation.LINEAR).show_points(VisibilityMode.AUTO)
    legend = common.VizLegendOptions().show_legend(show_legend=True).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return made.legend(legend).tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))


def against(panel: timeseries.Panel, limit: str) -> timeseries.Panel:
    """The series of that name is a limit: red, dashed, without a filling."""
    look: list[tuple[str, object]] = [
        ("color", {"mode": "fixed", "fixedColor": "red"}),
        ("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
        ("custom.fillOpacity", 0),
        ("custom.lineWidth", 2),
    ]
    return panel.override_by_regexp(limit, [DynamicConfigValue(name, value) for name, value in look])


def bands(
    title: str, text: str, expr: str, legend: str, states: States, *, width: int = 24, height: int = 6, nothing: str = NOTHING
) -> statetimeline.Panel:
    """States over time, a band for each series; where nothing is known there is none."""
    made = statetimeline.Panel().title(title).description(text).datasource(SOURCE).with_target(ask(expr, legend)).span(width).height(height)
    made = made.mappings(mappings(states)).thresholds(_thresholds(ANY)).color_scheme(_by(FieldColorModeId.THRESHOLDS)).no_value(nothing)
    made = made.show_value(VisibilityMode.AUTO).merge_values(merge_values=True).row_height(0.8).per_page(20)
    return made.legend(
        common.VizLegendOptions().show_legend(show_legend=False).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    )


def column(name: str, **properties: Any) -> tuple[str, list[DynamicConfigValue]]:
    """How one column of a table looks: `unit`, `mappings`, `links`, `width`, `states` for coloured words."""
    found: list[DynamicConfigValue] = []
    for key, value in properties.items():
        if key == "states":
            found += [DynamicConfigValue("mappings", mappings(value)), _coloured()]
        elif key == "thresholds":
            found += [DynamicConfigValue("thresholds", {"mode": "absolute", "steps": value}), _coloured()]
        else:
            found.append(DynamicConfigValue("custom.width" if key == "width" else key, value))
    return name, found


def _coloured() -> DynamicConfigValue:
    return DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Of a table: `names` gives its columns their order and what stands above them, `sort` is one of these, the largest first."""

    names: Mapping[str, str]
    columns: Sequence[tuple[str, list[DynamicConfigValue]]] = ()
    hidden: Sequence[str] = ()
    sort: str = ""


def rows(
    title: str, text: str, asked: Sequence[Dataquery], layout: Layout, *, width: int = 24, height: int = 12, nothing: str = NOTHING
) -> table.Panel:
    """A table: the answers joined on the labels that they share."""
    made = table.Panel().title(title).description(text).datasource(SOURCE).targets(list(asked)).span(width).height(height).no_value(nothing)
    made = made.thresholds(_thresholds(ANY)).filterable(filterable=True)
    organised: dict[str, Any] = {
        "excludeByName": dict.fromkeys(["Time", *layout.hidden], True),
        "indexByName": {name: place for place, name in enumerate(layout.names)},
        "renameByName": dict(layout.names),
    }
    made = made.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    made = made.with_transformation(DataTransformerConfig(id_val="organize", options=organised))
    for name, properties in layout.columns:
        made = made.with_override(MatcherConfig(id_val="byName", options=name), properties)
    return made.sort_by([common.TableSortByFieldState().display_name(layout.sort).desc(desc=True)]) if layout.sort else made
