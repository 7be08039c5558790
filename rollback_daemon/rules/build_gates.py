"""Gates from a rule file as written to what they mean. Must not live here: single keys and their types (`schema_measures`), triggers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rollback_daemon.documents import Step
from rollback_daemon.rules.conditions import NO_LIMIT, OPS, Notes, measured
from rollback_daemon.rules.measures import Condition, Op, Signal
from rollback_daemon.rules.model import BASELINE, ActionKind, Gate, Stage
from rollback_daemon.rules.salvage import Salvaged
from rollback_daemon.rules.schema_measures import GatePart
from rollback_daemon.schema import parse_quorum

_Where = tuple[Step, ...]
_OF_SIGNALS = {"signal": "signal", "expr": "expr", "relative_to": "relative_to", "for_": "for", "share": "share", "min_data": "min_data"}


@dataclass(frozen=True, slots=True)
class Gates:
    """Builds the gates of one file, writing what is wrong into `notes`."""

    usable: Salvaged
    signals: Mapping[str, Signal]
    stages: Sequence[Stage]
    notes: Notes

    def gates(self) -> Iterator[Gate]:
        """The gates, in the order of the file."""
        names: set[str] = set()
        known = [stage.name for stage in self.stages]
        for index, part in self.usable.entries("gates", self.usable.file.gates):
            trail = ("gates", index)
            self.notes.once(part.gate, names, "gate", (*trail, "gate"))
            self.notes.stages(part.stages, known, (*trail, "stages"))
            everywhere = known[1:] if part.relative_to == BASELINE else known  # before the baseline nothing was captured
            stages = frozenset(part.stages if part.stages is not None else everywhere)
            yield self._of_triggers(part, stages, trail) if part.triggers is not None else self._of_a_signal(part, stages, trail)

    def _of_a_signal(self, part: GatePart, stages: frozenset[str], trail: _Where) -> Gate:
        if part.signal is None and part.expr is None:
            self.notes.say(trail, "needs one of signal, expr and triggers")
        signal = measured(self.notes, part, part.gate, self.signals, trail)
        quorum = self._quorum(part, signal, trail)
        limits = part.model_copy(update={"at_least": 1}) if quorum else part
        condition = self.notes.condition(limits, OPS, signal.unit, trail)
        if condition is None:
            self.notes.say(trail, NO_LIMIT)
        return Gate(
            part.gate, signal, condition or Condition(Op.ABOVE, 0), stages, part.for_, part.share, part.min_data, quorum, blocking=part.blocking
        )

    def _quorum(self, part: GatePart, signal: Signal, trail: _Where) -> tuple[int, int] | None:
        """`4 of 5`: so many series of so many must be 1 or more."""
        trail = (*trail, "at_least")
        if not isinstance(part.at_least, str) or " of " not in part.at_least:
            return None
        try:
            need, of = parse_quorum(part.at_least)
        except ValueError as error:
            self.notes.say(trail, str(error))
            return (1, 1)
        if part.relative_to is not None:
            self.notes.say(trail, f'"{part.at_least}" counts series that are at least 1; leave relative_to out')
        if signal.endpoints and len(signal.endpoints) != of:
            self.notes.say(trail, f'"{part.at_least}" is about {of} endpoints, and "{signal.name}" has {len(signal.endpoints)}; make them the same')
        if signal.evidence and of != 1:
            self.notes.say(trail, f'"{part.at_least}" is about {of} series, and "{signal.name}" is one figure; write a single limit')
        return need, of

    def _of_triggers(self, part: GatePart, stages: frozenset[str], trail: _Where) -> Gate:
        for name, key in [*_OF_SIGNALS.items(), *((op, op) for op in OPS)]:
            if name in part.model_fields_set:
                self.notes.say((*trail, key), "is about a signal, and this gate is about triggers; leave it out")
        quiet = self._quiet(part, (*trail, "triggers"))
        return Gate(part.gate, Signal(part.gate, ""), Condition(Op.AT_MOST, 0), stages, quiet=quiet, blocking=part.blocking)

    def _quiet(self, part: GatePart, trail: _Where) -> frozenset[str]:
        """The triggers that must not have fired. A dry run is none of them: it has no say in anything."""
        written = [one for _, one in self.usable.entries("triggers", self.usable.file.triggers)]
        acting = {one.alert for one in written if not one.dry_run}
        if isinstance(part.triggers, list):
            self._check_names(part.triggers, [one.alert for one in written], acting, trail)
            return frozenset(part.triggers)
        if part.triggers == "rollback":
            acting &= {one.alert for one in written if one.action.kind is ActionKind.ROLLBACK}
        if not acting and "triggers" not in self.usable.lost:
            what = "that rolls back and is no dry run" if part.triggers == "rollback" else "that is no dry run"
            self.notes.say(trail, f"there is no trigger {what}, so that this gate would always pass; leave it out")
        return frozenset(acting)

    def _check_names(self, names: Sequence[str], known: Sequence[str], acting: set[str], trail: _Where) -> None:
        self.notes.distinct(names, trail)
        for index, name in enumerate(names):
            if name not in known:
                self.notes.unknown("trigger", name, known, (*trail, index))
            elif name not in acting:
                self.notes.say((*trail, index), f'"{name}" is a dry run, which has no say in anything; leave it out')
