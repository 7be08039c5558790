"""Limits and references of a rule file: one limit for each condition, in the signal's unit, and names that are known.

Lives here: what gates and triggers have in common, and `Notes`, where everything that is wrong is written down. Must not live here: the ladder.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollback_daemon.documents import Document, Step
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.durations import parse_quantity
from rollback_daemon.errors import Problem
from rollback_daemon.rules import promql
from rollback_daemon.rules.model import Condition, OnNoData, Op, Signal

OPS = {
    "above": Op.ABOVE,
    "below": Op.BELOW,
    "at_least": Op.AT_LEAST,
    "at_most": Op.AT_MOST,
    "outside": Op.OUTSIDE,
    "within": Op.WITHIN,
}
_OP_OF = {op.value: op for op in Op}


@dataclass(slots=True)
class Notes:
    """The mistakes found in one document. `lost`: the names under `signals` and `stages` that were left out, for mistakes of their own."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    lost: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def say(self, trail: Iterable[Step], text: str) -> None:
        self.problems.append(self.document.problem(trail, text))

    def unknown(self, what: str, name: str, known: Iterable[str], trail: Iterable[Step], nothing: str = "") -> None:
        """Note that `name` is not among the `known`, unless it was lost."""
        names = [*known, *sorted(self.lost.get(f"{what}s", ()))]
        if name not in names:
            self.say(trail, f'unknown {what} "{name}"; {did_you_mean(name, names, nothing)}')

    def number(self, value: Any, unit: str, trail: tuple[Step, ...]) -> float:
        """A limit in the signal's unit; 0, and a note, for what is none."""
        try:
            return parse_quantity(value, unit)
        except ValueError as error:
            self.say(trail, str(error))
            return 0.0

    def condition(self, part: Any, names: Iterable[str], unit: str, trail: tuple[Step, ...]) -> Condition | None:
        """The one limit that is given; None where there is none; a note where there are several."""
        given = [name for name in names if getattr(part, name) is not None]
        if len(given) > 1:
            self.say((*trail, given[1]), f"more than one limit ({', '.join(given)}); use one, or outside: [low, high]")
        if not given:
            return None
        name, value = given[0], getattr(part, given[0])
        if not isinstance(value, list):
            return Condition(OPS[name], self.number(value, unit, (*trail, name)))
        before = len(self.problems)
        low, high = (self.number(end, unit, (*trail, name, index)) for index, end in enumerate(value))
        if low >= high and len(self.problems) == before:
            self.say((*trail, name), f"the range must rise from low to high; {value[0]} is not below {value[1]}")
        return Condition(OPS[name], low, high)

    def signal(self, name: str, signals: Mapping[str, Signal], trail: tuple[Step, ...]) -> Signal:
        """The signal of that name; a stand-in, and a note, where there is none."""
        if name in signals:
            return signals[name]
        self.unknown("signal", name, signals, trail, "there are none; add it under signals")
        return Signal(name, "vector(0)")


def pasted(name: str, expr: str, condition: Condition | None) -> tuple[Signal, Condition | None]:
    """How an expression in a trigger is understood: with a limit of its own, split at its top comparison, or as Prometheus does."""
    if condition is not None:
        return Signal(name, expr), condition
    try:
        parts = promql.split(expr)
    except promql.PromQLError:  # for callers that have not checked it
        parts = None
    if parts is None:
        return Signal(name, expr, no_data=OnNoData.DROP), None
    return Signal(name, parts.left, no_data=OnNoData.DROP), Condition(_OP_OF[parts.op], parts.limit)
