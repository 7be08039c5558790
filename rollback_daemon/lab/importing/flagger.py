"""Analyses of Flagger: the metrics of Canary objects, and the MetricTemplates that they refer to, as far as these ask Prometheus.

Each metric of a Canary becomes a signal and a trigger; a MetricTemplate that no Canary refers to becomes a signal without a limit. Flagger counts
failed checks of all metrics over the whole analysis; here violations of each one are counted in a row. `thresholdRange` is inclusive; a metric with
the old `threshold` fails above it (Flagger, pkg/controller/scheduler_metrics). Must not live here: text templates' own rules beyond `_VARIABLE`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.lab.importing.draft import Draft, LeftOut, NoteKind, plain, unusable
from rollback_daemon.lab.importing.go_times import go_duration
from rollback_daemon.lab.importing.nodes import Node
from rollback_daemon.lab.importing.single import gives_one
from rollback_daemon.rules.places import PLACEHOLDER

_VARIABLE = re.compile(r"\{\{-?\s*\.?([A-Za-z_][\w.]*)\s*-?\}\}")
_BUILT_IN = {"request-success-rate": "the share of requests without an error", "request-duration": "the 99th percentile of the time of a request"}
_EVERY_METRIC = "1m"  # what Flagger takes where a metric has no interval


def recognise(node: Node) -> bool:
    """Whether an object is a MetricTemplate, or a Canary of Flagger."""
    if not isinstance(node.value, dict) or node.value.get("kind") not in {"MetricTemplate", "Canary"}:
        return False
    return str(node.value.get("apiVersion", "flagger.app/")).startswith("flagger.app/")


def convert(nodes: Sequence[Node], draft: Draft) -> None:
    """The metrics of all Canaries, then the templates that none refers to."""
    templates = {_key(one): one for one in nodes if one.value.get("kind") == "MetricTemplate"}
    used: set[str] = set()
    for canary in nodes:
        if canary.value.get("kind") == "Canary":
            _canary(canary, templates, used, draft)
    for key, template in templates.items():
        if key not in used:
            with draft.one():
                _alone(template, draft)


def _key(template: Node) -> str:
    return f"{template.at('metadata', 'namespace').text}/{template.at('metadata', 'name').text}"


def _canary(canary: Node, templates: Mapping[str, Node], used: set[str], draft: Draft) -> None:
    old = canary.at("spec", "canaryAnalysis")
    analysis = old if old.value is not None else canary.at("spec", "analysis")
    for metric in analysis.at("metrics").entries():
        with draft.one():
            _metric(metric, canary, analysis, (templates, used), draft)
    if analysis.at("webhooks").value:
        draft.note(
            NoteKind.STAYS, analysis.at("webhooks"), "webhooks are no metrics, and are not carried over; see hooks, verify and rehearsal", key=True
        )


def _metric(metric: Node, canary: Node, analysis: Node, known: tuple[Mapping[str, Node], set[str]], draft: Draft) -> None:
    name = metric.at("name").text
    reference, inline = metric.at("templateRef"), metric.at("query")
    variables = {**_variables(metric, canary), **draft.wanted.arguments}
    if reference.value is not None:
        template = _template(reference, canary, *known)
        query = _query(template, draft)
    elif inline.value is not None:
        query = inline
    else:
        what = (
            f"is {_BUILT_IN[name]}, by a query of Flagger's own that depends on the mesh" if name in _BUILT_IN else "has no query and no templateRef"
        )
        raise LeftOut(metric.at("name"), f'"{name}" {what}; write it as a signal, or as a MetricTemplate')
    expr = _filled(query, variables)
    limit = dict(_limit(metric))
    test = _counted(limit, analysis, draft)
    signal = draft.signal(metric.at("name"), name or reference.at("name").text, expr=expr)
    text = "counts an empty answer, NaN and a failed query as a failed check; here they are no data, which holds: no rollback, no promotion"
    draft.once(NoteKind.DIFFERS, metric, text)
    if not gives_one(expr):
        draft.note(NoteKind.DIFFERS, metric, "is about one series; where the answer has several, each of them is judged here")
    told = {"signal": signal, **limit} if test is None else {"violations": {"signal": signal, **test}}
    draft.trigger(metric.at("name"), signal, metric, **told)


def _variables(metric: Node, canary: Node) -> dict[str, str]:
    spec, target = canary.at("spec"), canary.at("spec", "targetRef", "name").text
    found = {
        "name": canary.at("metadata", "name").text,
        "namespace": canary.at("metadata", "namespace").text,
        "target": target,
        "service": spec.at("service", "name").text or target,
        "ingress": spec.at("ingressRef", "name").text or target,
        "interval": metric.at("interval").text or _EVERY_METRIC,
    }
    found |= {f"variables.{key}": below.text for key, below in metric.at("templateVariables").items()}
    return {key: text for key, text in found.items() if text}


def _template(reference: Node, canary: Node, templates: Mapping[str, Node], used: set[str]) -> Node:
    name = reference.at("name").text
    spaces = (reference.at("namespace").text or canary.at("metadata", "namespace").text, "")
    named = [key for key in templates if key.split("/", 1)[1] == name]
    exact = [key for key in named if key.split("/", 1)[0] in spaces]
    if not (found := exact or named[:1]):
        raise LeftOut(reference, f'the MetricTemplate "{name}" is in none of the files; give its file, too')
    used.add(found[0])
    return templates[found[0]]


def _query(template: Node, draft: Draft) -> Node:
    provider, query = template.at("spec", "provider"), template.at("spec", "query")
    if (kind := provider.at("type").text) != "prometheus":
        raise LeftOut(
            provider, f"is asked of {kind or 'no provider'}; only Prometheus is asked here, a recording rule or an exporter can bring it there"
        )
    if provider.at("address").value is not None or provider.at("secretRef").value is not None:
        text = "where and how Prometheus is asked (address, login) is not carried over; it is said in the daemon's configuration"
        draft.once(NoteKind.STAYS, provider, text)
    return query


def _filled(query: Node, variables: Mapping[str, str]) -> str:
    """The query with its variables."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in variables:
            raise LeftOut(query, f'the variable "{match[1]}" has no value; give it by --arg {match[1]}=…')
        return variables[match[1]]

    expr = _VARIABLE.sub(value, query.text).strip()
    if "{{" in expr:
        raise LeftOut(query, "a template in it is more than a variable; write its result in its place")
    if why := unusable(expr) if expr else "has no query":
        raise LeftOut(query, why)
    return expr


def _limit(metric: Node) -> Iterator[tuple[str, Any]]:
    """What is a breach: outside the range, whose ends belong to it; or above the old threshold."""
    span, old = metric.at("thresholdRange"), metric.at("threshold")
    low, high = (_figure(span.at(key)) for key in ("min", "max"))
    if low is not None and high is not None:
        if low >= high:
            raise LeftOut(span, f"the range from {low} to {high} has no room in it; write a trigger by hand")
        yield "outside", [low, high]
    elif low is not None:
        yield "below", low
    elif high is not None:
        yield "above", high
    elif old.value is not None:
        yield "above", _figure(old)
    else:
        raise LeftOut(metric, "has no thresholdRange; give it one, or write a trigger by hand")


def _figure(node: Node) -> float | None:
    if node.value is None:
        return None
    try:
        value = float(node.text)
        return plain(value)
    except (ValueError, OverflowError):
        raise LeftOut(node, f'"{node.text}" is no figure') from None


def _counted(limit: Mapping[str, Any], analysis: Node, draft: Draft) -> dict[str, Any] | None:
    """How many violations are too many; None where one is."""
    threshold, interval = analysis.at("threshold"), analysis.at("interval")
    most = int(threshold.text) if threshold.text.isdecimal() and len(threshold.text) < 9 else 0
    if most <= 1:
        draft.once(NoteKind.DIFFERS, analysis, "rolls back at the next check after a failed one; here at once, and every evaluation is a check")
        return None
    text = (
        f"rolls back after {most} failed checks in all, of whichever metrics; here after {most} violations in a row of one metric. "
        "For some out of many add out_of"
    )
    draft.once(NoteKind.DIFFERS, threshold, text)
    every: dict[str, str] = {}
    if interval.text:
        try:
            span = go_duration(interval.text)
        except ValueError as error:
            raise LeftOut(interval, str(error)) from None
        draft.looked_at_every(interval, span)
        every = {"every": format_duration(span)}
    return {**limit, "at_least": most, **every}


def _alone(template: Node, draft: Draft) -> None:
    """A template that no Canary refers to: a signal, and a trigger whose limit has to be written."""
    variables = {"interval": _EVERY_METRIC, **draft.wanted.arguments}
    name = template.at("metadata", "name")
    signal = draft.signal(name, name.text, expr=_filled(_query(template, draft), variables))
    draft.note(
        NoteKind.DIFFERS, template, f"has no limit, which is in a Canary: write it into the trigger {signal}, or give the file of the Canary, too"
    )
    draft.trigger(name, signal, template, signal=signal, above=PLACEHOLDER)
