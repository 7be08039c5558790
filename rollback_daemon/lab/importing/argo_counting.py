"""How often Argo looks at a metric, how many failures are too many, and what comes nearest to it here.

Argo counts failures over a whole run of the analysis and fails at one more than `failureLimit`; here violations are counted in a row, or among the
last `count`. Lives here: arguments of templates, counting. Must not live here: queries and conditions (`argo`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.lab.importing.argo_limits import Laid
from rollback_daemon.lab.importing.draft import Draft, LeftOut
from rollback_daemon.lab.importing.go_times import go_duration
from rollback_daemon.lab.importing.nodes import Node

_ARGUMENT = re.compile(r"\{\{\s*args\.([\w.-]+?)\s*\}\}")
_MOST = 10_000  # evaluations that are remembered
_OTHERS = {
    "consecutiveErrorLimit": "ends the run at one more, asking again each 10s; here one failed evaluation in a row more than that holds the rollout",
    "inconclusiveLimit": "is not known here: a value that is no breach counts as none",
    "consecutiveSuccessLimit": "ends the run well after so many successes in a row; here a gate with for says when it was well for long enough",
}


@dataclass(frozen=True, slots=True)
class Counting:
    """How often a metric is looked at, and how many failures, or errors in a row, are too many."""

    interval: timedelta | None
    delay: timedelta | None
    limit: int
    count: int | None
    errors: int | None


def filled(node: Node, arguments: Mapping[str, str]) -> str:
    """The text with its arguments. Raises LeftOut for one without a value."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in arguments:
            raise LeftOut(node, f'the argument "{match[1]}" has no value; give it by --arg {match[1]}=…')
        return arguments[match[1]]

    return _ARGUMENT.sub(value, node.text).strip()


def read(metric: Node, arguments: Mapping[str, str]) -> Counting:
    """What the metric says of it. Raises LeftOut for what is none."""

    def span(key: str) -> timedelta | None:
        node = metric.at(key)
        if text := filled(node, arguments):
            try:
                return go_duration(text)
            except ValueError as error:
                raise LeftOut(node, str(error)) from None
        return None

    def number(key: str) -> int | None:
        node = metric.at(key)
        text = filled(node, arguments)
        if not text:
            return None
        if text == "-1" and key == "failureLimit":
            raise LeftOut(node, "-1 means that it never fails; make it a signal by hand if it is to be looked at")
        if not text.isdecimal() or len(text) > 9:
            raise LeftOut(node, f'"{text}" is no whole number')
        return int(text)

    errors = number("consecutiveErrorLimit")
    return Counting(
        interval=span("interval"),
        delay=span("initialDelay"),
        limit=number("failureLimit") or 0,
        count=number("count") or None,
        errors=None if errors is None else min(errors, _MOST),
    )


def test_of(signal: str, laid: Laid, counting: Counting, place: Node, draft: Draft) -> dict[str, Any]:
    """A limit where the first failure is too much, else a number of violations."""
    if not counting.limit:
        return {"signal": signal, **laid.limit}
    every = counting.interval
    if every:
        draft.looked_at_every(place, every)
    among = counting.count if counting.count and counting.limit < counting.count <= _MOST else None
    told: dict[str, Any] = {"signal": signal, **laid.limit, "more_than": counting.limit}
    told |= {"out_of": among} if among else {}
    told |= {"every": format_duration(every)} if every else {}
    return {"violations": told}


def differences(metric: Node, counting: Counting) -> Iterator[tuple[Node, str]]:
    """What is counted otherwise here, by place."""
    if not counting.limit:
        how = f"every {format_duration(counting.interval)}" if counting.interval else "once"
        yield metric.at("interval" if counting.interval else "name"), f"is looked at {how}; here at every evaluation for as long as the stage lasts"
    elif counting.count and counting.count <= counting.limit:
        yield (
            metric.at("count"),
            f"can never fail: {counting.count} measurements cannot be more than {counting.limit} failures; here they are counted in a row",
        )
    elif counting.count:
        yield (
            metric.at("count"),
            f"ends after {counting.count} measurements; here the last {min(counting.count, _MOST)} count for as long as the stage lasts",
        )
    else:
        text = f"counts failures over the whole run, and fails at {counting.limit + 1}; here so many in a row do. For some out of many add out_of"
        yield metric.at("failureLimit"), text
    for key, text in _OTHERS.items():
        if metric.at(key).value is not None:
            yield metric.at(key), text
