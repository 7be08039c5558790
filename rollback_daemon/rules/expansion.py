"""What a trigger asks Prometheus, and what Prometheus itself would be told to alert on the same: for `rollbackd check --expand`.

Must not live here: how the answers are judged (`triggers`), printing (`faces`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.rules.model import Rollout, Trigger
from rollback_daemon.rules.triggers import name_of
from rollback_daemon.signals.questions import in_words


@dataclass(frozen=True, slots=True)
class Expansion:
    """One trigger in PromQL.

    `asks`: every query, endpoint or figure of a followed file, each once. `alert_expr`: what an alerting rule would have; empty where none says the
    same. `beside`: what the trigger asks for that an alerting rule does not.
    """

    alert: str
    kind: str
    asks: tuple[str, ...]
    alert_expr: str
    beside: tuple[str, ...]


def expanded(rollout: Rollout) -> Iterator[Expansion]:
    """The triggers of a rollout, in the order of the file."""
    for trigger in rollout.triggers:
        asks = tuple(dict.fromkeys(map(in_words, [*trigger.test.questions(), *_baselines(trigger)])))
        expr = trigger.test.alert_expr
        yield Expansion(trigger.name, name_of(trigger.test), asks, expr, tuple(dict.fromkeys(_beside(trigger))) if expr else ())


def _baselines(trigger: Trigger) -> Iterator[str]:
    for signal in trigger.test.signals():
        if signal.over_baseline:
            yield from signal.baseline_questions() or ()


def _beside(trigger: Trigger) -> Iterator[str]:
    for signal in trigger.test.signals():
        if signal.needs is not None:
            yield f"at least {format_number(signal.needs.at_least)} of {signal.needs.expr}"
        if signal.max_age is not None:
            yield f"samples of {signal.expr} that are at most {format_duration(signal.max_age)} old"
