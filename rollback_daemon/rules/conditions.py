"""Limits and references of a rule file: one limit for each condition, in the signal's unit, and names that are known.

Lives here: what gates and triggers have in common, and `Notes`, where everything that is wrong is written down. Must not live here: the ladder.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rollback_daemon.documents import Document, Step
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.durations import parse_quantity
from rollback_daemon.errors import Problem
from rollback_daemon.rules import promql
from rollback_daemon.rules.measures import Condition, OnNoData, Op, Relative, Signal
from rollback_daemon.rules.model import BASELINE
from rollback_daemon.rules.schema_measures import ControlPart, RelativeTo

OPS = {
    "above": Op.ABOVE,
    "below": Op.BELOW,
    "at_least": Op.AT_LEAST,
    "at_most": Op.AT_MOST,
    "outside": Op.OUTSIDE,
    "within": Op.WITHIN,
}
NO_LIMIT = f"has no limit; add one of {', '.join(OPS)}"
_OP_OF = {op.value: op for op in Op}
_Where = tuple[Step, ...]


@dataclass(slots=True)
class Notes:
    """The mistakes found in one document. `lost`: the names under `signals`, `stages`, `gates` and `triggers` that were left out, for mistakes of
    their own."""

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

    def once(self, name: str, names: set[str], what: str, trail: _Where) -> None:
        """Note that `name` is among the `names` already; add it to them."""
        if name in names:
            self.say(trail, f'the name "{name}" is used twice; give each {what} its own')
        names.add(name)

    def distinct(self, names: Sequence[str], trail: _Where) -> None:
        """Note each entry of a list that stands there already."""
        for index, name in enumerate(names):
            if name in names[:index]:
                self.say((*trail, index), f'"{name}" stands here twice; keep one')

    def stages(self, names: Sequence[str] | None, known: Sequence[str], trail: _Where) -> None:
        """Note each name in a list of stages that is none, or stands there already."""
        for index, name in enumerate(names or ()):
            if name not in known:
                self.unknown("stage", name, known, (*trail, index))
            elif name in (names or ())[:index]:
                self.say((*trail, index), f'"{name}" stands here twice; keep one')

    def number(self, value: Any, unit: str, trail: _Where) -> float:
        """A limit in the signal's unit; 0, and a note, for what is none."""
        try:
            return parse_quantity(value, unit)
        except ValueError as error:
            self.say(trail, str(error))
            return 0.0

    def condition(self, part: Any, names: Collection[str], unit: str, trail: _Where) -> Condition | None:
        """The one limit that is given; None where there is none; a note where there are several."""
        given = [name for name in names if getattr(part, name) is not None]
        if len(given) > 1:
            range_ = ", or outside: [low, high]" if "outside" in names else ""
            self.say((*trail, given[1]), f"more than one limit ({', '.join(given)}); use one{range_}")
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

    def signal(self, name: str, signals: Mapping[str, Signal], trail: _Where) -> Signal:
        """The signal of that name; a stand-in, and a note, where there is none."""
        if name in signals:
            return signals[name]
        self.unknown("signal", name, signals, trail, "there are none; add it under signals")
        return Signal(name, "vector(0)")


class Measured(Protocol):
    """What gates and triggers have in common: they look at a signal or an expression, with a limit, perhaps held against something."""

    signal: str | None
    expr: str | None
    relative_to: RelativeTo | None
    stages: list[str] | None


def measured(notes: Notes, part: Measured, name: str, signals: Mapping[str, Signal], trail: _Where) -> Signal:
    """What a gate or trigger looks at: a signal or an expression of its own, held against its baseline or a control where the part says so."""
    if part.signal is not None and part.expr is not None:
        notes.say(trail, "needs either signal or expr, not both")
    signal = Signal(name, part.expr or "vector(0)") if part.signal is None else notes.signal(part.signal, signals, (*trail, "signal"))
    if part.relative_to is None:
        return signal
    if isinstance(part.relative_to, ControlPart):
        return _relative(notes, part, against_control(notes, signal, part.relative_to, (*trail, "relative_to")), trail)
    if part.signal is None:
        notes.say((*trail, "relative_to"), "needs a signal; an expression of its own has no baseline")
        return signal
    against_baseline(notes, signal, signals, part.stages, trail, (*trail, "relative_to"))
    return _relative(notes, part, signal, trail)


def against_baseline(notes: Notes, signal: Signal, signals: Mapping[str, Signal], stages: Sequence[str] | None, entry: _Where, trail: _Where) -> None:
    """Note what keeps a signal from being held against its baseline, in the gate or trigger at `entry`; `trail` leads to where it is asked for."""
    if BASELINE in (stages or ()):
        notes.say((*entry, "stages", (stages or []).index(BASELINE)), "nothing was captured before the baseline to hold it against; leave it out")
    if signal.name in signals and signal.baseline is None:
        notes.say(trail, f'the signal "{signal.name}" has no baseline; add baseline: {{window: …}} to it')


def against_control(notes: Notes, signal: Signal, part: ControlPart, trail: _Where) -> Signal:
    """The signal with the control that it is held against; a note where it has no series that could be."""
    if signal.endpoints:
        notes.say(trail, f'the signal "{signal.name}" asks over http, and no query is like it; hold a signal with expr against a control')
    elif signal.evidence:
        notes.say(trail, f'the signal "{signal.name}" is a figure of evidence, and no query is like it; hold a signal with expr against a control')
    elif signal.expr == part.control:
        notes.say(trail, "is what is measured itself, which is always the same as it; name what it should be held against")
    return replace(signal, control=part.control)


def _relative(notes: Notes, part: Measured, signal: Signal, trail: _Where) -> Signal:
    """A limit in % is a multiple of the baseline or control, which has no unit; any other is an amount over it, in the unit of the signal."""
    percent = in_percent(notes, part, signal.against, trail)
    return replace(signal, relative=Relative.SHARE, unit="") if percent else replace(signal, relative=Relative.AMOUNT)


def in_percent(notes: Notes, part: Any, against: str, trail: _Where) -> bool:
    """Whether the limit of a part is in %."""
    for name in OPS:
        limit = getattr(part, name, None)
        if limit is None:
            continue
        percent = {str(end).endswith("%") for end in (limit if isinstance(limit, list) else [limit])}
        if len(percent) > 1:
            notes.say((*trail, name), f"one end is a multiple of the {against} (%), the other an amount over it; write both alike")
        return True in percent
    return False


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
