"""Triggers from a rule file as written to what they mean.

Lives here: what takes two keys to be told about a trigger. Must not live here: single keys and their types (`schema`), the ladder (`build`), what
stands under the key of a kind (`triggers`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from rollback_daemon.documents import Step
from rollback_daemon.rules.build_flags import FlagRules
from rollback_daemon.rules.conditions import NO_LIMIT, OPS, Notes, measured, pasted
from rollback_daemon.rules.kinds import Setting
from rollback_daemon.rules.measures import OnNoData, Signal
from rollback_daemon.rules.model import Action, ActionKind, ErrorBudget, Gate, NoDataBudget, Stage, Trigger
from rollback_daemon.rules.reading import TriggerKind
from rollback_daemon.rules.salvage import Salvaged
from rollback_daemon.rules.schema import ThresholdPart, TriggerPart
from rollback_daemon.rules.schema_budgets import CountedNoDataPart
from rollback_daemon.rules.triggers import KEYED, Threshold

_Where = tuple[Step, ...]


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
            test = self._threshold(part, trail) if isinstance(part, ThresholdPart) else self._keyed(part, gates, trail)
            yield self._trigger(part, test, trail)

    def _trigger(self, part: TriggerPart, test: TriggerKind, trail: _Where) -> Trigger:
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
            errors=ErrorBudget(part.errors.at_most, part.errors.then) if part.errors else None,
            no_data=self._no_data(part, test, (*trail, "no_data")),
            labels={key: value for key, value in own.items() if value is not None},
            annotations=part.annotations,
        )

    def _no_data(self, part: TriggerPart, test: TriggerKind, trail: _Where) -> NoDataBudget | None:
        if part.no_data is None or isinstance(part.no_data, str):
            return None
        if isinstance(test, Threshold) and test.signal.no_data is OnNoData.BREACH:
            self.notes.say(
                trail, f'the signal "{test.signal.name}" has no_data: breach, so that the action of the trigger follows; add counts_as: hold'
            )
        if isinstance(test, Threshold) and test.condition is None and test.signal.expr and part.model_fields_set & {"expr"}:
            text = "an empty answer of this expression is clear, as in Prometheus, and no lack of data; give its limit apart, such as above: 0"
            self.notes.say(trail, text)
        return NoDataBudget(part.no_data.for_, part.no_data.then)

    def _action(self, action: Action, known: Sequence[str], trail: _Where) -> Action:
        if action.to is not None and action.to not in known:
            self.notes.unknown("stage", action.to, known, (*trail, "rollback"))
        if action.kind is ActionKind.DEGRADE:
            return replace(action, flags=self.flags.of_action(action.flags, (*trail, "degrade")))
        return action

    def _keyed(self, part: TriggerPart, gates: Sequence[Gate], trail: _Where) -> TriggerKind:
        """A kind with a key of its own builds itself."""
        key = next(key for key in KEYED if key in part.model_fields_set)
        setting = Setting(
            alert=part.alert,
            severity=part.severity or part.labels.get("severity") or "warning",
            trail=trail,
            at=(*trail, key),
            signals=self.signals,
            gates=gates,
            stages=part.stages or (),
            interval=None if "interval" in self.usable.lost else self.interval,
            lost=self.usable.lost,
            notes=self.notes,
        )
        build = KEYED[key].build
        if build is None:
            raise AssertionError(f"the kind {key} has a key, and nothing that builds it")
        return build(getattr(part, key), setting)

    def _threshold(self, part: ThresholdPart, trail: _Where) -> Threshold:
        if part.signal is None and part.expr is None:
            self.notes.say(trail, "needs either signal or expr")
        signal = measured(self.notes, part, part.alert, self.signals, trail)
        condition = self.notes.condition(part, OPS, signal.unit, trail)
        if part.signal is None and part.expr is not None and not signal.control:
            signal, condition = pasted(part.alert, part.expr, condition)
        elif condition is None and (part.signal is None) != (part.expr is None):
            self.notes.say(trail, NO_LIMIT)
        counts_as = part.no_data.counts_as if isinstance(part.no_data, CountedNoDataPart) else part.no_data
        if counts_as is not None:
            signal = replace(signal, no_data=OnNoData(counts_as))
        return Threshold(signal, condition)
