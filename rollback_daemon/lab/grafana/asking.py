"""Queries on the daemon's metrics, as Grafana's variables complete them.

Lives here: selectors, states as numbers, quantiles. Must not live here: panels.
"""

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from rollback_daemon.faces.metrics import PREFIX
from rollback_daemon.lab.grafana.states import States

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
ALL = "~$rollout"
_OUTSIDE = ("process_", "python_", "up")


def series(metric: str, /, **labels: str) -> str:
    """A selector of the guard's `job`; `metric` without its prefix. A value after ~ is a regular expression, one after ! is left out."""
    matchers = "".join(f",{label}{_matcher(value)}" for label, value in labels.items())
    return f'{metric if metric.startswith(_OUTSIDE) else PREFIX + metric}{{job="$job"{matchers}}}'


def _matcher(value: str) -> str:
    signs = {"~": "=~", "!": "!="}
    return f'{signs[value[0]]}"{value[1:]}"' if value[0] in signs else f'="{value}"'


def of_owner(expr: str) -> str:
    """Only what is about rollouts of the owners chosen."""
    return f"({expr} and on (job, instance, rollout) {series('rollout_info', rollout=ALL, owner='~$owner')})"


def numbered(metric: str, label: str, states: States, /, **labels: str) -> str:
    """A metric that is 1 for one state as the number of that state."""
    terms = (f"{one.number} * {series(metric, **labels, **{label: one.member})}" for one in states if one.member)
    return f"({' or '.join(terms)})"


def quantile(share: float, metric: str, by: str = "instance", span: str = "$__rate_interval", /, **labels: str) -> str:
    """Of a histogram, over `span`."""
    return f"histogram_quantile({share:g}, sum by (le, {by}) (increase({series(metric + '_bucket', **labels)}[{span}])))"


def counted(metric: str, by: str, span: str = "$__range", /, **labels: str) -> str:
    """How often it happened within `span`."""
    return f"sum by ({by}) (increase({series(metric, **labels)}[{span}]))"


def ask(expr: str, legend: str = "", ref: str = "A", *, table: bool = False, instant: bool = False) -> Dataquery:
    """One query of a panel; a `table` asks for now only, and so does an `instant` one."""
    made = Dataquery().expr(expr).ref_id(ref).datasource(SOURCE).legend_format(legend or "__auto")
    made = made.format(PromQueryFormat.TABLE) if table else made.format(PromQueryFormat.TIME_SERIES)
    return made.instant() if table or instant else made.range()
