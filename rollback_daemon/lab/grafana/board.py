"""What all dashboards have in common: variables, links, marks of transitions, and panels with a number each.

Must not live here: what is shown (`overview`, `rollout`, `guard`).
"""

from dataclasses import dataclass
from typing import Self

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, DatasourceVariable, QueryVariable, Row, TextBoxVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, VariableHide, VariableRefresh, VariableSort

from rollback_daemon.lab.grafana.asking import SOURCE, series
from rollback_daemon.lab.grafana.parts import Panel

TAG = "rollbackd"
OVERVIEW, ROLLOUT, GUARD = "rollbackd-overview", "rollbackd-rollout", "rollbackd-guard"
"""Their identifiers, which are in their addresses."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where links lead: `page` is the daemon's own page, `runbook` that of the guard."""

    page: str = "http://127.0.0.1:9811"
    runbook: str = "https://runbooks.example.com/rollbackd"


class _Marked(models.AnnotationQuery):
    """The model lacks the text of a mark, which Grafana's Prometheus source reads."""

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self.name, "textFormat": "{{rollout}}", "tagKeys": "rollout"}


class _Mark(Builder[models.AnnotationQuery]):
    """A mark on every panel, where `expr` is above 0."""

    def __init__(self, name: str, colour: str, expr: str) -> None:
        self._made = _Marked(name=name, datasource=SOURCE, enable=True, icon_color=colour, expr=expr)

    def build(self) -> models.AnnotationQuery:
        return self._made


class Board:
    """One dashboard in the making."""

    def __init__(self, uid: str, title: str, text: str, places: Places) -> None:
        self._panels = 0
        self._made = Dashboard(title).uid(uid).description(text).tags([TAG]).time("now-6h", "now").refresh("30s").timezone("browser")
        self._made.tooltip(DashboardCursorSync.CROSSHAIR)
        self._made.with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        self.choice("job", "Job", "The job under which Prometheus scrapes rollbackd.", "label_values(rollback_daemon_build_info, job)")
        self._made.with_variable(TextBoxVariable("page").label("Page").default_value(places.page).hide(VariableHide.HIDE_VARIABLE))
        self._made.link(
            DashboardLink("Dashboards of rollbackd")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(as_dropdown=True)
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )

    def choice(self, name: str, label: str, text: str, query: str, *, several: bool = False, hidden: bool = False) -> Self:
        """A variable whose values Prometheus gives; of `several` there may be more than one, at first all."""
        made = QueryVariable(name).label(label).description(text).datasource(SOURCE).query(query).sort(VariableSort.ALPHABETICAL_ASC)
        made = made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        if several:
            everything = models.VariableOption(text="All", value="$__all", selected=True)
            made = made.multi(multi=True).include_all(include_all=True).all_value(".*").current(everything)
        self._made.with_variable(made.hide(VariableHide.HIDE_VARIABLE) if hidden else made)
        return self

    def text(self, name: str, label: str, value: str) -> Self:
        """A variable that is not shown, and stands in links."""
        self._made.with_variable(TextBoxVariable(name).label(label).default_value(value).hide(VariableHide.HIDE_VARIABLE))
        return self

    def link(self, title: str, url: str, icon: str, tooltip: str) -> Self:
        """A link at the top, which opens beside the dashboard."""
        made = DashboardLink(title).type(DashboardLinkType.LINK).url(url).icon(icon).tooltip(tooltip).target_blank(target_blank=True)
        self._made.link(made)
        return self

    def marks(self, rollout: str) -> Self:
        """Transitions of these rollouts on every panel that has time."""
        for name, colour, labels in (
            ("Promoted", "green", {"kind": "promote", "outcome": "done"}),
            ("Rolled back", "red", {"kind": "rollback", "outcome": "done"}),
            ("Degraded or restored", "orange", {"kind": "~degrade|restore", "outcome": "done"}),
            ("A transition failed", "dark-red", {"outcome": "~attempted|abandoned"}),
        ):
            happened = f"increase({series('transitions_total', rollout=rollout, **labels)}[$__rate_interval])"
            self._made.annotation(_Mark(name, colour, f"sum by (rollout) ({happened}) > 0"))
        return self

    def row(self, title: str, *panels: Panel) -> Self:
        """A heading, and panels below it; the widths of a line of them make 24."""
        self._panels += 1
        self._made.with_row(Row(title).id(self._panels))
        for panel in panels:
            self._panels += 1
            self._made.with_panel(panel.id(self._panels))
        return self

    def build(self) -> models.Dashboard:
        return self._made.build()
