"""Alerting rules of Prometheus: rule files (`groups`) and PrometheusRule objects (`spec.groups`).

Each alerting rule becomes a trigger in the plain Prometheus form. Lives here: groups, and what is known of them. Must not live here: a single
rule (`prometheus_alert`).
"""

from collections.abc import Sequence
from datetime import timedelta

from rollback_daemon.lab.importing.draft import Draft, NoteKind
from rollback_daemon.lab.importing.nodes import Node
from rollback_daemon.lab.importing.prometheus_alert import carry
from rollback_daemon.schema import duration

_SHOWN = 12  # names in one note
_KNOWN = {"name", "interval", "rules", "labels"}
_KEYS = {
    "limit": "a limit on the alerts of a group is not known here: each trigger sends what fires; aggregate the expression instead",
    "query_offset": "is not known here: write offset … into the expressions, or wait longer with for",
    "evaluation_delay": "is not known here: write offset … into the expressions, or wait longer with for",
    "partial_response_strategy": "is Thanos's: here an answer counts as it comes, and a failed query is never a breach",
    "source_tenants": "is Mimir's: say the tenants in http_headers of the daemon's configuration",
}


def groups_of(node: Node) -> Node | None:
    """Where the groups are, in an object of this format; None for another object."""
    value = node.value
    if not isinstance(value, dict):
        return None
    if value.get("kind") == "PrometheusRule":
        return node.at("spec", "groups")
    return node.at("groups") if "groups" in value and "kind" not in value else None


def recognise(node: Node) -> bool:
    """Whether an object is a rule file or a PrometheusRule."""
    return groups_of(node) is not None


def convert(nodes: Sequence[Node], draft: Draft) -> None:
    """The alerting rules of all groups as triggers."""
    for node in nodes:
        groups = groups_of(node)
        for group in groups.entries() if groups else ():
            _group(group, draft)


def _group(group: Node, draft: Draft) -> None:
    before, recorded = draft.carried, []
    for rule in group.at("rules").entries():
        if rule.value.get("alert") is not None:
            draft.total += 1
            carry(rule, group.at("labels"), draft)
        elif rule.value.get("record") is not None:
            recorded.append(rule)
        else:
            draft.total += 1
            draft.leave_out(rule, "has neither alert nor record, and is no rule; Prometheus refuses it, too")
    _recorded(recorded, draft)
    if draft.carried == before:  # what the group says of its evaluation is about nothing here
        return
    draft.evaluated_every(group.at("interval"), _interval(group.at("interval"), draft))
    for key, below in group.items():
        if key not in _KNOWN and below.value not in (None, 0):
            draft.once(NoteKind.DIFFERS, below, _KEYS.get(key, f'"{key}" of a group is not known here, and is not carried over'))


def _interval(node: Node, draft: Draft) -> timedelta | None:
    if node.value is None:
        return None
    try:
        return duration(node.value) or None
    except ValueError as error:
        draft.note(NoteKind.DIFFERS, node, f"{error}; the usual interval is taken")
        return None


def _recorded(rules: Sequence[Node], draft: Draft) -> None:
    draft.recording += len(rules)
    if not rules:
        return
    names = list(dict.fromkeys(rule.at("record").text for rule in rules))
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    many = f"{len(rules)} recording rules are" if len(rules) > 1 else "a recording rule is"
    draft.note(NoteKind.STAYS, rules[0], f"{many} no trigger; the server must go on evaluating them: {shown}")
