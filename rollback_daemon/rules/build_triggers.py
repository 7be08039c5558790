"""Triggers and gates from a rule file as written to what they mean.

Lives here: what takes two keys to be told about a gate or a trigger. Must not live here: single keys and their types (`schema`), the ladder
(`build`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from rollback_daemon.documents import Step
from rollback_daemon.durations import format_duration
from rollback_daemon.rules.conditions import OPS, Notes, pasted
from rollback_daemon.rules.model import Condition, Gate, OnNoData, Op, Signal, Stage, Trigger
from rollback_daemon.rules.reading import TriggerKind
from rollback_daemon.rules.salvage import Salvaged
from rollback_daemon.rules.schema import GatePart, ThresholdPart, ViolationsOf, ViolationsPart
from rollback_daemon.rules.triggers import Threshold, Violations

_Where = tuple[Step, ...]
_NO_LIMIT = f"has no limit; add one of {', '.join(OPS)}"
_COUNTED = [name for name in OPS if name != "at_least"]  # in `violations` that is a number of them


@dataclass(frozen=True, slots=True)
class Conditions:
    """Builds the gates and triggers of one file, writing what is wrong into `notes`."""

    usable: Salvaged
    signals: Mapping[str, Signal]
    stages: Sequence[Stage]
    interval: timedelta
    notes: Notes

    def gates(self) -> Iterator[Gate]:
        """The gates, in the order of the file."""
        names: set[str] = set()
        for index, part in self.usable.entries("gates", self.usable.file.gates):
            trail = ("gates", index)
            self._once(part.gate, names, "gate", (*trail, "gate"))
            signal = self._measured(part, part.gate, trail)
            condition = self.notes.condition(part, OPS, signal.unit, trail)
            if condition is None:
                self.notes.say(trail, _NO_LIMIT)
            yield Gate(part.gate, signal, condition or Condition(Op.ABOVE, 0))

    def triggers(self, gates: Sequence[Gate]) -> Iterator[Trigger]:
        """The triggers, in the order of the file."""
        names: set[str] = set()
        for index, part in self.usable.entries("triggers", self.usable.file.triggers):
            trail = ("triggers", index)
            self._once(part.alert, names, "trigger", (*trail, "alert"))
            test = self._violations(part, gates, trail) if isinstance(part, ViolationsPart) else self._threshold(part, trail)
            yield self._trigger(part, test, trail)

    def _once(self, name: str, names: set[str], what: str, trail: _Where) -> None:
        if name in names:
            self.notes.say(trail, f'the name "{name}" is used twice; give each {what} its own')
        names.add(name)

    def _measured(self, part: GatePart | ThresholdPart, name: str, trail: _Where) -> Signal:
        if (part.signal is None) == (part.expr is None):
            self.notes.say(trail, "needs either signal or expr" + (", not both" if part.signal is not None else ""))
        if part.signal is not None:
            return self.notes.signal(part.signal, self.signals, (*trail, "signal"))
        return Signal(name, part.expr or "vector(0)")

    def _trigger(self, part: ThresholdPart | ViolationsPart, test: TriggerKind, trail: _Where) -> Trigger:
        known = [stage.name for stage in self.stages]
        for index, name in enumerate(part.stages or ()):
            if name not in known:
                self.notes.unknown("stage", name, known, (*trail, "stages", index))
            elif name in (part.stages or ())[:index]:
                self.notes.say((*trail, "stages", index), f'"{name}" stands here twice; keep one')
        if part.action.to is not None and part.action.to not in known:
            self._unknown_target(part.action.to, known, (*trail, "action", "rollback"))
        if part.severity is not None and part.labels.get("severity") is not None:
            self.notes.say((*trail, "severity"), "is given twice, here and in labels; keep one")
        own = {"severity": part.severity or "warning", **part.labels}
        return Trigger(
            name=part.alert,
            test=test,
            stages=frozenset(part.stages if part.stages is not None else known[1:]),
            action=part.action,
            for_=part.for_,
            keep_firing_for=part.keep_firing_for,
            initial_delay=part.initial_delay,
            dry_run=part.dry_run,
            labels={key: value for key, value in own.items() if value is not None},
            annotations=part.annotations,
        )

    def _unknown_target(self, name: str, known: Sequence[str], trail: _Where) -> None:
        if name == "previous":
            self.notes.say(trail, 'unknown stage "previous"; write "action: rollback" to go back to the one before')
        else:
            self.notes.unknown("stage", name, known, trail)

    def _threshold(self, part: ThresholdPart, trail: _Where) -> Threshold:
        signal = self._measured(part, part.alert, trail)
        condition = self.notes.condition(part, OPS, signal.unit, trail)
        if part.signal is None and part.expr is not None:
            signal, condition = pasted(part.alert, part.expr, condition)
        elif condition is None and part.signal is not None and part.expr is None:
            self.notes.say(trail, _NO_LIMIT)
        if part.no_data is not None:
            signal = replace(signal, no_data=OnNoData(part.no_data))
        return Threshold(signal, condition)

    def _violations(self, part: ViolationsPart, gates: Sequence[Gate], trail: _Where) -> Violations:
        of, trail = part.violations, (*trail, "violations")
        needed = self._needed(of, trail)
        if (of.of is None) == (of.signal is None):
            self.notes.say(trail, 'needs either "of: gates" or signal' + (", not both" if of.of else ""))
        if of.every is not None and of.every < self.interval and "interval" not in self.usable.lost:
            self.notes.say((*trail, "every"), f"is shorter than the interval; there is one evaluation each {format_duration(self.interval)}")
        what, checks = self._checks(of, gates, trail)
        return Violations(what, checks, needed, of.out_of, of.every)

    def _needed(self, of: ViolationsOf, trail: _Where) -> Condition:
        if (of.more_than is None) == (of.at_least is None):
            self.notes.say(trail, "needs either more_than or at_least" + (", not both" if of.more_than is not None else ""))
        needed = Condition(Op.AT_LEAST, of.at_least or 1) if of.more_than is None else Condition(Op.ABOVE, of.more_than)
        if of.out_of is not None and not needed.holds(of.out_of):
            wanted = f"at least {of.at_least}" if of.more_than is None else f"more than {of.more_than}"
            self.notes.say((*trail, "out_of"), f"{of.out_of} evaluations can never hold {wanted} violations; raise it")
        return needed

    def _checks(self, of: ViolationsOf, gates: Sequence[Gate], trail: _Where) -> tuple[str, tuple[tuple[Signal, Condition], ...]]:
        if of.signal is None or of.of is not None:
            for name in _COUNTED:
                if of.of is not None and of.signal is None and getattr(of, name) is not None:
                    self.notes.say((*trail, name), "is a limit on a signal; gates have their own")
            if of.of and not gates and "gates" not in self.usable.lost:
                self.notes.say((*trail, "of"), "there are no gates; add some, or count a signal")
            return "gates", tuple((gate.signal, gate.condition.negated) for gate in gates)
        signal = self.notes.signal(of.signal, self.signals, (*trail, "signal"))
        condition = self.notes.condition(of, _COUNTED, signal.unit, trail)
        if condition is None:
            self.notes.say(trail, f"has no limit on the signal; add one of {', '.join(_COUNTED)}")
            condition = Condition(Op.ABOVE, 0)
        return f"{signal.name} {condition}", ((signal, condition),)
