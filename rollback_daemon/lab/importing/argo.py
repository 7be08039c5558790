"""Analyses of Argo Rollouts: AnalysisTemplate and ClusterAnalysisTemplate, as far as their metrics ask Prometheus.

Each metric becomes a signal and a trigger. Lives here: metrics and their queries. Must not live here: conditions (`conditions`), counting
(`argo_counting`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from rollback_daemon.durations import format_duration
from rollback_daemon.lab.importing import argo_counting
from rollback_daemon.lab.importing.argo_counting import filled
from rollback_daemon.lab.importing.argo_limits import Laid, lay
from rollback_daemon.lab.importing.conditions import Meaning, Outcome, Reach, meaning
from rollback_daemon.lab.importing.draft import Draft, LeftOut, NoteKind, unusable
from rollback_daemon.lab.importing.expressions import Unmappable
from rollback_daemon.lab.importing.nodes import Node
from rollback_daemon.lab.importing.single import gives_one

_KINDS = ("AnalysisTemplate", "ClusterAnalysisTemplate")
_TO_SET = ("address", "headers", "authentication", "insecure", "timeout")


def recognise(node: Node) -> bool:
    """Whether an object is an analysis template."""
    return isinstance(node.value, dict) and node.value.get("kind") in _KINDS


def convert(nodes: Sequence[Node], draft: Draft) -> None:
    """The metrics of all templates."""
    for node in nodes:
        spec = node.at("spec")
        arguments = _arguments(spec, draft.wanted.arguments)
        dry = [one.at("metricName").text for one in spec.at("dryRun").entries()]
        for metric in spec.at("metrics").entries():
            with draft.one():
                _metric(metric, arguments, dry, draft)


def _arguments(spec: Node, given: Mapping[str, str]) -> dict[str, str]:
    found = {one.at("name").text: one.at("value").text for one in spec.at("args").entries() if one.at("value").value is not None}
    return {**found, **given}


def _metric(metric: Node, arguments: Mapping[str, str], dry: Sequence[str], draft: Draft) -> None:
    query = _query(metric, arguments, draft)
    said = {name: metric.at(f"{name}Condition") for name in ("success", "failure")}
    conditions = {name: filled(node, arguments) for name, node in said.items()}
    place = said["success"] if conditions["success"] else said["failure"]
    if not any(conditions.values()):
        raise LeftOut(metric, "has neither successCondition nor failureCondition, so that it can only be an error; make it a signal by hand")
    counting = argo_counting.read(metric, arguments)
    try:
        meant = meaning(**conditions)
        laid = lay(query, meant, counted=counting.limit > 0)
    except Unmappable as why:
        raise LeftOut(place, f"the condition {why}; write a trigger for it by hand") from None
    name = metric.at("name").text or "metric"
    signal = draft.signal(metric.at("name"), name, expr=laid.expr, no_data=_no_data(meant.empty))
    for node, text in (*_of_meaning(place, meant, laid), *argo_counting.differences(metric, counting)):
        draft.note(NoteKind.DIFFERS, node, text)
    draft.trigger(
        metric.at("name"),
        name,
        metric,
        **argo_counting.test_of(signal, laid, counting, metric.at("interval"), draft),
        initial_delay=format_duration(counting.delay) if counting.delay else None,
        errors=None if counting.errors is None else {"at_most": counting.errors, "then": "hold"},
        dry_run=True if any(_matches(pattern, name) for pattern in dry) else None,
    )


def _matches(pattern: str, name: str) -> bool:
    try:
        return bool(re.search(pattern, name))
    except re.error:
        return pattern == name


def _query(metric: Node, arguments: Mapping[str, str], draft: Draft) -> str:
    provider = metric.at("provider")
    prometheus = provider.at("prometheus")
    if not isinstance(prometheus.value, dict):
        kinds = ", ".join(provider.value) if isinstance(provider.value, dict) and provider.value else "no provider"
        raise LeftOut(provider, f"is asked of {kinds}; only Prometheus is asked here, a recording rule or an exporter can bring it there")
    if prometheus.at("rangeQuery").value is not None:
        raise LeftOut(prometheus.at("rangeQuery"), "is a range query; write one value into the query, for instance by max_over_time(…[5m:1m])")
    query = filled(prometheus.at("query"), arguments)
    if why := unusable(query) if query else "has no query":
        raise LeftOut(prometheus.at("query"), why)
    for key in _TO_SET:
        if prometheus.at(key).value is not None:
            text = (
                "where and how Prometheus is asked (address, headers, login, timeout) is not carried over; it is said in the daemon's configuration"
            )
            draft.once(NoteKind.STAYS, prometheus.at(key), text)
    return query


def _no_data(empty: Outcome) -> str | None:
    return {Outcome.SUCCESS: "ignore", Outcome.FAILURE: "breach"}.get(empty)


def _of_meaning(place: Node, meant: Meaning, laid: Laid) -> Iterator[tuple[Node, str]]:
    if meant.reach is Reach.FIRST and not gives_one(laid.expr):
        yield place, "looks at the first series alone; here each series of the answer is judged"
    if meant.scalar and not gives_one(laid.expr):
        yield place, "compares the whole result with a figure, which is right only for a scalar; here each series of the answer is judged"
    if meant.undecided:
        yield (
            place,
            "is inconclusive for some values, which pauses the rollout; here they are no breach. A gate on the signal keeps it from being promoted",
        )
    if meant.edges:
        yield place, f"has the other outcome at exactly {' and '.join(f'{edge:g}' for edge in meant.edges)}"
    if laid.told:
        yield place, laid.told
    if meant.empty in {Outcome.ERROR, Outcome.INCONCLUSIVE}:
        yield place, f"{meant.empty} where the answer is empty, and {meant.nan} at NaN; here both are no data, which holds: no rollback, no promotion"
    else:
        said = "no_data: ignore" if meant.empty is Outcome.SUCCESS else "no_data: breach"
        yield place, f"{meant.empty} where the answer is empty, so {said}; NaN, which {meant.nan} there, is no data as well"
