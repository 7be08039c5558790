"""One alerting rule of Prometheus as a trigger, and what about it means something else here.

Lives here: the keys of an alerting rule. Must not live here: groups (`prometheus_rules`).
"""

import re

from rollback_daemon.lab.importing.draft import Draft, NoteKind, unusable
from rollback_daemon.lab.importing.nodes import Node
from rollback_daemon.rules import promql, templates
from rollback_daemon.schema import duration

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ABSENT = re.compile(r"\babsent(_over_time)?\s*(by\s*\(.*?\)\s*)?\(")
_CLOSES = re.compile(r"\{\{-?\s*(end|else)\s*-?\}\}")  # what belongs to another template, which is told
_OURS = {"alertname": "the trigger's name", "rollout": "the rollout's name", "stage": "the rollout's stage"}
_KEYS = {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
_WORDS = ("$externalLabels", "$externalURL", ".ExternalURL", "query", "range", "with", "if", "define", "template")


def carry(rule: Node, shared: Node, draft: Draft) -> None:
    """The rule as a trigger, with the labels that its group gives to all; or a note why it cannot be one."""
    expr = rule.at("expr").text.strip()
    if not expr:
        draft.leave_out(rule.at("expr"), "the rule has no expression; Prometheus refuses it, too")
        return
    if why := unusable(expr):
        draft.leave_out(rule.at("expr"), why)
        return
    times: dict[str, str] = {}
    for key in ("for", "keep_firing_for"):
        try:
            if rule.at(key).value is not None and duration(rule.at(key).value):
                times[key] = rule.at(key).text
        except ValueError as error:
            draft.leave_out(rule.at(key), str(error))
            return
    labels = {**_texts(shared, "labels", draft), **_texts(rule.at("labels"), "labels", draft)}
    if not labels.get("severity"):
        draft.once(NoteKind.DIFFERS, rule, "has no label severity; here it is warning")
    annotations = _texts(rule.at("annotations"), "annotations", draft)
    _others(rule, draft)
    draft.trigger(
        rule.at("alert"),
        rule.at("alert").text,
        rule,
        expr=expr,
        **times,
        action=_action(rule.at("expr"), expr, draft),
        labels=labels,
        annotations=annotations,
    )


def _action(node: Node, expr: str, draft: Draft) -> str:
    """The action asked for; and what is to be said of the expression."""
    split = promql.split(expr)
    if split is not None:
        if split.op == "!=":
            draft.note(NoteKind.DIFFERS, node, "!= holds for NaN in Prometheus, and NaN is no data here; compare otherwise if NaN can come")
        return draft.wanted.action
    if not promql.compares(expr):
        draft.note(
            NoteKind.DIFFERS,
            node,
            "compares nothing, so that every result is a breach, even 0; it is carried with action: alert, whatever is asked for",
        )
        return "alert"
    if _ABSENT.search(expr):
        text = "fires because something is not there: a result is a breach, an empty answer is clear, as in Prometheus"
    else:
        text = (
            "is no comparison of something measured with a number, so it is judged as Prometheus does: a result is a breach, "
            "an empty answer is clear; for a value beside its limit make it a signal with one"
        )
    draft.once(NoteKind.WHOLE, node, text)
    return draft.wanted.action


def _texts(node: Node, what: str, draft: Draft) -> dict[str, str | None]:
    """Labels or annotations. A label without a value takes a label of the series away, and is null here."""
    found: dict[str, str | None] = {}
    for name, below in node.items():
        if not _LABEL.fullmatch(name):
            draft.note(NoteKind.LEFT_OUT, below, f'"{name}" is left out: a name has letters, digits and _ here, and begins with no digit', key=True)
            continue
        if isinstance(below.value, (dict, list)):
            draft.note(NoteKind.LEFT_OUT, below, "is left out: it must be text")
            continue
        if what == "labels" and name in _OURS:
            draft.note(NoteKind.DIFFERS, below, f'the label "{name}" is {_OURS[name]} here, and this one is left out; give it another name', key=True)
            continue
        for template in dict.fromkeys(templates.unknown(below.text)):
            if not _CLOSES.fullmatch(template):
                draft.once(NoteKind.DIFFERS, below, _template(template))
        found[name] = None if what == "labels" and not below.text else below.text
    return found


def _template(template: str) -> str:
    shown = " ".join(template.split())
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    word = next((one for one in _WORDS if re.search(rf"(?<!\w){re.escape(one)}\b", template)), "")
    what = f"{word} is not known in templates here" if word else "this template is not known here"
    return f"{what}, and the text stays as it is: {shown}; known are the value and labels, humanized or by printf"


def _others(rule: Node, draft: Draft) -> None:
    for key, below in rule.items():
        if key not in _KEYS and below.value is not None:
            draft.note(NoteKind.DIFFERS, below, f'"{key}" of a rule is not known here, and is not carried over', key=True)
