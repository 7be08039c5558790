"""Triggers from a rule file as written to what they mean.

Lives here: what takes two keys to be told about a trigger. Must not live here: single keys and their types (`schema`), the ladder (`build`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from rollback_daemon.documents import Step
from rollback_daemon.durations import format_duration
from rollback_daemon.rules.build_flags import FlagRules
from rollback_daemon.rules.conditions import NO_LIMIT, OPS, Notes, measured, pasted
from rollback_daemon.rules.measures import Condition, OnNoData, Op, Signal
from rollback_daemon.rules.model import Action, ActionKind, Gate, Stage, Trigger
from rollback_daemon.rules.reading import TriggerKind
from rollback_daemon.rules.salvage import Salvaged
from rollback_daemon.rules.schema import ThresholdPart, ViolationsOf, ViolationsPart
from rollback_daemon.rules.triggers import Check, Threshold, Violations

_Where = tuple[Step, ...]
_COUNTED = [name for name in OPS if name != "at_least"]  # in `violations` that is a number of them


@dataclass(frozen=True, slots=True)
class Triggers:
    """Builds the triggers of one file, writing what is wrong into `notes`."""

    usable: Salvaged
    signals: Mapping[str, Signal]
    stages: Sequence[Stage]
    interval: timedelta
    flags: FlagRules
    notes: Notes

    def triggers(self, gates: Sequence[Gate]) -> Iterator[Trigger]:
        """The triggers, in the order of the file."""
        names: set[str] = set()
        for index, part in self.usable.entries("triggers", self.usable.file.triggers):
            trail = ("triggers", index)
            self.notes.once(part.alert, names, "trigger", (*trail, "alert"))
            test = self._violations(part, gates, trail) if isinstance(part, ViolationsPart) else self._threshold(part, trail)
            yield self._trigger(part, test, trail)

    def _trigger(self, part: ThresholdPart | ViolationsPart, test: TriggerKind, trail: _Where) -> Trigger:
        known = [stage.name for stage in self.stages]
        self.notes.stages(part.stages, known, (*trail, "stages"))
        if part.severity is not None and part.labels.get("severity") is not None:
            self.notes.say((*trail, "severity"), "is given twice, here and in labels; keep one")
        own = {"severity": part.severity or "warning", **part.labels}
        return Trigger(
            name=part.alert,
            test=test,
            stages=frozenset(part.stages if part.stages is not None else known[1:]),
            action=self._action(part.action, known, (*trail, "action")),
            for_=part.for_,
            keep_firing_for=part.keep_firing_for,
            initial_delay=part.initial_delay,
            escalate_after=part.escalate_after,
            dry_run=part.dry_run,
            labels={key: value for key, value in own.items() if value is not None},
            annotations=part.annotations,
        )

    def _action(self, action: Action, known: Sequence[str], trail: _Where) -> Action:
        if action.to is not None and action.to not in known:
            self.notes.unknown("stage", action.to, known, (*trail, "rollback"))
        if action.kind is ActionKind.DEGRADE:
            return replace(action, flags=self.flags.of_action(action.flags, (*trail, "degrade")))
        return action

    def _threshold(self, part: ThresholdPart, trail: _Where) -> Threshold:
        if part.signal is None and part.expr is None:
            self.notes.say(trail, "needs either signal or expr")
        signal = measured(self.notes, part, part.alert, self.signals, trail)
        condition = self.notes.condition(part, OPS, signal.unit, trail)
        if part.signal is None and part.expr is not None:
            signal, condition = pasted(part.alert, part.expr, condition)
        elif condition is None and part.signal is not None and part.expr is None:
            self.notes.say(trail, NO_LIMIT)
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

    def _checks(self, of: ViolationsOf, gates: Sequence[Gate], trail: _Where) -> tuple[str, tuple[Check, ...]]:
        if of.signal is None or of.of is not None:
            for name in _COUNTED:
                if of.of is not None and of.signal is None and getattr(of, name) is not None:
                    self.notes.say((*trail, name), "is a limit on a signal; gates have their own")
            counted = [gate for gate in gates if gate.blocking and not gate.quiet]
            if of.of and not counted and "gates" not in self.usable.lost:
                what = "none of the gates is blocking and about a signal; add one" if gates else "there are no gates; add some"
                self.notes.say((*trail, "of"), f"{what}, or count a signal")
            return "gates", tuple(Check(gate.signal, gate.condition.negated, gate.quorum) for gate in counted)
        signal = self.notes.signal(of.signal, self.signals, (*trail, "signal"))
        condition = self.notes.condition(of, _COUNTED, signal.unit, trail)
        if condition is None:
            self.notes.say(trail, f"has no limit on the signal; add one of {', '.join(_COUNTED)}")
            condition = Condition(Op.ABOVE, 0)
        return f"{signal.name} {condition}", (Check(signal, condition),)
